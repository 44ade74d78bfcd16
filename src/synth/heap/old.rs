//! The NT heap of XP: `_HEAP` with one segment, block headers in clear.

use super::{Block, BlockState};
use crate::synth::bytes::Canvas;

/// The bytes of a heap of XP, 32-bit, at `address`, and where the user part of each block is. `size` bytes are
/// reserved and committed; what the blocks leave is one free block.
pub fn old_heap(address: u64, size: u64, blocks: &[Block]) -> (Vec<u8>, Vec<u64>) {
    const GRANULE: u64 = 8;
    const SEGMENT: u64 = 0x640;
    let mut canvas = Canvas::new(size as usize, 4);
    canvas.u32(0x08, 0xeeff_eeff).u32(0x0c, 2); // Signature, HEAP_GROWABLE
    canvas.links(0x50, address + 0x50, address + 0x50); // VirtualAllocdBlocks
    canvas.ptr(0x58, address + SEGMENT);
    let segment = SEGMENT as usize;
    canvas
        .u32(segment + 0x08, 0xffee_ffee)
        .ptr(segment + 0x10, address)
        .ptr(segment + 0x18, address)
        .u32(segment + 0x1c, (size / 0x1000) as u32)
        .ptr(segment + 0x20, address + SEGMENT + 0x40)
        .ptr(segment + 0x24, address + size);

    let mut previous = 0;
    let mut at = 0;
    let mut users = Vec::new();
    let mut put = |canvas: &mut Canvas, size: u64, flags: u8, unused: u64| {
        let granules = (size / GRANULE) as u16;
        canvas
            .u16(at as usize, granules)
            .u16(at as usize + 2, previous)
            .u8(at as usize + 5, flags)
            .u8(at as usize + 6, unused as u8);
        previous = granules;
        at += size;
        at
    };
    put(&mut canvas, SEGMENT, 1, 0);
    let mut next = put(&mut canvas, 0x40, 1, 0);
    for block in blocks {
        let whole = GRANULE + block.size.max(1).next_multiple_of(GRANULE);
        users.push(address + next + GRANULE);
        let (flags, unused) = match block.state {
            BlockState::Busy => (1, whole - block.size),
            BlockState::Free => (0, 0),
        };
        canvas_contents(&mut canvas, next + GRANULE, block);
        next = put(&mut canvas, whole, flags, unused);
    }
    let left = size - next;
    if left > 0 {
        put(&mut canvas, left, 0x10, 0);
    }
    (canvas.bytes, users)
}

fn canvas_contents(canvas: &mut Canvas, at: u64, block: &Block) {
    let size = block.contents.len().min(block.size as usize);
    canvas.set(at as usize, &block.contents[..size]);
}
