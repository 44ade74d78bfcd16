//! Walks of heaps made for the purpose: sound ones have no problem, and what
//! debug heaps write into blocks is found.

mod support;

use dumpmap::evidence::heaps::walk::{CrtUse, Reason, State, block_at, crt_block, page_heap_block};
use dumpmap::synth::debug_heap::{self, PageHeap};
use dumpmap::synth::heap::{self, Block as Plan, Heap, Segment, old_heap};
use dumpmap::synth::windows::{Allocation, Capture, Layout, PageRange, Process};
use dumpmap::synth::{PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE};

use support::heaps::*;

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
            assert_eq!(sums.entries.free_bytes, truth.free_bytes);
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

#[test]
fn a_low_fragmentation_heap() {
    let (layout, containers) = low_fragmentation();
    check(&layout, 0, |scope, sums, blocks| {
        sound(&sums);
        let width = scope.heaps[0].width;
        assert_eq!(scope.keys.low_fragmentation(width), Some(0x9e37_79b9));
        assert_eq!(sums.entries.containers, 12);
        // One free entry: free blocks of the low-fragmentation heap do not count.
        assert_eq!(sums.entries.free, 1);
        assert_eq!(sums.external_fragmentation(), Some(0));
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
fn a_segment_heap() {
    let (layout, plan, ranges) = segment_heap(1);
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
        let (block, text) = explain(&layout, busy(&layout)[1].address + 0x20);
        let page = &block["page_heap"];
        assert_eq!((&page["mode"], &page["size"]), (&"light".into(), &77.into()), "{block}");
        // Only a full page heap has a fence that is looked at.
        assert_eq!(
            (&page["busy"], &page["fence_intact"]),
            (&true.into(), &serde_json::Value::Null)
        );
        assert!(text.contains("page heap"), "{text}");
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
    let (found, text) = explain(&layout, block + user + 5);
    let page = &found["page_heap"];
    assert_eq!((&found["offset"], &found["place"]), (&5.into(), &"page heap".into()), "{found}");
    assert_eq!((&page["mode"], &page["size"]), (&"full".into(), &size.into()), "{found}");
    assert_eq!((&page["busy"], &page["fence_intact"]), (&true.into(), &true.into()));
    assert!(text.contains("page heap"), "{text}");
    layout.write(block + user + size + 2, [0]);
    let (damaged, _) = explain(&layout, block + user + 5);
    assert_eq!(damaged["page_heap"]["fence_intact"], false, "{damaged}");
    check(&layout, 0, |_, sums, _| {
        assert_eq!(reasons(&sums), [(block + user + size + 2, Reason::Stamp)]);
    });
}

/// What `explain` says of an address: the block as JSON, and the whole text.
fn explain(layout: &Layout, address: u64) -> (serde_json::Value, String) {
    let name = format!("dumpmap-page-heap-{}-{address:x}.dmp", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, layout.dump(Capture::Full).build()).unwrap();
    let (file, address) = (path.to_str().unwrap(), format!("{address:#x}"));
    let json = support::run(["explain", file, &address, "-f", "json"]);
    let text = support::run(["explain", file, &address]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(json.status, Some(0), "{}", json.stderr);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    (report["addresses"][0]["heap"]["block"].clone(), text.stdout)
}
