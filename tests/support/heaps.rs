//! Heaps made for the purpose, and how they are walked and damaged.

use dumpmap::dump::Dump;
use dumpmap::evidence;
use dumpmap::evidence::heaps::walk::{Block, Reason, Scope, Walk, walk};
use dumpmap::limits::Limits;
use dumpmap::map::RegionMap;
use dumpmap::source::Source;
use dumpmap::synth::PAGE_READWRITE;
use dumpmap::synth::heap::{Block as Plan, BlockKind, Heap, PlacedBlock, Segment};
use dumpmap::synth::windows::{
    Allocation, Capture, Container, Layout, PageRange, Process, SegmentHeap,
};

/// Walks the process heap of a full dump.
pub(crate) fn check(
    layout: &Layout,
    flags: u64,
    look: impl FnOnce(&Scope<'_, '_>, Walk, Vec<Block>),
) {
    let mut dump = layout.dump(Capture::Full);
    dump.header.flags |= flags;
    let source = Source::from_bytes(dump.build());
    let dump = Dump::read(&source, &Limits::default()).unwrap();
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    let scope = Scope::of(&dump, &map, &evidence.heaps);
    let index = scope.heaps.iter().position(|heap| heap.is_default).unwrap();
    let mut blocks = Vec::new();
    let sums = walk(&scope, index, &mut |block| blocks.push(*block));
    look(&scope, sums, blocks);
}

pub(crate) fn sound(sums: &Walk) {
    assert_eq!(sums.problems, []);
    assert_eq!(sums.torn, []);
    assert_eq!(sums.missing, []);
    assert!(sums.complete);
}

pub(crate) fn reasons(sums: &Walk) -> Vec<(u64, Reason)> {
    sums.problems.iter().map(|problem| (problem.address, problem.reason)).collect()
}

/// Several segments, all kinds of blocks.
pub(crate) fn plan() -> Heap {
    let segment = |reserve, commit, blocks| Segment { reserve, commit, blocks };
    let mixed = vec![Plan::busy(0x30), Plan::free(0x50), Plan::busy(1), Plan::busy(0x2f8)];
    Heap {
        segments: vec![
            segment(0x10_0000, 0x8000, std::iter::repeat_n(mixed, 6).flatten().collect()),
            segment(0x4000, 0x4000, vec![Plan::busy(0x100); 8]),
            segment(0x10_0000, 0x2000, vec![]),
        ],
        large: vec![0x8_0000, 0x10_0001],
        ..Heap::new()
    }
}

pub(crate) fn nt(mut process: Process, plan: Heap) -> Layout {
    process.heaps = vec![plan];
    process.lay_out()
}

pub(crate) fn busy(layout: &Layout) -> Vec<PlacedBlock> {
    let blocks = layout.heaps[0].blocks.iter().copied();
    blocks.filter(|block| block.kind == BlockKind::Busy).collect()
}

/// Flips bits of a header's byte, and of the checksum's where `keep` says so.
pub(crate) fn damage(layout: &mut Layout, block: u64, byte: u64, bits: u8) {
    let at = block + 8 + byte;
    let stored = layout.read(at, 1).bytes[0];
    layout.write(at, [stored ^ bits]);
}

pub(crate) const FRONT_END: u64 = 0x50_0000_0000;

/// A heap with 12 containers of several sizes, some blocks of each busy.
pub(crate) fn low_fragmentation() -> (Layout, Vec<(u64, Container, u64)>) {
    let mut blocks = Vec::new();
    for _ in 0..12 {
        blocks.extend([Plan::busy(0x40), Plan::busy(0x1000), Plan::busy(0x20)]);
    }
    let segment = Segment { reserve: 0x10_0000, commit: 0x2_0000, blocks };
    let mut layout = nt(Process::x64(), Heap { segments: vec![segment], ..Heap::new() });
    let heap = layout.heaps[0].address;
    layout.write_pointer(heap + 0x198, FRONT_END);
    layout.write(heap + 0x1a2, [2]);
    let placed = busy(&layout);
    let mut containers = Vec::new();
    for (index, three) in placed.chunks(3).enumerate() {
        let block_size = 0x20 + 0x10 * (index as u64 % 5);
        let count = 0xf00 / block_size as usize;
        let busy = (0..count).map(|at| (at + index) % 3 != 0).collect();
        let plan = Container { block_size, busy, unused: 11 };
        let (subsegment, block) = (three[0].address + 16, three[1].address);
        let first = layout.add_container(block, subsegment, FRONT_END, 0x9e37_79b9, &plan);
        containers.push((block, plan, first));
    }
    (layout, containers)
}

/// A segment heap of so many segments, all alike, and where the ranges of all of them are.
pub(crate) fn segment_heap(segments: u64) -> (Layout, SegmentHeap, Vec<u64>) {
    let lfh = |block_size: u64, count: usize, unused| {
        let busy = (0..count).map(|index| index % 4 != 1).collect();
        PageRange::LowFragmentation(Container { block_size, busy, unused })
    };
    let plan = SegmentHeap {
        heap_key: 0x1234_5678_9abc_def1,
        lfh_key: 0xdead_4321,
        ranges: vec![
            (4, PageRange::VariableSize(vec![(0x110, true), (0x40, false), (0x2000, true)])),
            (1, lfh(0x10, 248, 3)),
            (1, lfh(0x30, 83, 0)),
            (2, lfh(0x20, 250, 5)),
            (1, lfh(0x60, 41, 9)),
            (3, PageRange::Pages(0x123)),
            (2, lfh(0x150, 24, 1)),
            (4, lfh(0x3d0, 16, 0)),
        ],
    };
    let at: Vec<u64> = (0..segments).map(|index| SEGMENT + index * 0x10_0000).collect();
    let mut process = Process::x64()
        .allocate(Allocation::private().at(SEGMENT_HEAP).commit(0x1_0000, PAGE_READWRITE));
    for segment in &at {
        let memory = Allocation::private().at(*segment).commit(0x10_0000, PAGE_READWRITE);
        process = process.allocate(memory);
    }
    let mut layout = process.lay_out();
    let ranges = layout.add_segment_heap(SEGMENT_HEAP, &at, &plan);
    (layout, plan, ranges)
}

pub(crate) const SEGMENT_HEAP: u64 = 0x20_0000_0000;
pub(crate) const SEGMENT: u64 = 0x20_1000_0000;

/// A process whose only heap worth a look is what these bytes are.
pub(crate) fn heap_of_bytes(process: Process, address: u64, bytes: Vec<u8>) -> Layout {
    let size = bytes.len() as u64;
    let memory = Allocation::private().at(address).commit(size, PAGE_READWRITE).bytes(0, bytes);
    let mut layout = process.allocate(memory).lay_out();
    layout.set_process_heap(address);
    layout
}

/// Blocks lie apart, but for those in containers, and inside their heap.
pub(crate) fn check_blocks(scope: &Scope<'_, '_>, index: usize, blocks: &[Block]) {
    let heap = &scope.heaps[index];
    let outer = |block: &&Block| block.place.container().is_none();
    let mut ranges: Vec<_> = blocks.iter().filter(outer).filter_map(Block::range).collect();
    ranges.sort_by_key(|range| range.start());
    assert!(ranges.is_sorted_by(|a, b| a.last() < b.start()));
    for block in blocks {
        let range = block.range().unwrap();
        assert!(heap.parts.iter().any(|part| part.range.covers(range)), "{block:x?}");
        assert!(block.user_size.is_none_or(|size| size <= block.size), "{block:x?}");
    }
}

/// Dumps of programs that wrote down what they did with heaps, and where.
pub(crate) const WRITTEN_DOWN: [(&str, &str); 8] = [
    ("x64-heaps.rw.dmp.zst", "x64-heaps.truth.json"),
    ("x64-basic.rw.dmp.zst", "x64-basic.truth.json"),
    ("x64-basic.full.dmp.zst", "x64-basic.truth.json"),
    ("x86-basic.rw.dmp.zst", "x86-basic.truth.json"),
    ("x86-basic.full.dmp.zst", "x86-basic.truth.json"),
    ("wow64-basic.full.dmp.zst", "wow64-basic.truth.json"),
    ("x64-leak-before.rw.dmp.zst", "x64-leak-before.truth.json"),
    ("x64-leak-after.rw.dmp.zst", "x64-leak-after.truth.json"),
];
