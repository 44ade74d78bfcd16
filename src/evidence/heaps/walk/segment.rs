//! The segment heap: the ranges of every page segment, what is in them, and
//! large blocks.

use super::super::context::{PAGE, at, pointer_size};
use super::super::segment::large_nodes;
use super::super::segment_layout::SegmentHeapLayout;
use super::block::{Block, Internal, Place, State};
use super::outcome::{MissingWhy, Reason};
use super::page_segment::{self, Range, RangeKind, SegContext};
use super::{Walker, segment_lfh, vs};
use crate::addr::AddressRange;
use crate::map::State as RegionState;

pub(super) fn walk(walker: &mut Walker<'_, '_, '_>) {
    let heap = walker.heap;
    let layout = page_segment::layout(&mut walker.context, heap.address, heap.width);
    let Some(layout) = layout.filter(|layout| layout.unit_shift.is_some()) else {
        let captured = walker.scope.dump.captured.find(heap.address).is_some();
        let why = if captured { MissingWhy::LayoutUnknown } else { MissingWhy::NotCaptured };
        walker.sink.missing(None, why);
        return;
    };
    for part in walker.parts("segment heap header") {
        let committed = part.committed.unwrap_or(PAGE);
        walker.sink.block(Block {
            start: part.range.start(),
            size: committed.min(part.range.size()),
            address: heap.address,
            user_size: None,
            state: State::Internal(Internal::Header),
            place: Place::Segment(part.range.start()),
        });
    }
    let all = page_segment::segments(&mut walker.context, layout, heap.address);
    for (seg_context, entries) in all {
        walker.list_problem(&entries);
        for segment in entries.unread {
            let range = AddressRange::new(segment, seg_context.segment_size);
            walker.sink.missing(range, MissingWhy::NotCaptured);
        }
        for segment in entries.read {
            if walker.wants(segment, seg_context.segment_size) {
                walk_segment(walker, layout, seg_context, segment);
            }
            if walker.sink.stopped {
                return;
            }
        }
    }
    large_blocks(walker, layout);
}

fn walk_segment(
    walker: &mut Walker<'_, '_, '_>,
    layout: &SegmentHeapLayout,
    seg_context: SegContext,
    segment: u64,
) {
    let Some(whole) = AddressRange::new(segment, seg_context.segment_size) else { return };
    // Every byte belongs to one part of one heap, so that no segment is
    // walked for two.
    if !walker.has(Some(whole)) {
        walker.sink.corrupt(segment, Reason::SegmentBounds, || {
            format!("the segment {whole} is no part of the heap")
        });
        return;
    }
    let width = layout.width;
    let ranges = page_segment::ranges(&mut walker.context, segment, seg_context, width);
    let Some(ranges) = ranges else {
        walker.sink.missing(Some(whole), MissingWhy::LayoutUnknown);
        return;
    };
    walker.sink.block(Block {
        start: segment,
        size: seg_context.header_size(),
        address: segment,
        user_size: None,
        state: State::Internal(Internal::SegmentHeader),
        place: Place::Segment(segment),
    });
    for range in ranges {
        walk_range(walker, layout, segment, range);
        if walker.sink.stopped {
            return;
        }
    }
}

fn walk_range(
    walker: &mut Walker<'_, '_, '_>,
    layout: &SegmentHeapLayout,
    segment: u64,
    range: Range,
) {
    let bytes = range.bytes;
    let state = match range.kind {
        RangeKind::Unknown => {
            walker.sink.missing(Some(bytes), MissingWhy::NotCaptured);
            return;
        }
        RangeKind::Free => return free_pages(walker, segment, bytes),
        RangeKind::Pages => State::Busy,
        RangeKind::VariableSize | RangeKind::LowFragmentation => {
            State::Internal(Internal::Container)
        }
    };
    walker.sink.block(Block {
        start: bytes.start(),
        size: bytes.size(),
        address: bytes.start(),
        user_size: bytes.size().checked_sub(range.unused).filter(|_| state == State::Busy),
        state,
        place: Place::Pages(segment),
    });
    match range.kind {
        RangeKind::VariableSize => variable_size(walker, layout, bytes),
        RangeKind::LowFragmentation => low_fragmentation(walker, layout, bytes),
        _ => {}
    }
}

fn variable_size(walker: &mut Walker<'_, '_, '_>, layout: &SegmentHeapLayout, bytes: AddressRange) {
    let key = walker.scope.keys.heap(layout.width);
    match (vs::subsegment(&mut walker.context, bytes, layout.width), key) {
        (Ok(subsegment), Some(key)) => vs::chunks(walker, subsegment, key),
        (Ok(_), None) => walker.sink.missing(Some(bytes), MissingWhy::LayoutUnknown),
        (Err(why), _) => {
            if why == MissingWhy::BehindDamage {
                walker.sink.corrupt(bytes.start(), Reason::Header, || {
                    "the subsegment's size contradicts its signature".into()
                });
            }
            walker.sink.missing(Some(bytes), why);
        }
    }
}

fn low_fragmentation(
    walker: &mut Walker<'_, '_, '_>,
    layout: &SegmentHeapLayout,
    bytes: AddressRange,
) {
    let read = segment_lfh::Subsegment::read(&mut walker.context, bytes, layout.width);
    match (read, walker.scope.keys.segment_lfh(layout.width)) {
        (Some(subsegment), Some(key)) => segment_lfh::blocks(walker, subsegment, key),
        (Some(_), None) => walker.sink.missing(Some(bytes), MissingWhy::LayoutUnknown),
        (None, _) => walker.sink.missing(Some(bytes), MissingWhy::NotCaptured),
    }
}

/// The committed pages of a free range.
fn free_pages(walker: &mut Walker<'_, '_, '_>, segment: u64, bytes: AddressRange) {
    let committed: Vec<AddressRange> = walker
        .context
        .map
        .regions_in(bytes)
        .filter(|region| region.state == RegionState::Commit)
        .filter_map(|region| region.range.intersect(bytes))
        .collect();
    for range in committed {
        walker.sink.block(Block {
            start: range.start(),
            size: range.size(),
            address: range.start(),
            user_size: Some(range.size()),
            state: State::Free,
            place: Place::Pages(segment),
        });
    }
}

/// `_HEAP_LARGE_ALLOC_DATA`: the low 16 bits of VirtualAddress count unused
/// bytes, AllocatedPages stands above the low 12 of the field behind.
fn large_blocks(walker: &mut Walker<'_, '_, '_>, layout: &SegmentHeapLayout) {
    let width = layout.width;
    let nodes = large_nodes(&mut walker.context, walker.heap.address, layout);
    if nodes.problem.is_some() {
        let head = at(walker.heap.address, layout.large_blocks);
        if walker.scope.dump.captured.find(head).is_none() {
            walker.sink.missing(None, MissingWhy::NotCaptured);
        } else if walker.only.is_none() {
            walker.sink.corrupt(head, Reason::Links, || nodes.problem.unwrap_or_default());
        }
    }
    for node in nodes.unread {
        walker.sink.missing(AddressRange::new(node, 1), MissingWhy::NotCaptured);
    }
    for (node, address) in nodes.read {
        let pages = pointer_size(width).saturating_mul(4);
        let Some(pages) = walker.context.pointer(node, pages, width) else {
            walker.sink.missing(AddressRange::new(node, 1), MissingWhy::NotCaptured);
            continue;
        };
        let (start, size) = (address & !0xffff, pages & !PAGE.wrapping_sub(1));
        let Some(bytes) = AddressRange::new(start, size) else { continue };
        if !walker.wants(start, size) {
            continue;
        }
        if !walker.has(Some(bytes)) {
            walker.sink.corrupt(node, Reason::Overrun, || {
                format!("the large block {bytes} is no part of the heap")
            });
            continue;
        }
        walker.sink.block(Block {
            start,
            size,
            address: start,
            user_size: size.checked_sub(address & 0xffff),
            state: State::Busy,
            place: Place::Large,
        });
        if walker.sink.stopped {
            return;
        }
    }
}
