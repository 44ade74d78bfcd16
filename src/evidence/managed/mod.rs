//! Managed heaps: .NET without its debugger library. Sources: GcDacVars and
//! what it leads to; the contract descriptor; the function table stream; and
//! the map beside a runtime's module. Without such a module there is no work
//! and no claim.
//!
//! Nothing here walks objects. What is not known stays unlabelled: a runtime
//! whose collector could not be read says so in [`Runtime::problems`].

mod by_shape;
mod claims;
mod code;
mod collector;
mod contract;
mod dac_vars;
mod model;
mod regions;
mod roles;
mod runtime;
mod scan;
mod segments;
mod target;

pub use code::CodeRange;
pub use model::{Collector, Generation, Managed, ManagedHeap, MemoryLayout, ObjectRange, Runtime};
pub use roles::ThreadRole;
pub use runtime::{Family, Version};

use super::shapes::{self, Shape};
use super::{Confidence, Evidence};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::limits::Depth;
use crate::map::{MapSource, MemoryType, RegionMap};
use contract::Contract;
use runtime::RuntimeModule;
use segments::HeapSegment;
use target::Target;

pub(super) fn gather(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &mut Evidence) {
    let recorded = code::recorded(&dump.function_tables);
    evidence.claims.extend(code::claims(&recorded, map));
    let modules = runtime::find(dump, &evidence.images);
    if modules.runtimes.is_empty() {
        return;
    }
    let mut managed =
        Managed { runtimes: Vec::new(), code: recorded, roles: roles::of(&dump.threads) };
    let shapes = shapes(map);
    for module in modules.runtimes {
        let mut ranges = vec![module.range];
        ranges.extend(&modules.collectors);
        let (runtime, described) = read(dump, map, evidence, module, &ranges, &shapes);
        evidence.claims.extend(runtime.collector.iter().flat_map(claims::of));
        evidence.claims.extend(code::claims(&described, map));
        managed.code.extend(described);
        managed.runtimes.push(runtime);
    }
    let has_known_heaps =
        |runtime: &Runtime| matches!(runtime.family, Family::CoreClr | Family::SingleFile);
    if managed.runtimes.iter().any(has_known_heaps) {
        let by_shape = code::by_shape(&shapes, map);
        evidence.claims.extend(code::claims(&by_shape, map));
        managed.code.extend(by_shape);
    }
    evidence.managed = Some(managed);
}

/// The allocations that may be a runtime's; only VirtualQuery tells enough.
fn shapes(map: &RegionMap<'_>) -> Vec<Shape> {
    let mut shapes = Vec::new();
    if map.source == MapSource::MemoryInfo {
        shapes::each(
            map,
            |region| code::can_begin(region) || region.memory_type == Some(MemoryType::Private),
            |shape| {
                if code::is_runtimes(&shape) || by_shape::is_collectors(&shape) {
                    shapes.push(shape);
                }
            },
        );
    }
    shapes
}

/// Reads one runtime: its collector, and the code it describes.
fn read(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    evidence: &Evidence,
    module: RuntimeModule,
    modules: &[AddressRange],
    shapes: &[Shape],
) -> (Runtime, Vec<CodeRange>) {
    let mut runtime = Runtime {
        family: module.family,
        module: module.range,
        path: module.path,
        version: module.version,
        collector: None,
        problems: Vec::new(),
    };
    if module.family == Family::Mono {
        runtime.problems.push("Mono: its heap is not decoded".into());
        return (runtime, Vec::new());
    }
    let mut described = Vec::new();
    let widths = match module.width {
        Some(width) => vec![width],
        None => vec![PointerWidth::Bits64, PointerWidth::Bits32],
    };
    if dump.limits.depth >= Depth::Headers {
        let found = scan::scan(dump, map, &evidence.images, modules, &widths);
        if !found.captured {
            runtime.problems.push("the runtime's variables are not captured".into());
        }
        for (width, vars) in &found.vars {
            let mut target = Target::new(dump, map, *width);
            if runtime.collector.is_none() && vars.is_plausible(&mut target) {
                runtime.collector = by_variables(&mut target, vars);
            }
        }
        for width in &widths {
            let mut target = Target::new(dump, map, *width);
            for address in &found.descriptors {
                if let Some(contract) = Contract::read(&mut target, *address) {
                    described.extend(contract::code_ranges(&mut target, &contract));
                }
            }
            if runtime.collector.is_none() {
                runtime.collector = by_segments(&mut target, shapes);
            }
        }
    }
    if runtime.collector.is_none() {
        runtime.problems.push("the collector's structures are not decoded".into());
        if runtime.family != Family::Framework {
            let mut by_map = widths.iter().map(|width| by_shape::reservations(shapes, *width));
            runtime.collector = by_map.find_map(by_reservations);
        }
    }
    (runtime, code::described(described))
}

/// The collector by GcDacVars.
fn by_variables(target: &mut Target<'_, '_>, vars: &dac_vars::DacVars) -> Option<Collector> {
    let read = collector::read(target, vars)?;
    let mut collector = Collector {
        variables: Some((vars.address, vars.version)),
        server: Some(read.server),
        layout: Some(if read.regions { MemoryLayout::Regions } else { MemoryLayout::Segments }),
        heaps: read.heaps,
        free_regions: Vec::new(),
        reservations: reservations(target, &read.segments),
        bookkeeping: None,
        committed: None,
        confidence: Confidence::Derived,
    };
    let mut free_committed = Some(0);
    if read.regions {
        let regions = regions::read(target, vars, &read.segments);
        collector.free_regions = regions.free;
        collector.bookkeeping = regions.bookkeeping;
        free_committed = regions.free_committed;
    }
    let ranges = collector.heaps.iter().flat_map(|heap| &heap.ranges);
    let committed = ranges.fold(0_u64, |sum, range| sum.saturating_add(range.committed()));
    collector.committed = free_committed.map(|free| committed.saturating_add(free));
    Some(collector)
}

/// The allocations that the segments lie in, frozen ones left out: those may
/// lie in anything that is read-only.
fn reservations(target: &mut Target<'_, '_>, segments: &[HeapSegment]) -> Vec<AddressRange> {
    let mut ranges = Vec::new();
    if target.knows_allocations() {
        for segment in segments.iter().filter(|segment| !segment.is_frozen()) {
            let place = target.place(segment.mem);
            let private = place.filter(|place| place.memory_type == Some(MemoryType::Private));
            ranges.extend(private.map(|place| place.range));
        }
        ranges.sort_by_key(|range| range.start());
        ranges.dedup();
    }
    ranges
}

/// The collector by segments that describe themselves.
fn by_segments(target: &mut Target<'_, '_>, shapes: &[Shape]) -> Option<Collector> {
    let segments = by_shape::segments(target, shapes);
    let range = |segment: &HeapSegment| {
        let generation = match () {
            () if segment.is_pinned() => Generation::Pinned,
            () if segment.is_large() => Generation::Large,
            () => Generation::Unknown,
        };
        Some(ObjectRange {
            range: segment.range()?,
            generation,
            segment: segment.address,
            first_object: segment.mem,
            end_of_objects: segment.allocated,
            committed_end: segment.committed,
        })
    };
    let ranges: Vec<ObjectRange> = segments.iter().filter_map(range).collect();
    (!ranges.is_empty()).then(|| Collector {
        variables: None,
        server: None,
        layout: Some(MemoryLayout::Segments),
        heaps: vec![ManagedHeap { number: 0, ranges, problems: Vec::new() }],
        free_regions: Vec::new(),
        reservations: Vec::new(),
        bookkeeping: None,
        committed: None,
        confidence: Confidence::Heuristic,
    })
}

/// The collector's reservations by the map alone.
fn by_reservations(found: by_shape::Reservations) -> Option<Collector> {
    Some(Collector {
        variables: None,
        server: None,
        layout: None,
        heaps: Vec::new(),
        free_regions: Vec::new(),
        reservations: vec![found.heap?],
        bookkeeping: found.bookkeeping,
        committed: None,
        confidence: Confidence::Heuristic,
    })
}
