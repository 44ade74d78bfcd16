//! Walks of the heaps of real dumps, and of programs that wrote down what
//! they allocated.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use dumpmap::dump::{Dump, PointerWidth};
use dumpmap::evidence;
use dumpmap::evidence::heaps::walk::{
    Block, Histogram, Internal, Place, Scope, State, Walk, block_at, user_blocks, walk,
};
use dumpmap::limits::Limits;
use dumpmap::map::RegionMap;
use dumpmap::source::Source;

use support::heaps::{WRITTEN_DOWN, check_blocks};

/// Opens a dump, gathers, and hands its heaps to `check`.
fn with_heaps(path: &Path, check: impl FnOnce(&Scope<'_, '_>)) {
    let source = Source::open(&support::unpacked_path(path)).unwrap();
    let dump = Dump::read(&source, &Limits::default()).unwrap();
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    check(&Scope::of(&dump, &map, &evidence.heaps));
}

fn corpus(file: &str, check: impl FnOnce(&Scope<'_, '_>)) {
    if let Some(folder) = support::shared_or_skip("corpus") {
        with_heaps(&folder.join(file), check);
    }
}

fn all_blocks(scope: &Scope<'_, '_>, index: usize) -> (Walk, Vec<Block>) {
    let mut blocks = Vec::new();
    let sums = walk(scope, index, &mut |block| blocks.push(*block));
    (sums, blocks)
}

#[test]
fn a_full_dump_of_windows_7() {
    corpus("llvm__llvm-project/fizzbuzz_wow64.dmp", |scope| {
        assert_eq!(scope.heaps.len(), 5);
        for index in 0..5 {
            let (sums, blocks) = all_blocks(scope, index);
            check_blocks(scope, index, &blocks);
            assert_eq!(sums.problems, [], "{:x?}", scope.heaps[index]);
            assert_eq!(sums.torn, []);
            assert_eq!(sums.missing, []);
            assert!(sums.complete);
        }
        let of = |address| scope.heaps.iter().position(|heap| heap.address == address).unwrap();
        let (sums, _) = all_blocks(scope, of(0x70_0000));
        assert_eq!((sums.entries.busy, sums.entries.free), (162, 4));
        // FrontEndHeap of the heap points into this large block, 0x20 bytes in:
        // it holds the low-fragmentation heap's metadata, not the program's.
        let front_end = scope.dump.captured.array::<4>(0x70_0000 + 0xd4).unwrap();
        assert_eq!(u32::from_le_bytes(front_end), 0xe_0020);
        let large = block_at(scope, 0xe_0000).unwrap().block;
        assert_eq!((large.start, large.size, large.place), (0xe_0000, 0xd_4000, Place::Large));
        assert_eq!(large.state, State::Internal(Internal::Metadata));
        // As `!heap -s` has it: the rest of the segment is one range that is
        // larger than any block, and no fragmentation.
        let counted = scope.heaps[of(0x70_0000)].counted.unwrap();
        assert_eq!((counted.committed, counted.addresses), (0x1_4000, 0x1_4000));
    });
}

fn address(value: &serde_json::Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Every block that the program wrote down is there, in the right heap, busy
/// and of its size; and the sums are those that HeapWalk gave.
fn check_truth(file: &str, truth: &str) {
    let Some(folder) = support::shared_or_skip("scenarios") else { return };
    let truth = std::fs::read(folder.join(truth)).unwrap();
    let truth: serde_json::Value = serde_json::from_slice(&truth).unwrap();
    with_heaps(&folder.join(file), |scope| {
        let mut heaps: BTreeMap<u64, (Walk, BTreeMap<u64, Block>, PointerWidth)> = BTreeMap::new();
        for (index, heap) in scope.heaps.iter().enumerate() {
            let (sums, blocks) = all_blocks(scope, index);
            check_blocks(scope, index, &blocks);
            assert_eq!(sums.problems, [], "{file}: {:x}", heap.address);
            assert_eq!(sums.missing, [], "{file}: {:x}", heap.address);
            assert!(sums.complete);
            // The first block of a container has another address than that.
            let by_address = blocks.iter().map(|block| (block.address, *block)).collect();
            heaps.insert(heap.address, (sums, by_address, heap.width));
        }
        let mut checked = 0;
        for item in truth["items"].as_array().unwrap() {
            let size = item["size"].as_u64().unwrap_or(0);
            let at: Vec<u64> = match item["kind"].as_str().unwrap() {
                "heap-blocks" => {
                    let last = address(&item["highest_end"]) - size;
                    vec![address(&item["last"]), last]
                }
                "heap-big" => vec![address(&item["base"])],
                _ => continue,
            };
            let (_, blocks, _) = &heaps[&address(&item["heap"])];
            for at in at {
                let block = blocks.get(&at).unwrap_or_else(|| panic!("{file}: {at:x} {item}"));
                assert_eq!((block.state, block.user_size), (State::Busy, Some(size)), "{item}");
                let found = block_at(scope, at + size / 2).unwrap();
                assert_eq!(found.block, *block, "{item}");
                assert_eq!(scope.heaps[found.heap].address, address(&item["heap"]));
                if let (Some(previous), Some(next)) = (found.previous, found.next) {
                    assert_eq!(previous.start + previous.size, block.start);
                    assert_eq!(block.start + block.size, next.start);
                }
            }
            if let Some(live) = item["count_live"].as_u64() {
                check_count(scope, blocks, item, size, live);
            }
            checked += 1;
        }
        assert!(checked > 0, "{file}");
        for row in truth["heap_walk"].as_array().unwrap().iter().filter(|row| row["t"] == "sum") {
            let Some((sums, blocks, width)) = heaps.get(&address(&row["heap"])) else {
                panic!("{file}: {row}")
            };
            let own = blocks
                .values()
                .filter(|block| matches!(block.state, State::Internal(_)) && !block.is_container());
            let own = own.count() as u64;
            let large = blocks.values().filter(|block| block.place == Place::Large).count() as u64;
            assert_eq!(
                sums.entries.busy - own + large,
                row["busy"].as_u64().unwrap(),
                "{file}: {row}"
            );
            assert_eq!(sums.entries.free, row["free"].as_u64().unwrap(), "{file}: {row}");
            let regions = truth["heap_walk"].as_array().unwrap().iter();
            let subheaps: Vec<(u64, u64)> = regions
                .filter(|region| region["t"] == "region" && region["heap"] == row["heap"])
                .map(|region| (address(&region["base"]), region["committed"].as_u64().unwrap()))
                .map(|(base, committed)| (base, base + committed))
                .collect();
            let granule = if *width == PointerWidth::Bits32 { 8 } else { 16 };
            check_bytes(blocks, &subheaps, granule, row, file);
        }
    });
}

/// Bytes of busy and of free entries as HeapWalk told them: what the program
/// has of a block, containers of the low-fragmentation heap included.
///
/// Wine's HeapWalk ends a free block that reaches the last four granules of a
/// subheap's committed memory there. Source: `heap_walk_blocks` in Wine's
/// dlls/ntdll/heap.c, where a comment says that it is an approximation.
fn check_bytes(
    blocks: &BTreeMap<u64, Block>,
    subheaps: &[(u64, u64)],
    granule: u64,
    row: &serde_json::Value,
    file: &str,
) {
    const HEADER: u64 = 8;
    let outer = blocks.values().filter(|block| block.place.container().is_none());
    let (mut busy, mut free) = (0, 0);
    for block in outer {
        match block.state {
            State::Busy => busy += block.user_size.unwrap(),
            State::Free => {
                let subheap =
                    subheaps.iter().find(|(base, end)| (*base..*end).contains(&block.start));
                let end = subheap.unwrap().1 - 4 * granule;
                let whole = block.start + block.size;
                free += block.user_size.unwrap();
                if whole > end {
                    free -= whole - end;
                }
            }
            State::Internal(_) if block.is_container() => busy += block.size - HEADER,
            State::Internal(_) => {}
        }
    }
    assert_eq!(busy, row["busy_bytes"].as_u64().unwrap(), "{file}: {row}");
    assert_eq!(free, row["free_bytes"].as_u64().unwrap(), "{file}: {row}");
}

/// The program filled its blocks with a tag: as many busy ones begin with it as
/// it had, all of the right size. Where it freed some, the first was freed.
fn check_count(
    scope: &Scope<'_, '_>,
    blocks: &BTreeMap<u64, Block>,
    item: &serde_json::Value,
    size: u64,
    live: u64,
) {
    let tag = item["tag"].as_str().unwrap().as_bytes();
    let tagged = |block: &&Block| {
        let start = scope.dump.captured.bytes_at(block.address, tag.len());
        block.state == State::Busy && start == tag
    };
    let mut histogram = Histogram::default();
    blocks.values().filter(tagged).for_each(|block| histogram.add(block));
    let [only] = histogram.top(2)[..] else { panic!("{item} {histogram:?}") };
    assert_eq!((only.size, only.count, only.bytes), (size, live, size * live), "{item}");
    let first = block_at(scope, address(&item["base"])).unwrap().block;
    let freed = item["label"].as_str().unwrap().ends_with("freed");
    assert_eq!(first.state, if freed { State::Free } else { State::Busy }, "{item}");
}

#[test]
fn blocks_that_programs_wrote_down() {
    for (file, truth) in WRITTEN_DOWN {
        check_truth(file, truth);
    }
}

#[test]
fn containers_in_partial_dumps() {
    let check = |file, containers: usize, with_subsegment: usize, decoded: usize| {
        corpus(file, |scope| {
            let found = user_blocks(scope);
            let depths = found.iter().filter(|blocks| blocks.depth.is_some());
            assert!(depths.clone().all(|blocks| blocks.depth == Some(blocks.free)), "{file}");
            let by_key = found.iter().filter(|blocks| blocks.first.is_some());
            let numbers = (found.len(), depths.count(), by_key.count());
            assert_eq!(numbers, (containers, with_subsegment, decoded), "{file}");
            for index in 0..scope.heaps.len() {
                let (sums, blocks) = all_blocks(scope, index);
                check_blocks(scope, index, &blocks);
                assert_eq!(sums.problems, [], "{file}: {:x}", scope.heaps[index].address);
            }
        });
    };
    check("mozilla-services__minidump-stackwalk/windows-x86_64.dmp", 202, 101, 202);
    check("KindTis__DumpAnalysisMCP/7e587289-CppConsoleApplication.dmp", 3, 0, 0);
    check("KindTis__DumpAnalysisMCP/CppConsoleApplication.dmp", 0, 0, 0);
}

/// No dump at hand is of a process with a damaged heap; none breaks a walk.
#[test]
fn every_heap_of_every_dump() {
    for folder in ["corpus", "scenarios"] {
        let Some(folder) = support::shared_or_skip(folder) else { continue };
        for path in support::dumps_in(&folder) {
            let source = Source::open(&support::unpacked_path(&path)).unwrap();
            let Ok(dump) = Dump::read(&source, &Limits::default()) else { continue };
            let map = RegionMap::build(&dump);
            let evidence = evidence::gather(&dump, &map);
            let scope = Scope::of(&dump, &map, &evidence.heaps);
            for (index, heap) in scope.heaps.iter().enumerate() {
                let (sums, blocks) = all_blocks(&scope, index);
                check_blocks(&scope, index, &blocks);
                assert_eq!(sums.problems, [], "{}: {:x}", path.display(), heap.address);
                assert_eq!(sums.torn, [], "{}: {:x}", path.display(), heap.address);
            }
        }
    }
}

#[test]
fn segment_heaps() {
    corpus("mozilla-services__minidump-stackwalk/windows-aarch64.dmp", |scope| {
        assert_eq!(scope.keys.heap(PointerWidth::Bits64), Some(0x3abd_fcab_76d0_6e38));
        let (mut subsegments, mut chunks, mut ranges) = (0, 0, 0);
        for (index, heap) in scope.heaps.iter().enumerate() {
            let (sums, blocks) = all_blocks(scope, index);
            check_blocks(scope, index, &blocks);
            assert_eq!(sums.problems, [], "{:x}", heap.address);
            assert_eq!(sums.torn, [], "{:x}", heap.address);
            subsegments += sums.buckets.iter().map(|bucket| bucket.containers).sum::<u64>();
            let of = |wanted: fn(&Block) -> bool| blocks.iter().filter(|b| wanted(b)).count();
            chunks += of(|block| matches!(block.place, Place::VariableSize(_)));
            ranges += of(|block| matches!(block.place, Place::Pages(_)));
        }
        assert_eq!((subsegments, chunks, ranges), (129, 75, 239));
    });
}
