use crate::synth::heap::*;
use crate::synth::windows::{Layout, Process};

/// A walker with nothing in common with the encoder but the documented offsets: it starts from the heap's
/// address, follows the segment list and the block sizes, and decodes every header.
struct Walk<'a> {
    layout: &'a Layout,
    heap: u64,
    pointer: u64,
}

struct Entry {
    address: u64,
    size: u64,
    flags: u8,
    unused: u8,
}

impl Walk<'_> {
    fn at(&self, x86: u64, x64: u64) -> u64 {
        if self.pointer == 4 { x86 } else { x64 }
    }

    fn number(&self, address: u64, size: u64) -> u64 {
        let mut bytes = self.layout.read(address, size).bytes;
        bytes.resize(8, 0);
        u64::from_le_bytes(bytes.try_into().unwrap())
    }

    fn ptr(&self, address: u64) -> u64 {
        self.number(address, self.pointer)
    }

    fn ring(&self, head: u64) -> Vec<u64> {
        let mut nodes = Vec::new();
        let mut node = self.ptr(head);
        while node != head {
            assert_eq!(self.ptr(self.ptr(node) + self.pointer), node);
            nodes.push(node);
            node = self.ptr(node);
        }
        nodes
    }

    fn entry(&self, address: u64) -> [u8; 8] {
        let key = self.number(self.heap + self.at(0x50, 0x88), 8);
        let mask = self.number(self.heap + self.at(0x4c, 0x7c), 4);
        let raw = self.number(address + self.at(0, 8), 8);
        let decoded = if mask & 0x10_0000 == 0 { raw } else { raw ^ key };
        decoded.to_le_bytes()
    }

    fn segments(&self) -> Vec<u64> {
        let links = self.at(0x10, 0x18);
        let nodes = self.ring(self.heap + self.at(0xa4, 0x120));
        nodes.into_iter().map(|node| node - links).collect()
    }

    fn blocks(&self, segment: u64) -> Vec<Entry> {
        assert_eq!(self.number(segment + self.at(0x08, 0x10), 4), 0xffee_ffee);
        assert_eq!(self.ptr(segment + self.at(0x18, 0x28)), self.heap);
        let last = self.ptr(segment + self.at(0x28, 0x48));
        let range = self.ptr(segment + self.at(0x38, 0x60)) + self.at(8, 16);
        let (hole, hole_size) = (self.ptr(range), self.ptr(range + self.pointer));
        let mut entries: Vec<Entry> = Vec::new();
        let mut address = segment;
        let mut previous = 0;
        while address < last {
            if address == hole {
                address += hole_size;
                continue;
            }
            let [a, b, flags, check, c, d, _, unused] = self.entry(address);
            assert_eq!(check, a ^ b ^ flags);
            assert_eq!(u16::from_le_bytes([c, d]), previous);
            previous = u16::from_le_bytes([a, b]);
            let size = u64::from(previous) * self.at(8, 16);
            assert!(size > 0);
            entries.push(Entry { address, size, flags, unused });
            address += size;
        }
        assert_eq!(address, last);
        entries
    }
}

fn check(heap: Heap, mut process: Process) {
    process.heaps = vec![heap];
    let layout = process.lay_out();
    let truth = &layout.heaps[0];
    let walk =
        Walk { layout: &layout, heap: truth.address, pointer: process.kind.pointer_size() as u64 };
    let signature = walk.number(truth.address + walk.at(0x60, 0x98), 4);
    assert_eq!(signature, 0xeeff_eeff);

    let entries: Vec<Entry> = walk.segments().into_iter().flat_map(|s| walk.blocks(s)).collect();
    let walked: Vec<(u64, u64, bool)> =
        entries.iter().map(|entry| (entry.address, entry.size, entry.flags & 1 == 1)).collect();
    let expected: Vec<(u64, u64, bool)> = truth
        .blocks
        .iter()
        .map(|block| (block.address, block.size, block.kind != BlockKind::Free))
        .collect();
    assert_eq!(walked, expected);
    for (entry, block) in entries.iter().zip(&truth.blocks) {
        if block.kind == BlockKind::Busy {
            assert_eq!(entry.size - u64::from(entry.unused), block.user_size);
        }
    }

    let granule = walk.at(8, 16);
    let free = walk.ptr(truth.address + walk.at(0x74, 0xc0)) * granule;
    assert_eq!(free, truth.free_bytes);
    let listed = walk.ring(truth.address + walk.at(0xc0, 0x150)).len();
    let free_blocks = truth.blocks.iter().filter(|block| block.kind == BlockKind::Free);
    assert_eq!(listed, free_blocks.count());
    let counters = truth.address + walk.at(0x1f4, 0x238);
    assert_eq!(walk.ptr(counters), truth.reserved);
    assert_eq!(walk.ptr(counters + walk.pointer), truth.committed);
}

#[test]
fn default_heap_can_be_walked() {
    check(Heap::new(), Process::x64());
    check(Heap::new(), Process::x86());
    check(Heap::new(), Process::arm64());
}

#[test]
fn heap_without_encoding_can_be_walked() {
    let heap = Heap { encoding: None, ..Heap::new() };
    check(heap, Process::x64());
}

#[test]
fn heap_with_segments_of_every_shape_can_be_walked() {
    let segment = |reserve, commit, blocks| Segment { reserve, commit, blocks };
    let heap = Heap {
        segments: vec![
            segment(0x1_0000, 0, vec![Block::busy(1); 300]),
            segment(0x4000, 0x4000, vec![]),
            segment(0x40_0000, 0x30_0000, vec![Block::busy(0xf000), Block::free(1)]),
        ],
        large: vec![0x8_0000, 0x10_0001],
        ..Heap::new()
    };
    check(heap.clone(), Process::x64());
    check(heap, Process::x86());
}

#[test]
fn large_blocks_are_listed_with_their_sizes() {
    let mut process = Process::x64();
    process.heaps[0].large = vec![0x8_0000];
    let layout = process.lay_out();
    let walk = Walk { layout: &layout, heap: layout.heaps[0].address, pointer: 8 };
    let large = walk.ring(walk.heap + 0x110);
    assert_eq!(large.len(), 1);
    assert_eq!(walk.ptr(large[0] + 0x20), 0x8_1000);
    let [a, b, ..] = walk.entry(large[0] + 0x30);
    assert_eq!(0x8_1000 - u64::from(u16::from_le_bytes([a, b])), 0x8_0000);
}

#[test]
fn block_contents_are_where_the_program_sees_them() {
    let mut process = Process::x64();
    process.heaps[0].segments[0].blocks[0].contents = b"hello".to_vec();
    let layout = process.lay_out();
    let mut blocks = layout.heaps[0].blocks.iter();
    let busy = blocks.find(|block| block.kind == BlockKind::Busy).unwrap();
    assert_eq!(layout.read(busy.address + 16, 5).bytes, b"hello");
}
