//! Damage in heaps made for the purpose: each kind is found where it was put,
//! and nothing is found where none was.

mod support;

use std::fs;

use dumpmap::evidence::heaps::walk::{
    Block, MissingWhy, Reason, Scope, State, Walk, block_at, crt_block, page_heap_block,
};
use dumpmap::synth::heap::{Block as Plan, BlockKind, Heap, Segment, old_heap, wine_heap};
use dumpmap::synth::windows::{Capture, Layout, Process};

use support::heaps::*;

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

#[test]
fn a_damaged_chunk_and_a_damaged_subsegment() {
    let (layout, _, ranges) = segment_heap(1);
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
fn random_damage_never_panics_or_hangs() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (lfh, containers) = low_fragmentation();
    let (segment, _, ranges) = segment_heap(1);
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

/// Looks at a damaged heap as every one must be: its blocks are inside of it and
/// apart.
fn damaged(layout: &Layout, look: impl FnOnce(&Scope<'_, '_>, Walk, Vec<Block>)) {
    check(layout, 0, |scope, sums, blocks| {
        let index = scope.heaps.iter().position(|heap| heap.is_default).unwrap();
        check_blocks(scope, index, &blocks);
        look(scope, sums, blocks);
    });
}

#[test]
fn bounds_of_a_segment() {
    let mut layout = nt(Process::x64(), plan());
    let segment = layout.heaps[0].address;
    // LastValidEntry, a page less than the segment has.
    layout.write_pointer(segment + 0x48, segment + 0xf_f000);
    damaged(&layout, |_, sums, _| assert_eq!(reasons(&sums), [(segment, Reason::SegmentBounds)]));
    let mut layout = nt(Process::x86(), plan());
    let segment = layout.heaps[0].address;
    layout.write_pointer(segment + 0x28, 0x10);
    damaged(&layout, |_, sums, _| assert_eq!(reasons(&sums), [(segment, Reason::SegmentBounds)]));
}

#[test]
fn bounds_of_a_segment_of_xp() {
    let address = 0x30_0000;
    let plan = [Plan::busy(0x31), Plan::free(0x40), Plan::busy(0x200)];
    let mut layout = heap_of_bytes(Process::x86(), address, old_heap(address, 0x1_0000, &plan).0);
    damaged(&layout, |_, sums, _| sound(&sums));
    let segment = address + 0x640;
    layout.write_pointer(segment + 0x24, address + 0x10_0000);
    damaged(&layout, |_, sums, _| assert_eq!(reasons(&sums), [(segment, Reason::SegmentBounds)]));
}

#[test]
fn a_page_segment_that_the_heap_does_not_have() {
    let (mut layout, ..) = segment_heap(2);
    let second = SEGMENT + 0x10_0000;
    // The list leads on to the middle of the first segment.
    let lost = SEGMENT + 0x8_0000;
    layout.write_pointer(SEGMENT, lost);
    layout.write(lost, [second.to_le_bytes(), SEGMENT.to_le_bytes()].concat());
    layout.write_pointer(second + 8, lost);
    damaged(&layout, |_, sums, _| {
        assert_eq!(reasons(&sums), [(lost, Reason::SegmentBounds)]);
    });
}

#[test]
fn a_container_that_contradicts_its_subsegment() {
    let (layout, containers) = low_fragmentation();
    let (block, plan, _) = &containers[7];
    let bytes = layout.read(block + 16, 8).bytes;
    let subsegment = u64::from_le_bytes(bytes.try_into().unwrap());
    let expected = [(*block, Reason::LowFragmentation)];
    // BlockSize: blocks that do not fit.
    let mut sizes = layout.clone();
    sizes.write(subsegment + 0x24, 0x4000_u16.to_le_bytes());
    damaged(&sizes, |_, sums, _| assert_eq!(reasons(&sums), expected));
    // BlockCount: another one than the bitmap's.
    let mut counts = layout.clone();
    counts.write(subsegment + 0x28, (plan.busy.len() as u16 + 1).to_le_bytes());
    damaged(&counts, |_, sums, _| assert_eq!(reasons(&sums), expected));
    // Depth lags behind while a thread is at it.
    let mut depth = layout.clone();
    depth.write(subsegment + 0x20, [0]);
    damaged(&depth, |_, sums, _| {
        assert_eq!(sums.problems, []);
        assert_eq!(sums.torn[0].reason, Reason::LowFragmentation);
    });
}

#[test]
fn a_subsegment_that_the_key_makes_no_sense_of() {
    let (mut layout, plan, ranges) = segment_heap(6);
    damaged(&layout, |_, sums, _| sound(&sums));
    let bad = ranges[plan.ranges.len() + 2];
    let byte = layout.read(bad + 0x28, 1).bytes[0];
    layout.write(bad + 0x28, [byte ^ 1]);
    damaged(&layout, |_, sums, _| assert_eq!(reasons(&sums), [(bad, Reason::LowFragmentation)]));
}

#[test]
fn a_free_list_that_lacks_blocks() {
    let layout = nt(Process::x64(), plan());
    let head = layout.heaps[0].address + 0x150;
    let mut at = head;
    for _ in 0..7 {
        at = u64::from_le_bytes(layout.read(at, 8).bytes.try_into().unwrap());
    }
    let mut short = layout.clone();
    short.write_pointer(head, at);
    short.write_pointer(at + 8, head);
    let heap = layout.heaps[0].address;
    damaged(&short, |_, sums, _| assert_eq!(reasons(&sums), [(heap, Reason::FreeList)]));
}

fn wine(process: Process, address: u64) -> (Layout, Vec<u64>) {
    let pointer_size = if address >> 32 == 0 { 4 } else { 8 };
    let three = [Plan::busy(0x31), Plan::free(0x50), Plan::busy(0x208)];
    let plan: Vec<Plan> = three.iter().cycle().take(9).cloned().collect();
    let (bytes, users) = wine_heap(address, 0x1_0000, &plan, 0x30, pointer_size);
    (heap_of_bytes(process, address, bytes), users)
}

#[test]
fn heaps_of_wine() {
    for (process, address, pointer) in
        [(Process::x64(), 0x20_0030_0000, 8_u64), (Process::x86(), 0x30_0000, 4)]
    {
        let (layout, users) = wine(process, address);
        let subheap = address + 0x400;
        damaged(&layout, |_, sums, blocks| {
            sound(&sums);
            let of = |address: u64| {
                let inner = |block: &&Block| block.address == address && !block.is_container();
                blocks.iter().find(inner).unwrap()
            };
            assert_eq!(of(users[0]).user_size, Some(0x31));
            assert_eq!(of(users[1]).state, State::Free);
            assert_eq!((of(users[9]).size, of(users[9]).state), (0x30, State::Busy));
            assert_eq!(of(users[11]).state, State::Free);
            assert_eq!((sums.buckets[0].blocks, sums.buckets[0].busy), (31, 21));
        });
        let block = users[2] - 8;
        let expect = |write: &dyn Fn(&mut Layout), expected: (u64, Reason)| {
            let mut layout = layout.clone();
            write(&mut layout);
            damaged(&layout, |_, sums, _| {
                assert!(reasons(&sums).contains(&expected), "{expected:x?} {sums:x?}");
            });
        };
        expect(&|layout| layout.write(block + 6, [b'x']), (block, Reason::Header));
        expect(
            &|layout| layout.write(block, [0, 0, 0, 0, 0, 0, b'F', 1]),
            (block, Reason::ZeroSize),
        );
        expect(&|layout| layout.write(block, [0xff, 0xff]), (block, Reason::Overrun));
        expect(&|layout| layout.write(block + 7, [0]), (block, Reason::PreviousSize));
        let sizes = subheap + if pointer == 8 { 0x18 } else { 8 };
        expect(&|layout| layout.write_pointer(sizes, 0x2_0000), (subheap, Reason::SegmentBounds));
        // A large block in the list that is one of the heap's own, and too large for it.
        let (lists, before, data) = if pointer == 8 { (0xa0, 0x10, 0x10) } else { (0x5c, 4, 8) };
        let (head, start) = (address + lists, users[2] + 0x20);
        let entry = start + before;
        expect(
            &|layout| {
                for (at, value) in [
                    (head, entry),
                    (head + pointer, entry),
                    (entry, head),
                    (entry + pointer, head),
                    (entry + data, 0),
                    (entry + data + pointer, 0x3460_0000),
                ] {
                    layout.write_pointer(at, value);
                }
                layout.write(start + 8 * pointer - 8 + 6, [b'L']);
            },
            (start, Reason::Header),
        );
        let own = if pointer == 8 { 0x20 } else { 0x18 };
        let (first, container) = (users[9] - 8, users[9] - 8 - own);
        expect(&|layout| layout.write(first, [0xff, 0xff]), (container, Reason::LowFragmentation));
    }
}

/// Lists that do not end, counts that cannot be, segments on top of each other:
/// the walk ends, its blocks lie apart, and it says that something is wrong.
#[test]
fn nothing_in_a_heap_makes_a_walk_long() {
    let layout = nt(Process::x64(), plan());
    let heap = layout.heaps[0].address;
    let second = layout.heaps[0].blocks.iter().find(|block| block.segment == 1).unwrap().address;
    let large = u64::from_le_bytes(layout.read(heap + 0x110, 8).bytes.try_into().unwrap());
    let range = layout.heaps[0].blocks.iter().find(|block| block.kind == BlockKind::Range);
    let range = range.unwrap().address + 16;
    let cases: [(&str, u64, Vec<u8>); 11] = [
        ("segment list, cycle", second + 0x18, (second + 0x18).to_le_bytes().into()),
        ("large blocks, cycle", large, large.to_le_bytes().into()),
        ("large block, size", large + 0x20, u64::MAX.to_le_bytes().into()),
        ("uncommitted ranges, cycle", range + 0x10, (range + 0x10).to_le_bytes().into()),
        ("uncommitted range, size", range + 0x28, (!0xfff_u64).to_le_bytes().into()),
        ("segments counted", heap + 0x238 + 0x20, u32::MAX.to_le_bytes().into()),
        ("pages counted", second + 0x38, u32::MAX.to_le_bytes().into()),
        ("segment in another", second + 0x30, (heap + 0x1000).to_le_bytes().into()),
        ("segment in itself", second + 0x30, (second - 0x1000).to_le_bytes().into()),
        ("free list, cycle", heap + 0x150, (heap + 0x158).to_le_bytes().into()),
        ("last entry", second + 0x48, u64::MAX.to_le_bytes().into()),
    ];
    for (what, at, bytes) in cases {
        let mut layout = layout.clone();
        layout.write(at, bytes);
        damaged(&layout, |scope, sums, blocks| {
            let index = scope.heaps.iter().position(|heap| heap.is_default).unwrap();
            let wrong = !sums.problems.is_empty()
                || !sums.missing.is_empty()
                || !scope.heaps[index].problems.is_empty();
            assert!(wrong, "{what}: {sums:x?}");
            assert!(blocks.len() <= 100, "{what}");
        });
    }
    let (lfh, containers) = low_fragmentation();
    for (offset, bytes) in [(0x20, u32::MAX.to_le_bytes()), (0x20, [0; 4]), (0x18, [0xff; 4])] {
        let mut layout = lfh.clone();
        layout.write(containers[3].0 + 16 + offset, bytes);
        damaged(&layout, |_, sums, blocks| {
            assert!(sums.busy_blocks > 0);
            assert!(blocks.len() < 5_000);
        });
    }
    let (segment, _, ranges) = segment_heap(2);
    for (at, bytes) in [
        (SEGMENT, SEGMENT.to_le_bytes().to_vec()),
        (SEGMENT + 0x10_0000, SEGMENT.to_le_bytes().to_vec()),
        (ranges[0] + 0x20, vec![0xff; 4]),
        (ranges[1] + 0x22, vec![0xff; 2]),
        (SEGMENT + 0x40 + 0x1f, vec![0xff]),
    ] {
        let mut layout = segment.clone();
        layout.write(at, bytes);
        damaged(&layout, |_, sums, _| {
            assert!(!sums.problems.is_empty() || !sums.missing.is_empty(), "{at:x}");
        });
    }
}

/// The program on a dump that is made and damaged here.
fn program(name: &str, layout: &Layout, args: &[&str]) -> support::Output {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("heap-damage");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.dmp"));
    fs::write(&path, layout.dump(Capture::Full).build()).unwrap();
    let path = path.to_str().unwrap();
    let output = support::run(args.iter().map(|arg| if *arg == "DUMP" { path } else { arg }));
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    output
}

#[test]
fn corruption_as_json() {
    let mut layout = nt(Process::x64(), plan());
    let heaps = |layout: &Layout| -> serde_json::Value {
        let output = program("json", layout, &["heaps", "DUMP", "--walk", "-f", "json"]);
        let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        report["heaps"][0].clone()
    };
    let clean = heaps(&layout);
    assert_eq!(clean["corruption"], serde_json::json!([]));
    assert_eq!(clean["all_read"], true);
    // 0xe000 of 0x106000 bytes: the last segment's uncommitted range is larger
    // than any block and does not count.
    assert_eq!(clean["virtual_fragmentation"], 94.65);
    let (block, other) = (busy(&layout)[4].address, busy(&layout)[9].address);
    damage(&mut layout, block, 3, 0x40);
    damage(&mut layout, other, 4, 1);
    let damaged = heaps(&layout);
    let found: Vec<_> = damaged["corruption"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["address"].as_str().unwrap(), one["reason"].as_str().unwrap()))
        .collect();
    let (block, other) = (format!("{block:#018x}"), format!("{other:#018x}"));
    assert_eq!(found, [(&*block, "checksum"), (&*other, "previous-size")]);
    assert_eq!(damaged["all_read"], false);
    assert_eq!(damaged["unread"][0]["range"]["base"], block.as_str());
    assert_eq!(damaged["problems"].as_array().unwrap().len(), 2);
}

#[test]
fn sizes_and_buckets_as_text() {
    let (layout, _) = low_fragmentation();
    let output = program("sizes", &layout, &["heaps", "DUMP", "--sizes"]);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", output.stdout);
    let below = |title: &str| -> Vec<Vec<&str>> {
        let at = lines.iter().position(|line| line.trim_start().starts_with(title)).unwrap();
        let rows = lines[at + 1..].iter().take_while(|line| !line.trim().is_empty());
        rows.map(|line| line.split_whitespace().collect()).collect()
    };
    let top = below("Asked for");
    let sums = |rows: &[Vec<&str>], column: usize| -> u64 {
        let numbers = rows.iter().filter(|row| row[0] != "and");
        numbers.map(|row| row[column].replace(',', "").parse::<u64>().unwrap()).sum()
    };
    // Most bytes first, and all of them once more by powers of two.
    let bytes: Vec<u64> = top.iter().map(|row| row[2].replace(',', "").parse().unwrap()).collect();
    assert!(bytes.is_sorted_by(|a, b| a >= b), "{top:?}");
    assert_eq!(sums(&below("Up to"), 1), sums(&top, 1));
    let buckets = below("Bucket");
    assert_eq!(buckets.len(), 5, "{buckets:?}");
    assert_eq!(sums(&buckets, 1), 12);
    assert_eq!(sums(&buckets, 3) + sums(&buckets, 4), sums(&buckets, 2));
}

#[test]
fn a_block_of_the_debug_runtime_is_explained() {
    use dumpmap::synth::debug_heap;
    let contents = debug_heap::crt_block(b"hello", 1234, 8);
    let block = Plan { contents: contents.clone(), ..Plan::busy(contents.len() as u64) };
    let segment =
        Segment { reserve: 0x10_0000, commit: 0x4000, blocks: vec![block, Plan::free(64)] };
    let layout = nt(Process::x64(), Heap { segments: vec![segment], ..Heap::new() });
    let block = busy(&layout)[0].address;
    let address = format!("{:#x}", block + 0x10 + 0x30 + 2);
    let output = program("crt", &layout, &["explain", "DUMP", &address]);
    let line = |label: &str| {
        let found = output.stdout.lines().find(|line| line.trim_start().starts_with(label));
        found.unwrap_or_else(|| panic!("{label}: {}", output.stdout)).to_owned()
    };
    assert!(line("block").contains(&format!("{block:#014x}, busy")), "{}", output.stdout);
    assert!(line("debug crt").contains("5 bytes asked for, normal block"), "{}", output.stdout);
    let words = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("request 1,234, gaps intact"), "{}", output.stdout);
    assert!(!output.stdout.contains("hello"));
    assert!(line("previous").contains("heap header"));
    assert!(line("next").contains("free"));
}
