//! Bytes over the heaps of a process, then walks of all of them: no panic, no
//! block outside of its heap, and no more blocks than bytes.
#![no_main]

use std::sync::OnceLock;

use dumpmap::evidence::heaps::HeapType;
use dumpmap::evidence::heaps::walk::{
    Scope, block_at, crt_block, page_heap_block, user_blocks, walk,
};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap::synth::PAGE_READWRITE;
use dumpmap::synth::heap::{Block, Heap, Segment, old_heap};
use dumpmap::synth::windows::{
    Allocation, Capture, Container, Layout, PageRange, Process, SegmentHeap,
};
use libfuzzer_sys::fuzz_target;

// The first byte chooses a heap; then come patches: an offset of three bytes
// and eight bytes that are XORed with what is there.
fuzz_target!(|bytes: &[u8]| {
    let Some((choice, patches)) = bytes.split_first() else { return };
    let bases = bases();
    let (start, size, layout) = &bases[usize::from(*choice) % bases.len()];
    let mut layout = layout.clone();
    for patch in patches.chunks_exact(11).take(64) {
        let offset = u64::from(u32::from_le_bytes([patch[0], patch[1], patch[2], 0]));
        let address = start + offset % size;
        let old = layout.read(address, 8).bytes;
        let new: Vec<u8> = old.iter().zip(&patch[3..]).map(|(old, new)| old ^ new).collect();
        layout.write(address, new);
    }
    look(layout.dump(Capture::Full).build());
});

fn look(dump: Vec<u8>) {
    let source = Source::from_bytes(dump);
    let Ok(analysis) = dumpmap::analyze(&source, &Limits::default()) else { return };
    let scope = Scope::of(&analysis.dump, &analysis.map, &analysis.evidence.heaps);
    for (index, heap) in scope.heaps.iter().enumerate() {
        let mut blocks = 0_u64;
        let mut sample = Vec::new();
        walk(&scope, index, &mut |block| {
            let inside = block
                .range()
                .is_some_and(|range| heap.parts.iter().any(|part| part.range.covers(range)));
            assert!(inside || heap.heap_type == Some(HeapType::Page), "{block:x?}");
            blocks += 1;
            if sample.len() < 8 {
                sample.push(*block);
            }
        });
        let bytes: u64 = heap.parts.iter().map(|part| part.range.size()).sum();
        assert!(blocks <= bytes || heap.heap_type == Some(HeapType::Page));
        for block in sample {
            let _ = (block_at(&scope, block.address), crt_block(&scope, &block));
            let _ = page_heap_block(&scope, &block);
        }
    }
    user_blocks(&scope);
}

/// Where each heap is, how many bytes of it are worth changing, the process.
fn bases() -> &'static [(u64, u64, Layout)] {
    static BASES: OnceLock<Vec<(u64, u64, Layout)>> = OnceLock::new();
    BASES.get_or_init(|| {
        let (lfh, segment) = (low_fragmentation(), segment_heap());
        let (plain, old) = (Process::x86().lay_out(), old());
        vec![
            (lfh.heaps[0].address, 0x1_0000, lfh),
            (plain.heaps[0].address, 0x4000, plain),
            (SEGMENT, 0xa000, segment.clone()),
            (HEADER, 0x400, segment),
            (OLD, 0x2000, old),
        ]
    })
}

const HEADER: u64 = 0x20_0000_0000;
const SEGMENT: u64 = 0x20_1000_0000;
const OLD: u64 = 0x30_0000;

fn low_fragmentation() -> Layout {
    const FRONT_END: u64 = 0x50_0000_0000;
    let three = [Block::busy(0x40), Block::busy(0x1000), Block::free(0x20)];
    let blocks = three.iter().cycle().take(18).cloned().collect();
    let segment = Segment { reserve: 0x10_0000, commit: 0x1_0000, blocks };
    let mut process = Process::x64();
    process.heaps = vec![Heap { segments: vec![segment], large: vec![0x9_0000], ..Heap::new() }];
    let mut layout = process.lay_out();
    let heap = layout.heaps[0].address;
    layout.write_pointer(heap + 0x198, FRONT_END);
    layout.write(heap + 0x1a2, [2]);
    let placed = layout.heaps[0].blocks.clone();
    let small: Vec<u64> =
        placed.iter().filter(|block| block.user_size == 0x40).map(|block| block.address).collect();
    let large = placed.iter().filter(|block| block.user_size == 0x1000);
    for (block, subsegment) in large.zip(small) {
        let plan = Container { block_size: 0x40, busy: vec![true; 60], unused: 8 };
        layout.add_container(block.address, subsegment + 16, FRONT_END, 0x1234_5678, &plan);
    }
    layout
}

fn segment_heap() -> Layout {
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
    let mut layout = Process::x64()
        .allocate(Allocation::private().at(HEADER).commit(0x1_0000, PAGE_READWRITE))
        .allocate(Allocation::private().at(SEGMENT).commit(0x10_0000, PAGE_READWRITE))
        .lay_out();
    layout.add_segment_heap(HEADER, SEGMENT, &plan);
    layout
}

fn old() -> Layout {
    let (bytes, _) = old_heap(OLD, 0x1_0000, &[Block::busy(0x31), Block::free(0x40)]);
    let memory = Allocation::private().at(OLD).commit(0x1_0000, PAGE_READWRITE).bytes(0, bytes);
    let mut layout = Process::x86().allocate(memory).lay_out();
    layout.set_process_heap(OLD);
    layout
}
