//! Heaps of real dumps, and of programs that wrote down what they allocated.

mod support;

use std::path::Path;

use dumpmap::dump::{Dump, PointerWidth};
use dumpmap::evidence::heaps::{Heap, HeapType};
use dumpmap::evidence::{self, Claim, Confidence, Evidence, RegionKind, Subject};
use dumpmap::limits::Limits;
use dumpmap::map::RegionMap;
use dumpmap::source::Source;

use support::heaps::WRITTEN_DOWN;

/// Opens a dump, gathers, and hands all of it to `check`.
fn with_evidence(path: &Path, check: impl FnOnce(&Dump<'_>, &RegionMap<'_>, &Evidence)) {
    let source = Source::open(&support::unpacked_path(path)).unwrap();
    let dump = Dump::read(&source, &Limits::default()).unwrap();
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    check(&dump, &map, &evidence);
}

fn corpus(file: &str, check: impl FnOnce(&Dump<'_>, &RegionMap<'_>, &Evidence)) {
    if let Some(folder) = support::shared_or_skip("corpus") {
        with_evidence(&folder.join(file), check);
    }
}

fn scenario(file: &str, check: impl FnOnce(&Dump<'_>, &RegionMap<'_>, &Evidence)) {
    if let Some(folder) = support::shared_or_skip("scenarios") {
        with_evidence(&folder.join(file), check);
    }
}

/// Address, size, committed bytes, front end, flags.
type Row = (u64, u64, u64, &'static str, u32);

fn rows(heaps: &[Heap], width: PointerWidth) -> Vec<Row> {
    let of_view = heaps.iter().filter(|heap| heap.width == width);
    of_view
        .map(|heap| {
            let (size, committed) = (heap.size.unwrap(), heap.committed.unwrap());
            (heap.address, size, committed, heap.front_end.unwrap(), heap.flags.unwrap())
        })
        .collect()
}

/// Parts lie apart, are claimed, and add up to the heap's size.
fn check_parts(evidence: &Evidence) {
    let heaps = &evidence.heaps;
    let mut parts: Vec<_> = heaps.iter().flat_map(|heap| &heap.parts).collect();
    parts.sort_by_key(|part| part.range.start());
    assert!(parts.is_sorted_by(|a, b| a.range.last() < b.range.start()));
    for heap in heaps {
        let sum: u64 = heap.parts.iter().map(|part| part.range.size()).sum();
        assert_eq!(heap.size.unwrap_or(0), sum);
    }
    let subject = |claim: &&Claim| matches!(claim.subject, Subject::Heap(_));
    let claimed: Vec<_> = evidence.claims.iter().filter(subject).collect();
    assert!(claimed.iter().all(|claim| claim.kind == Some(RegionKind::Heap)));
    assert_eq!(claimed.len(), parts.len());
}

#[test]
fn both_views_of_a_wow64_process() {
    corpus("llvm__llvm-project/fizzbuzz_wow64.dmp", |_, _, evidence| {
        check_parts(evidence);
        let heaps = &evidence.heaps;
        for heap in heaps {
            assert_eq!(heap.heap_type, Some(HeapType::Nt), "{heap:x?}");
            assert_eq!(heap.problems, [""; 0], "{heap:x?}");
            assert!(heap.complete, "{heap:x?}");
            assert_eq!(heap.confidence, Confidence::Derived);
        }
        assert_eq!(
            rows(heaps, PointerWidth::Bits64),
            [
                (0x50_0000, 0x8_0000, 0x8000, "none", 2),
                (0x1_0000, 0x1_0000, 0x1_0000, "none", 0x8000),
                (0x2_0000, 0x1_0000, 0x1_0000, "none", 0x8000),
            ]
        );
        let large = 0xd_4000;
        assert_eq!(
            rows(heaps, PointerWidth::Bits32),
            [
                (0x70_0000, 0x10_0000 + large, 0x1_4000 + large, "lfh", 2),
                (0x46_0000, 0x1_0000, 0x5000, "none", 0x1002),
            ]
        );
        let defaults = heaps.iter().filter(|heap| heap.is_default).map(|heap| heap.address);
        assert_eq!(defaults.collect::<Vec<_>>(), [0x50_0000, 0x70_0000]);
    });
}

#[test]
fn heaps_found_although_the_list_is_not_captured() {
    corpus("mozilla-services__minidump-stackwalk/windows-x86_64.dmp", |_, _, evidence| {
        check_parts(evidence);
        let default = &evidence.heaps[0];
        assert_eq!((default.address, default.is_default), (0x1dd_a379_0000, true));
        assert_eq!(default.heap_type, Some(HeapType::Nt));
        assert_eq!(default.front_end, Some("lfh"));
        let roles = |heap: &Heap, role| heap.parts.iter().filter(|part| part.role == role).count();
        assert_eq!(roles(default, "segment"), 4, "{default:x?}");
        assert_eq!(roles(default, "LFH metadata"), 1);
        // Segments with their last pages, and the LFH's 0x62000.
        assert_eq!(default.size, Some(0x79e000 + 0x4000), "{default:x?}");
        let other = evidence.heaps.iter().find(|heap| heap.address == 0x1dd_a571_0000).unwrap();
        assert_eq!(roles(other, "segment"), 2, "{other:x?}");
        assert_eq!(other.size, Some(0x180000 + 0x2000));
    });
}

#[test]
fn segment_heaps() {
    corpus("mozilla-services__minidump-stackwalk/windows-aarch64.dmp", |_, _, evidence| {
        check_parts(evidence);
        let default = &evidence.heaps[0];
        assert!(default.is_default);
        assert_eq!(default.heap_type, Some(HeapType::Segment));
        // MemStats: 5401 pages reserved; 918 committed, 923 by the map.
        assert_eq!(default.size, Some(5401 * 4096), "{default:x?}");
        assert_eq!(default.committed, Some(923 * 4096));
        let of_type = |kind| {
            let heaps = evidence.heaps.iter().filter(|heap| heap.heap_type == Some(kind));
            heaps.map(|heap| heap.address).collect::<Vec<_>>()
        };
        let segment_heaps = [0x15d_8ea3_0000, 0x15d_907d_0000, 0x15d_9bac_0000];
        assert_eq!(of_type(HeapType::Segment), segment_heaps);
        // The heap shared with csrss lies in mapped memory.
        assert_eq!(of_type(HeapType::Nt), [0x15d_8e9c_0000]);
    });
}

#[test]
fn heaps_in_a_dump_without_a_memory_map() {
    let file = "KindTis__DumpAnalysisMCP/7e587289-CppConsoleApplication.dmp";
    corpus(file, |_, _, evidence| {
        check_parts(evidence);
        let found: Vec<_> = evidence.heaps.iter().map(|heap| (heap.address, heap.flags)).collect();
        let expected = [(0x1ce_7974_0000, 2), (0x1ce_796c_0000, 0x1002), (0x1ce_79b1_0000, 0x1002)];
        assert_eq!(found, expected.map(|(address, flags)| (address, Some(flags))));
        assert!(evidence.heaps.iter().all(|heap| heap.front_end == Some("lfh")));
        assert_eq!(evidence.heaps[2].parts.len(), 2, "{:x?}", evidence.heaps[2]);
    });
}

#[test]
fn page_heap_by_flag_and_shape() {
    corpus("zuohuiyang__dump-analyzer-mcp-server/electron.dmp", |_, _, evidence| {
        check_parts(evidence);
        let [heap] = evidence.heaps.as_slice() else { panic!("{:x?}", evidence.heaps) };
        assert_eq!(heap.heap_type, Some(HeapType::Page), "{heap:x?}");
        assert!(!heap.complete);
        assert_eq!(heap.confidence, Confidence::Heuristic);
    });
}

/// Every heap and block that the program wrote down lies in heap memory.
fn check_truth(file: &str, truth: &str) {
    let Some(folder) = support::shared_or_skip("scenarios") else { return };
    let truth = std::fs::read(folder.join(truth)).unwrap();
    let truth: serde_json::Value = serde_json::from_slice(&truth).unwrap();
    let address = |value: &serde_json::Value| {
        let text = value.as_str().unwrap().trim_start_matches("0x");
        u64::from_str_radix(text, 16).unwrap()
    };
    scenario(file, |_, _, evidence| {
        check_parts(evidence);
        let heaps = &evidence.heaps;
        assert!(heaps.iter().all(|heap| heap.heap_type == Some(HeapType::Wine)), "{heaps:x?}");
        assert!(heaps.iter().all(|heap| heap.complete), "{file}: {heaps:x?}");
        assert!(heaps.iter().all(|heap| heap.problems.is_empty()), "{file}: {heaps:x?}");
        let holder = |at: u64| {
            let holds = |heap: &&Heap| heap.parts.iter().any(|part| part.range.contains(at));
            heaps.iter().find(holds).map(|heap| heap.address)
        };
        let mut checked = 0;
        for item in truth["items"].as_array().unwrap() {
            let base = address(&item["base"]);
            match item["kind"].as_str().unwrap() {
                "heap" => assert_eq!(holder(base), Some(base), "{file}: {item}"),
                "heap-blocks" => {
                    let owner = Some(address(&item["heap"]));
                    let last = address(&item["highest_end"]) - 1;
                    for at in [base, address(&item["lowest"]), address(&item["last"]), last] {
                        assert_eq!(holder(at), owner, "{file}: {item}");
                    }
                }
                "heap-big" => {
                    let owner = Some(address(&item["heap"]));
                    let last = base + item["size"].as_u64().unwrap() - 1;
                    assert_eq!(holder(base), owner, "{file}: {item}");
                    assert_eq!(holder(last), owner, "{file}: {item}");
                }
                _ => continue,
            }
            checked += 1;
        }
        assert!(checked > 0, "{file}");
    });
}

#[test]
fn blocks_lie_in_their_heaps() {
    for (file, truth) in WRITTEN_DOWN {
        check_truth(file, truth);
    }
}

#[test]
fn blocks_lie_in_their_heaps_without_a_memory_map() {
    check_truth("x64-basic.fullni.dmp.zst", "x64-basic.truth.json");
    check_truth("x86-basic.fullni.dmp.zst", "x86-basic.truth.json");
}

#[test]
fn no_dump_claims_a_byte_twice_or_breaks_the_reader() {
    for folder in ["corpus", "scenarios"] {
        let Some(folder) = support::shared_or_skip(folder) else { continue };
        for path in support::dumps_in(&folder) {
            let source = Source::open(&support::unpacked_path(&path)).unwrap();
            let Ok(dump) = Dump::read(&source, &Limits::default()) else { continue };
            let map = RegionMap::build(&dump);
            let evidence = evidence::gather(&dump, &map);
            check_parts(&evidence);
        }
    }
}
