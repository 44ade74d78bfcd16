//! The bytes of an NT heap: block headers, segment headers, `_HEAP`, and the rings that join them.

use super::{Block, BlockKind, BlockState, EncodedHeap, Heap, PAGE, PlacedBlock, Segment, Sizes};
use crate::synth::Memory;
use crate::synth::bytes::Canvas;

const SEGMENT_SIGNATURE: u32 = 0xffee_ffee;
const HEAP_SIGNATURE: u32 = 0xeeff_eeff;
const ENCODE_MASK: u32 = 0x10_0000;
/// Size is 16 bits wide; Windows stops below that.
const MAX_GRANULES: u64 = 0xfe00;

/// A segment with addresses.
struct Placed<'a> {
    plan: &'a Segment,
    base: u64,
    commit: u64,
    reserve: u64,
    blocks: Vec<PlacedBlock>,
}

impl Placed<'_> {
    fn end(&self) -> u64 {
        self.base + self.reserve
    }

    /// Address of the descriptor of the uncommitted range: the user part of the last block.
    fn range(&self, sizes: &Sizes) -> u64 {
        self.base + self.commit - sizes.range_block() + sizes.granule
    }
}

/// A block with an allocation of its own.
struct Large {
    base: u64,
    size: u64,
    user: u64,
}

pub(super) fn encode(heap: &Heap, bases: &[u64], sizes: &Sizes) -> EncodedHeap {
    let allocations = heap.allocations(sizes.pointer);
    let mut placed = bases.iter().zip(allocations);
    let segments: Vec<Placed<'_>> = heap
        .segments
        .iter()
        .zip(placed.by_ref().take(heap.segments.len()))
        .enumerate()
        .map(|(index, (plan, (&base, (commit, reserve))))| Placed {
            plan,
            base,
            commit,
            reserve,
            blocks: place_blocks(plan, index, base, commit, sizes),
        })
        .collect();
    let large: Vec<Large> = heap
        .large
        .iter()
        .zip(placed)
        .map(|(&user, (&base, (size, _)))| Large { base, size, user })
        .collect();

    let mut image = Image::new(heap, sizes);
    for segment in &segments {
        image.add(segment.base, segment.commit);
        write_blocks(segment, &mut image);
    }
    for block in &large {
        image.add(block.base, block.size);
        write_large(block, &mut image);
    }
    if let Some(first) = segments.first() {
        write_heap(heap, first.base, &segments, &large, &mut image);
        write_rings(first.base, &segments, &large, &mut image);
    }
    EncodedHeap {
        address: segments.first().map_or(0, |segment| segment.base),
        memory: image.into_memory(),
        free_bytes: free_bytes(&segments),
        reserved: segments.iter().map(|segment| segment.reserve).sum(),
        committed: segments.iter().map(|segment| segment.commit).sum(),
        blocks: segments.into_iter().flat_map(|segment| segment.blocks).collect(),
    }
}

/// Lays the blocks of a segment out: header, plan, what is left, range descriptor.
fn place_blocks(
    plan: &Segment,
    segment: usize,
    base: u64,
    commit: u64,
    sizes: &Sizes,
) -> Vec<PlacedBlock> {
    let mut blocks = vec![PlacedBlock {
        address: base,
        size: sizes.first_block(segment),
        user_size: 0,
        kind: BlockKind::Header,
        segment,
    }];
    for block in &plan.blocks {
        let size = sizes.block(block.size);
        match block.state {
            BlockState::Busy => push_block(&mut blocks, BlockKind::Busy, size, block.size),
            BlockState::Free => push_block(&mut blocks, BlockKind::Free, size, 0),
        }
    }
    let used: u64 = blocks.iter().map(|block| block.size).sum();
    let mut left = commit - sizes.range_block() - used;
    // A free block needs two granules, for its header and its list links.
    if let Some(last) = blocks.last_mut()
        && left == sizes.granule
    {
        last.size += left;
        left = 0;
    }
    while left > 0 {
        let size = left.min(MAX_GRANULES * sizes.granule);
        push_block(&mut blocks, BlockKind::Free, size, 0);
        left -= size;
    }
    push_block(&mut blocks, BlockKind::Range, sizes.range_block(), 0);
    blocks
}

fn push_block(blocks: &mut Vec<PlacedBlock>, kind: BlockKind, size: u64, user_size: u64) {
    let Some(&last) = blocks.last() else { return };
    blocks.push(PlacedBlock {
        address: last.address + last.size,
        size,
        user_size,
        kind,
        segment: last.segment,
    });
}

fn free_blocks<'a>(segments: &'a [Placed<'_>]) -> impl Iterator<Item = &'a PlacedBlock> {
    let blocks = segments.iter().flat_map(|segment| &segment.blocks);
    blocks.filter(|block| block.kind == BlockKind::Free)
}

fn free_bytes(segments: &[Placed<'_>]) -> u64 {
    free_blocks(segments).map(|block| block.size).sum()
}

/// The memory of the heap: one canvas per allocation, written by address.
struct Image<'a> {
    sizes: &'a Sizes,
    encoding: [u8; 8],
    parts: Vec<(u64, Canvas)>,
}

impl<'a> Image<'a> {
    fn new(heap: &Heap, sizes: &'a Sizes) -> Self {
        // Windows leaves SegmentOffset and UnusedBytes in clear.
        let mut encoding = heap.encoding.unwrap_or_default();
        encoding[6..].fill(0);
        Image { sizes, encoding, parts: Vec::new() }
    }

    fn add(&mut self, base: u64, size: u64) {
        let canvas = Canvas::new(size as usize, self.sizes.pointer);
        self.parts.push((base, canvas));
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        let part = self
            .parts
            .iter_mut()
            .find(|(base, canvas)| *base <= address && address < base + canvas.bytes.len() as u64);
        if let Some((base, canvas)) = part {
            canvas.set((address - *base) as usize, bytes);
        }
    }

    fn u32(&mut self, address: u64, value: u32) {
        self.write(address, &value.to_le_bytes());
    }

    fn ptr(&mut self, address: u64, value: u64) {
        let size = self.sizes.pointer;
        self.write(address, &value.to_le_bytes()[..size]);
    }

    /// Joins LIST_ENTRYs into a ring; the first is the head.
    fn ring(&mut self, nodes: &[u64]) {
        for (index, &node) in nodes.iter().enumerate() {
            let next = nodes[(index + 1) % nodes.len()];
            let previous = nodes[(index + nodes.len() - 1) % nodes.len()];
            self.ptr(node, next);
            self.ptr(node + self.sizes.pointer as u64, previous);
        }
    }

    /// HEAP_ENTRY of the block at `address`, encoded.
    fn entry(
        &mut self,
        address: u64,
        size: u16,
        flags: u8,
        previous: u16,
        segment: u8,
        unused: u8,
    ) {
        let [low, high] = size.to_le_bytes();
        let [previous_low, previous_high] = previous.to_le_bytes();
        let checksum = low ^ high ^ flags;
        let mut bytes = [low, high, flags, checksum, previous_low, previous_high, segment, unused];
        for (byte, key) in bytes.iter_mut().zip(self.encoding) {
            *byte ^= key;
        }
        self.write(address + self.sizes.header_at as u64, &bytes);
    }

    fn into_memory(self) -> Vec<Memory> {
        let parts = self.parts.into_iter();
        parts.map(|(base, canvas)| Memory::new(base, canvas.bytes)).collect()
    }
}

fn write_blocks(segment: &Placed<'_>, image: &mut Image<'_>) {
    let granule = image.sizes.granule;
    let mut plans = segment.plan.blocks.iter();
    let mut previous = 0;
    for block in &segment.blocks {
        let size = (block.size / granule) as u16;
        let (flags, unused) = match block.kind {
            BlockKind::Header => (0x01, 1),
            BlockKind::Busy => (0x01, (block.size - block.user_size) as u8),
            BlockKind::Free => (0x00, 0),
            BlockKind::Range => (0x11, 3), // busy, last
        };
        image.entry(block.address, size, flags, previous, block.segment as u8, unused);
        previous = size;
        if matches!(block.kind, BlockKind::Busy | BlockKind::Free)
            && let Some(plan) = plans.next()
            && block.kind == BlockKind::Busy
        {
            image.write(block.address + granule, contents(plan));
        }
    }
}

fn contents(plan: &Block) -> &[u8] {
    let size = plan.contents.len().min(plan.size as usize);
    &plan.contents[..size]
}

/// `_HEAP_VIRTUAL_ALLOC_ENTRY`: list links, sizes, and a header whose Size is the unused bytes.
fn write_large(block: &Large, image: &mut Image<'_>) {
    let pointer = image.sizes.pointer as u64;
    image.ptr(block.base + 4 * pointer, block.size);
    image.ptr(block.base + 5 * pointer, block.size);
    let unused = (block.size - block.user) as u16;
    image.entry(block.base + 6 * pointer, unused, 0x09, 0, 0, 4);
}

/// `_HEAP_SEGMENT` of every segment, and `_HEAP` in the first one.
fn write_heap(
    heap: &Heap,
    address: u64,
    segments: &[Placed<'_>],
    large: &[Large],
    image: &mut Image<'_>,
) {
    let sizes = image.sizes;
    let at = |x86: usize, x64: usize| sizes.at(x86, x64) as u64;
    for (index, segment) in segments.iter().enumerate() {
        let base = segment.base;
        let uncommitted = segment.reserve - segment.commit;
        image.u32(base + at(0x08, 0x10), SEGMENT_SIGNATURE);
        image.ptr(base + at(0x18, 0x28), address);
        image.ptr(base + at(0x1c, 0x30), base);
        image.u32(base + at(0x20, 0x38), (segment.reserve / PAGE) as u32);
        image.ptr(base + at(0x24, 0x40), base + sizes.first_block(index));
        image.ptr(base + at(0x28, 0x48), segment.end());
        image.u32(base + at(0x2c, 0x50), (uncommitted / PAGE) as u32);
        image.u32(base + at(0x30, 0x54), u32::from(uncommitted > 0));

        let range = segment.range(sizes);
        image.ptr(range + at(0x10, 0x20), base + segment.commit);
        image.ptr(range + at(0x14, 0x28), uncommitted);
    }

    image.u32(address + at(0x40, 0x70), heap.flags);
    if heap.encoding.is_some() {
        let encoding = image.encoding;
        image.u32(address + at(0x4c, 0x7c), ENCODE_MASK);
        image.write(address + at(0x50, 0x88), &encoding);
    }
    image.u32(address + at(0x60, 0x98), HEAP_SIGNATURE);
    image.ptr(address + at(0x64, 0xa0), 0x10_0000); // SegmentReserve
    image.ptr(address + at(0x68, 0xa8), 0x2000); // SegmentCommit
    image.ptr(address + at(0x74, 0xc0), free_bytes(segments) / sizes.granule);

    let counters = address + at(0x1f4, 0x238);
    let reserved: u64 = segments.iter().map(|segment| segment.reserve).sum();
    let committed: u64 = segments.iter().map(|segment| segment.commit).sum();
    let in_large: u64 = large.iter().map(|block| block.size).sum();
    image.ptr(counters, reserved);
    image.ptr(counters + at(0x04, 0x08), committed);
    // TotalMemoryLargeUCR: uncommitted ranges that are larger than any block.
    let uncommitted = segments.iter().map(|segment| segment.reserve - segment.commit);
    let large: u64 = uncommitted.filter(|size| *size >= MAX_GRANULES * sizes.granule).sum();
    image.ptr(counters + at(0x08, 0x10), large);
    image.ptr(counters + at(0x0c, 0x18), in_large);
    image.u32(counters + at(0x10, 0x20), segments.len() as u32);
    image.u32(counters + at(0x14, 0x24), segments.len() as u32);
}

fn write_rings(address: u64, segments: &[Placed<'_>], large: &[Large], image: &mut Image<'_>) {
    let sizes = image.sizes;
    let at = |x86: usize, x64: usize| sizes.at(x86, x64) as u64;
    let ring = |head: u64, nodes: &mut dyn Iterator<Item = u64>| -> Vec<u64> {
        std::iter::once(head).chain(nodes).collect()
    };

    let links = at(0x10, 0x18);
    let mut nodes = segments.iter().map(|segment| segment.base + links);
    image.ring(&ring(address + at(0xa4, 0x120), &mut nodes));

    let mut nodes = segments.iter().map(|segment| segment.range(sizes));
    image.ring(&ring(address + at(0x8c, 0xf0), &mut nodes));
    for segment in segments {
        let entry = segment.range(sizes) + 2 * sizes.pointer as u64;
        image.ring(&[segment.base + at(0x38, 0x60), entry]);
    }

    let mut free: Vec<&PlacedBlock> = free_blocks(segments).collect();
    free.sort_by_key(|block| block.size);
    let mut nodes = free.iter().map(|block| block.address + sizes.granule);
    image.ring(&ring(address + at(0xc0, 0x150), &mut nodes));

    let mut nodes = large.iter().map(|block| block.base);
    image.ring(&ring(address + at(0x9c, 0x110), &mut nodes));
}
