//! What debug heaps put around a program's bytes, to be used as the contents of a block: the C runtime's
//! header and gaps, and page heap's block information.

use super::bytes::Canvas;

/// What a block of the debug C runtime holds: `_CrtMemBlockHeader`, the gap, `contents`, the gap. `request`
/// is the number of the allocation; the block has no file name.
pub fn crt_block(contents: &[u8], request: u32, pointer_size: usize) -> Vec<u8> {
    const GAP: [u8; 4] = [0xfd; 4];
    let at = |x86: usize, x64: usize| if pointer_size == 4 { x86 } else { x64 };
    let header = at(0x20, 0x30);
    let mut canvas = Canvas::new(header + contents.len() + GAP.len(), pointer_size);
    canvas
        .u32(at(0x10, 0x1c), 1) // _NORMAL_BLOCK
        .ptr(at(0x14, 0x20), contents.len() as u64)
        .u32(at(0x18, 0x28), request)
        .set(at(0x1c, 0x2c), &GAP)
        .set(header, contents)
        .set(header + contents.len(), &GAP);
    canvas.bytes
}

/// Which page heap: the full one gives every block pages of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageHeap {
    /// Stamps around blocks of an NT heap.
    Light,
    /// Pages of its own, before a page without access.
    Full,
}

/// `_DPH_BLOCK_INFORMATION` of an allocated block of `size` bytes, and then those bytes, zero.
pub fn page_heap_block(kind: PageHeap, heap: u64, size: u64, pointer_size: usize) -> Vec<u8> {
    let at = |x86: usize, x64: usize| if pointer_size == 4 { x86 } else { x64 };
    let header = at(0x20, 0x40);
    let (start, end) = match kind {
        PageHeap::Light => (0xabcd_aaaa, 0xdcba_aaaa),
        PageHeap::Full => (0xabcd_bbbb, 0xdcba_bbbb),
    };
    let mut canvas = Canvas::new(header + size as usize, pointer_size);
    canvas
        .u32(0, start)
        .ptr(at(4, 8), heap)
        .ptr(at(8, 0x10), size)
        .ptr(at(0xc, 0x18), size)
        .u32(at(0x1c, 0x3c), end);
    canvas.bytes
}
