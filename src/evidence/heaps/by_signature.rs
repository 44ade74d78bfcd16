//! Heaps and segments that no list leads to, by the first bytes of an
//! allocation: where the PEB's list is not captured, where a list of segments
//! breaks off, and heaps that were destroyed or never listed.
//!
//! Wrong when an allocation begins with a copy of a heap's header: then it
//! points to itself only if it was copied to the very address it came from.

use super::context::{Context, PAGE};
use super::recognise::{self, NT_HEAP, NT_SEGMENT, SEGMENT_HEAP};
use super::{Handle, Heap, HeapType, nt, nt_layout, segment_layout, wine_layout};
use crate::dump::{CapturedRange, Dump, PointerWidth};
use crate::evidence::{Confidence, EvidenceSource};
use crate::map::{MemoryType, Region, RegionMap, State};

/// Allocations looked into. A process with more of them keeps its heaps in
/// the lists.
const PROBES: usize = 20_000;
/// Heaps found this way.
const FOUND: usize = 256;

/// `whole` says that the PEBs' lists were read to their ends.
pub(super) fn find(
    context: &mut Context<'_, '_>,
    dump: &Dump<'_>,
    whole: bool,
    heaps: &mut Vec<Heap>,
) {
    let starts = candidates(context.map, dump.captured.ranges());
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

/// Captured starts of allocations that a heap can be in.
fn candidates(map: &RegionMap<'_>, captured: &[CapturedRange]) -> Vec<u64> {
    if !map.knows_free() {
        let starts = captured.iter().map(|run| run.range.start());
        return starts.filter(|start| start.is_multiple_of(PAGE)).take(PROBES).collect();
    }
    let mut starts = Vec::new();
    // Few captured runs: look up each. Many: one pass over the regions.
    if captured.len().saturating_mul(32) < map.len() {
        for run in captured {
            let regions = map.regions_in(run.range);
            let inside = regions.filter(|region| run.range.contains(region.range.start()));
            starts.extend(inside.filter(can_begin_heap).map(|region| region.range.start()));
            if starts.len() >= PROBES {
                break;
            }
        }
    } else {
        let mut runs = captured.iter().peekable();
        for region in map.iter().filter(can_begin_heap) {
            let start = region.range.start();
            while runs.next_if(|run| run.range.last() < start).is_some() {}
            if runs.peek().is_some_and(|run| run.range.contains(start)) {
                starts.push(start);
            }
            if starts.len() >= PROBES {
                break;
            }
        }
    }
    starts.truncate(PROBES);
    starts
}

#[inline]
fn can_begin_heap(region: &Region) -> bool {
    region.state == State::Commit
        && region.allocation_base == Some(region.range.start())
        && matches!(region.memory_type, Some(MemoryType::Private | MemoryType::Mapped))
        && region.protect.is_writable()
        && !region.protect.is_guard()
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

/// A header that no list names. With a whole list it is no heap of the
/// process any more, or never was.
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
    if whole {
        heap.problem("the PEB does not list this heap");
        weaken(&mut heap);
    } else {
        heap.problem("found by its header's signature: the PEB's list of heaps is not captured");
    }
    heaps.push(heap);
}

fn weaken(heap: &mut Heap) {
    heap.confidence = Confidence::Heuristic;
    for part in &mut heap.parts {
        part.confidence = Confidence::Heuristic;
    }
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
