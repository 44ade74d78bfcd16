//! Wine's heap, 10 and later: `struct heap` with one subheap in it, blocks, a group of the low-fragmentation
//! heap.

use super::{Block, BlockState};
use crate::synth::bytes::Canvas;

/// A block's header.
const HEADER: usize = 8;

/// The bytes of a Wine heap at `address`, at a multiple of 64 KiB: `size` bytes, all committed. The blocks, then
/// a group of 31 blocks of `group` bytes each (every third free), then one free block. Gives where the user part
/// of each block is, and that of the group's blocks.
pub fn wine_heap(
    address: u64,
    size: u64,
    blocks: &[Block],
    group: u64,
    pointer_size: usize,
) -> (Vec<u8>, Vec<u64>) {
    const SUBHEAP: usize = 0x400;
    let at = |x86: usize, x64: usize| if pointer_size == 4 { x86 } else { x64 };
    let granule = 2 * pointer_size;
    let mut canvas = Canvas::new(size as usize, pointer_size);
    canvas.u32(at(8, 0x10), 0xffee_ffee).u32(at(0x40, 0x70), 2).u32(at(0x48, 0x78), 2);
    canvas.set(at(0x6c, 0xc0), b"HEAP");
    let list = |canvas: &mut Canvas, offset: usize, node: u64| {
        canvas.links(offset, node, node);
    };
    list(&mut canvas, at(0x4c, 0x80), address + at(0x4c, 0x80) as u64);
    list(&mut canvas, at(0x5c, 0xa0), address + at(0x5c, 0xa0) as u64);
    let (head, entry) = (at(0x54, 0x90), SUBHEAP + at(0xc, 0x20));
    list(&mut canvas, head, address + entry as u64);
    list(&mut canvas, entry, address + head as u64);
    let first = SUBHEAP + at(0x18, 0x38);
    let all = size as usize - first;
    canvas.ptr(SUBHEAP + at(4, 0x10), all as u64);
    canvas.ptr(SUBHEAP + at(8, 0x18), (all - HEADER) as u64);

    let mut writer = Writer { canvas, granule, at: first, free: None, address };
    let mut users = Vec::new();
    for block in blocks {
        let whole = (HEADER + block.size.max(1) as usize).next_multiple_of(granule);
        users.push(address + (writer.at + HEADER) as u64);
        let user = writer.at + HEADER;
        match block.state {
            BlockState::Busy => {
                writer.busy(whole, whole - HEADER - block.size as usize, 0);
                let contents = block.contents.len().min(block.size as usize);
                writer.canvas.set(user, &block.contents[..contents]);
            }
            BlockState::Free => writer.free(whole.max(2 * granule)),
        }
    }
    let own = at(0x10, 0x18);
    let whole = (HEADER + own + 31 * group as usize).next_multiple_of(granule);
    let inside = writer.at + HEADER + own;
    writer.busy(whole, 0, 0x80);
    for index in 0..31 {
        let start = inside + index * group as usize;
        let granules = (group as usize / granule) as u16;
        let (kind, flags) = if index % 3 == 2 { (b'F', 0x81) } else { (b'u', 0x80) };
        writer.canvas.u16(start, granules).u8(start + 6, kind).u8(start + 7, flags);
        users.push(address + (start + HEADER) as u64);
    }
    let left = size as usize - writer.at;
    writer.free(left / granule * granule);
    (writer.canvas.bytes, users)
}

/// Where the next block goes.
struct Writer {
    canvas: Canvas,
    granule: usize,
    at: usize,
    /// The free block before it.
    free: Option<u64>,
    address: u64,
}

impl Writer {
    fn busy(&mut self, whole: usize, tail: usize, flags: u8) {
        self.header(whole, tail, b'u', flags);
        self.free = None;
    }

    fn free(&mut self, whole: usize) {
        let start = self.address + self.at as u64;
        let granules = whole / self.granule;
        self.header(whole, granules >> 16, b'F', 1);
        self.free = Some(start);
    }

    /// The header at the cursor, and before it the pointer to a free block.
    fn header(&mut self, whole: usize, tail: usize, kind: u8, flags: u8) {
        let at = self.at;
        let granules = (whole / self.granule) as u16;
        let flags = flags | if self.free.is_some() { 2 } else { 0 };
        self.canvas.u16(at, granules).u16(at + 2, tail as u16).u8(at + 6, kind).u8(at + 7, flags);
        if let Some(free) = self.free {
            self.canvas.ptr(at - self.granule / 2, free);
        }
        self.at += whole;
    }
}
