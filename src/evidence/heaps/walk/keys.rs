//! The random numbers that ntdll XORs its heaps' structures with, found
//! without symbols: from structures of which the other side is known.

use std::collections::BTreeMap;

use super::super::context::Context;
use super::super::nt_layout::{self, LowFragmentation};
use super::super::{Heap, HeapPart, HeapType};
use super::page_segment::{self, RangeKind};
use super::signatures::{Known, Signatures};
use super::user_blocks::{self, UserBlocks};
use super::{segment_lfh, vs};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::map::RegionMap;

/// The keys of one process. A WOW64 process has two ntdlls, and so two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    native: Option<u32>,
    other: Option<u32>,
    segment: [SegmentKeys; 2],
}

/// The keys of one ntdll's segment heaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SegmentKeys {
    heap: Option<u64>,
    low_fragmentation: Option<segment_lfh::Key>,
}

impl Keys {
    /// `RtlpLFHKey` of the ntdll of this width; `None` when it was not found,
    /// and for Windows 7 and earlier, which have none.
    pub fn low_fragmentation(&self, width: PointerWidth) -> Option<u32> {
        match width {
            PointerWidth::Bits64 => self.native,
            PointerWidth::Bits32 => self.other,
        }
    }

    /// HeapKey of the segment heaps; `None` when it was not found.
    pub fn heap(&self, width: PointerWidth) -> Option<u64> {
        self.segment_keys(width).heap
    }

    /// LfhKey of the segment heaps.
    pub(super) fn segment_lfh(&self, width: PointerWidth) -> Option<segment_lfh::Key> {
        self.segment_keys(width).low_fragmentation
    }

    fn segment_keys(&self, width: PointerWidth) -> SegmentKeys {
        let [native, other] = self.segment;
        match width {
            PointerWidth::Bits64 => native,
            PointerWidth::Bits32 => other,
        }
    }
}

/// Containers asked at most; the key is the one that most agree on.
const ENOUGH: usize = 64;

/// The keys, and the signatures that were found on the way.
pub(super) fn find(dump: &Dump<'_>, map: &RegionMap<'_>, heaps: &[Heap]) -> (Keys, Known) {
    let mut known = Known::default();
    let keys = Keys {
        native: of_width(dump, map, heaps, PointerWidth::Bits64, &mut known),
        other: of_width(dump, map, heaps, PointerWidth::Bits32, &mut known),
        segment: [PointerWidth::Bits64, PointerWidth::Bits32]
            .map(|width| of_segments(dump, map, heaps, width)),
    };
    (keys, known.sorted())
}

fn of_width(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    heaps: &[Heap],
    width: PointerWidth,
    known: &mut Known,
) -> Option<u32> {
    let wanted = |heap: &&Heap| {
        heap.width == width
            && heap.heap_type == Some(HeapType::Nt)
            && heap.front_end.is_none_or(|front_end| front_end == "lfh")
    };
    let mut context = Context::new(dump, map);
    // Of a heap whose layout is not known the containers may show it.
    let mut has_key = |heap: &&Heap| {
        let chosen = nt_layout::choose(&mut context, heap.address, width);
        chosen.is_none_or(|(layout, _)| layout.low_fragmentation == LowFragmentation::Bitmap)
    };
    let heaps: Vec<&Heap> = heaps.iter().filter(wanted).filter(|heap| has_key(heap)).collect();
    let parts = heaps.iter().flat_map(|heap| &heap.parts);
    let mut found = Vec::new();
    let nothing = Known::default();
    for part in parts.filter(|part| part.role == "segment") {
        let mut signatures = Signatures::of(part.range, &nothing);
        let mut hits = Vec::new();
        while found.len() < ENOUGH
            && let Some(hit) = signatures.next(&mut context.memory)
        {
            let blocks = user_blocks::at_signature(&mut context, hit, Some(width));
            found.extend(blocks.filter(|blocks| blocks.masked.is_some()));
            if hits.len() <= Known::HITS {
                hits.push(hit);
            }
        }
        if let Some(passed) = signatures.passed(part.range) {
            known.add(passed, &hits);
        }
    }
    vote(&found)
}

/// The keys of segment heaps: HeapKey from the segments' signatures, of which
/// the chunks of a subsegment show the right reading; LfhKey from subsegments.
fn of_segments(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    heaps: &[Heap],
    width: PointerWidth,
) -> SegmentKeys {
    /// Subsegments that the key must make sense of.
    const SUBSEGMENTS: usize = 512;
    let mut context = Context::new(dump, map);
    let mut keys = SegmentKeys::default();
    let mut found = Vec::new();
    let wanted = |heap: &&Heap| heap.width == width && heap.heap_type == Some(HeapType::Segment);
    for heap in heaps.iter().filter(wanted) {
        let layout = page_segment::layout(&mut context, heap.address, width);
        let Some(layout) = layout.filter(|layout| layout.unit_shift.is_some()) else { continue };
        for (seg_context, entries) in page_segment::segments(&mut context, layout, heap.address) {
            for segment in entries.read {
                if found.len() >= SUBSEGMENTS {
                    break;
                }
                let whole = AddressRange::new(segment, seg_context.segment_size);
                let own = |part: &HeapPart| whole.is_some_and(|whole| part.range.covers(whole));
                if !heap.parts.iter().any(own) {
                    continue;
                }
                let candidates =
                    page_segment::key_candidates(&mut context, segment, seg_context.address, width);
                let ranges = page_segment::ranges(&mut context, segment, seg_context, width);
                for range in ranges.unwrap_or_default() {
                    match range.kind {
                        RangeKind::VariableSize if keys.heap.is_none() => {
                            let subsegment = vs::subsegment(&mut context, range.bytes, width);
                            let Ok(subsegment) = subsegment else { continue };
                            let mut known = candidates.into_iter().flatten();
                            keys.heap = known.find(|key| vs::fits(&mut context, subsegment, *key));
                        }
                        RangeKind::LowFragmentation => found.extend(segment_lfh::Subsegment::read(
                            &mut context,
                            range.bytes,
                            width,
                        )),
                        _ => {}
                    }
                }
            }
        }
    }
    keys.low_fragmentation = segment_lfh::find_key(&found);
    keys
}

/// The key that most containers agree on, and more than half of them. One
/// container alone has two possible first blocks, and so two keys: the nearer.
pub(super) fn vote(containers: &[UserBlocks]) -> Option<u32> {
    let mut votes = BTreeMap::new();
    let mut voters = 0_u32;
    for blocks in containers {
        let first = blocks.first_by_size();
        let Some(near) = blocks.key_for(first) else { continue };
        voters = voters.saturating_add(1);
        let far = blocks.key_for(first.saturating_add(0x10));
        for (key, weight) in std::iter::once((near, 3_u32)).chain(far.map(|key| (key, 2))) {
            let votes: &mut u32 = votes.entry(key).or_default();
            *votes = votes.saturating_add(weight);
        }
    }
    let (key, weight) = votes.into_iter().max_by_key(|(_, weight)| *weight)?;
    (weight > voters).then_some(key)
}

/// The low half of an address.
pub(super) fn low(address: u64) -> u32 {
    u32::try_from(address & 0xffff_ffff).unwrap_or(0)
}
