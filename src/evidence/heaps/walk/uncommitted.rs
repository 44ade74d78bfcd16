//! The uncommitted ranges of an NT segment: its UCRSegmentList, or the
//! reserved regions of the map where the list cannot be read.

use super::super::context::{PAGE, at, pointer_size};
use super::super::list;
use super::super::nt_layout::segment_layout;
use super::Walker;
use super::outcome::Reason;
use crate::addr::AddressRange;
use crate::map::{MemoryType, State};

/// One range, and the descriptor that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) start: u64,
    pub(super) size: u64,
    /// `_HEAP_UCR_DESCRIPTOR`; `None` when the map says so.
    pub(super) descriptor: Option<u64>,
}

/// The ranges of the segment at `segment`, in address order, disjoint.
pub(super) fn holes(
    walker: &mut Walker<'_, '_, '_>,
    segment: u64,
    range: AddressRange,
) -> Vec<Hole> {
    let width = walker.heap.width;
    let pointer = pointer_size(width);
    let head = at(segment, segment_layout(width).uncommitted_list);
    let entries = list::entries(&mut walker.context, head, width);
    let whole = entries.closed && entries.unread.is_empty();
    walker.list_problem(&entries);
    let mut holes = Vec::new();
    for entry in entries.read {
        let descriptor = entry.wrapping_sub(pointer.saturating_mul(2));
        let start = walker.context.pointer(descriptor, pointer.saturating_mul(4), width);
        let size = walker.context.pointer(descriptor, pointer.saturating_mul(5), width);
        let (Some(start), Some(size)) = (start, size) else { continue };
        let end = start.checked_add(size);
        let inside = start >= range.start() && end.is_some_and(|end| end <= range.end());
        if !inside || !start.is_multiple_of(PAGE) || !size.is_multiple_of(PAGE) {
            walker.sink.corrupt(descriptor, Reason::UncommittedRange, || {
                format!("{size:#x} bytes at {start:#x} are not in the segment {range}")
            });
            continue;
        }
        check_state(walker, descriptor, start, size);
        holes.push(Hole { start, size, descriptor: Some(descriptor) });
    }
    if !whole {
        add_reserved(walker, range, &mut holes);
    }
    // A descriptor's word goes before the map's.
    holes.sort_by_key(|hole| (hole.start, hole.descriptor.is_none()));
    let mut free = range.start();
    holes.retain(|hole| {
        let apart = hole.start >= free;
        free = if apart { hole.start.saturating_add(hole.size) } else { free };
        apart
    });
    holes
}

/// Uncommitted memory is reserved in the map. A few pages more or less are an
/// operation under way.
fn check_state(walker: &mut Walker<'_, '_, '_>, descriptor: u64, start: u64, size: u64) {
    const FEW: u64 = 16 * PAGE;
    let Some(range) = AddressRange::new(start, size) else { return };
    // Views of sections, as the heap shared with csrss is, are all committed.
    let region = walker.context.map.find(start);
    let private = region.is_some_and(|region| region.memory_type == Some(MemoryType::Private));
    if !private || !walker.context.map.knows_free() || walker.only.is_some() {
        return;
    }
    let committed = walker.context.committed(range).unwrap_or(0);
    let words = || format!("{committed:#x} bytes of the uncommitted range {range} are committed");
    match committed {
        0 => {}
        1..=FEW => walker.sink.torn(descriptor, Reason::UncommittedRange, words),
        _ => walker.sink.corrupt(descriptor, Reason::UncommittedRange, words),
    }
}

/// Holes by the map.
fn add_reserved(walker: &Walker<'_, '_, '_>, range: AddressRange, holes: &mut Vec<Hole>) {
    let reserved = walker.context.map.regions_in(range);
    let reserved = reserved.filter(|region| region.state == State::Reserve);
    let parts = reserved.filter_map(|region| region.range.intersect(range));
    let hole =
        |part: AddressRange| Hole { start: part.start(), size: part.size(), descriptor: None };
    holes.extend(parts.map(hole));
}
