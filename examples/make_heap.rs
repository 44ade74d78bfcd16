//! Writes a full dump of a process with one large heap: what
//! `benches/heaps.py` measures walks with.
//!
//! ```sh
//! cargo run --release --example make_heap -- nt 256 /tmp/nt.dmp
//! ```
//!
//! `nt`: busy and free blocks of many sizes. `lfh`: most of the bytes in
//! containers of the low-fragmentation heap. `segment`: a segment heap.

use std::path::Path;

use dumpmap::synth::PAGE_READWRITE;
use dumpmap::synth::heap::{Block, BlockKind, Heap, Segment};
use dumpmap::synth::windows::{
    Allocation, Capture, Container, Layout, PageRange, Process, SegmentHeap,
};

const USAGE: &str = "usage: make_heap nt|lfh|segment MIB FILE";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, size, path] = args.as_slice() else { return Err(USAGE.into()) };
    let size = size.parse::<u64>()? << 20;
    let layout = match kind.as_str() {
        "nt" => nt(size),
        "lfh" => low_fragmentation(size),
        "segment" => segments(size),
        _ => return Err(USAGE.into()),
    };
    std::fs::write(Path::new(path), layout.dump(Capture::Full).build())?;
    Ok(())
}

/// Sizes as programs have them: most are small.
fn sizes() -> impl Iterator<Item = u64> {
    let mut seed = 1_u64;
    std::iter::repeat_with(move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = seed >> 33;
        match random % 64 {
            0 => 0x1000 + (random >> 8) % 0x7000,
            1..=7 => 0x200 + (random >> 8) % 0xe00,
            _ => 8 + (random >> 8) % 0x1f8,
        }
    })
}

/// Segments of just under 16 MiB, as Windows grows a heap.
fn heap(size: u64, mut next: impl FnMut() -> Block) -> Heap {
    const SEGMENT: u64 = 0xfd_0000;
    let segment = |_| {
        let mut blocks = Vec::new();
        let mut used = 0x1000;
        loop {
            let block = next();
            used += block.size.next_multiple_of(16) + 16;
            if used > SEGMENT - 0x1000 {
                break;
            }
            blocks.push(block);
        }
        Segment { reserve: SEGMENT, commit: SEGMENT, blocks }
    };
    Heap { segments: (0..size.div_ceil(SEGMENT)).map(segment).collect(), ..Heap::new() }
}

fn nt(size: u64) -> Layout {
    let mut sizes = sizes();
    let mut count = 0_u64;
    let heap = heap(size, || {
        count += 1;
        let size = sizes.next().unwrap_or(8);
        // Every eighth is free; two free ones never meet.
        if count.is_multiple_of(8) { Block::free(size) } else { Block::busy(size) }
    });
    Process { heaps: vec![heap], ..Process::x64() }.lay_out()
}

fn low_fragmentation(size: u64) -> Layout {
    const FRONT_END: u64 = 0x50_0000_0000;
    let mut place = 0_usize;
    let heap = heap(size, || {
        place = (place + 1) % 2;
        Block::busy([0x40, 0x4000][place])
    });
    let mut layout = Process { heaps: vec![heap], ..Process::x64() }.lay_out();
    let heap = layout.heaps[0].address;
    let placed: Vec<_> = layout.heaps[0].blocks.clone();
    let mut whole = std::mem::take(&mut layout.contents);
    let busy: Vec<_> = placed.iter().filter(|block| block.kind == BlockKind::Busy).collect();
    for (two, block_size) in busy.chunks_exact(2).zip((0x20..=0x100).step_by(16).cycle()) {
        let [one, other] = two else { continue };
        let (small, large) =
            if one.user_size < other.user_size { (one, other) } else { (other, one) };
        let count = 0x3e00 / block_size as usize;
        let busy = (0..count).map(|index| index % 5 != 0).collect();
        let plan = Container { block_size, busy, unused: 9 };
        // Only this block's memory is looked at: a layout reads all there is.
        copy_out(&whole, &mut layout, large.address, 16);
        layout.add_container(large.address, small.address + 16, FRONT_END, 0x9e37_79b9, &plan);
        merge(&mut whole, layout.contents.split_off(0));
    }
    layout.contents = whole;
    layout.write_pointer(heap + 0x198, FRONT_END);
    layout.write(heap + 0x1a2, [2]);
    layout
}

/// What `whole` has at an address, as the only contents of the layout.
fn copy_out(whole: &[dumpmap::synth::Memory], layout: &mut Layout, address: u64, size: u64) {
    let Some(memory) = whole.iter().find(|one| one.base <= address && address < one.end()) else {
        return;
    };
    let start = (address - memory.base) as usize;
    layout.write(address, &memory.bytes[start..start + size as usize]);
}

/// Writes what was added into the memory it lies in.
fn merge(whole: &mut [dumpmap::synth::Memory], added: Vec<dumpmap::synth::Memory>) {
    for new in added {
        let around = whole.iter_mut().find(|one| one.base <= new.base && new.end() <= one.end());
        if let Some(memory) = around {
            let start = (new.base - memory.base) as usize;
            memory.bytes[start..start + new.bytes.len()].copy_from_slice(&new.bytes);
        }
    }
}

fn segments(size: u64) -> Layout {
    const HEADER: u64 = 0x20_0000_0000;
    const FIRST: u64 = 0x20_1000_0000;
    const SEGMENT: u64 = 0x10_0000;
    let small = |block_size: u64, pages: u8| {
        // As many as fit, as Windows has it: two bits each, then the blocks.
        let bytes = u64::from(pages) * 0x1000;
        let fits = |count: &u64| {
            (0x30 + count.div_ceil(4)).next_multiple_of(16) + count * block_size <= bytes
        };
        let count = (1..bytes / block_size).rev().find(fits).unwrap_or(1);
        let busy = (0..count).map(|index| index % 5 != 0).collect();
        (pages, PageRange::LowFragmentation(Container { block_size, busy, unused: 3 }))
    };
    let mut sizes = sizes();
    let mut ranges = Vec::new();
    for round in 0..5 {
        let mut chunks = Vec::new();
        let mut used = 0x30;
        while used < 0xf000 {
            let size = (sizes.next().unwrap_or(8) + 0x10).next_multiple_of(16).min(0x800);
            chunks.push((size, chunks.len() % 8 != 7));
            used += size;
        }
        ranges.push((16, PageRange::VariableSize(chunks)));
        ranges.extend([0x20, 0x30, 0x50, 0x90].map(|size| small(size + 0x10 * round, 8)));
    }
    let addresses: Vec<u64> = (0..size / SEGMENT).map(|index| FIRST + index * SEGMENT).collect();
    let mut process =
        Process::x64().allocate(Allocation::private().at(HEADER).commit(0x1_0000, PAGE_READWRITE));
    for address in &addresses {
        process =
            process.allocate(Allocation::private().at(*address).commit(SEGMENT, PAGE_READWRITE));
    }
    let mut layout = process.lay_out();
    let plan = SegmentHeap { heap_key: 0x1234_5678_9abc_def1, lfh_key: 0xdead_4321, ranges };
    layout.add_segment_heap(HEADER, &addresses, &plan);
    layout
}
