//! Wine's and Proton's heap, 8 and later: the blocks of every subheap, groups
//! of its low-fragmentation heap, and large blocks. Other versions have other
//! block headers; the checks of the first block tell.

use super::super::context::{Context, at, pointer_size};
use super::super::list;
use super::super::wine_layout::{self, WineLayout};
use super::Walker;
use super::block::{Block, Internal, Place, State};
use super::outcome::{MissingWhy, Reason};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;

/// Of a block's header.
const HEADER: u64 = 8;
const USED: u8 = b'u';
const DEAD: u8 = b'D';
const UNUSED: u8 = b'F';
/// Block flags.
const FREE: u8 = 0x01;
const PREVIOUS_FREE: u8 = 0x02;
const LOW_FRAGMENTATION: u8 = 0x80;
/// Blocks in a group: one for each bit of a word, but the highest.
const GROUP: u32 = 31;

pub(super) fn walk(walker: &mut Walker<'_, '_, '_>) {
    let heap = walker.heap;
    let Some(layout) = wine_layout::choose(&mut walker.context, heap.address, heap.width) else {
        for part in &heap.parts {
            walker.sink.missing(Some(part.range), MissingWhy::LayoutUnknown);
        }
        if heap.parts.is_empty() {
            walker.sink.missing(None, MissingWhy::LayoutUnknown);
        }
        return;
    };
    let head = at(heap.address, layout.subheaps);
    let subheaps = list::entries(&mut walker.context, head, layout.width);
    walker.list_problem(&subheaps);
    for entry in subheaps.unread {
        walker.sink.missing(AddressRange::new(entry, 1), MissingWhy::NotCaptured);
    }
    for entry in subheaps.read {
        walk_subheap(walker, layout, entry.wrapping_sub(layout.subheap_entry));
        if walker.sink.stopped {
            return;
        }
    }
    large_blocks(walker, layout);
}

/// A block's header.
#[derive(Clone, Copy)]
struct Header {
    /// In bytes, header included.
    size: u64,
    tail: u64,
    kind: u8,
    flags: u8,
}

impl Header {
    fn read(context: &mut Context<'_, '_>, start: u64, width: PointerWidth) -> Option<Header> {
        let [a, b, c, d, _, _, kind, flags] = context.memory.array::<8>(start)?;
        let low = u64::from(u16::from_le_bytes([a, b]));
        let tail = u64::from(u16::from_le_bytes([c, d]));
        let granules = match flags & FREE {
            0 => low,
            _ => low | tail.saturating_mul(0x1_0000),
        };
        Some(Header { size: granules.saturating_mul(granule(width)), tail, kind, flags })
    }

    fn is_free(self) -> bool {
        self.flags & FREE != 0
    }

    /// Whether type, flags and sizes can be a block's.
    fn is_sound(self) -> bool {
        match self.kind {
            UNUSED => self.is_free(),
            USED | DEAD => !self.is_free() && self.tail.saturating_add(HEADER) <= self.size,
            _ => false,
        }
    }

    fn state(self) -> State {
        match self.kind {
            USED if self.flags & LOW_FRAGMENTATION != 0 => State::Internal(Internal::Container),
            USED => State::Busy,
            _ => State::Free,
        }
    }

    fn user_size(self, width: PointerWidth) -> Option<u64> {
        match self.kind {
            USED => self.size.checked_sub(HEADER.saturating_add(self.tail)),
            DEAD => self.size.checked_sub(HEADER),
            _ => self.size.checked_sub(HEADER.saturating_add(granule(width))),
        }
    }
}

fn granule(width: PointerWidth) -> u64 {
    pointer_size(width).saturating_mul(2)
}

/// A subheap under way.
struct Subheap {
    start: u64,
    /// Where its blocks begin, where committed memory and all of them end.
    first: u64,
    committed: u64,
    end: u64,
}

fn walk_subheap(walker: &mut Walker<'_, '_, '_>, layout: &WineLayout, start: u64) {
    let width = layout.width;
    let block_size = walker.context.pointer(start, layout.block_size, width);
    let data_size = walker.context.pointer(start, layout.data_size, width);
    let (Some(block_size), Some(data_size)) = (block_size, data_size) else {
        walker.sink.missing(AddressRange::new(start, 1), MissingWhy::NotCaptured);
        return;
    };
    let first = at(start, layout.first_block);
    let committed = first.saturating_add(HEADER).saturating_add(data_size);
    let end = first.saturating_add(block_size);
    if !walker.wants(start & !0xffff, end.saturating_sub(start & !0xffff)) {
        return;
    }
    let bytes = AddressRange::between(first, end.max(committed));
    let part = bytes.and_then(|bytes| walker.part_around(bytes));
    let Some(part) = part.filter(|_| committed <= end) else {
        walker.sink.corrupt(start, Reason::SegmentBounds, || {
            format!("{data_size:#x} of {block_size:#x} bytes are not in a part of the heap")
        });
        return;
    };
    let own = first.saturating_sub(part.start());
    let is_first = start.wrapping_sub(walker.heap.address) < 0x1_0000;
    let internal = if is_first { Internal::Header } else { Internal::SegmentHeader };
    walker.sink.block(Block {
        start: part.start(),
        size: own,
        address: start,
        user_size: None,
        state: State::Internal(internal),
        place: Place::Segment(part.start()),
    });
    walk_blocks(walker, width, &Subheap { start: part.start(), first, committed, end });
}

fn walk_blocks(walker: &mut Walker<'_, '_, '_>, width: PointerWidth, subheap: &Subheap) {
    let mut cursor = subheap.first;
    let mut before: Option<(u64, bool)> = None;
    // The last block ends where the subheap does, or a header before.
    while cursor.saturating_add(HEADER) < subheap.committed && !walker.sink.stopped {
        let Some(header) = Header::read(&mut walker.context, cursor, width) else {
            cursor = resume(walker, width, subheap, cursor, MissingWhy::NotCaptured);
            before = None;
            continue;
        };
        let next = cursor.saturating_add(header.size);
        let fits = header.size >= HEADER && next <= subheap.end;
        if !header.is_sound() || !fits {
            let reason = match header {
                header if !header.is_sound() => Reason::Header,
                header if header.size == 0 => Reason::ZeroSize,
                _ => Reason::Overrun,
            };
            walker.sink.corrupt(cursor, reason, || {
                format!("{:#x} bytes, flags {:#x}", header.size, header.flags)
            });
            cursor = resume(walker, width, subheap, cursor, MissingWhy::BehindDamage);
            before = None;
            continue;
        }
        if let Some((previous, was_free)) = before {
            check_previous(walker, width, cursor, header, previous, was_free);
        }
        report(walker, width, subheap, cursor, header);
        before = Some((cursor, header.is_free()));
        cursor = next;
    }
}

/// The flag for a free block before this one, and its pointer to it.
fn check_previous(
    walker: &mut Walker<'_, '_, '_>,
    width: PointerWidth,
    start: u64,
    header: Header,
    previous: u64,
    was_free: bool,
) {
    let says_free = header.flags & PREVIOUS_FREE != 0;
    let place = start.wrapping_sub(pointer_size(width));
    let back = says_free.then(|| walker.context.memory.pointer(place, width)).flatten();
    if says_free != was_free {
        walker.sink.corrupt(start, Reason::PreviousSize, || {
            format!("flags {:#x} do not say whether {previous:#x} is free", header.flags)
        });
    } else if back.is_some_and(|back| back != previous) {
        walker.sink.corrupt(start, Reason::PreviousSize, || {
            format!("does not point back to the free block at {previous:#x}")
        });
    }
}

fn report(
    walker: &mut Walker<'_, '_, '_>,
    width: PointerWidth,
    subheap: &Subheap,
    start: u64,
    header: Header,
) {
    let state = header.state();
    // The last free block reaches into what is not committed.
    let committed = subheap.committed.saturating_sub(start).min(header.size);
    let size = if header.is_free() { committed } else { header.size };
    let cut = Header { size, ..header };
    let container = state == State::Internal(Internal::Container);
    walker.sink.block(Block {
        start,
        size,
        address: at(start, HEADER),
        user_size: cut.user_size(width).filter(|_| !container),
        state,
        place: Place::Segment(subheap.start),
    });
    if container {
        group(walker, width, start, size);
    }
}

/// Where the first block of a group begins: `struct group` has a list entry,
/// the free bits and an affinity before it.
fn first_in_group(width: PointerWidth, container: u64) -> u64 {
    let first: u64 = match width {
        PointerWidth::Bits64 => 0x18,
        PointerWidth::Bits32 => 0x10,
    };
    container.saturating_add(HEADER).saturating_add(first)
}

/// Bytes of a block in a group, when 31 of them fit it.
fn stride(
    walker: &mut Walker<'_, '_, '_>,
    width: PointerWidth,
    container: u64,
    size: u64,
) -> Option<u64> {
    let first = first_in_group(width, container);
    let sample = Header::read(&mut walker.context, first, width)?;
    let end = first.saturating_add(sample.size.saturating_mul(GROUP.into()));
    let fits = sample.size >= granule(width) && end <= container.saturating_add(size);
    (fits && sample.flags & LOW_FRAGMENTATION != 0).then_some(sample.size)
}

/// The 31 blocks of a group.
fn group(walker: &mut Walker<'_, '_, '_>, width: PointerWidth, container: u64, size: u64) {
    let mut start = first_in_group(width, container);
    let Some(stride) = stride(walker, width, container, size) else {
        match walker.context.memory.u8(start.saturating_add(7)) {
            None => {
                walker.sink.missing(AddressRange::new(container, size), MissingWhy::NotCaptured)
            }
            Some(_) => walker.sink.corrupt(container, Reason::LowFragmentation, || {
                format!("no 31 blocks of one size fit the group of {size:#x} bytes")
            }),
        }
        return;
    };
    let mut busy = 0_u64;
    for index in 0..GROUP {
        match Header::read(&mut walker.context, start, width) {
            Some(header) if header.is_sound() && header.size == stride => {
                busy = busy.saturating_add(u64::from(header.kind == USED));
                let state = if header.kind == USED { State::Busy } else { State::Free };
                walker.sink.block(Block {
                    start,
                    size: stride,
                    address: at(start, HEADER),
                    user_size: header.user_size(width),
                    state,
                    place: Place::LowFragmentation { container, index },
                });
            }
            Some(header) => walker.sink.corrupt(start, Reason::Header, || {
                format!("{:#x} bytes in a group of blocks of {stride:#x}", header.size)
            }),
            None => {
                walker.sink.missing(AddressRange::new(start, stride), MissingWhy::NotCaptured);
            }
        }
        if walker.sink.stopped {
            return;
        }
        start = start.saturating_add(stride);
    }
    walker.sink.bucket(stride, GROUP.into(), busy);
}

/// Where blocks go on behind what cannot be read or believed: at the next four
/// headers that follow each other.
fn resume(
    walker: &mut Walker<'_, '_, '_>,
    width: PointerWidth,
    subheap: &Subheap,
    lost: u64,
    why: MissingWhy,
) -> u64 {
    let granule = granule(width);
    let mut found = subheap.committed;
    let mut start = lost.saturating_add(granule);
    while let Some(captured) = walker.captured_from(start, subheap.committed) {
        let off = captured.wrapping_sub(subheap.first) & granule.wrapping_sub(1);
        start = match off {
            0 => captured,
            off => captured.saturating_add(granule.saturating_sub(off)),
        };
        if begins_chain(walker, width, subheap, start) {
            found = start;
            break;
        }
        start = start.saturating_add(granule);
    }
    walker.sink.missing(AddressRange::between(lost, found), why);
    found
}

fn begins_chain(
    walker: &mut Walker<'_, '_, '_>,
    width: PointerWidth,
    subheap: &Subheap,
    start: u64,
) -> bool {
    let mut cursor = start;
    for seen in 0..4 {
        if cursor.saturating_add(HEADER) >= subheap.committed {
            return seen >= 2;
        }
        if seen > 0 && !walker.context.follow() {
            return false;
        }
        let Some(header) = Header::read(&mut walker.context, cursor, width) else { return false };
        let next = cursor.saturating_add(header.size);
        if !header.is_sound() || header.size < HEADER.saturating_mul(2) || next > subheap.end {
            return false;
        }
        // The blocks inside of a group follow each other, too.
        let in_group = header.flags & LOW_FRAGMENTATION != 0
            && (header.kind != USED || stride(walker, width, cursor, header.size).is_none());
        if in_group {
            return false;
        }
        cursor = next;
    }
    true
}

/// `ARENA_LARGE`: links, bytes asked for, bytes of the block, the header.
fn large_blocks(walker: &mut Walker<'_, '_, '_>, layout: &WineLayout) {
    let width = layout.width;
    let pointer = pointer_size(width);
    let head = at(walker.heap.address, layout.large_blocks);
    let entries = list::entries(&mut walker.context, head, width);
    walker.list_problem(&entries);
    for entry in entries.unread {
        walker.sink.missing(AddressRange::new(entry, 1), MissingWhy::NotCaptured);
    }
    for entry in entries.read {
        let start = entry.wrapping_sub(layout.large_before);
        let data = walker.context.pointer(entry, layout.large_data, width);
        let size = walker.context.pointer(entry, at(layout.large_data, pointer), width);
        let (Some(data), Some(size)) = (data, size) else {
            walker.sink.missing(AddressRange::new(start, 1), MissingWhy::NotCaptured);
            continue;
        };
        let own = pointer.saturating_mul(8);
        let address = at(start, own);
        // The size on record is of what is behind the header of 8 bytes.
        let whole = size.saturating_add(own).saturating_sub(HEADER);
        if !walker.wants(start, whole) {
            continue;
        }
        let Some(header) = Header::read(&mut walker.context, address.wrapping_sub(HEADER), width)
        else {
            walker.sink.missing(AddressRange::new(start, whole), MissingWhy::NotCaptured);
            continue;
        };
        let inside = walker.has(AddressRange::new(start, whole));
        if !inside || data > whole.saturating_sub(own) || header.kind != b'L' {
            walker.sink.corrupt(start, Reason::Header, || {
                format!("large block of {data:#x} in {whole:#x} bytes with a header that cannot be")
            });
            continue;
        }
        let container = header.flags & LOW_FRAGMENTATION != 0;
        let state = if container { State::Internal(Internal::Container) } else { State::Busy };
        walker.sink.block(Block {
            start,
            size: whole,
            address,
            user_size: Some(data).filter(|_| !container),
            state,
            place: Place::Large,
        });
        if container {
            group(walker, width, address.wrapping_sub(HEADER), whole.saturating_sub(own));
        }
        if walker.sink.stopped {
            return;
        }
    }
}
