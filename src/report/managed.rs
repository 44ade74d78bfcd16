//! The .NET runtimes of the process: their collectors' heaps by generation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{Hex, Input};
use crate::addr::AddressRange;
use crate::evidence::managed::{Collector, Generation, ManagedHeap, ObjectRange, Runtime};

/// One runtime.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeView<'a> {
    /// `.NET`, `.NET Framework`, `Mono` …
    pub runtime: &'static str,
    /// Version of the module's file.
    pub version: Option<String>,
    /// Path of the module.
    pub path: Cow<'a, str>,
    /// Whether it has a heap a processor.
    pub server: Option<bool>,
    /// How many heaps it has; null when it could not be read.
    pub heaps: Option<u64>,
    /// `segments` or `regions`.
    pub layout: Option<&'static str>,
    /// Committed bytes of the heaps and of free regions.
    pub committed: Option<u64>,
    /// Bytes of the allocations that hold the heaps, reserved included.
    pub reserved: Option<u64>,
    /// Bytes of regions that no generation has.
    pub free_regions: Option<u64>,
    /// How the collector is known; null when it could not be read.
    pub confidence: Option<&'static str>,
    /// The heaps, one row a generation.
    pub generations: Vec<GenerationView>,
    /// What is missing or contradicts itself.
    pub problems: Vec<String>,
}

/// The memory of one generation of one heap.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GenerationView {
    /// Number of the heap.
    pub heap: u32,
    /// `gen0`, `large object heap` …
    pub generation: &'static str,
    /// How many segments or regions.
    pub segments: u64,
    /// Bytes, reserved included.
    pub size: u64,
    /// Committed bytes.
    pub committed: u64,
    /// Bytes from the first object to the end of the last.
    pub objects: u64,
}

/// Where in a managed heap.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InManaged {
    /// `.NET`, `.NET Framework` …
    pub runtime: &'static str,
    /// Number of the heap.
    pub heap: u32,
    /// `gen0`, `large object heap` …
    pub generation: &'static str,
    /// The first object of its segment or region.
    pub first_object: Hex,
    /// One past the last object.
    pub end_of_objects: Hex,
    /// `objects`, `not used yet` or `reserved`.
    pub part: &'static str,
}

pub(super) fn runtimes<'a>(input: &Input<'a>) -> Vec<RuntimeView<'a>> {
    let managed = input.analysis.evidence.managed.as_ref();
    managed.into_iter().flat_map(|managed| &managed.runtimes).map(|of| view(input, of)).collect()
}

fn view<'a>(input: &Input<'a>, of: &'a Runtime) -> RuntimeView<'a> {
    let collector = of.collector.as_ref();
    let heaps = || collector.into_iter().flat_map(|collector| &collector.heaps);
    let problems = of.problems.iter().chain(heaps().flat_map(|heap| &heap.problems));
    let sum = |ranges: &[AddressRange]| ranges.iter().map(|range| range.size()).sum();
    let known = |ranges: &[AddressRange]| (!ranges.is_empty()).then(|| sum(ranges));
    let by_regions = |of: &&Collector| of.layout.is_some_and(|layout| layout.as_str() == "regions");
    RuntimeView {
        runtime: of.family.as_str(),
        version: of.version.map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}")),
        path: input.text(&of.path),
        server: collector.and_then(|collector| collector.server),
        heaps: collector.map(|collector| collector.heaps.len() as u64).filter(|heaps| *heaps > 0),
        layout: collector.and_then(|collector| collector.layout).map(|layout| layout.as_str()),
        committed: collector.and_then(|collector| collector.committed),
        reserved: collector.and_then(|collector| known(&collector.reservations)),
        free_regions: collector.filter(by_regions).map(|collector| sum(&collector.free_regions)),
        confidence: collector.map(|collector| collector.confidence.as_str()),
        generations: heaps().flat_map(generations).collect(),
        problems: problems.map(|problem| input.owned(problem.clone())).collect(),
    }
}

fn generations(heap: &ManagedHeap) -> Vec<GenerationView> {
    let mut sums: BTreeMap<Generation, GenerationView> = BTreeMap::new();
    for range in &heap.ranges {
        let sum = sums.entry(range.generation).or_insert(GenerationView {
            heap: heap.number,
            generation: range.generation.as_str(),
            segments: 0,
            size: 0,
            committed: 0,
            objects: 0,
        });
        sum.segments += 1;
        sum.size = sum.size.saturating_add(range.range.size());
        let committed = range.committed_end.saturating_sub(range.range.start());
        sum.committed = sum.committed.saturating_add(committed);
        sum.objects = sum.objects.saturating_add(range.objects());
    }
    sums.into_values().collect()
}

pub(super) fn in_managed(input: &Input<'_>, address: u64) -> Option<InManaged> {
    let holds = |range: &&ObjectRange| range.range.contains(address);
    let runtimes = &input.analysis.evidence.managed.as_ref()?.runtimes;
    runtimes.iter().find_map(|runtime| {
        let heaps = &runtime.collector.as_ref()?.heaps;
        let (heap, range) =
            heaps.iter().find_map(|heap| Some((heap, heap.ranges.iter().find(holds)?)))?;
        Some(InManaged {
            runtime: runtime.family.as_str(),
            heap: heap.number,
            generation: range.generation.as_str(),
            first_object: input.hex(range.first_object),
            end_of_objects: input.hex(range.end_of_objects),
            part: match address {
                _ if address >= range.committed_end => "reserved",
                _ if address >= range.end_of_objects => "not used yet",
                _ => "objects",
            },
        })
    })
}
