//! The dumps: heaps that `synth` makes, and fixtures that hold some of one.

use dumpmap::synth::debug_heap::{self, PageHeap};
use dumpmap::synth::heap::{Block, BlockKind, Heap, Segment, old_heap, wine_heap};
use dumpmap::synth::windows::{
    Allocation, Capture, Container, Layout, PageRange, Process, SegmentHeap,
};
use dumpmap::synth::{Memory, PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE};

const PAGE: u64 = 0x1000;

pub(super) fn dumps() -> Vec<Vec<u8>> {
    let clear = Heap { encoding: None, ..mixed() };
    let (full, root) = page_heap();
    let mut all = vec![
        nt(Process::x64(), mixed()),
        nt(Process::x86(), mixed()),
        nt(Process::arm64(), mixed()),
        nt(Process::x64(), clear),
        nt(Process::x64(), debug_blocks(8)),
        nt(Process::x86(), debug_blocks(4)),
        low_fragmentation(),
        segment_heap(),
        allocated(Process::x86(), 0x30_0000, old_heap(0x30_0000, 0x8000, &blocks()).0),
        allocated(
            Process::x64(),
            0x20_0030_0000,
            wine_heap(0x20_0030_0000, 0x8000, &blocks(), 0x30, 8).0,
        ),
        allocated(Process::x86(), 0x30_0000, wine_heap(0x30_0000, 0x8000, &blocks(), 0x20, 4).0),
        small(&full, &root),
    ];
    let fixtures: [&[u8]; 3] = [
        include_bytes!("../../../fixtures/scenarios/x64-basic.mini.dmp"),
        include_bytes!("../../../fixtures/scenarios/x64-crash-null.mini.dmp"),
        include_bytes!("../../../fixtures/unlisted-image.dmp"),
    ];
    all.extend(fixtures.map(<[u8]>::to_vec));
    all
}

/// A dump of PEB, TEBs and these ranges only, a record a page.
fn small(layout: &Layout, ranges: &[(u64, u64)]) -> Vec<u8> {
    let mut dump = layout.dump(Capture::MapOnly);
    let mut ranges = ranges.to_vec();
    ranges.push((layout.peb, PAGE));
    ranges.extend(layout.threads.iter().map(|thread| (thread.teb, 2 * PAGE)));
    ranges.sort_unstable();
    let pages = ranges.iter().flat_map(|(start, size)| {
        (*start..start + size).step_by(PAGE as usize).map(|page| layout.read(page, PAGE))
    });
    dump.memory64 = Some(pages.collect::<Vec<Memory>>());
    dump.header.flags = 2;
    dump.build()
}

fn blocks() -> Vec<Block> {
    let three = [Block::busy(0x31), Block::free(0x50), Block::busy(0x208)];
    three.iter().cycle().take(18).cloned().collect()
}

fn segment(commit: u64, blocks: Vec<Block>) -> Segment {
    Segment { reserve: 0x10_0000, commit, blocks }
}

fn mixed() -> Heap {
    Heap {
        segments: vec![segment(0x5000, blocks()), segment(0x2000, vec![Block::busy(0x100); 6])],
        large: vec![0x4000],
        ..Heap::new()
    }
}

fn debug_blocks(pointer_size: usize) -> Heap {
    let block = |contents: Vec<u8>| Block {
        contents: contents.clone(),
        ..Block::busy(contents.len() as u64)
    };
    let blocks = vec![
        block(debug_heap::crt_block(b"hello", 1234, pointer_size)),
        block(debug_heap::page_heap_block(PageHeap::Light, 0x1234_0000, 77, pointer_size)),
        Block::busy(0x80),
        block(debug_heap::crt_block(b"", 1235, pointer_size)),
    ];
    Heap { segments: vec![segment(0x3000, blocks)], ..Heap::new() }
}

fn nt(mut process: Process, plan: Heap) -> Vec<u8> {
    process.heaps = vec![plan];
    let layout = process.lay_out();
    let ranges = ranges_of(&layout);
    small(&layout, &ranges)
}

fn ranges_of(layout: &Layout) -> Vec<(u64, u64)> {
    let memory = layout.heaps.iter().flat_map(|heap| &heap.memory);
    memory.map(|memory| (memory.base, memory.bytes.len() as u64)).collect()
}

fn allocated(process: Process, address: u64, bytes: Vec<u8>) -> Vec<u8> {
    let size = bytes.len() as u64;
    let memory = Allocation::private().at(address).commit(size, PAGE_READWRITE).bytes(0, bytes);
    let mut layout = process.allocate(memory).lay_out();
    layout.set_process_heap(address);
    small(&layout, &[(address, size)])
}

fn low_fragmentation() -> Vec<u8> {
    const FRONT_END: u64 = 0x50_0000_0000;
    let three = [Block::busy(0x40), Block::busy(0x1000), Block::free(0x20)];
    let plan = three.iter().cycle().take(18).cloned().collect();
    let mut process = Process::x64();
    process.heaps = vec![Heap { segments: vec![segment(0x9000, plan)], ..Heap::new() }];
    let mut layout = process.lay_out();
    let heap = layout.heaps[0].address;
    layout.write_pointer(heap + 0x198, FRONT_END);
    layout.write(heap + 0x1a2, [2]);
    let placed = layout.heaps[0].blocks.clone();
    let busy: Vec<_> = placed.iter().filter(|block| block.kind == BlockKind::Busy).collect();
    for two in busy.chunks_exact(2) {
        let plan = Container { block_size: 0x40, busy: vec![true; 60], unused: 8 };
        layout.add_container(two[1].address, two[0].address + 16, FRONT_END, 0x1234_5678, &plan);
    }
    let ranges = ranges_of(&layout);
    small(&layout, &ranges)
}

fn segment_heap() -> Vec<u8> {
    const HEADER: u64 = 0x20_0000_0000;
    const SEGMENTS: [u64; 2] = [0x20_1000_0000, 0x20_1010_0000];
    let blocks = |block_size, count| {
        let busy = (0..count).map(|index| index % 3 != 0).collect();
        PageRange::LowFragmentation(Container { block_size, busy, unused: 3 })
    };
    let plan = SegmentHeap {
        heap_key: 0x1234_5678_9abc_def1,
        lfh_key: 0xdead_4321,
        ranges: vec![
            (2, PageRange::VariableSize(vec![(0x110, true), (0x40, false), (0x600, true)])),
            (1, blocks(0x10, 240)),
            (1, blocks(0x30, 80)),
            (1, blocks(0x60, 40)),
            (1, blocks(0x150, 11)),
            (2, PageRange::Pages(0x10)),
        ],
    };
    let mut process =
        Process::x64().allocate(Allocation::private().at(HEADER).commit(0x1_0000, PAGE_READWRITE));
    for segment in SEGMENTS {
        process =
            process.allocate(Allocation::private().at(segment).commit(0x10_0000, PAGE_READWRITE));
    }
    let mut layout = process.lay_out();
    layout.add_segment_heap(HEADER, &SEGMENTS, &plan);
    small(&layout, &[(HEADER, PAGE), (SEGMENTS[0], 0xa000), (SEGMENTS[1], 0xa000)])
}

/// A full page heap of four blocks, and what of it is captured.
fn page_heap() -> (Layout, Vec<(u64, u64)>) {
    const HEAP: u64 = 0x20_0000_0000;
    let reserved = Allocation { protect: PAGE_NOACCESS, ..Allocation::private() };
    let handle = [vec![0xee; 0x1000], 0xffee_ddcc_u32.to_le_bytes().to_vec()].concat();
    let mut process = Process::x64().allocate(
        reserved
            .clone()
            .at(HEAP)
            .commit(PAGE, PAGE_READONLY)
            .commit(PAGE, PAGE_READWRITE)
            .reserve(0xe000)
            .bytes(0, handle),
    );
    let mut ranges = vec![(HEAP, 2 * PAGE)];
    for index in 0..4_u64 {
        let size = 0x123 + 0x50 * index;
        let info = debug_heap::page_heap_block(PageHeap::Full, HEAP + PAGE, size, 8);
        let user = PAGE - size.next_multiple_of(16);
        let mut page = vec![0; (user - 0x40) as usize];
        page.extend(info);
        page.resize(PAGE as usize, 0xd0);
        let block = HEAP + 0x1000_0000 + 0x1_0000 * index;
        process = process.allocate(
            reserved.clone().at(block).commit(PAGE, PAGE_READWRITE).reserve(0xf000).bytes(0, page),
        );
        ranges.push((block, PAGE));
    }
    let mut layout = process.lay_out();
    layout.set_process_heap(HEAP);
    (layout, ranges)
}
