//! NT heaps in memory: `_HEAP`, segments, blocks, uncommitted ranges, large blocks, in the layout of
//! Windows 10 17763 and later. Complete enough to be walked: every list is a ring, every size adds up.
//!
//! Also a heap of XP, [`old_heap`], and one of Wine, [`wine_heap`]. Containers of the low-fragmentation heap and segment heaps are put into a
//! [`Layout`](super::windows::Layout). Not here: the layouts between XP and 17763.

mod encode;
mod old;
mod wine;

pub use old::old_heap;
pub use wine::wine_heap;

use super::Memory;

const PAGE: u64 = 0x1000;

/// An NT heap before it has addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heap {
    /// `_HEAP.Flags`: 2 is HEAP_GROWABLE.
    pub flags: u32,
    /// What block headers are XORed with; bytes 6 and 7 are written as zero. `None`: headers are in clear
    /// and EncodeFlagMask is 0.
    pub encoding: Option<[u8; 8]>,
    /// Segments; the first one holds the `_HEAP`.
    pub segments: Vec<Segment>,
    /// User bytes of blocks that have an allocation of their own (VirtualAllocdBlocks).
    pub large: Vec<u64>,
}

/// One segment of a heap. Sizes are in bytes and multiples of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Size of the allocation.
    pub reserve: u64,
    /// Committed at its start; raised to what the blocks need.
    pub commit: u64,
    /// Blocks upwards. What is left of the committed memory becomes one more free block.
    pub blocks: Vec<Block>,
}

/// One block before it has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// User bytes: less than 1 MiB on x64 and 512 KiB on x86, as the header's Size has 16 bits.
    pub size: u64,
    /// Whether the program has it.
    pub state: BlockState,
    /// What the user part begins with; cut to its size. Not for free blocks: their list links are there.
    pub contents: Vec<u8>,
}

/// Whether the program has a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockState {
    /// Allocated.
    Busy,
    /// In the free list.
    Free,
}

impl Block {
    /// An allocated block.
    pub fn busy(size: u64) -> Self {
        Block { size, state: BlockState::Busy, contents: Vec::new() }
    }

    /// A free block.
    pub fn free(size: u64) -> Self {
        Block { state: BlockState::Free, ..Block::busy(size) }
    }
}

/// A heap with addresses and bytes: the ground truth for a walker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedHeap {
    /// The heap handle: the address of `_HEAP`.
    pub address: u64,
    /// The committed bytes of each segment, then of each large block.
    pub memory: Vec<Memory>,
    /// Every block of the segments, in address order; `_HEAP`, segment headers and descriptors of
    /// uncommitted ranges are blocks too.
    pub blocks: Vec<PlacedBlock>,
    /// Bytes of the free blocks, headers included: TotalFreeSize in bytes.
    pub free_bytes: u64,
    /// Reserved bytes of the segments.
    pub reserved: u64,
    /// Committed bytes of the segments.
    pub committed: u64,
}

/// A block with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedBlock {
    /// Address of the block: on x64 the 8 bytes that matter are at `address + 8`.
    pub address: u64,
    /// Bytes, header included.
    pub size: u64,
    /// User bytes of the plan; 0 unless busy.
    pub user_size: u64,
    /// What it is.
    pub kind: BlockKind,
    /// Place of its segment in the heap.
    pub segment: usize,
}

/// What a block of a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// `_HEAP` or a later segment's `_HEAP_SEGMENT`.
    Header,
    /// A busy block of the plan.
    Busy,
    /// A free block of the plan, or what was left.
    Free,
    /// The last block: it describes the uncommitted range that follows (of size 0 if none does).
    Range,
}

impl Heap {
    /// A growable, encoded heap of one segment (1 MiB reserved, 16 KiB committed) with two busy blocks around
    /// a free one.
    pub fn new() -> Self {
        Heap {
            flags: 2,
            encoding: Some([0x5a, 0x17, 0xc3, 0x2e, 0x91, 0x64, 0, 0]),
            segments: vec![Segment {
                reserve: 0x10_0000,
                commit: 0x4000,
                blocks: vec![Block::busy(0x100), Block::free(0x60), Block::busy(0x31)],
            }],
            large: Vec::new(),
        }
    }

    /// Committed and reserved size of each allocation the heap needs: segments, then large blocks.
    pub fn allocations(&self, pointer_size: usize) -> Vec<(u64, u64)> {
        let sizes = Sizes::new(pointer_size);
        let segments = self.segments.iter().enumerate().map(|(index, segment)| {
            let commit = sizes.commit(index, segment);
            (commit, segment.reserve.max(commit))
        });
        let large = self.large.iter().map(|user| {
            let size = (user + sizes.large_header).next_multiple_of(PAGE);
            (size, size)
        });
        segments.chain(large).collect()
    }

    /// Writes the heap into its allocations, whose bases are in the order of
    /// [`allocations`](Heap::allocations). Without a base for each, the rest is left out.
    pub fn encode(&self, bases: &[u64], pointer_size: usize) -> EncodedHeap {
        encode::encode(self, bases, &Sizes::new(pointer_size))
    }
}

impl Default for Heap {
    fn default() -> Self {
        Heap::new()
    }
}

/// What depends on the pointer size.
struct Sizes {
    pointer: usize,
    granule: u64,
    /// Offset of the 8 header bytes in a block.
    header_at: usize,
    /// Size of `_HEAP` with the block it is in, and of a later segment's header.
    heap_block: u64,
    segment_block: u64,
    large_header: u64,
}

impl Sizes {
    fn new(pointer: usize) -> Self {
        match pointer {
            4 => Sizes {
                pointer,
                granule: 8,
                header_at: 0,
                heap_block: 0x4a8,
                segment_block: 0x40,
                large_header: 0x20,
            },
            _ => Sizes {
                pointer,
                granule: 16,
                header_at: 8,
                heap_block: 0x740,
                segment_block: 0x70,
                large_header: 0x40,
            },
        }
    }

    fn at(&self, x86: usize, x64: usize) -> usize {
        if self.pointer == 4 { x86 } else { x64 }
    }

    fn first_block(&self, segment: usize) -> u64 {
        if segment == 0 { self.heap_block } else { self.segment_block }
    }

    /// Whole block of a user size: one granule of header, at least one of contents (list links).
    fn block(&self, user: u64) -> u64 {
        self.granule + user.max(1).next_multiple_of(self.granule)
    }

    /// The block that holds the descriptor of the uncommitted range after it.
    fn range_block(&self) -> u64 {
        4 * self.granule
    }

    fn commit(&self, index: usize, segment: &Segment) -> u64 {
        let blocks: u64 = segment.blocks.iter().map(|block| self.block(block.size)).sum();
        let needed = self.first_block(index) + blocks + self.range_block();
        segment.commit.max(needed).next_multiple_of(PAGE)
    }
}
