//! Offsets in `struct heap` of Wine and Proton, and which of them a heap
//! agrees with. The lists are at the same places from Wine 8 on; 8 has its
//! magic one pointer earlier.

use super::context::{Context, at};
use crate::dump::PointerWidth::{self, Bits32, Bits64};

/// `HEAP`.
const MAGIC: u32 = u32::from_le_bytes(*b"HEAP");

/// Where the fields of `struct heap` and of a subheap are.
#[derive(Debug)]
pub(super) struct WineLayout {
    pub(super) width: PointerWidth,
    pub(super) magic: u64,
    pub(super) flags: u64,
    /// FrontEndHeapType as HeapQueryInformation tells it: 0 or 2.
    pub(super) compatibility: u64,
    /// Links of the process' heaps; the process heap is the head.
    pub(super) entry: u64,
    pub(super) subheaps: u64,
    pub(super) large_blocks: u64,
    /// In a subheap: bytes of all blocks, committed bytes of blocks, links,
    /// first block.
    pub(super) block_size: u64,
    pub(super) data_size: u64,
    pub(super) subheap_entry: u64,
    pub(super) first_block: u64,
    /// In a large block: bytes asked for and bytes of the block, behind the
    /// links; and where the allocation begins before the links.
    pub(super) large_before: u64,
    pub(super) large_data: u64,
}

pub(super) static LAYOUTS: [WineLayout; 4] =
    [wine_64(0xc0), wine_64(0xb8), wine_32(0x6c), wine_32(0x68)];

const fn wine_64(magic: u64) -> WineLayout {
    WineLayout {
        width: Bits64,
        magic,
        flags: 0x70,
        compatibility: 0x78,
        entry: 0x80,
        subheaps: 0x90,
        large_blocks: 0xa0,
        block_size: 0x10,
        data_size: 0x18,
        subheap_entry: 0x20,
        first_block: 0x38,
        large_before: 0x10,
        large_data: 0x10,
    }
}

const fn wine_32(magic: u64) -> WineLayout {
    WineLayout {
        width: Bits32,
        magic,
        flags: 0x40,
        compatibility: 0x48,
        entry: 0x4c,
        subheaps: 0x54,
        large_blocks: 0x5c,
        block_size: 4,
        data_size: 8,
        subheap_entry: 0xc,
        first_block: 0x18,
        large_before: 4,
        large_data: 8,
    }
}

/// Whether `HEAP` stands anywhere in the first 0x100 bytes.
pub(super) fn has_magic(context: &mut Context<'_, '_>, heap: u64) -> bool {
    (0..0x100_u64).step_by(4).any(|offset| context.word(heap, offset) == Some(MAGIC))
}

/// The layout that has its magic where this heap has it.
pub(super) fn choose(
    context: &mut Context<'_, '_>,
    heap: u64,
    width: PointerWidth,
) -> Option<&'static WineLayout> {
    LAYOUTS.iter().find(|layout| {
        layout.width == width && context.memory.u32(at(heap, layout.magic)) == Some(MAGIC)
    })
}
