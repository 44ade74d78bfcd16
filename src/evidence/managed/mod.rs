//! Managed heaps: .NET without its debugger library. Sources: GcDacVars and
//! what it leads to; the contract descriptor; the function table stream; and
//! the map beside a runtime's module. Without such a module there is no work
//! and no claim.
//!
//! Nothing here walks objects. What is not known stays unlabelled: a runtime
//! whose collector could not be read says so in [`Runtime::problems`].

mod by_shape;
mod code;
mod collector;
mod contract;
mod dac_vars;
mod regions;
mod roles;
mod runtime;
mod scan;
mod segments;
mod shapes;
mod target;

pub use code::CodeRange;
pub use roles::ThreadRole;
pub use runtime::{Family, Version};

use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::limits::Depth;
use crate::map::{MapSource, MemoryType, RegionMap};
use contract::Contract;
use runtime::RuntimeModule;
use segments::HeapSegment;
use shapes::Shape;
use target::Target;

/// What is known of the .NET runtimes in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// The runtimes, in the order of the module list.
    pub runtimes: Vec<Runtime>,
    /// Code made at run time, and the runtime's loader heaps.
    pub code: Vec<CodeRange>,
    /// The runtime's own threads.
    pub roles: Vec<ThreadRole>,
}

/// One runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Which one.
    pub family: Family,
    /// The module that holds it.
    pub module: AddressRange,
    /// Path of the module.
    pub path: String,
    /// Version of the module's file.
    pub version: Option<Version>,
    /// The garbage collector; `None` when it could not be read.
    pub collector: Option<Collector>,
    /// What is missing or contradicts itself, in words.
    pub problems: Vec<String>,
}

/// How a collector keeps its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLayout {
    /// Segments of 16 MiB to 4 GiB; the youngest generations share one.
    Segments,
    /// Regions of 4 MiB, each of one generation, from one reservation.
    Regions,
}

impl MemoryLayout {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            MemoryLayout::Segments => "segments",
            MemoryLayout::Regions => "regions",
        }
    }
}

/// A garbage collector and its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Where GcDacVars is, and its version; `None` when the memory was found
    /// without it.
    pub variables: Option<(u64, (u8, u8))>,
    /// Whether it has a heap a processor; `None` when not known.
    pub server: Option<bool>,
    /// `None` when not known.
    pub layout: Option<MemoryLayout>,
    /// Heaps with their generations.
    pub heaps: Vec<ManagedHeap>,
    /// Regions that no generation has.
    pub free_regions: Vec<AddressRange>,
    /// Allocations that hold the heaps, parts that are only reserved included.
    pub reservations: Vec<AddressRange>,
    /// Card table, mark array, region table.
    pub bookkeeping: Option<AddressRange>,
    /// Committed bytes of heaps and free regions, bookkeeping left out; `None`
    /// when the structures were not read.
    pub committed: Option<u64>,
    /// How it is known.
    pub confidence: Confidence,
}

/// One heap: the only one, or that of one processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedHeap {
    /// Its number.
    pub number: u32,
    /// Memory of its generations.
    pub ranges: Vec<ObjectRange>,
    /// What is missing or contradicts itself, in words.
    pub problems: Vec<String>,
}

/// What a range of the heap holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// New objects.
    Gen0,
    /// Objects that lived through one collection.
    Gen1,
    /// Objects that lived through two.
    Gen2,
    /// Objects of 85,000 bytes or more.
    Large,
    /// Objects allocated as pinned.
    Pinned,
    /// Objects that are never collected, such as string literals.
    Frozen,
    /// Generations 0 and 1, perhaps 2: where one ends is not known.
    Ephemeral,
    /// Which generation it is, is not known.
    Unknown,
}

impl Generation {
    /// The words in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Generation::Gen0 => "gen0",
            Generation::Gen1 => "gen1",
            Generation::Gen2 => "gen2",
            Generation::Large => "large object heap",
            Generation::Pinned => "pinned object heap",
            Generation::Frozen => "frozen object heap",
            Generation::Ephemeral => "ephemeral generations",
            Generation::Unknown => "GC heap segment",
        }
    }
}

/// Memory for objects of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRange {
    /// Where it is, to the end of what is reserved.
    pub range: AddressRange,
    /// Whose objects it holds.
    pub generation: Generation,
    /// The heap_segment that describes it.
    pub segment: u64,
    /// The first object.
    pub first_object: u64,
    /// One past the last object.
    pub end_of_objects: u64,
    /// One past the last committed byte.
    pub committed_end: u64,
}

impl ObjectRange {
    /// Bytes from the first object to the end of the last, gaps between them
    /// included.
    pub fn objects(&self) -> u64 {
        self.end_of_objects.saturating_sub(self.first_object)
    }

    fn committed(&self) -> u64 {
        self.committed_end.saturating_sub(self.range.start())
    }
}

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
        evidence.claims.extend(runtime.collector.iter().flat_map(claims));
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

/// The claims of a collector: its reservations, and what is in them.
fn claims(collector: &Collector) -> Vec<Claim> {
    let known = collector.confidence;
    let by_shape = known == Confidence::Heuristic;
    let source = if by_shape { EvidenceSource::Shape } else { EvidenceSource::ClrRuntime };
    let claim = |range: AddressRange, usage: &'static str, detail: Detail| Claim {
        range,
        kind: Some(RegionKind::ManagedHeap),
        usage: Use::Named(usage),
        subject: Subject::None,
        confidence: known,
        source,
        detail,
    };
    let reserved = if by_shape {
        "reserved and committed as the collector does"
    } else {
        "the collector's segments lie in it"
    };
    let mut claims = Vec::new();
    for range in &collector.reservations {
        claims.push(claim(*range, "GC heap", Detail::Words(reserved)));
    }
    for range in collector.heaps.iter().flat_map(|heap| &heap.ranges) {
        let detail = Detail::At("heap_segment at", range.segment);
        claims.push(claim(range.range, range.generation.as_str(), detail));
    }
    for range in &collector.free_regions {
        let detail = Detail::Words("in the region table, in no generation");
        claims.push(claim(*range, "free GC region", detail));
    }
    if let Some(range) = &collector.bookkeeping {
        let detail = if by_shape { "its share of the heap's size" } else { "bookkeeping_start" };
        claims.push(claim(*range, "GC bookkeeping", Detail::Words(detail)));
    }
    claims
}
