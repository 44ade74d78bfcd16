//! Heaps that a [`Layout`] gets after it was laid out: containers of the low-fragmentation heap in a block of
//! an NT heap, and a segment heap in memory that was allocated for it.

use super::Layout;
use crate::synth::Memory;
use crate::synth::bytes::Canvas;

/// Blocks of one size in the low-fragmentation heap of Windows 8 and later, or in that of a segment heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Bytes of a block, header included; a multiple of a granule.
    pub block_size: u64,
    /// Of each block whether it is allocated.
    pub busy: Vec<bool>,
    /// Bytes of each allocated block that its program did not ask for: 8 at least in an NT heap.
    pub unused: u8,
}

/// A range of units in a page segment of a segment heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRange {
    /// Chunks: whole size, header included, and whether it is allocated. What is left is one free chunk.
    VariableSize(Vec<(u64, bool)>),
    /// Blocks without headers.
    LowFragmentation(Container),
    /// A block of whole pages, and how many bytes of them are unused.
    Pages(u32),
}

/// A segment heap of segments of 1 MiB, in the layout of Windows 10 18362 to 19045, x64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeap {
    /// HeapKey of `RtlpHpHeapGlobals`.
    pub heap_key: u64,
    /// LfhKey of it.
    pub lfh_key: u32,
    /// Ranges of a segment and how many pages each has; all segments are alike.
    pub ranges: Vec<(u8, PageRange)>,
}

impl Layout {
    /// Writes bytes over what is in memory.
    pub fn write(&mut self, address: u64, bytes: impl Into<Vec<u8>>) {
        self.contents.push(Memory::new(address, bytes));
    }

    /// Writes a pointer of the native width.
    pub fn write_pointer(&mut self, address: u64, value: u64) {
        let size = self.kind.pointer_size();
        self.write(address, &value.to_le_bytes()[..size]);
    }

    /// Turns the allocated block at `block` of an NT heap (Windows 8 and later, 64-bit) into a container.
    /// `subsegment` is where `_HEAP_SUBSEGMENT` goes (0x40 bytes), `front_end` the `_LFH_HEAP`, `key` is
    /// RtlpLFHKey. Gives the address of the first block.
    pub fn add_container(
        &mut self,
        block: u64,
        subsegment: u64,
        front_end: u64,
        key: u32,
        plan: &Container,
    ) -> u64 {
        const HEADER: u64 = 0x10;
        const BITMAP: usize = 0x30;
        // Flags and checksum; both are XORed, so that a bit flips in both.
        let flags = self.read(block + 0xa, 2).bytes;
        self.write(block + 0xa, [flags[0] ^ 8, flags[1] ^ 8]);
        let header = block + HEADER;
        let count = plan.busy.len();
        let first = (BITMAP + count.div_ceil(64) * 8).next_multiple_of(16);
        let word = first as u32 | (plan.block_size as u32) << 16;
        let mut canvas = Canvas::new(first + count * plan.block_size as usize, 8);
        canvas
            .ptr(0, subsegment)
            .u32(0x14, 0xf0e0_d0c0)
            .u32(0x18, word ^ header as u32 ^ front_end as u32 ^ key)
            .u32(0x20, count as u32)
            .ptr(0x28, header + BITMAP as u64);
        for (index, busy) in plan.busy.iter().enumerate() {
            let at = first + index * plan.block_size as usize;
            if *busy {
                let byte = canvas.bytes[BITMAP + index / 8] | 1 << (index % 8);
                canvas.u8(BITMAP + index / 8, byte);
            }
            canvas.u8(at + 0xf, if *busy { 0x80 | plan.unused } else { 0x80 });
        }
        self.write(header, canvas.bytes);
        let free = plan.busy.iter().filter(|busy| !**busy).count();
        let mut canvas = Canvas::new(0x40, 8);
        canvas
            .ptr(0, front_end + 0x80)
            .ptr(8, header)
            .u16(0x20, free as u16)
            .u16(0x24, (plan.block_size / 16) as u16)
            .u16(0x28, count as u16);
        self.write(subsegment, canvas.bytes);
        header + first as u64
    }

    /// Writes a segment heap: its header at `heap`, its segments, each of which is at a multiple of 1 MiB, has
    /// that size and the ranges of the plan; and makes it the process heap. Gives the address of each range.
    pub fn add_segment_heap(
        &mut self,
        heap: u64,
        segments: &[u64],
        plan: &SegmentHeap,
    ) -> Vec<u64> {
        let pages = 0x10 + 0x100 * segments.len() as u64;
        let mut canvas = Canvas::new(0x800, 8);
        canvas.u32(0x10, 0xddee_ddee).u64(0x80, pages).u64(0x88, pages);
        for (context, mask, shift, first) in
            [(0x100, !0xf_ffff_u64, 12, 2), (0x1c0, !0xff_ffff, 16, 1)]
        {
            let list = heap + context as u64 + 0x48;
            canvas.u64(context, mask).u8(context + 8, shift).u8(context + 10, first);
            canvas.ptr(context + 0x38, heap).links(context + 0x48, list, list);
        }
        let head = heap + 0x148;
        let neighbour = |index: usize| segments.get(index).copied().unwrap_or(head);
        let last = segments.last().copied().unwrap_or(head);
        canvas.links(0x148, neighbour(0), last);
        self.write(heap, canvas.bytes);
        let mut addresses = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let previous = index.checked_sub(1).map_or(head, neighbour);
            let links = (neighbour(index + 1), previous);
            addresses.extend(self.add_page_segment(heap, *segment, links, plan));
        }
        self.set_process_heap(heap);
        addresses
    }

    /// `_HEAP_PAGE_SEGMENT` and its ranges.
    fn add_page_segment(
        &mut self,
        heap: u64,
        segment: u64,
        (next, previous): (u64, u64),
        plan: &SegmentHeap,
    ) -> Vec<u64> {
        const MAGIC: u64 = 0xa2e6_4ead_a2e6_4ead;
        let mut header = Canvas::new(0x2000, 8);
        header.links(0, next, previous);
        header.u64(0x10, segment ^ (heap + 0x100) ^ plan.heap_key ^ MAGIC);
        let mut index = 2_usize;
        let mut addresses = Vec::new();
        for (units, range) in &plan.ranges {
            let address = segment + index as u64 * 0x1000;
            let (flags, unused) = match range {
                PageRange::VariableSize(_) => (0xf, 0),
                PageRange::LowFragmentation(_) => (0xb, 0),
                PageRange::Pages(unused) => (0x3, *unused),
            };
            header.u32(index * 0x20, 0xccdd_ccdd).u32(index * 0x20 + 4, unused);
            header.u8(index * 0x20 + 0x18, flags).u8(index * 0x20 + 0x1f, *units);
            addresses.push(address);
            let size = usize::from(*units) * 0x1000;
            match range {
                PageRange::VariableSize(chunks) => {
                    self.write(address, chunks_bytes(address, size, chunks, plan.heap_key));
                }
                PageRange::LowFragmentation(blocks) => {
                    self.write(address, blocks_bytes(address, blocks, plan.lfh_key));
                }
                PageRange::Pages(_) => {}
            }
            index += usize::from(*units);
        }
        if index < 0x100 {
            header.u8(index * 0x20 + 0x18, 1).u8(index * 0x20 + 0x1f, (0x100 - index) as u8);
        }
        self.write(segment, header.bytes);
        addresses
    }

    /// Makes the heap at an address the process heap, in the PEB and its list.
    pub fn set_process_heap(&mut self, heap: u64) {
        let at = |x86: u64, x64: u64| if self.kind.pointer_size() == 4 { x86 } else { x64 };
        let (default, list) = (self.peb + at(0x18, 0x30), self.peb + at(0x90, 0xf0));
        let mut bytes = self.read(list, self.kind.pointer_size() as u64).bytes;
        bytes.resize(8, 0);
        let list = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        self.write_pointer(default, heap);
        self.write_pointer(list, heap);
    }
}

/// `_HEAP_VS_SUBSEGMENT` and its chunks.
fn chunks_bytes(address: u64, size: usize, chunks: &[(u64, bool)], key: u64) -> Vec<u8> {
    const FIRST: usize = 0x30;
    let mut canvas = Canvas::new(size, 8);
    let units = ((size - FIRST) / 16) as u16;
    canvas.u16(0x20, units).u16(0x22, units ^ 0x2bed);
    let used: u64 = chunks.iter().map(|(size, _)| size).sum();
    let left = (size - FIRST) as u64 - used;
    let rest = (left > 0).then_some((left, false));
    let (mut at, mut previous) = (FIRST, 0);
    for (size, busy) in chunks.iter().copied().chain(rest) {
        let word = (size / 16) << 16 | (previous / 16) << 32 | u64::from(busy) << 48;
        canvas.u64(at, word ^ (address + at as u64) ^ key);
        (previous, at) = (size, at + size as usize);
    }
    canvas.bytes
}

/// `_HEAP_LFH_SUBSEGMENT` and its blocks: two bits each, value 3 for an allocated one with unused bytes.
fn blocks_bytes(address: u64, plan: &Container, key: u32) -> Vec<u8> {
    const BITMAP: usize = 0x30;
    let count = plan.busy.len();
    let first = (BITMAP + count.div_ceil(4)).next_multiple_of(16);
    let size = plan.block_size as usize;
    let mut canvas = Canvas::new(first + count * size, 8);
    let free = plan.busy.iter().filter(|busy| !**busy).count();
    let word = size as u32 | (first as u32) << 16;
    canvas
        .u16(0x20, free as u16)
        .u16(0x22, count as u16)
        .u32(0x28, word ^ key ^ (address as u32 >> 12));
    for (index, _) in plan.busy.iter().enumerate().filter(|(_, busy)| **busy) {
        let value = if plan.unused > 0 { 3 } else { 1 };
        let byte = canvas.bytes[BITMAP + index / 4] | value << (index % 4 * 2);
        canvas.u8(BITMAP + index / 4, byte);
        canvas.u16(first + (index + 1) * size - 2, u16::from(plan.unused));
    }
    canvas.bytes
}
