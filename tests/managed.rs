//! Managed heaps: against what .NET programs printed of themselves, and in
//! dumps without any .NET.

mod support;

use std::path::{Path, PathBuf};

use dumpmap::Analysis;
use dumpmap::analyze;
use dumpmap::classify::Piece;
use dumpmap::evidence::managed::{Collector, MemoryLayout};
use dumpmap::evidence::{Confidence, EvidenceSource, RegionKind, Use};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use serde_json::Value;
use support::{dumps_in, shared_or_skip, skip, unpacked_path};

const SETS: [&str; 8] =
    ["net10", "net8", "net8-svr", "net8-nowx", "net8-sf", "net31", "net22", "net21-x86-wow64"];

fn open(path: &Path) -> Source {
    Source::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn with<R>(path: &Path, look: impl FnOnce(&Analysis<'_>) -> R) -> R {
    let source = open(&unpacked_path(path));
    let analysis = analyze(&source, &Limits::default());
    look(&analysis.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn truth(dir: &Path, set: &str) -> Value {
    let text = std::fs::read_to_string(dir.join(format!("{set}.truth.json"))).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["dotnet"].take()
}

fn address(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn piece(pieces: &[Piece], address: u64) -> &Piece {
    pieces.iter().find(|piece| piece.range.contains(address)).expect("a piece has the address")
}

fn usage(analysis: &Analysis<'_>, piece: &Piece) -> &'static str {
    let claim = piece.winner.map(|winner| &analysis.evidence.claims[winner as usize]);
    match claim.map(|claim| claim.usage) {
        Some(Use::Named(name)) => name,
        _ => "",
    }
}

fn collector<'a>(analysis: &'a Analysis<'_>) -> &'a Collector {
    let managed = analysis.evidence.managed.as_ref().expect("a runtime");
    assert_eq!(managed.runtimes.len(), 1);
    managed.runtimes[0].collector.as_ref().expect("a collector")
}

/// Flavours of a set that hold heap memory.
fn with_memory(dir: &Path) -> Vec<(&'static str, PathBuf)> {
    let flavours = SETS.iter().flat_map(|set| ["rw", "clr"].map(|flavour| (*set, flavour)));
    flavours
        .map(|(set, flavour)| (set, dir.join(format!("{set}.{flavour}.dmp.zst"))))
        .filter(|(_, path)| path.exists())
        .collect()
}

/// What the program said of an object's generation just before the dump, in
/// the words of the heap's names; the label where it could not ask (net10).
fn expected(program: &Value, item: &Value) -> &'static str {
    let label = item["label"].as_str().unwrap();
    let objects = program["pinned_now"].as_array().unwrap();
    let now = objects.iter().find(|object| object["addr"] == item["addr"]);
    let small = ["gen0", "gen1", "gen2"];
    match now.map(|object| object["gen"].as_i64().unwrap()) {
        Some(generation @ 0..=2) if !label.contains("OH") => small[generation as usize],
        _ if label.contains("(will be gen2)") => "gen2",
        _ if label.contains("(gen1)") => "gen1",
        _ if label.contains("(gen0)") => "gen0",
        _ if label.starts_with("LOH") => "large object heap",
        _ if label.starts_with("POH") => "pinned object heap",
        _ => panic!("unknown label {label}"),
    }
}

#[test]
fn pinned_objects_lie_in_their_generations() {
    let Some(dir) = shared_or_skip("dotnet") else { return };
    for (set, path) in with_memory(&dir) {
        let truth = truth(&dir, set);
        with(&path, |analysis| {
            let pieces: Vec<Piece> = analysis.pieces().collect();
            let mut seen = 0;
            for item in truth["program"]["items"].as_array().unwrap() {
                let at = address(&item["addr"]);
                let piece = piece(&pieces, at);
                let usage = usage(analysis, piece);
                let say = format!("{}: {at:#x} {}", path.display(), item["label"]);
                match item["kind"].as_str().unwrap() {
                    "pinned" => {
                        assert_eq!(piece.kind, RegionKind::ManagedHeap, "{say}");
                        assert_eq!(usage, expected(&truth["program"], item), "{say}");
                        assert_eq!(piece.confidence, Confidence::Derived, "{say}");
                        seen += 1;
                    }
                    "literal" => {
                        assert_eq!(piece.kind, RegionKind::ManagedHeap, "{say}");
                        let frozen = collector(analysis).layout == Some(MemoryLayout::Regions);
                        assert_eq!(usage == "frozen object heap", frozen, "{say}: {usage}");
                    }
                    _ => assert_ne!(piece.kind, RegionKind::ManagedHeap, "{say}"),
                }
            }
            assert!(seen >= 6, "{}: {seen} pinned objects", path.display());
        });
    }
}

#[test]
fn sums_agree_with_the_program() {
    let Some(dir) = shared_or_skip("dotnet") else { return };
    for (set, path) in with_memory(&dir) {
        let truth = truth(&dir, set);
        let total = truth["program"]["total_memory"].as_f64().unwrap();
        let fragmented = truth["program"]["gc_memory_info"]["FragmentedBytes"].as_f64();
        with(&path, |analysis| {
            let collector = collector(analysis);
            let ranges = || collector.heaps.iter().flat_map(|heap| &heap.ranges);
            let objects: u64 = ranges().map(|range| range.objects()).sum();
            let found: u64 = derived_sum(&truth);
            assert_eq!(objects, found, "{}", path.display());
            // .NET Core 2 does not print what is fragmented.
            if let Some(fragmented) = fragmented {
                let objects = objects as f64 - fragmented;
                let off = (objects - total).abs() / total;
                assert!(off < 0.01, "{}: {objects} {total}", path.display());
            }
            let server = truth["program"]["server_gc"].as_bool().unwrap_or(false);
            assert_eq!(collector.server, Some(server));
            let problems: Vec<_> = collector.heaps.iter().flat_map(|heap| &heap.problems).collect();
            assert!(problems.is_empty(), "{}: {problems:?}", path.display());
        });
    }
}

/// What another program found: bytes from mem to the end, each segment once.
fn derived_sum(truth: &Value) -> u64 {
    let mut segments = std::collections::BTreeMap::new();
    for segment in truth["derived_gc"][0]["segments"].as_array().unwrap() {
        let size = address(&segment["alloc_end"]) - address(&segment["mem"]);
        segments.insert(address(&segment["struct"]), size);
    }
    segments.values().sum()
}

#[test]
fn committed_memory_of_the_range_is_all_told() {
    let Some(dir) = shared_or_skip("dotnet") else { return };
    for (_, path) in with_memory(&dir) {
        with(&path, |analysis| {
            let collector = collector(analysis);
            if collector.layout != Some(MemoryLayout::Regions) {
                return;
            }
            assert!(collector.bookkeeping.is_some(), "{}", path.display());
            assert!(!collector.free_regions.is_empty(), "{}", path.display());
            let range = collector.reservations[0];
            assert_eq!(collector.reservations.len(), 1);
            for piece in analysis.pieces().filter(|piece| range.covers(piece.range)) {
                let usage = usage(analysis, &piece);
                assert_eq!(piece.kind, RegionKind::ManagedHeap);
                let committed = piece.region.state == dumpmap::map::State::Commit;
                assert!(!committed || usage != "GC heap", "{}: {piece:?}", path.display());
            }
        });
    }
}

/// The same dump after the runtime's GcDacVars was overwritten: segments still
/// describe themselves, regions do not.
#[test]
fn without_the_variables_segments_describe_themselves() {
    let Some(dir) = shared_or_skip("dotnet") else { return };
    for set in ["net31", "net22", "net21-x86-wow64", "net8"] {
        let path = unpacked_path(&dir.join(format!("{set}.rw.dmp.zst")));
        let mut bytes = std::fs::read(&path).unwrap();
        let segments = with(&path, |analysis| {
            let collector = collector(analysis);
            let (vars, _) = collector.variables.unwrap();
            let run = analysis.dump.captured.find(vars).unwrap();
            let at = (run.offset + vars - run.range.start()) as usize;
            bytes[at] = 0x77;
            let ranges = collector.heaps.iter().flat_map(|heap| &heap.ranges);
            ranges.map(|range| range.segment).collect::<std::collections::BTreeSet<u64>>()
        });
        let source = Source::from_bytes(bytes);
        let analysis = analyze(&source, &Limits::default()).unwrap();
        let collector = collector(&analysis);
        assert_eq!((collector.variables, collector.confidence), (None, Confidence::Heuristic));
        let ranges = collector.heaps.iter().flat_map(|heap| &heap.ranges);
        let found: std::collections::BTreeSet<u64> = ranges.map(|range| range.segment).collect();
        if set == "net8" {
            assert!(found.is_empty());
            assert_eq!(collector.reservations.len(), 1);
        } else {
            assert_eq!(found, segments, "{set}");
        }
    }
}

#[test]
fn without_heap_memory_only_what_the_map_shows() {
    let Some(dir) = shared_or_skip("dotnet") else { return };
    for set in SETS {
        let truth = truth(&dir, set);
        let path = dir.join(format!("{set}.info.dmp.zst"));
        with(&path, |analysis| {
            let collector = collector(analysis);
            assert_eq!(collector.confidence, Confidence::Heuristic, "{set}");
            assert_eq!(collector.reservations.len(), 1, "{set}");
            let pieces: Vec<Piece> = analysis.pieces().collect();
            for item in truth["program"]["items"].as_array().unwrap() {
                let at = address(&item["addr"]);
                let piece = piece(&pieces, at);
                let managed = piece.kind == RegionKind::ManagedHeap;
                let on_heap = matches!(item["kind"].as_str().unwrap(), "pinned" | "literal");
                assert!(on_heap || !managed, "{set}: {at:#x} {}", item["label"]);
                assert!(!managed || usage(analysis, piece) == "GC heap");
            }
        });
    }
}

#[test]
fn code_and_loader_heaps() {
    let Some(dir) = shared_or_skip("dotnet") else { return };
    for set in SETS {
        let truth = truth(&dir, set);
        for flavour in ["info", "rw", "clr"] {
            let path = dir.join(format!("{set}.{flavour}.dmp.zst"));
            if !path.exists() {
                continue;
            }
            with(&path, |analysis| {
                let pieces: Vec<Piece> = analysis.pieces().collect();
                for item in truth["program"]["items"].as_array().unwrap() {
                    let at = address(&item["addr"]);
                    let kind = item["kind"].as_str().unwrap();
                    if at == 0
                        || !matches!(kind, "methoddesc" | "thunk" | "dynamic-method" | "entrypoint")
                    {
                        continue;
                    }
                    let usage = usage(analysis, piece(&pieces, at));
                    let good = usage.contains("CLR") || usage.contains("JIT");
                    assert!(good, "{set} {flavour}: {at:#x} {kind}: `{usage}`");
                }
                let spin = truth["program"]["spin_tid"].as_u64().unwrap();
                let thread = analysis.dump.threads.iter().find(|t| u64::from(t.id) == spin);
                let registers = thread.and_then(|thread| analysis.dump.registers(thread));
                let at = registers.unwrap().instruction_pointer;
                let usage = usage(analysis, piece(&pieces, at));
                assert!(usage.contains("JIT code"), "{set} {flavour}: {at:#x} `{usage}`");
                // The only set whose runtime describes its code.
                let described = (set, flavour) == ("net10", "clr");
                let known = piece(&pieces, at).confidence;
                assert_eq!(known == Confidence::Derived, described, "{set} {flavour}: {known:?}");
            });
        }
    }
}

#[test]
fn no_managed_label_without_a_runtime() {
    for folder in ["corpus", "scenarios"] {
        let Some(dir) = shared_or_skip(folder) else { continue };
        for path in dumps_in(&dir) {
            let source = open(&unpacked_path(&path));
            let Ok(analysis) = analyze(&source, &Limits::default()) else { continue };
            if analysis.evidence.managed.is_some() {
                skip(&format!("{}: a runtime", path.display()));
            }
            // The maps text of Android names ART's heap.
            let managed = |piece: &Piece| {
                let claim = piece.winner.map(|winner| &analysis.evidence.claims[winner as usize]);
                piece.kind == RegionKind::ManagedHeap
                    && claim.is_none_or(|claim| claim.source != EvidenceSource::LinuxMaps)
            };
            assert!(!analysis.pieces().any(|piece| managed(&piece)), "{}", path.display());
        }
    }
}
