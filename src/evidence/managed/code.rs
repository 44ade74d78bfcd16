//! Memory for code made at run time: what the dump records, what the runtime
//! describes, and what the map shows of its loader heaps. The memory keeps
//! its kind; only its use has a name.

use std::collections::BTreeMap;

use super::contract::KnownCode;
use crate::addr::AddressRange;
use crate::dump::FunctionTable;
use crate::evidence::shapes::Shape;
use crate::evidence::{Claim, Confidence, Detail, EvidenceSource, RegionKind, Subject, Use};
use crate::map::{MemoryType, Protection, Region, RegionMap, State};

/// A range of code or of the runtime's own data, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRange {
    /// Where it is.
    pub range: AddressRange,
    /// `dynamic code`, `JIT code`, `CLR stubs`, `CLR loader heap` …
    pub usage: &'static str,
    /// What says so.
    pub source: EvidenceSource,
    /// How it is known.
    pub confidence: Confidence,
}

/// Code that the dump itself records (stream 13).
pub(super) fn recorded(tables: &[FunctionTable]) -> Vec<CodeRange> {
    let code = joined(tables.iter().map(|table| table.range).collect());
    let code = code.into_iter().map(|range| CodeRange {
        range,
        usage: "dynamic code",
        source: EvidenceSource::FunctionTable,
        confidence: Confidence::Recorded,
    });
    code.collect()
}

/// Code that the runtime's map of code ranges has.
pub(super) fn described(known: Vec<KnownCode>) -> Vec<CodeRange> {
    let mut by_use: BTreeMap<&'static str, Vec<AddressRange>> = BTreeMap::new();
    for KnownCode { range, usage } in known {
        by_use.entry(usage).or_default().push(range);
    }
    let code = by_use.into_iter().flat_map(|(usage, ranges)| {
        joined(ranges).into_iter().map(move |range| CodeRange {
            range,
            usage,
            source: EvidenceSource::ClrRuntime,
            confidence: Confidence::Derived,
        })
    });
    code.collect()
}

/// The ranges in address order, those that touch joined: so that nobody walks
/// the same regions twice.
fn joined(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    ranges.sort_by_key(|range| range.start());
    let mut joined: Vec<AddressRange> = Vec::new();
    for range in ranges {
        if let Some(last) = joined.last_mut()
            && last.end() >= range.start()
            && let Some(both) = AddressRange::spanning(last.start(), last.last().max(range.last()))
        {
            *last = both;
        } else {
            joined.push(range);
        }
    }
    joined
}

/// The reservation of a code heap.
const CODE_HEAP: u64 = 0x8_0000;
/// Loader heaps come in these units, and are not larger than some of them:
/// other engines reserve hundreds of MiB the same way.
const UNIT: u64 = 0x1_0000;
const MOST: u64 = 16 << 20;
/// Fewer allocations of the kind may be another's. A .NET process has 8 to
/// 282.
const LEAST: usize = 4;

/// Loader heaps and code heaps, by what the map shows of them.
///
/// With write-xor-execute (.NET 7 and later) they are views of a section with
/// PAGE_EXECUTE_READWRITE, without it private and reserved with
/// PAGE_NOACCESS. Wrong when the program reserves memory the same way.
pub(super) fn by_shape(shapes: &[Shape], map: &RegionMap<'_>) -> Vec<CodeRange> {
    let candidates: Vec<&Shape> = shapes.iter().filter(|shape| is_runtimes(shape)).collect();
    if candidates.len() < LEAST {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut add = |range: AddressRange, usage: &'static str| {
        found.push(CodeRange {
            range,
            usage,
            source: EvidenceSource::Shape,
            confidence: Confidence::Heuristic,
        });
    };
    for shape in candidates {
        let code_heap = shape.all_executable && shape.range.size() == CODE_HEAP;
        if code_heap && shape.runs.first() == Some(&0) {
            add(shape.range, "JIT code");
            continue;
        }
        add(shape.range, "CLR loader heap");
        let executable =
            |region: &Region| region.state == State::Commit && region.protect.is_executable();
        for region in map.regions_in(shape.range).filter(executable) {
            add(region.range, "CLR stubs or JIT code");
        }
    }
    found
}

/// Whether a region can begin memory that the runtime makes code in.
pub(super) fn can_begin(region: &Region) -> bool {
    match region.memory_type {
        Some(MemoryType::Mapped) => region.allocation_protect == Protection::EXECUTE_READ_WRITE,
        Some(MemoryType::Private) => region.allocation_protect == Protection::NO_ACCESS,
        _ => false,
    }
}

pub(super) fn is_runtimes(shape: &Shape) -> bool {
    const PROTECTS: u32 = 0x02 | 0x04 | 0x20 | 0x40;
    let protect = match shape.memory_type {
        MemoryType::Mapped => Protection::EXECUTE_READ_WRITE,
        MemoryType::Private => Protection::NO_ACCESS,
        MemoryType::Image => return false,
    };
    shape.allocation_protect == protect
        && shape.committed > 0
        && shape.protects & !PROTECTS == 0
        && shape.range.size() <= MOST
        && shape.range.size().is_multiple_of(UNIT)
        && shape.range.start().is_multiple_of(UNIT)
}

/// The claims of the ranges: one for each run of regions of one type, because
/// the memory keeps its kind.
pub(super) fn claims(code: &[CodeRange], map: &RegionMap<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for code in code {
        let mut open: Option<(AddressRange, RegionKind)> = None;
        for region in map.regions_in(code.range) {
            let part = region.range.intersect(code.range);
            let (Some(part), Some(kind)) = (part, kind_of(&region)) else { continue };
            match &mut open {
                Some((range, of)) if *of == kind && range.end() == part.start() => {
                    let joined = AddressRange::spanning(range.start(), part.last());
                    *range = joined.unwrap_or(*range);
                }
                _ => {
                    claims.extend(open.replace((part, kind)).map(|open| claim(code, open)));
                }
            }
        }
        claims.extend(open.map(|open| claim(code, open)));
    }
    claims
}

fn claim(code: &CodeRange, (range, kind): (AddressRange, RegionKind)) -> Claim {
    let detail = match code.source {
        EvidenceSource::FunctionTable => "unwind data was registered for code here",
        EvidenceSource::ClrRuntime => "in the runtime's map of code ranges",
        _ => "reserved as the runtime reserves memory for code and types",
    };
    Claim {
        range,
        kind: Some(kind),
        usage: Use::Named(code.usage),
        subject: Subject::None,
        confidence: code.confidence,
        source: code.source,
        detail: Detail::Words(detail),
    }
}

/// `None` for images and free memory: nobody makes code there.
fn kind_of(region: &Region) -> Option<RegionKind> {
    match (region.state, region.memory_type) {
        (State::Free, _) | (_, Some(MemoryType::Image)) => None,
        (_, Some(MemoryType::Mapped)) => Some(RegionKind::Mapped),
        (_, Some(MemoryType::Private)) => Some(RegionKind::Private),
        (_, None) => Some(RegionKind::Unknown),
    }
}
