//! Walks of heaps made for the purpose: sound ones have no problem, and each
//! kind of damage is found where it was put.

use dumpmap::dump::Dump;
use dumpmap::evidence;
use dumpmap::evidence::heaps::walk::{
    Block, CrtUse, MissingWhy, Reason, Scope, State, Walk, block_at, crt_block, page_heap_block,
    walk,
};
use dumpmap::limits::Limits;
use dumpmap::map::RegionMap;
use dumpmap::source::Source;
use dumpmap::synth::debug_heap::{self, PageHeap};
use dumpmap::synth::heap::{self, Block as Plan, BlockKind, Heap, PlacedBlock, Segment, old_heap};
use dumpmap::synth::windows::{
    Allocation, Capture, Container, Layout, PageRange, Process, SegmentHeap,
};
use dumpmap::synth::{PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE};

/// Walks the process heap of a full dump.
fn check(layout: &Layout, flags: u64, look: impl FnOnce(&Scope<'_, '_>, Walk, Vec<Block>)) {
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

fn sound(sums: &Walk) {
    assert_eq!(sums.problems, []);
    assert_eq!(sums.torn, []);
    assert_eq!(sums.missing, []);
    assert!(sums.complete);
}

fn reasons(sums: &Walk) -> Vec<(u64, Reason)> {
    sums.problems.iter().map(|problem| (problem.address, problem.reason)).collect()
}

/// Several segments, all kinds of blocks.
fn plan() -> Heap {
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

fn nt(mut process: Process, plan: Heap) -> Layout {
    process.heaps = vec![plan];
    process.lay_out()
}

fn busy(layout: &Layout) -> Vec<PlacedBlock> {
    let blocks = layout.heaps[0].blocks.iter().copied();
    blocks.filter(|block| block.kind == BlockKind::Busy).collect()
}

#[test]
fn sound_nt_heaps() {
    let clear = Heap { encoding: None, ..plan() };
    for (process, plan) in [
        (Process::x64(), plan()),
        (Process::x86(), plan()),
        (Process::arm64(), plan()),
        (Process::x64(), clear.clone()),
        (Process::x86(), clear),
    ] {
        let large = plan.large.clone();
        let layout = nt(process, plan);
        check(&layout, 0, |_, sums, blocks| {
            sound(&sums);
            let truth = &layout.heaps[0];
            let walked: Vec<_> = blocks
                .iter()
                .filter(|block| block.state != State::Busy || block.size < 0x8_0000)
                .map(|block| (block.start, block.size))
                .collect();
            let expected: Vec<_> =
                truth.blocks.iter().map(|block| (block.address, block.size)).collect();
            assert_eq!(walked, expected);
            assert_eq!(sums.free_bytes, truth.free_bytes);
            for placed in busy(&layout) {
                let block = blocks.iter().find(|block| block.start == placed.address).unwrap();
                assert_eq!((block.state, block.user_size), (State::Busy, Some(placed.user_size)));
            }
            let own: Vec<_> = blocks.iter().filter(|block| block.size >= 0x8_0000).collect();
            let sizes: Vec<_> = own.iter().map(|block| block.user_size.unwrap()).collect();
            assert_eq!(sizes, large);
        });
    }
}

#[test]
fn the_block_at_an_address() {
    let layout = nt(Process::x64(), plan());
    let [_, second, third, ..] = busy(&layout)[..] else { panic!() };
    check(&layout, 0, |scope, _, _| {
        let found = block_at(scope, second.address + 0x11).unwrap();
        assert_eq!(found.block.start, second.address);
        assert_eq!(found.previous.unwrap().state, State::Free);
        assert_eq!(found.next.unwrap().start, third.address);
        let heap = layout.heaps[0].address;
        assert!(block_at(scope, heap).unwrap().previous.is_none());
        assert!(block_at(scope, heap + 0xf_0000).is_none(), "not committed");
        assert!(block_at(scope, 0x10).is_none());
    });
}

/// Flips bits of a header's byte, and of the checksum's where `keep` says so.
fn damage(layout: &mut Layout, block: u64, byte: u64, bits: u8) {
    let at = block + 8 + byte;
    let stored = layout.read(at, 1).bytes[0];
    layout.write(at, [stored ^ bits]);
}

#[test]
fn a_damaged_checksum() {
    let mut layout = nt(Process::x64(), plan());
    let block = busy(&layout)[4].address;
    damage(&mut layout, block, 3, 0x40);
    check(&layout, 0, |_, sums, blocks| {
        assert_eq!(reasons(&sums), [(block, Reason::Checksum)]);
        assert!(!sums.complete);
        let [missing] = sums.missing[..] else { panic!("{sums:x?}") };
        assert_eq!(missing.why, MissingWhy::BehindDamage);
        assert_eq!(missing.range.unwrap().start(), block);
        // All but the damaged one.
        let placed = busy(&layout);
        let found = placed.iter().filter(|placed| {
            blocks.iter().any(|block| block.start == placed.address && block.state == State::Busy)
        });
        assert_eq!(found.count(), placed.len() - 1);
    });
}

#[test]
fn nothing_is_damaged_in_a_scrubbed_dump() {
    let mut layout = nt(Process::x64(), plan());
    let block = busy(&layout)[4].address;
    damage(&mut layout, block, 3, 0x40);
    for flag in [0x8, 0x10_0000] {
        check(&layout, flag, |_, sums, _| {
            assert_eq!(sums.problems, []);
            assert!(sums.missing.iter().any(|missing| missing.why == MissingWhy::Scrubbed));
        });
    }
}

#[test]
fn a_wrong_previous_size() {
    let mut layout = nt(Process::x64(), plan());
    let block = busy(&layout)[4].address;
    damage(&mut layout, block, 4, 1);
    check(&layout, 0, |_, sums, _| {
        assert_eq!(reasons(&sums), [(block, Reason::PreviousSize)]);
        assert_eq!(sums.missing, []);
    });
}

#[test]
fn a_size_of_zero_and_one_past_the_end() {
    let sizes = |granules: u16, expected| {
        let mut layout = nt(Process::x64(), plan());
        let placed = busy(&layout)[4];
        let own = (placed.size / 16) as u16;
        let [low, high] = (own ^ granules).to_le_bytes();
        damage(&mut layout, placed.address, 0, low);
        damage(&mut layout, placed.address, 1, high);
        damage(&mut layout, placed.address, 3, low ^ high);
        check(&layout, 0, |_, sums, _| {
            assert_eq!(reasons(&sums), [(placed.address, expected)]);
        });
    };
    sizes(0, Reason::ZeroSize);
    sizes(0xffff, Reason::Overrun);
}

#[test]
fn links_that_do_not_lead_back() {
    let layout = nt(Process::x64(), plan());
    let free = layout.heaps[0].blocks.iter().find(|block| block.kind == BlockKind::Free).unwrap();
    let links = free.address + 16;
    let mut broken = layout.clone();
    broken.write_pointer(links + 8, 0x10);
    check(&broken, 0, |_, sums, _| assert_eq!(reasons(&sums), [(links, Reason::Links)]));
    let mut cycle = layout.clone();
    cycle.write_pointer(links, links);
    check(&cycle, 0, |_, sums, _| {
        assert!(sums.problems.iter().any(|problem| problem.reason == Reason::Links), "{sums:x?}");
    });
}

#[test]
fn totals_that_differ() {
    let layout = nt(Process::x64(), plan());
    let heap = layout.heaps[0].address;
    let granules = layout.heaps[0].free_bytes / 16;
    let with_total = |total: u64, look: &dyn Fn(Walk)| {
        let mut layout = layout.clone();
        layout.write_pointer(heap + 0xc0, total);
        check(&layout, 0, |_, sums, _| look(sums));
    };
    with_total(granules + 0x1000, &|sums| {
        assert_eq!(reasons(&sums), [(heap, Reason::FreeTotal)]);
    });
    with_total(granules - 3, &|sums| {
        assert_eq!(sums.problems, []);
        assert_eq!(sums.torn[0].reason, Reason::FreeTotal);
    });
    let mut counted = layout.clone();
    counted.write(heap + 0x238 + 0x20, 9_u32.to_le_bytes());
    check(&counted, 0, |_, sums, _| assert_eq!(reasons(&sums), [(heap, Reason::SegmentCount)]));
}

#[test]
fn an_uncommitted_range_outside_of_its_segment() {
    let mut layout = nt(Process::x64(), plan());
    let blocks = &layout.heaps[0].blocks;
    let range = blocks.iter().find(|block| block.kind == BlockKind::Range).unwrap().address + 16;
    layout.write_pointer(range + 0x20, 0x7000_0000);
    check(&layout, 0, |_, sums, _| {
        assert!(reasons(&sums).contains(&(range, Reason::UncommittedRange)), "{sums:x?}");
    });
}

const FRONT_END: u64 = 0x50_0000_0000;

/// A heap with 12 containers of several sizes, some blocks of each busy.
fn low_fragmentation() -> (Layout, Vec<(u64, Container, u64)>) {
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

#[test]
fn a_low_fragmentation_heap() {
    let (layout, containers) = low_fragmentation();
    check(&layout, 0, |scope, sums, blocks| {
        sound(&sums);
        let width = scope.heaps[0].width;
        assert_eq!(scope.keys.low_fragmentation(width), Some(0x9e37_79b9));
        assert_eq!(sums.entries.containers, 12);
        for (start, plan, first) in &containers {
            let of: Vec<_> =
                blocks.iter().filter(|block| block.place.container() == Some(*start)).collect();
            assert_eq!(of.len(), plan.busy.len());
            for (index, (block, busy)) in of.iter().zip(&plan.busy).enumerate() {
                assert_eq!(block.start, first + index as u64 * plan.block_size);
                let state = if *busy { State::Busy } else { State::Free };
                assert_eq!(block.state, state);
                assert!(!busy || block.user_size == Some(plan.block_size - 11));
            }
        }
        let (start, plan, first) = &containers[5];
        let found = block_at(scope, first + plan.block_size + 9).unwrap();
        assert_eq!(found.block.start, first + plan.block_size);
        assert_eq!(found.container.unwrap().start, *start);
        assert_eq!(found.previous.unwrap().start, *first);
        assert_eq!(found.next.unwrap().start, first + 2 * plan.block_size);
        let bytes: u64 = blocks
            .iter()
            .filter(|block| block.place.container().is_none())
            .map(|block| block.size)
            .sum();
        assert_eq!(sums.busy_bytes + sums.free_bytes + sums.internal_bytes, bytes);
    });
}

#[test]
fn containers_whose_headers_are_damaged() {
    let (mut layout, containers) = low_fragmentation();
    for (block, ..) in &containers[..6] {
        let stored = layout.read(block + 11, 1).bytes[0];
        layout.write(block + 11, [stored ^ 0x55]);
    }
    check(&layout, 0, |_, sums, blocks| {
        assert!(!sums.problems.is_empty());
        for (start, plan, _) in &containers {
            let of = blocks.iter().filter(|block| block.place.container() == Some(*start));
            assert_eq!(of.count(), plan.busy.len(), "{start:x}");
        }
    });
}

fn segment_heap() -> (Layout, SegmentHeap, Vec<u64>) {
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
    let (heap, segment) = (0x20_0000_0000, 0x20_1000_0000);
    let mut layout = Process::x64()
        .allocate(Allocation::private().at(heap).commit(0x1_0000, PAGE_READWRITE))
        .allocate(Allocation::private().at(segment).commit(0x10_0000, PAGE_READWRITE))
        .lay_out();
    let ranges = layout.add_segment_heap(heap, segment, &plan);
    (layout, plan, ranges)
}

#[test]
fn a_segment_heap() {
    let (layout, plan, ranges) = segment_heap();
    check(&layout, 0, |scope, sums, blocks| {
        sound(&sums);
        let width = scope.heaps[0].width;
        assert_eq!(scope.keys.heap(width), Some(plan.heap_key));
        for ((units, range), address) in plan.ranges.iter().zip(&ranges) {
            let of: Vec<_> =
                blocks.iter().filter(|block| block.place.container() == Some(*address)).collect();
            match range {
                PageRange::VariableSize(chunks) => {
                    let found: Vec<_> =
                        of.iter().map(|block| (block.size, block.state == State::Busy)).collect();
                    assert_eq!(found[..chunks.len()], chunks[..]);
                    assert_eq!(found.len(), chunks.len() + 1);
                }
                PageRange::LowFragmentation(container) => {
                    let states: Vec<_> =
                        of.iter().map(|block| block.state == State::Busy).collect();
                    assert_eq!(states, container.busy);
                    let user = container.block_size - u64::from(container.unused);
                    let busy = of.iter().filter(|block| block.state == State::Busy);
                    assert!(busy.clone().all(|block| block.user_size == Some(user)));
                }
                PageRange::Pages(unused) => {
                    let block = blocks.iter().find(|block| block.start == *address).unwrap();
                    assert_eq!(block.state, State::Busy);
                    let size = u64::from(*units) * 0x1000;
                    assert_eq!(block.user_size, Some(size - u64::from(*unused)));
                }
            }
        }
        let found = block_at(scope, ranges[0] + 0x30 + 0x111).unwrap();
        assert_eq!((found.block.size, found.block.state), (0x40, State::Free));
        assert_eq!(found.container.unwrap().start, ranges[0]);
        assert_eq!(found.previous.unwrap().size, 0x110);
    });
}

#[test]
fn a_damaged_chunk_and_a_damaged_subsegment() {
    let (layout, _, ranges) = segment_heap();
    let mut chunk = layout.clone();
    let at = ranges[0] + 0x30 + 0x110 + 0x40;
    chunk.write(at + 4, [chunk.read(at + 4, 1).bytes[0] ^ 1]);
    check(&chunk, 0, |_, sums, _| assert_eq!(reasons(&sums), [(at, Reason::PreviousSize)]));
    let mut subsegment = layout.clone();
    subsegment.write(ranges[0] + 0x20, [0x77]);
    check(&subsegment, 0, |_, sums, _| {
        assert_eq!(reasons(&sums), [(ranges[0], Reason::Header)]);
    });
}

#[test]
fn a_heap_of_xp() {
    let address = 0x30_0000;
    let plan = [Plan::busy(0x31), Plan::free(0x40), Plan::busy(0x200)];
    let (bytes, users) = old_heap(address, 0x1_0000, &plan);
    let mut layout = Process::x86()
        .allocate(
            Allocation::private().at(address).commit(0x1_0000, PAGE_READWRITE).bytes(0, bytes),
        )
        .lay_out();
    layout.set_process_heap(address);
    check(&layout, 0, |_, sums, blocks| {
        sound(&sums);
        assert_eq!((sums.entries.busy, sums.entries.free), (4, 2));
        for (plan, user) in plan.iter().zip(&users) {
            let block = blocks.iter().find(|block| block.address == *user).unwrap();
            match plan.state {
                heap::BlockState::Busy => assert_eq!(block.user_size, Some(plan.size)),
                heap::BlockState::Free => assert_eq!(block.state, State::Free),
            }
        }
    });
    let damaged = users[2] - 8;
    layout.write(damaged + 2, [0x77]);
    check(&layout, 0, |_, sums, _| {
        assert_eq!(reasons(&sums), [(damaged, Reason::PreviousSize)]);
    });
}

#[test]
fn blocks_of_debug_heaps() {
    for (process, pointer) in [(Process::x64(), 8), (Process::x86(), 4)] {
        let crt = debug_heap::crt_block(b"hello", 1234, pointer);
        let light = debug_heap::page_heap_block(PageHeap::Light, 0x1234_0000, 77, pointer);
        let block = |contents: Vec<u8>| Plan {
            contents: contents.clone(),
            ..Plan::busy(contents.len() as u64)
        };
        let blocks = vec![block(crt), block(light), Plan::busy(0x80)];
        let segment = Segment { reserve: 0x10_0000, commit: 0x4000, blocks };
        let layout = nt(process, Heap { segments: vec![segment], ..Heap::new() });
        check(&layout, 0, |scope, sums, blocks| {
            sound(&sums);
            let found: Vec<_> = blocks.iter().filter_map(|block| crt_block(scope, block)).collect();
            let [crt] = found[..] else { panic!("{found:x?}") };
            assert_eq!((crt.size, crt.request, crt.usage), (5, 1234, CrtUse::Normal));
            assert_eq!((crt.intact, crt.line), (Some(true), None));
            let found: Vec<_> =
                blocks.iter().filter_map(|block| page_heap_block(scope, block)).collect();
            let [page] = found[..] else { panic!("{found:x?}") };
            assert_eq!((page.size, page.full, page.busy), (77, false, true));
        });
    }
}

#[test]
fn a_full_page_heap() {
    let heap = 0x20_0000_0000;
    let size = 0x123_u64;
    let info = debug_heap::page_heap_block(PageHeap::Full, heap + 0x1000, size, 8);
    let user = 0x1000 - size.next_multiple_of(16);
    let mut page = vec![0; (user - 0x40) as usize];
    page.extend(info);
    page.resize(0x1000, 0xd0);
    let reserved = Allocation { protect: PAGE_NOACCESS, ..Allocation::private() };
    let handle = [vec![0xee; 0x1000], 0xffee_ddcc_u32.to_le_bytes().to_vec()].concat();
    let block = heap + 0x1000_0000;
    let mut layout = Process::x64()
        .allocate(
            reserved
                .clone()
                .at(heap)
                .commit(0x1000, PAGE_READONLY)
                .commit(0x1000, PAGE_READWRITE)
                .reserve(0xe000)
                .bytes(0, handle),
        )
        .allocate(reserved.at(block).commit(0x1000, PAGE_READWRITE).reserve(0xf000).bytes(0, page))
        .lay_out();
    layout.set_process_heap(heap);
    check(&layout, 0, |scope, sums, blocks| {
        assert_eq!(sums.problems, []);
        let [only] = blocks[..] else { panic!("{blocks:x?}") };
        assert_eq!((only.address, only.user_size), (block + user, Some(size)));
        assert_eq!(block_at(scope, block + user + 5).unwrap().block, only);
        assert_eq!(page_heap_block(scope, &only).unwrap().size, size);
    });
    layout.write(block + user + size + 2, [0]);
    check(&layout, 0, |_, sums, _| {
        assert_eq!(reasons(&sums), [(block + user + size + 2, Reason::Stamp)]);
    });
}

#[test]
fn random_damage_never_panics_or_hangs() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (lfh, containers) = low_fragmentation();
    let (segment, _, ranges) = segment_heap();
    let clear = nt(Process::x86(), Heap { encoding: None, ..plan() });
    let starts = [
        (lfh.heaps[0].address, 0x2_0000, lfh),
        (containers[0].0, 0x2000, low_fragmentation().0),
        (0x20_1000_0000, 0x2000, segment.clone()),
        (ranges[0], 0x6000, segment.clone()),
        (0x20_0000_0000, 0x400, segment),
        (clear.heaps[0].address, 0x8000, clear),
    ];
    for round in 0..240 {
        let (start, size, layout) = &starts[round % starts.len()];
        let mut layout = layout.clone();
        for _ in 0..=random(20) {
            let at = start + random(*size) / 4 * 4;
            let known = [0, 1, *start, u64::from(u32::MAX), u64::MAX, random(u64::MAX), at];
            let value = known[random(known.len() as u64) as usize];
            let width = [1, 2, 4, 8][random(4) as usize];
            layout.write(at, &value.to_le_bytes()[..width]);
        }
        check(&layout, 0, |scope, _, blocks| {
            for block in blocks.iter().take(20) {
                let _ = block_at(scope, block.address);
                let _ = (crt_block(scope, block), page_heap_block(scope, block));
            }
        });
    }
}
