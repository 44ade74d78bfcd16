//! The NT heap of XP and 2003: entries in clear, without a checksum. Blocks in
//! the look-aside lists are busy to it. No dump of one was at hand.

use super::super::context::{PAGE, at, pointer_size};
use super::super::nt_old::{self, Layout, SEGMENTS};
use super::Walker;
use super::entry::Encoding;
use super::nt::{self, NtHeap, Segment};
use super::outcome::{MissingWhy, Reason};
use super::uncommitted::Hole;
use crate::addr::AddressRange;

pub(super) fn walk(walker: &mut Walker<'_, '_, '_>) {
    let width = walker.heap.width;
    let layout = nt_old::layout(width);
    let encoding = Encoding::old(width);
    let nt = NtHeap { encoding, front_end: 0, low_fragmentation: None };
    for place in 0..SEGMENTS {
        let offset = at(layout.segments, place.saturating_mul(pointer_size(width)));
        match walker.context.pointer(walker.heap.address, offset, width) {
            Some(0) => {}
            Some(segment) => walk_segment(walker, nt, &layout, segment),
            None => {
                walker.sink.missing(None, MissingWhy::NotCaptured);
                break;
            }
        }
        if walker.sink.stopped {
            return;
        }
    }
    nt::large_blocks(walker, nt, layout.virtual_blocks);
}

fn walk_segment(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, layout: &Layout, segment: u64) {
    let width = nt.encoding.width;
    let base = walker.context.pointer(segment, layout.segment_base, width);
    let pages = walker.context.word(segment, layout.segment_pages);
    let last = walker.context.pointer(segment, layout.segment_last, width);
    let (Some(base), Some(pages), Some(last)) = (base, pages, last) else {
        walker.sink.missing(AddressRange::new(segment, 1), MissingWhy::NotCaptured);
        return;
    };
    let size = u64::from(pages).saturating_mul(PAGE);
    if !walker.wants(base, size) {
        return;
    }
    let part = AddressRange::between(base, last).and_then(|bytes| walker.part_around(bytes));
    let Some(range) = part.filter(|range| range.start() == base) else {
        walker.sink.corrupt(segment, Reason::SegmentBounds, || {
            format!("{size:#x} bytes at {base:#x} up to {last:#x} are no part of the heap")
        });
        return;
    };
    let holes = holes(walker, layout, segment, range);
    nt::entries(walker, nt, Segment::new(base, last, holes));
}

/// The chain of uncommitted ranges, in order, as far as it makes sense.
fn holes(
    walker: &mut Walker<'_, '_, '_>,
    layout: &Layout,
    segment: u64,
    range: AddressRange,
) -> Vec<Hole> {
    let width = walker.heap.width;
    let pointer = pointer_size(width);
    let mut holes: Vec<Hole> = Vec::new();
    let mut free = range.start();
    let mut next = walker.context.pointer(segment, layout.segment_ranges, width).unwrap_or(0);
    while next != 0 && walker.context.follow() {
        let start = walker.context.pointer(next, pointer, width);
        let size = walker.context.pointer(next, pointer.saturating_mul(2), width);
        let (Some(start), Some(size)) = (start, size) else {
            walker.sink.missing(AddressRange::new(next, 1), MissingWhy::NotCaptured);
            break;
        };
        let end = start.checked_add(size).filter(|end| *end <= range.end());
        // Upwards, so that a chain that turns back ends here.
        let Some(end) = end.filter(|end| start >= free && *end > free) else {
            walker.sink.corrupt(next, Reason::UncommittedRange, || {
                format!("{size:#x} bytes at {start:#x} are not in the segment {range}")
            });
            break;
        };
        holes.push(Hole { start, size, descriptor: None });
        free = end;
        let Some(following) = walker.context.memory.pointer(next, width) else { break };
        next = following;
    }
    holes
}
