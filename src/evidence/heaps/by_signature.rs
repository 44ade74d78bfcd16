//! Heaps and segments that no list leads to, by the first bytes of an
//! allocation: where the PEB's list is not captured, where a list of segments
//! breaks off, and heaps that were destroyed or never listed.
//!
//! Wrong when an allocation begins with a copy of a heap's header: then it
//! points to itself only if it was copied to the very address it came from.

use super::context::{Context, PAGE};
use super::recognise::{self, NT_HEAP, NT_SEGMENT, SEGMENT_HEAP};
use super::{Handle, Heap, HeapType, nt, nt_layout, segment_layout, wine_layout};
use crate::dump::bytes::u32_at;
use crate::dump::{CapturedRange, Dump, PointerWidth};
use crate::evidence::{Confidence, EvidenceSource};
use crate::map::{MemoryType, Region, RegionMap, State};

/// Allocations looked into that have a reserved part, as the heaps and the
/// segments of Windows 8 and later do.
const PARTLY_RESERVED: usize = 20_000;
/// Allocations looked into that are committed from end to end, as the chunks
/// of other allocators are, in their thousands.
const ALL_COMMITTED: usize = 2_000;
/// Captured runs, and regions of one run, that are looked up.
const LOOKED_UP: usize = 100_000;
/// A heap reserves no less than an allocation granule.
const SMALLEST: u64 = 0x1_0000;
/// Heaps found this way.
const FOUND: usize = 256;

/// `whole` says that the PEBs' lists were read to their ends. Then, with every
/// heap complete, there is nothing to look for; but a list of one heap is not
/// believed, because Windows 11 24H2 counts one where there are three.
pub(super) fn find(
    context: &mut Context<'_, '_>,
    dump: &Dump<'_>,
    whole: bool,
    heaps: &mut Vec<Heap>,
) {
    let several = |heap: &Heap| {
        heaps.iter().any(|other| other.width == heap.width && other.address != heap.address)
    };
    if whole && !heaps.is_empty() && heaps.iter().all(|heap| heap.complete && several(heap)) {
        return;
    }
    let starts = candidates(context.map, dump.captured.ranges());
    let starts: Vec<u64> = starts.into_iter().filter(|start| has_signature(dump, *start)).collect();
    let widths: &[PointerWidth] = match dump.system.width {
        PointerWidth::Bits32 => &[PointerWidth::Bits32],
        PointerWidth::Bits64 => &[PointerWidth::Bits64, PointerWidth::Bits32],
    };
    let mut segments = Vec::new();
    let limit = heaps.len().saturating_add(FOUND);
    for address in starts {
        if context.is_taken(address) || heaps.len() >= limit {
            continue;
        }
        for width in widths {
            match look(context, address, *width) {
                Look::Header => add_heap(context, address, *width, whole, heaps),
                Look::SegmentOf(owner) => segments.push((address, owner, *width)),
                Look::Nothing => continue,
            }
            break;
        }
    }
    for (address, owner, width) in segments {
        add_segment(context, address, owner, width, heaps);
    }
}

/// Captured starts of allocations that a heap can be in, those with reserved
/// parts first. A map that knows no allocations has the starts of captured
/// pages instead.
fn candidates(map: &RegionMap<'_>, captured: &[CapturedRange]) -> Vec<u64> {
    if !map.knows_free() {
        let starts = captured.iter().map(|run| run.range.start());
        return starts.filter(|start| start.is_multiple_of(PAGE)).take(PARTLY_RESERVED).collect();
    }
    let (mut reserved, mut committed) = (Vec::new(), Vec::new());
    for region in captured.iter().take(LOOKED_UP).flat_map(|run| {
        let regions = map.regions_in(run.range).take(LOOKED_UP);
        regions.filter(|region| run.range.contains(region.range.start()))
    }) {
        let next = region.range.last().checked_add(1).and_then(|next| map.find(next));
        let next = next.filter(|next| next.allocation_base == region.allocation_base);
        let partly = next.is_some_and(|next| next.state == State::Reserve);
        let (list, limit) = match partly {
            true => (&mut reserved, PARTLY_RESERVED),
            false => (&mut committed, ALL_COMMITTED),
        };
        if list.len() < limit && can_begin_heap(&region, next.as_ref()) {
            list.push(region.range.start());
        }
    }
    reserved.append(&mut committed);
    reserved
}

/// `next` is the region behind it in the same allocation.
fn can_begin_heap(region: &Region, next: Option<&Region>) -> bool {
    let size = next.map_or(0, |next| next.range.size()).saturating_add(region.range.size());
    region.state == State::Commit
        && region.allocation_base == Some(region.range.start())
        && matches!(region.memory_type, Some(MemoryType::Private | MemoryType::Mapped))
        && region.protect.is_writable()
        && !region.protect.is_guard()
        && size >= SMALLEST
}

/// One small read: whether a signature stands where a header has one.
fn has_signature(dump: &Dump<'_>, address: u64) -> bool {
    let Ok(bytes) = dump.captured.array::<0x18>(address) else { return false };
    [8, 0x10]
        .into_iter()
        .any(|offset| matches!(u32_at(&bytes, offset), Some(NT_SEGMENT | NT_HEAP | SEGMENT_HEAP)))
}

enum Look {
    Header,
    SegmentOf(u64),
    Nothing,
}

fn look(context: &mut Context<'_, '_>, address: u64, width: PointerWidth) -> Look {
    match recognise::signature(context, address, width) {
        Some(NT_SEGMENT) => match nt_layout::segment_owner(context, address, width) {
            Some(owner) if owner == address && nt::is_header(context, address, width) => {
                Look::Header
            }
            Some(owner) if owner != address && nt::is_segment(context, address, owner, width) => {
                Look::SegmentOf(owner)
            }
            _ if wine_layout::choose(context, address, width).is_some() => Look::Header,
            _ => Look::Nothing,
        },
        Some(NT_HEAP) => match super::nt_old::is_header(context, address, width) {
            true => Look::Header,
            false => Look::Nothing,
        },
        Some(SEGMENT_HEAP) if segment_layout::choose(context, address, width).is_some() => {
            Look::Header
        }
        _ => Look::Nothing,
    }
}

/// A header that no list names, and whose checks hold all the same.
fn add_heap(
    context: &mut Context<'_, '_>,
    address: u64,
    width: PointerWidth,
    whole: bool,
    heaps: &mut Vec<Heap>,
) {
    if heaps.iter().any(|heap| heap.address == address) {
        return;
    }
    let index = next_index(heaps, width);
    let handle = Handle { address, width, index, is_default: false, page_heap: false };
    let mut heap = recognise::read(context, handle);
    heap.problem(match whole {
        true => "found by its header's signature: the PEB does not list it",
        false => "found by its header's signature: the PEB's list of heaps is not captured",
    });
    heaps.push(heap);
}

/// A segment whose heap is known is that heap's; otherwise the heap's header
/// is not captured and the segment is all that is known of it.
fn add_segment(
    context: &mut Context<'_, '_>,
    address: u64,
    owner: u64,
    width: PointerWidth,
    heaps: &mut Vec<Heap>,
) {
    let Ok(segment) = nt::Segment::read(context, address, owner, width) else { return };
    let known = heaps.iter().position(|heap| heap.address == owner && heap.width == width);
    let mut unknown_heap = None;
    let heap = match known.and_then(|index| heaps.get_mut(index)) {
        Some(heap) => heap,
        None => {
            let index = next_index(heaps, width);
            let handle =
                Handle { address: owner, width, index, is_default: false, page_heap: false };
            let mut heap = Heap::new(handle);
            heap.heap_type = Some(HeapType::Nt);
            heap.problem("no list names this heap; a segment points to it");
            unknown_heap.insert(heap)
        }
    };
    let before = heap.parts.len();
    // Its list may have named the segment, unread: then the bytes are taken.
    if context.is_taken(address) || !segment.add(context, heap) {
        return;
    }
    let confidence = if known.is_some() { Confidence::Derived } else { Confidence::Heuristic };
    for part in heap.parts.iter_mut().skip(before) {
        part.confidence = confidence;
        part.source = EvidenceSource::Signature;
    }
    heap.problem(format!("the segment at {address:#x} was found by its signature only"));
    heaps.extend(unknown_heap);
}

fn next_index(heaps: &[Heap], width: PointerWidth) -> u32 {
    let of_view = heaps.iter().filter(|heap| heap.width == width);
    of_view.map(|heap| heap.index.saturating_add(1)).max().unwrap_or(0)
}
