//! What TEBs, PEBs and process parameters claim.

use super::layout::Expected;
use super::parameters::ParametersAt;
use super::peb::PebBytes;
use super::{Environment, Peb, Teb, teb};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::evidence::{Claim, Confidence, Detail, EvidenceSource, RegionKind, Subject, Use};
use crate::limits::Depth;
use crate::map::{MapSource, MemoryType, RegionMap, State};

const PAGE: u64 = 0x1000;

/// The TEBs that were read, and those that only the thread list knows of:
/// these need a map that says that private memory is committed there.
pub(super) fn tebs(dump: &Dump<'_>, map: &RegionMap<'_>, tebs: &[Teb], claims: &mut Vec<Claim>) {
    let mut read = tebs.iter().peekable();
    for (thread, index) in dump.threads.iter().zip(0_u32..) {
        let address = dump.system.width.mask(thread.teb);
        let mut known = false;
        while let Some(teb) = read.next_if(|teb| teb.thread == index) {
            known = true;
            let detail = Detail::Words("its Self pointer and thread id match the thread list");
            let range = AddressRange::new(teb.address, teb::layout_of(teb.width).pages);
            claims.extend(range.map(|range| Claim {
                subject: Subject::Thread(index),
                detail,
                ..named(range, RegionKind::Private, "TEB", EvidenceSource::Teb)
            }));
        }
        if known || address == 0 || map.source != MapSource::MemoryInfo {
            continue;
        }
        let region = map.find(address).filter(|region| {
            region.state == State::Commit && region.memory_type == Some(MemoryType::Private)
        });
        let size = teb::layout_of(dump.system.width).pages;
        let range = AddressRange::new(address, size).zip(region);
        let range = range.and_then(|(range, region)| range.intersect(region.range));
        claims.extend(range.map(|range| Claim {
            subject: Subject::Thread(index),
            confidence: Confidence::Recorded,
            detail: Detail::Words("the thread list says so; its contents were not read"),
            ..named(range, RegionKind::Private, "TEB", EvidenceSource::ThreadList)
        }));
    }
}

pub(super) fn pebs(pebs: &[Peb], claims: &mut Vec<Claim>) {
    for peb in pebs {
        let Some(range) = AddressRange::new(peb.address, PAGE) else { continue };
        claims.push(Claim {
            detail: Detail::Words(match peb.width {
                PointerWidth::Bits32 => "the 32-bit TEBs point to it",
                PointerWidth::Bits64 => "the 64-bit TEBs point to it",
            }),
            ..named(range, RegionKind::Private, "PEB", EvidenceSource::Teb)
        });
    }
}

/// Windows 10 and Wine keep the PEBs and TEBs in reservations of 2 MiB: one
/// that holds several is claimed as a whole.
pub(super) fn block(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    environment: &Environment,
    claims: &mut Vec<Claim>,
) {
    /// Windows 7 allocates each TEB alone, a TEB64 together with its TEB32.
    const SMALLEST: u64 = 0x1_0000;
    if map.source != MapSource::MemoryInfo {
        return;
    }
    let listed = dump.threads.iter().map(|thread| dump.system.width.mask(thread.teb));
    let read = environment.tebs.iter().map(|teb| teb.address);
    let pebs = environment.pebs.iter().map(|peb| peb.address);
    let mut addresses: Vec<u64> =
        listed.chain(read).chain(pebs).filter(|address| *address != 0).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut rest = addresses.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let allocation = map.run_at(*first);
        let last = allocation.map_or(*first, |allocation| allocation.range().last());
        let inside = after.partition_point(|address| *address <= last);
        rest = after.get(inside..).unwrap_or(&[]);
        let Some(allocation) = allocation else { continue };
        let range = allocation.range();
        let private = allocation.memory_type == Some(MemoryType::Private);
        if inside == 0 || !private || range.size() < SMALLEST {
            continue;
        }
        let (source, detail) = match environment.tebs.is_empty() {
            true => (EvidenceSource::ThreadList, "TEBs of the thread list lie in it"),
            false => (EvidenceSource::Teb, "TEBs and PEBs lie in it"),
        };
        let detail = Detail::Words(detail);
        claims.push(Claim {
            detail,
            ..named(range, RegionKind::Private, "PEB and TEB block", source)
        });
    }
}

/// Remarks: both usually lie in the default heap, and heap is what they are.
pub(super) fn parameters(parameters: &[ParametersAt], claims: &mut Vec<Claim>) {
    for at in parameters {
        let parts = [
            (Some(at.range), "process parameters"),
            (at.parameters.environment, "environment block"),
        ];
        for (range, name) in parts {
            claims.extend(range.map(|range| Claim {
                kind: None,
                ..named(range, RegionKind::Private, name, EvidenceSource::ProcessParameters)
            }));
        }
    }
}

/// What the PEBs point to, where the map has what such a pointer must hit.
pub(super) fn targets(map: &RegionMap<'_>, pebs: &[PebBytes], claims: &mut Vec<Claim>) {
    if map.source != MapSource::MemoryInfo {
        return;
    }
    let first = claims.len();
    for (peb, (target, pointer)) in
        pebs.iter().flat_map(|peb| peb.targets().map(move |target| (peb, target)))
    {
        let Some(region) = map.find(pointer).filter(|region| region.state != State::Free) else {
            continue;
        };
        let Some(allocation) = map.allocation(pointer) else { continue };
        let starts = allocation.range.start() == pointer;
        let (range, kind) = match (target.expected, region.memory_type) {
            (Expected::View | Expected::ViewOrImage, Some(MemoryType::Mapped)) => {
                (allocation.range, Some(RegionKind::Mapped))
            }
            (Expected::SharedSection, Some(MemoryType::Mapped)) => {
                (allocation.range, Some(RegionKind::Shareable))
            }
            // Windows 7 has the API set map in an image: image stays image.
            (Expected::ViewOrImage, Some(MemoryType::Image)) => (region.range, None),
            (Expected::PrivateStart, Some(MemoryType::Private)) if starts => {
                (allocation.range, Some(RegionKind::Private))
            }
            _ => continue,
        };
        let claim = Claim {
            kind,
            detail: Detail::At("pointer of the PEB at", peb.peb.address),
            ..named(range, RegionKind::Private, target.name, EvidenceSource::Peb)
        };
        let before = claims.get(first..).unwrap_or(&[]);
        if !before.iter().any(|known| known.range == claim.range && known.usage == claim.usage) {
            claims.push(claim);
        }
    }
}

/// The desktop heap: Win32ClientInfo of a TEB64 has its base and, 0x1040
/// bytes on, the desktop's information.
pub(super) fn desktop_heap(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    tebs: &[Teb],
    claims: &mut Vec<Claim>,
) {
    if dump.limits.depth < Depth::Headers || map.source != MapSource::MemoryInfo {
        return;
    }
    let Some((information, heap)) = teb::desktop(&dump.captured, tebs) else { return };
    let mapped =
        map.find(heap).is_some_and(|region| region.memory_type == Some(MemoryType::Mapped));
    let Some(allocation) = map.allocation(heap).filter(|_| mapped) else { return };
    if allocation.range.start() == heap && allocation.range.contains(information) {
        claims.push(Claim {
            detail: Detail::At("Win32ClientInfo of a TEB points to it and to", information),
            ..named(allocation.range, RegionKind::Shareable, "desktop heap", EvidenceSource::Teb)
        });
    }
}

/// A derived claim of a name, without subject or detail.
fn named(
    range: AddressRange,
    kind: RegionKind,
    name: &'static str,
    source: EvidenceSource,
) -> Claim {
    Claim {
        range,
        kind: Some(kind),
        usage: Use::Named(name),
        subject: Subject::None,
        confidence: Confidence::Derived,
        source,
        detail: Detail::None,
    }
}
