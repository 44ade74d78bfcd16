//! Regions that Windows puts into every process, known by fixed address, by
//! exact size, by shape, or by magic number.

use super::survey::Survey;
use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::addr::AddressRange;
use crate::dump::{Dump, Platform};
use crate::limits::Depth;
use crate::map::{MapSource, MemoryType, Protection, Region, RegionMap, State};

const PAGE: u64 = 0x1000;
/// Where Windows maps KUSER_SHARED_DATA in every process.
const USER_SHARED_DATA: u64 = 0x7ffe_0000;
/// The last page of its 64 KiB.
const USER_SHARED_END: u64 = 0x7fff_0000;

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    survey: &Survey,
    evidence: &mut Evidence,
) {
    if dump.system.platform != Platform::Windows || map.source != MapSource::MemoryInfo {
        return;
    }
    user_shared_data(map, evidence);
    exact_sizes(survey, evidence);
    shadow_stacks(survey, evidence);
    if dump.limits.depth >= Depth::Headers {
        activation_contexts(dump, survey, evidence);
    }
}

/// KUSER_SHARED_DATA, and the one other read-only page in its 64 KiB, which
/// Windows 10 1803 and later map at a random place for the hypervisor.
fn user_shared_data(map: &RegionMap<'_>, evidence: &mut Evidence) {
    let Some(around) = AddressRange::between(USER_SHARED_DATA, USER_SHARED_END) else { return };
    let readable = map.regions_in(around).filter(|region| {
        region.state == State::Commit
            && region.protect == Protection::READ_ONLY
            && region.range.size() == PAGE
    });
    let mut other: Option<Region> = None;
    let mut others = 0_u32;
    for region in readable {
        if region.range.start() == USER_SHARED_DATA {
            evidence.claim(Claim {
                detail: Detail::At("Windows maps it at", USER_SHARED_DATA),
                ..claim(
                    region.range,
                    kind_of(region.memory_type),
                    "KUSER_SHARED_DATA",
                    (Confidence::Derived, EvidenceSource::FixedAddress),
                )
            });
        } else {
            other = Some(region);
            others = others.saturating_add(1);
        }
    }
    if let Some(region) =
        other.filter(|region| others == 1 && region.allocation_base == Some(region.range.start()))
    {
        evidence.claim(Claim {
            detail: Detail::At("the one other read-only page in 64 KiB from", USER_SHARED_DATA),
            ..claim(
                region.range,
                kind_of(region.memory_type),
                "hypervisor shared page",
                (Confidence::Heuristic, EvidenceSource::Shape),
            )
        });
    }
}

/// Allocations of a size and protection that nothing else has.
fn exact_sizes(survey: &Survey, evidence: &mut Evidence) {
    for (range, exact) in &survey.exact {
        // Sections that Windows makes and no file is behind.
        let kind = match exact.memory_type {
            MemoryType::Mapped => RegionKind::Shareable,
            other => kind_of(Some(other)),
        };
        evidence.claim(Claim {
            detail: Detail::Size("its allocation has the protection and the exact", exact.size),
            ..claim(*range, kind, exact.name, (Confidence::Heuristic, EvidenceSource::Shape))
        });
    }
}

/// CET shadow stacks: each follows the stack of its thread.
fn shadow_stacks(survey: &Survey, evidence: &mut Evidence) {
    if survey.shadow_stacks.is_empty() {
        return;
    }
    let mut ends: Vec<(u64, u32)> =
        evidence.stacks.iter().map(|stack| stack.range.end()).zip(0_u32..).collect();
    ends.sort_unstable();
    for shadow in &survey.shadow_stacks {
        let start = shadow.range.start();
        let at = ends.partition_point(|(end, _)| *end < start);
        let Some((_, row)) = ends.get(at).filter(|(end, _)| *end == start) else { continue };
        evidence.claims.push(Claim {
            subject: Subject::Stack(*row),
            detail: Detail::Words("read-only pages with a guard right after a thread's stack"),
            ..claim(
                shadow.range,
                RegionKind::Stack,
                "shadow stack",
                (Confidence::Heuristic, EvidenceSource::Shape),
            )
        });
    }
}

/// Read-only views that begin with the magic number of activation contexts.
fn activation_contexts(dump: &Dump<'_>, survey: &Survey, evidence: &mut Evidence) {
    for range in &survey.readonly_views {
        if dump.captured.array::<4>(range.start()).is_ok_and(|magic| magic == *b"Actx") {
            evidence.claim(Claim {
                detail: Detail::Words("it begins with \"Actx\""),
                ..claim(
                    *range,
                    RegionKind::Mapped,
                    "activation context data",
                    (Confidence::Derived, EvidenceSource::Signature),
                )
            });
        }
    }
}

/// The kind that refines nothing: what the region is anyway.
fn kind_of(memory_type: Option<MemoryType>) -> RegionKind {
    match memory_type {
        Some(MemoryType::Image) => RegionKind::Image,
        Some(MemoryType::Mapped) => RegionKind::Mapped,
        Some(MemoryType::Private) => RegionKind::Private,
        None => RegionKind::Unknown,
    }
}

fn claim(
    range: AddressRange,
    kind: RegionKind,
    name: &'static str,
    (confidence, source): (Confidence, EvidenceSource),
) -> Claim {
    Claim {
        range,
        kind: Some(kind),
        usage: Use::Named(name),
        subject: Subject::None,
        confidence,
        source,
        detail: Detail::None,
    }
}
