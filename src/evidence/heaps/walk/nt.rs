//! The NT heap, Vista and later: the entries of every segment, from its base
//! to LastValidEntry, and the large blocks.

use super::super::context::{PAGE, at, pointer_size};
use super::super::list::{self, Entries, Problem};
use super::super::nt_layout::{self, Counters, LowFragmentation, NtLayout, segment_layout};
use super::block::{Block, Internal, Place, State};
use super::entry::{self, Candidate, Encoding, Entry};
use super::outcome::{MissingWhy, Reason};
use super::uncommitted::{self, Hole};
use super::{Walker, lfh};
use crate::addr::AddressRange;

/// What the entries of one heap have in common.
#[derive(Clone, Copy)]
pub(super) struct NtHeap {
    pub(super) encoding: Encoding,
    /// Where the front end keeps its metadata.
    pub(super) front_end: u64,
    /// How its low-fragmentation heap is written; `None` where that is not
    /// known.
    pub(super) low_fragmentation: Option<LowFragmentation>,
}

pub(super) fn walk(walker: &mut Walker<'_, '_, '_>) {
    let heap = walker.heap;
    let chosen = nt_layout::choose(&mut walker.context, heap.address, heap.width);
    let Some((layout, counters)) = chosen else {
        let captured = walker.scope.dump.captured.find(heap.address).is_some();
        let why = if captured { MissingWhy::LayoutUnknown } else { MissingWhy::NotCaptured };
        for part in walker.parts("segment") {
            walker.sink.missing(Some(part.range), why);
            lfh::without_entries(walker, part.range);
        }
        if heap.parts.is_empty() {
            walker.sink.missing(None, why);
        }
        return;
    };
    let encoding = Encoding::read(&mut walker.context, heap.address, layout);
    let front_end = walker.context.pointer(heap.address, layout.front_end, layout.width);
    let (Some(encoding), Some(front_end)) = (encoding, front_end) else {
        walker.sink.missing(None, MissingWhy::NotCaptured);
        return;
    };
    let low_fragmentation = Some(layout.low_fragmentation);
    let nt = NtHeap { encoding, front_end, low_fragmentation };
    for part in walker.parts("segment") {
        walk_segment(walker, nt, part.range);
        if walker.sink.stopped {
            return;
        }
    }
    large_blocks(walker, nt, layout.virtual_blocks);
    if walker.only.is_none() && !walker.sink.stopped {
        compare(walker, nt, layout, counters);
    }
}

/// One segment under way.
pub(super) struct Segment {
    base: u64,
    end: u64,
    holes: Vec<Hole>,
    /// The next of them.
    next: usize,
    /// Where the descriptors of holes are, in order.
    descriptors: Vec<u64>,
    /// Size of the entry before the cursor, where there is one.
    previous: Option<u16>,
}

impl Segment {
    /// From `base` to `end`, without the holes, which are in order.
    pub(super) fn new(base: u64, end: u64, holes: Vec<Hole>) -> Segment {
        let mut descriptors: Vec<u64> = holes.iter().filter_map(|hole| hole.descriptor).collect();
        descriptors.sort_unstable();
        Segment { base, end, holes, next: 0, descriptors, previous: None }
    }

    /// Whether a descriptor lies in the block.
    fn describes_holes(&self, start: u64, size: u64) -> bool {
        let first = self.descriptors.partition_point(|at| *at < start);
        self.descriptors.get(first).is_some_and(|at| at.wrapping_sub(start) < size)
    }

    /// Where the committed entries around the cursor end.
    fn limit(&self) -> u64 {
        self.holes.get(self.next).map_or(self.end, |hole| hole.start.min(self.end))
    }
}

fn walk_segment(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, range: AddressRange) {
    let width = nt.encoding.width;
    let fields = segment_layout(width);
    let base = range.start();
    let context = &mut walker.context;
    let last = context.pointer(base, fields.last_valid_entry, width);
    let pages = context.word(base, fields.pages);
    let (Some(last), Some(pages)) = (last, pages) else {
        walker.sink.missing(Some(range), MissingWhy::NotCaptured);
        lfh::without_entries(walker, range);
        return;
    };
    let by_pages = base.saturating_add(u64::from(pages).saturating_mul(PAGE));
    if last != by_pages {
        walker.sink.corrupt(base, Reason::SegmentBounds, || {
            format!("LastValidEntry is {last:#x}, its pages end at {by_pages:#x}")
        });
    }
    let holes = uncommitted::holes(walker, base, range);
    let end = if last > base && last <= range.end() { last } else { range.end() };
    entries(walker, nt, Segment::new(base, end, holes));
}

/// Every entry of a segment.
pub(super) fn entries(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, mut segment: Segment) {
    let mut cursor = segment.base;
    while cursor < segment.end && !walker.sink.stopped {
        if let Some(hole) = segment.holes.get(segment.next)
            && hole.start <= cursor
        {
            cursor = cursor.max(hole.start.saturating_add(hole.size));
            segment.next = segment.next.saturating_add(1);
            segment.previous = None;
            continue;
        }
        cursor = match nt.encoding.entry(&mut walker.context, cursor) {
            Some(entry) => step(walker, nt, &mut segment, cursor, entry),
            None => resume(walker, nt, &mut segment, cursor, cursor, MissingWhy::NotCaptured),
        };
    }
}

/// Takes the entry at the cursor; gives the place of the next.
fn step(
    walker: &mut Walker<'_, '_, '_>,
    nt: NtHeap,
    segment: &mut Segment,
    cursor: u64,
    entry: Entry,
) -> u64 {
    let granule = nt.encoding.granule();
    let size = u64::from(entry.size).saturating_mul(granule);
    let end = cursor.saturating_add(size);
    let limit = segment.limit();
    let wrong = if !entry.sound {
        Some((Reason::Checksum, "the header's checksum does not hold".into()))
    } else if size == 0 {
        Some((Reason::ZeroSize, "the header says size 0".into()))
    } else if end > limit {
        let words = format!("{size:#x} bytes reach past {limit:#x}, where its memory ends");
        Some((Reason::Overrun, words))
    } else {
        None
    };
    if let Some((reason, words)) = wrong {
        walker.sink.corrupt(cursor, reason, || words);
        let from = cursor.saturating_add(granule);
        return resume(walker, nt, segment, cursor, from, MissingWhy::BehindDamage);
    }
    if let Some(previous) = segment.previous.filter(|previous| *previous != entry.previous) {
        let said = entry.previous;
        walker.sink.corrupt(cursor, Reason::PreviousSize, || {
            format!("says {said:#x} granules before it, there are {previous:#x}")
        });
    }
    segment.previous = Some(entry.size);
    report(walker, nt, segment, cursor, entry, size);
    end
}

fn report(
    walker: &mut Walker<'_, '_, '_>,
    nt: NtHeap,
    segment: &Segment,
    start: u64,
    entry: Entry,
    size: u64,
) {
    let busy = entry.flags & entry::BUSY != 0;
    let internal = entry.flags & entry::INTERNAL != 0;
    let mut container = None;
    let state = if start == walker.heap.address {
        State::Internal(Internal::Header)
    } else if start == segment.base {
        State::Internal(Internal::SegmentHeader)
    } else if !busy {
        State::Free
    } else if segment.describes_holes(start, size) {
        State::Internal(Internal::Ranges)
    } else if internal {
        let bytes = AddressRange::new(start, size);
        container = bytes.and_then(|bytes| lfh::container(walker, nt, bytes));
        match container {
            Some(_) => State::Internal(Internal::Container),
            None => State::Internal(Internal::Other),
        }
    } else {
        State::Busy
    };
    let (mut address, mut user_size) = (start.saturating_add(nt.encoding.granule()), None);
    match state {
        State::Busy => {
            user_size = entry::user_size(size, entry.unused);
            if entry.flags & entry::EXTRA != 0
                && let Some((place, unused)) = extended(walker, nt, start)
            {
                (address, user_size) = (place, size.checked_sub(unused.into()));
            }
        }
        State::Free => user_size = size.checked_sub(8),
        State::Internal(_) => {}
    }
    walker.sink.block(Block {
        start,
        size,
        address,
        user_size: user_size.filter(|user| *user <= size),
        state,
        place: Place::Segment(segment.base),
    });
    if let Some(container) = container {
        lfh::blocks(walker, nt, &container);
    }
}

/// Where entries go on behind what cannot be read or believed: at the next
/// chain of headers that know each other, or else at the next uncommitted
/// range. `from` is where to look first.
fn resume(
    walker: &mut Walker<'_, '_, '_>,
    nt: NtHeap,
    segment: &mut Segment,
    lost: u64,
    from: u64,
    why: MissingWhy,
) -> u64 {
    let limit = segment.limit();
    let granule = nt.encoding.granule();
    segment.previous = None;
    let mut at = from;
    let mut found = limit;
    while let Some(captured) = walker.captured_from(at, limit) {
        let off = captured.wrapping_sub(segment.base) & granule.wrapping_sub(1);
        at = if off == 0 { captured } else { captured.saturating_add(granule.saturating_sub(off)) };
        if at >= limit {
            break;
        }
        at = match nt.encoding.candidate(&mut walker.context, at) {
            Candidate::At(at) if at >= limit => break,
            Candidate::At(at) if begins_chain(walker, nt, at, limit) => {
                found = at;
                break;
            }
            Candidate::At(at) => at.saturating_add(granule),
            Candidate::NoneBefore(next) => next,
        };
    }
    if let Some(range) = AddressRange::between(lost, found) {
        match why {
            MissingWhy::NotCaptured => missing_by_capture(walker, range),
            why => walker.sink.missing(Some(range), why),
        }
        lfh::without_entries(walker, range);
    }
    found
}

/// Names what is not captured of `range`, and what is captured but unreadable
/// because it lies behind that.
fn missing_by_capture(walker: &mut Walker<'_, '_, '_>, range: AddressRange) {
    let mut at = range.start();
    let captured = &walker.scope.dump.captured;
    let mut found = 0_usize;
    while at <= range.last() && found < super::Walk::LISTED {
        let there = captured.contiguous(at, range.end().saturating_sub(at));
        at = at.saturating_add(there);
        let end = walker.captured_from(at, range.end()).unwrap_or(range.end());
        let Some(gap) = AddressRange::between(at, end) else { break };
        walker.sink.missing(Some(gap), MissingWhy::NotCaptured);
        found = found.saturating_add(1);
        at = end;
    }
}

/// Whether headers that know each other begin there: each has the size of the
/// one before. A checksum alone holds for one in 256.
fn begins_chain(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, start: u64, limit: u64) -> bool {
    let length = if nt.encoding.is_encoded() { 3 } else { 5 };
    let granule = nt.encoding.granule();
    let (mut at, mut previous) = (start, None);
    for seen in 0..=length {
        if at == limit {
            // The last entry before an uncommitted range says so.
            return seen >= 2;
        }
        if seen > 0 && !walker.context.follow() {
            return false;
        }
        let Some(entry) = nt.encoding.entry(&mut walker.context, at) else {
            return false;
        };
        let size = u64::from(entry.size).saturating_mul(granule);
        let known = previous.is_none_or(|previous| previous == entry.previous);
        if !entry.sound || size == 0 || !known || at.saturating_add(size) > limit {
            return false;
        }
        previous = Some(entry.size);
        at = at.saturating_add(size);
    }
    true
}

/// `_HEAP_EXTENDED_ENTRY`, which heaps with stack traces put right before what
/// the program has: how many granules it is from the block's start, and how
/// many bytes are unused. Gives address and size. No dump with one was at hand.
fn extended(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, start: u64) -> Option<(u64, u16)> {
    const SIGNATURE: u8 = 5;
    let granule = nt.encoding.granule();
    (1..=4_u8).find_map(|distance| {
        let place = start.saturating_add(granule.saturating_mul(distance.into()));
        let header = entry::header_of(place, nt.encoding.width);
        let [_, _, _, _, low, high, offset, signature] =
            walker.context.memory.array::<8>(header)?;
        let found = signature == SIGNATURE && offset == distance;
        found.then(|| (place.saturating_add(granule), u16::from_le_bytes([low, high])))
    })
}

/// VirtualAllocdBlocks: `_HEAP_VIRTUAL_ALLOC_ENTRY`, whose header's Size
/// counts unused bytes.
pub(super) fn large_blocks(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, list: u64) {
    let width = nt.encoding.width;
    let pointer = pointer_size(width);
    let head = at(walker.heap.address, list);
    let entries = list::entries(&mut walker.context, head, width);
    walker.list_problem(&entries);
    for entry in &entries.unread {
        walker.sink.missing(AddressRange::new(*entry, 1), MissingWhy::NotCaptured);
    }
    let header = pointer.saturating_mul(6);
    for entry in entries.read {
        if walker.sink.stopped {
            return;
        }
        let size = walker.context.pointer(entry, pointer.saturating_mul(4), width);
        let busy = nt.encoding.entry(&mut walker.context, at(entry, header));
        let (Some(size), Some(busy)) = (size, busy) else {
            walker.sink.missing(AddressRange::new(entry, 1), MissingWhy::NotCaptured);
            continue;
        };
        if !walker.wants(entry, size) {
            continue;
        }
        let inside = walker.has(AddressRange::new(entry, size));
        if !inside || !busy.sound {
            let reason = if inside { Reason::Checksum } else { Reason::Overrun };
            walker.sink.corrupt(entry, reason, || {
                format!("large block of {size:#x} bytes with a header that cannot be")
            });
            continue;
        }
        let metadata = nt.front_end.wrapping_sub(entry) < size;
        let state = match metadata {
            true => State::Internal(Internal::Metadata),
            false => State::Busy,
        };
        walker.sink.block(Block {
            start: entry,
            size,
            address: at(entry, header.saturating_add(nt.encoding.granule())),
            user_size: size.checked_sub(busy.size.into()).filter(|_| !metadata),
            state,
            place: Place::Large,
        });
    }
}

/// The header's own sums against what was found.
fn compare(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, layout: &NtLayout, counters: Counters) {
    let width = layout.width;
    let heap = walker.heap.address;
    let segments = walker.heap.parts.iter().filter(|part| part.role == "segment").count();
    let segments = u64::try_from(segments).unwrap_or(u64::MAX);
    let counted = u64::from(counters.segments);
    if counted != segments {
        let words = || format!("the header counts {counted} segments, {segments} were found");
        match counted.abs_diff(segments) {
            1 => walker.sink.torn(heap, Reason::SegmentCount, words),
            _ => walker.sink.corrupt(heap, Reason::SegmentCount, words),
        }
    }
    if !walker.sink.so_far().complete {
        return;
    }
    let entries = walker.sink.so_far().entries;
    let free = entries.free;
    let Some(total) = walker.context.pointer(heap, layout.total_free, width) else { return };
    let found = entries.free_bytes.checked_div(nt.encoding.granule()).unwrap_or(0);
    if total != found {
        let words = || format!("TotalFreeSize is {total:#x} granules, {found:#x} were found");
        match total.abs_diff(found) {
            1..=0x100 => walker.sink.torn(heap, Reason::FreeTotal, words),
            _ => walker.sink.corrupt(heap, Reason::FreeTotal, words),
        }
    }
    /// More entries than free blocks than this are not counted to the end.
    const MORE: u64 = 0x1_0000;
    let head = at(heap, layout.free_lists);
    let list = list::count(&mut walker.context, head, width, free.saturating_add(MORE));
    if let Some(problem @ (Problem::Disagree(entry) | Problem::TurnsBack(entry))) = list.problem {
        walker.sink.corrupt(entry, Reason::Links, || problem.to_string());
        return;
    }
    let too_many = list.entries > free;
    if (list.closed || too_many) && list.entries != free {
        let listed = list.entries;
        let words = || match list.closed {
            true => format!("{listed} blocks in the list of free blocks, {free} were found"),
            false => {
                format!("more than {free} blocks in the list of free blocks, which were found")
            }
        };
        match listed.abs_diff(free) {
            1..=4 if list.closed => walker.sink.torn(heap, Reason::FreeList, words),
            _ => walker.sink.corrupt(heap, Reason::FreeList, words),
        }
    }
}

impl Walker<'_, '_, '_> {
    /// Reports what contradicts itself in a list.
    pub(super) fn list_problem(&mut self, entries: &Entries) {
        match entries.problem {
            Some(Problem::Disagree(entry) | Problem::TurnsBack(entry)) if self.only.is_none() => {
                let problem = entries.problem;
                self.sink.corrupt(entry, Reason::Links, || {
                    problem.map(|problem| problem.to_string()).unwrap_or_default()
                });
            }
            Some(Problem::TooLong) => self.sink.missing(None, MissingWhy::TooMuch),
            _ => {}
        }
    }
}
