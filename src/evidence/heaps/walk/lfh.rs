//! The NT heap's low-fragmentation heap: the blocks in a container. Windows 8
//! and later say in a bitmap which are busy, Windows 7 in each block's header.

use super::super::nt_layout::{self, LowFragmentation};
use super::block::{Block, Internal, Place, State};
use super::entry::header_of;
use super::nt::NtHeap;
use super::outcome::Reason;
use super::signatures::Signatures;
use super::sink::Row;
use super::user_blocks::{self, UserBlocks};
use super::{Walker, entry};
use crate::addr::AddressRange;

/// A container in a heap.
pub(super) struct Container {
    blocks: UserBlocks,
    /// Where its entry begins.
    start: u64,
    /// Where the first block begins, and how far apart they are.
    first: u64,
    stride: u64,
}

/// The container that an internal entry holds, if it holds one.
pub(super) fn container(
    walker: &mut Walker<'_, '_, '_>,
    nt: NtHeap,
    entry: AddressRange,
) -> Option<Container> {
    let width = nt.encoding.width;
    let bitmap = nt.low_fragmentation? == LowFragmentation::Bitmap;
    let header = entry.start().checked_add(nt.encoding.granule())?;
    let blocks = user_blocks::at_header(&mut walker.context, header, width, bitmap);
    let Some(blocks) = blocks else {
        let differ = user_blocks::contradiction(&mut walker.context, header, width);
        if let Some((bits, blocks)) = differ.filter(|_| bitmap) {
            walker.sink.corrupt(entry.start(), Reason::LowFragmentation, || {
                format!("the bitmap is of {bits} blocks, the subsegment has {blocks}")
            });
        }
        return None;
    };
    let made = place(walker, blocks, entry.start(), Some(nt.front_end))?;
    let size = made.blocks.blocks.checked_mul(made.stride)?;
    let inside = AddressRange::new(made.first, size).is_some_and(|all| entry.covers(all));
    if !inside {
        let count = made.blocks.blocks;
        walker.sink.corrupt(entry.start(), Reason::LowFragmentation, || {
            format!("{count} blocks of {:#x} bytes do not fit the container", made.stride)
        });
        return None;
    }
    Some(made)
}

/// Decodes where the blocks are.
fn place(
    walker: &Walker<'_, '_, '_>,
    mut blocks: UserBlocks,
    start: u64,
    front_end: Option<u64>,
) -> Option<Container> {
    if blocks.first.is_none() {
        blocks.decode(walker.scope.keys.low_fragmentation(blocks.width), front_end);
    }
    let stride = blocks.block_size?;
    let first = blocks.first.unwrap_or(blocks.first_by_size());
    Some(Container { start, first: blocks.header.checked_add(first)?, stride, blocks })
}

/// Gives the blocks of a container.
pub(super) fn blocks(walker: &mut Walker<'_, '_, '_>, nt: NtHeap, container: &Container) {
    give(walker, container, nt.encoding.granule());
}

fn give(walker: &mut Walker<'_, '_, '_>, container: &Container, granule: u64) {
    let Container { blocks, start, first, stride } = container;
    let row = Row {
        container: *start,
        first: *first,
        size: *stride,
        count: u32::try_from(blocks.blocks).unwrap_or(u32::MAX),
        header: granule,
    };
    let memory = &mut walker.context.memory;
    let unused_at = header_of(7, blocks.width);
    let mut bits = 0;
    let busy = walker.sink.row(row, |index, at| {
        let unused_at = at.saturating_add(unused_at);
        let (is_busy, unused) = match blocks.bitmap {
            Some(bitmap) => {
                if index & 7 == 0 {
                    bits = memory.u8(bitmap.saturating_add((index >> 3).into())).unwrap_or(0);
                }
                let is_busy = bits >> (index & 7) & 1 != 0;
                (is_busy, if is_busy { memory.u8(unused_at) } else { None })
            }
            None => {
                let unused = memory.u8(unused_at);
                (unused != Some(FREE), unused)
            }
        };
        let user_size = match is_busy {
            true => unused.and_then(|unused| user_size(*stride, unused)),
            false => stride.checked_sub(8),
        };
        (is_busy, user_size)
    });
    let Some(busy) = busy else { return };
    let free = blocks.blocks.saturating_sub(busy);
    if let Some(depth) = blocks.depth.filter(|depth| *depth != free) {
        walker.sink.torn(blocks.header, Reason::LowFragmentation, || {
            format!("the subsegment counts {depth} free blocks, {free} are")
        });
    }
}

/// UnusedBytes of a free block.
const FREE: u8 = 0x80;

/// UnusedBytes of a block of the low-fragmentation heap has its top bit set.
fn user_size(size: u64, unused: u8) -> Option<u64> {
    (unused & FREE != 0).then(|| entry::user_size(size, unused & !FREE)).flatten()
}

/// Containers in bytes whose entries cannot be read, by signature: those of
/// this heap, as far as they can be told to be.
pub(super) fn without_entries(walker: &mut Walker<'_, '_, '_>, range: AddressRange) {
    let heap = walker.heap;
    let layout = nt_layout::choose(&mut walker.context, heap.address, heap.width);
    let front_end = layout
        .and_then(|(layout, _)| walker.context.pointer(heap.address, layout.front_end, heap.width));
    let mut signatures = Signatures::of(range, &walker.scope.signatures);
    let mut free_from = range.start();
    while let Some(hit) = signatures.next(&mut walker.context.memory) {
        free_from = at_hit(walker, range, front_end, hit, free_from).unwrap_or(free_from);
        if walker.sink.stopped {
            return;
        }
    }
}

/// Gives the container whose signature is at `hit`, unless it begins before
/// `free_from` or reaches out of `range`; and where it ends.
fn at_hit(
    walker: &mut Walker<'_, '_, '_>,
    range: AddressRange,
    front_end: Option<u64>,
    hit: u64,
    free_from: u64,
) -> Option<u64> {
    let width = walker.heap.width;
    let blocks = user_blocks::at_signature(&mut walker.context, hit, Some(width))?;
    let granule = entry::granule(width);
    let start = blocks.header.checked_sub(granule).filter(|start| *start >= free_from)?;
    let container = place(walker, blocks, start, front_end)?;
    let size = container.blocks.blocks.saturating_mul(container.stride);
    let end = container.first.saturating_add(size);
    let whole = AddressRange::between(start, end).filter(|whole| range.covers(*whole))?;
    walker.sink.block(Block {
        start,
        size: whole.size(),
        address: container.blocks.header,
        user_size: None,
        state: State::Internal(Internal::Container),
        place: Place::Segment(range.start()),
    });
    give(walker, &container, granule);
    Some(end)
}
