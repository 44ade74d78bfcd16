//! AddressSanitizer on 64-bit x86 Linux: its shadow and its heap lie at
//! addresses that are constants of the runtime, whether that is a library or
//! linked into the program. Seen with GCC 12 and its libasan 8.
//!
//! Two mappings must begin and end at these very addresses: a program without
//! the runtime would have to ask for both. Other sanitizers, other processors
//! and a shadow at an address of the kernel's choice are not known here.
//! `allocators` has Windows.

use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::addr::AddressRange;
use crate::dump::{Arch, Dump};
use crate::map::{MapSource, MemoryType, Protection, RegionMap};

/// What the use of shadow memory is called, everywhere.
pub const SANITIZER_SHADOW: &str = "AddressSanitizer shadow";
/// kShadowOffset less one page, which the runtime maps too.
const LOW_SHADOW: u64 = 0x7fff_7000;
const SHADOW_GAP: u64 = 0x8fff_7000;
const HIGH_SHADOW: u64 = 0x0200_8fff_7000;
const HIGH_SHADOW_END: u64 = 0x1000_7fff_8000;
/// kAllocatorSpace and kAllocatorSize.
const HEAP: u64 = 0x6000_0000_0000;
const HEAP_END: u64 = 0x6400_0000_0000;

pub(super) fn gather(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &mut Evidence) {
    if map.source != MapSource::LinuxMaps || dump.system.arch != Arch::Amd64 {
        return;
    }
    let is = |start: u64, end: u64, protect: Protection| {
        let wanted = AddressRange::between(start, end);
        map.find(start).is_some_and(|region| {
            Some(region.range) == wanted
                && region.memory_type == Some(MemoryType::Private)
                && region.protect == protect
        })
    };
    let (gap, high) = ((SHADOW_GAP, HIGH_SHADOW), (HIGH_SHADOW, HIGH_SHADOW_END));
    if !is(gap.0, gap.1, Protection::NO_ACCESS) || !is(high.0, high.1, Protection::READ_WRITE) {
        return;
    }
    let parts = [
        (LOW_SHADOW, SHADOW_GAP, RegionKind::Private, SANITIZER_SHADOW),
        (SHADOW_GAP, HIGH_SHADOW, RegionKind::Private, "AddressSanitizer shadow gap"),
        (HIGH_SHADOW, HIGH_SHADOW_END, RegionKind::Private, SANITIZER_SHADOW),
        (HEAP, HEAP_END, RegionKind::Heap, "AddressSanitizer heap"),
    ];
    for (start, end, kind, name) in parts {
        let Some(range) = AddressRange::between(start, end) else { continue };
        evidence.claim(Claim {
            range,
            kind: Some(kind),
            usage: Use::Named(name),
            subject: Subject::None,
            confidence: Confidence::Heuristic,
            source: EvidenceSource::FixedAddress,
            detail: Detail::At("the runtime's constant address", start),
        });
    }
}
