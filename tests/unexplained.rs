//! Memory that nobody explains, described: made dumps whose memory is known byte by byte, and the
//! allocations that the scenarios' programs wrote down.

mod support;

use std::collections::{BTreeMap, BTreeSet};

#[path = "cli/schema.rs"]
#[allow(dead_code, reason = "only `check`")]
mod schema;

use dumpmap::limits::{Depth, Limits};
use dumpmap::map::Protection;
use dumpmap::source::Source;
use dumpmap::synth::{
    Context, DumpBuilder, Memory, Module, PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE, Region,
    Stack, Thread,
};
use dumpmap::unexplained::contents::{Entropy, Fill, Leads};
use dumpmap::unexplained::pointers::Place;
use dumpmap::unexplained::{Request, Unexplained, describe, dominant, is_unexplained};
use dumpmap::{Analysis, analyze};

const MIB: u64 = 1 << 20;
const IMAGE: u64 = 0x7ff6_0000_0000;
const STACK: u64 = 0x50_0000;
/// Five blocks of a mebibyte that begin with one address in the image.
const OBJECTS: u64 = 0x1000_0000;
/// Two blocks that the debug heap of the CRT filled.
const FILLED: u64 = 0x2000_0000;
/// Random bytes.
const NOISE: u64 = 0x3000_0000;
/// A block that lists itself, whose pages have two protections.
const RING: u64 = 0x4000_0000;

fn described(dump: DumpBuilder, request: Request, depth: Depth) -> Unexplained {
    let source = Source::from_bytes(dump.build());
    let limits = Limits { depth, ..Limits::default() };
    describe(&analyze(&source, &limits).expect("a dump"), request)
}

fn words(words: &[u64], size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(size, 0);
    bytes
}

/// Bytes of a generator that gives the same everywhere.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..size).map(|_| next()).collect()
}

fn process() -> DumpBuilder {
    let stack = words(&[OBJECTS + 8, NOISE, 7, OBJECTS - 8, STACK], 0x1000);
    let mut dump = DumpBuilder::windows_x64()
        .module(Module::new(r"C:\app\app.exe", IMAGE, 0x3000))
        .region(Region::image(IMAGE, 0x1000, PAGE_READONLY, IMAGE))
        .region(Region::image(IMAGE + 0x1000, 0x1000, PAGE_READWRITE, IMAGE))
        .region(Region::image(IMAGE + 0x2000, 0x1000, PAGE_READONLY, IMAGE))
        .region(Region::commit(STACK, 0x1000, PAGE_READWRITE))
        .thread(Thread {
            context: Context::at(IMAGE, STACK + 0x10),
            stack: Stack::Captured(Memory::new(STACK, stack)),
            ..Thread::new(1)
        })
        // Two pointers into the objects and one into the filled blocks, and what is no pointer.
        .memory(
            IMAGE + 0x1000,
            words(&[OBJECTS, OBJECTS + 4 * MIB, 3, FILLED + 0x20_0010, IMAGE], 0x1000),
        )
        // Read-only data does not count.
        .memory(IMAGE + 0x2000, words(&[OBJECTS], 0x1000));
    for nth in 0..5 {
        let base = OBJECTS + nth * MIB;
        dump = dump.region(Region::commit(base, MIB, PAGE_READWRITE));
        dump = dump.memory(base, words(&[IMAGE + 0x2000], 0x1000));
    }
    for base in [FILLED, FILLED + 0x20_0000] {
        dump = dump.region(Region::commit(base, 0x1_0000, PAGE_READWRITE));
        let mut bytes = vec![0xcd; 0x1000];
        bytes.resize(0x1800, 0xee);
        dump = dump.memory(base, bytes);
    }
    dump.region(Region::commit(NOISE, 0x8000, PAGE_READWRITE))
        .memory(NOISE, noise(0x8000))
        .region(Region::commit(RING, 0x1000, PAGE_READWRITE))
        .region(Region::commit(RING + 0x1000, 0x2000, PAGE_READONLY).within(RING))
        .region(Region { protect: 0, ..Region::reserve(RING + 0x3000, 0x5000).within(RING) })
        .memory(RING + 0x1000, words(&[RING + 0x1800], 0x2000))
}

fn sorted(mut dump: DumpBuilder) -> DumpBuilder {
    dump.regions.iter_mut().for_each(|regions| regions.sort_by_key(|region| region.base));
    dump
}

#[test]
fn families_by_the_map_alone() {
    let request = Request { top: 10, pointers: false };
    let found = described(sorted(process()), request, Depth::Streams);
    let families: Vec<_> = found
        .families
        .iter()
        .map(|it| (it.size, it.protect, it.allocations, it.bytes, it.lowest))
        .collect();
    let rw = Some(Protection::READ_WRITE);
    let expected = [
        (MIB, rw, 5, 5 * MIB, OBJECTS),
        (0x1_0000, rw, 2, 0x2_0000, FILLED),
        (0x8000, rw, 1, 0x8000, NOISE),
        (0x8000, None, 1, 0x3000, RING + 0x1000),
    ];
    assert_eq!(families, expected);
    assert!(found.families.iter().all(|it| it.contents.is_none() && it.pointers.is_none()));
    assert_eq!((found.allocations, found.family_count, found.scan), (9, 4, None));
    let shares = found.shares.unwrap();
    assert_eq!(shares.unexplained, 5 * MIB + 0x2_0000 + 0x8000 + 0x3000);
    let few = described(sorted(process()), Request { top: 1, pointers: true }, Depth::Streams);
    assert_eq!((few.families.len(), few.family_count, few.scan), (1, 4, None));
}

#[test]
fn contents_in_figures() {
    let found = described(sorted(process()), Request { top: 10, pointers: false }, Depth::Headers);
    let contents = |at: usize| found.families[at].contents.as_ref().expect("contents");
    let objects = contents(0);
    let first = objects.first.unwrap();
    assert_eq!((first.blocks, first.same, first.leads), (5, 5, Leads::Image(0)));
    assert_eq!((objects.sampled, objects.class()), (5 * 0x1000, Entropy::Constant));
    assert_eq!(objects.sampled - objects.zero, 5 * 3);
    // A page and a half of each are captured; the sample has whole pages at even places.
    let filled = contents(1);
    let crt = Fill { name: Some("CRT debug heap: allocated, not written"), bytes: 0x2000 };
    assert_eq!((filled.sampled, filled.fill), (0x3000, Some(crt)));
    let noise = contents(2);
    assert_eq!((noise.sampled, noise.class(), noise.fill), (0x8000, Entropy::High, None));
    assert_eq!(noise.first.unwrap().leads, Leads::Nowhere);
    let ring = contents(3);
    assert_eq!(ring.first.unwrap().leads, Leads::Itself);
}

#[test]
fn pointers_by_where_they_lie() {
    let found = described(sorted(process()), Request { top: 10, pointers: true }, Depth::Headers);
    let pointers = |at: usize| found.families[at].pointers.as_ref().expect("counted");
    assert_eq!(*pointers(0), [(Place::Image(0), 2), (Place::Stack, 1)]);
    assert_eq!(*pointers(1), [(Place::Image(0), 1)]);
    assert_eq!(*pointers(2), [(Place::Stack, 1)]);
    assert_eq!(*pointers(3), []);
    let scan = found.scan.unwrap();
    assert_eq!((scan.bytes, scan.complete), (0x2000, true));
}

/// Tens of thousands of sizes: families are counted up to a bound, allocations all.
#[test]
fn many_sizes_stay_bounded() {
    let mut base = 0x1_0000;
    let region = |nth: u64| {
        let region = Region::commit(base, nth * 0x1000, PAGE_READWRITE);
        base += nth * 0x1000;
        region
    };
    let dump = DumpBuilder::windows_x64().regions((1..=70_000).map(region));
    let found = described(dump, Request { top: 3, pointers: false }, Depth::Headers);
    assert_eq!((found.allocations, found.family_count), (70_000, 65_536));
    assert_eq!(found.families.len(), 3);
}

#[test]
fn where_nothing_is_unexplained_or_known() {
    let request = Request { top: 3, pointers: true };
    let none = DumpBuilder::windows_x64().region(Region::reserve(0x1_0000, 0x1_0000));
    let found = described(none, request, Depth::Headers);
    assert_eq!((found.shares.unwrap().sum(), found.allocations), (0, 0));
    let rebuilt = DumpBuilder::windows_x64().memory(0x1_0000, vec![1; 64]);
    let found = described(rebuilt, request, Depth::Headers);
    assert_eq!((found.shares, found.allocations), (None, 0));
    // Memory without access is no memory on Linux; on Windows it is committed.
    let pages = Region::commit(0x1_0000, 0x1_0000, PAGE_NOACCESS);
    let found = described(DumpBuilder::windows_x64().region(pages), request, Depth::Headers);
    assert_eq!(found.families[0].bytes, 0x1_0000);
    let text = "10000-20000 ---p 00000000 00:00 0\n20000-30000 rw-p 00000000 00:00 0\n";
    let found = described(DumpBuilder::linux_x64().linux_maps(text), request, Depth::Headers);
    assert_eq!((found.allocations, found.families[0].lowest), (1, 0x2_0000));
}

/// The program leaked 20 blocks of 256 KiB; the truth file has their addresses.
#[test]
fn a_leak_is_a_family() {
    let Some(scenarios) = support::shared_or_skip("scenarios") else { return };
    let truth = std::fs::read(scenarios.join("x64-leak-after.truth.json")).expect("a truth file");
    let truth: serde_json::Value = serde_json::from_slice(&truth).expect("JSON");
    let base = |item: &serde_json::Value| {
        let text = item["base"].as_str().unwrap().trim_start_matches("0x");
        u64::from_str_radix(text, 16).unwrap()
    };
    let items = truth["items"].as_array().unwrap().iter();
    let leaked = items.filter(|item| item["kind"] == "private" && item["size"] == 0x4_0000);
    let mut leaked: Vec<u64> = leaked.map(base).collect();
    leaked.sort_unstable();
    assert_eq!(leaked.len(), 20);
    let path = support::unpacked_path(&scenarios.join("x64-leak-after.rw.dmp.zst"));
    let source = Source::open(&path).expect("a file");
    let analysis = analyze(&source, &Limits::default()).expect("a dump");
    let found = describe(&analysis, Request { top: 100, pointers: false });
    let family = found.families.iter().find(|it| it.size == 0x4_0000).expect("a family");
    assert_eq!((family.allocations, family.bytes), (20, 20 * 0x4_0000));
    assert_eq!(family.lowest, leaked[0]);
    let bytes: u64 = found.families.iter().map(|it| it.bytes).sum();
    assert_eq!(bytes, found.shares.unwrap().unexplained);
}

/// All families together are what the summary says of it, and no more is looked at than there is.
#[test]
fn families_of_real_processes_add_up() {
    for folder in ["corpus", "scenarios", "dotnet"] {
        let Some(folder) = support::shared_or_skip(folder) else { continue };
        for path in support::dumps_in(&folder) {
            let source = Source::open(&support::unpacked_path(&path)).expect("a file");
            let Ok(analysis) = analyze(&source, &Limits::default()) else { continue };
            let found = describe(&analysis, Request { top: usize::MAX, pointers: true });
            let bytes: u64 = found.families.iter().map(|it| it.bytes).sum();
            let unexplained = found.shares.map_or(0, |shares| shares.unexplained);
            assert_eq!(bytes, unexplained, "{}", path.display());
            let by_map = found.families.iter();
            let by_map = by_map.map(|it| (it.size, it.protect.map(|it| it.0), it.allocations));
            let mut by_map: Vec<_> = by_map.collect();
            by_map.sort_unstable();
            assert_eq!(by_map, families_by_pieces(&analysis), "{}", path.display());
            for contents in found.families.iter().filter_map(|it| it.contents.as_ref()) {
                assert!(contents.sampled <= 64 * 4096 && contents.zero <= contents.sampled);
                assert!((0.0..=8.0).contains(&contents.entropy), "{}", path.display());
            }
        }
    }
}

/// Size, protection and number of allocations, found piece by piece.
fn families_by_pieces(analysis: &Analysis<'_>) -> Vec<(u64, Option<u32>, u64)> {
    let mut families = BTreeMap::new();
    // Base, size and the protections of what nobody explains.
    let mut allocations: Vec<(u64, u64, BTreeSet<u32>)> = Vec::new();
    let mut before = None;
    for piece in analysis.pieces() {
        let base = piece.region.allocation_base;
        let goes_on = base == std::mem::replace(&mut before, base);
        let Some(base) = base else { continue };
        if !goes_on {
            allocations.push((base, 0, BTreeSet::new()));
        }
        let (.., size, protects) = allocations.last_mut().unwrap();
        *size += piece.range.size();
        if is_unexplained(analysis, &piece) {
            protects.insert(piece.region.protect.0);
        }
    }
    for (_, size, protects) in allocations.into_iter().filter(|(.., it)| !it.is_empty()) {
        let protect = protects.first().copied().filter(|_| protects.len() == 1);
        *families.entry((size, protect)).or_insert(0) += 1;
    }
    families.into_iter().map(|((size, protect), count)| (size, protect, count)).collect()
}

/// The family that has most of it, in small maps and in large ones.
#[test]
fn one_family_has_most() {
    let found = |dump: DumpBuilder| {
        let source = Source::from_bytes(sorted(dump).build());
        let analysis = analyze(&source, &Limits::default()).expect("a dump");
        dominant(&analysis).map(|family| (family.size, family.allocations))
    };
    assert_eq!(found(process()), Some((MIB, 5)));
    let blocks = |count: u64, size: &dyn Fn(u64) -> u64| {
        (0..count).fold(DumpBuilder::windows_x64(), |dump, nth| {
            let base = 0x1_0000_0000 + nth * MIB;
            dump.region(Region::commit(base, size(nth), PAGE_READWRITE))
        })
    };
    // Too few, too little, too mixed.
    assert_eq!(found(blocks(3, &|_| MIB)), None);
    assert_eq!(found(blocks(4, &|_| 0x1_0000)), None);
    let mixed = |nth: u64| 0x1000 * (nth % 5 + 1);
    assert_eq!(found(blocks(1_000, &mixed)), None);
    // More than are looked at one by one: every second block is large.
    let large = |nth: u64| if nth.is_multiple_of(2) { 0x8000 } else { mixed(nth) };
    assert_eq!(found(blocks(20_000, &large)), Some((0x8000, 10_000)));
    assert_eq!(found(blocks(20_000, &mixed)), None);
}

/// Contents are shown when somebody asks for them, and not before.
#[test]
fn bytes_only_on_request() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("unexplained");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("app.dmp");
    let mut dump = sorted(process());
    let secret = b"hunter2\x01 secret!".to_vec();
    dump = dump.region(Region::commit(0x6_0000_0000, 0x80_0000, PAGE_READWRITE));
    dump = sorted(dump.memory(0x6_0000_0000, secret));
    std::fs::write(&path, dump.build()).unwrap();
    let path = path.to_str().unwrap();
    for command in [&["unexplained", path][..], &["explain", path, "600000000"]] {
        for format in ["text", "json"] {
            let shown = |more: &[&str]| {
                let mut args = command.to_vec();
                args.extend(["-f", format]);
                args.extend(more);
                support::run(args).stdout
            };
            assert!(!shown(&["--pointers"]).contains("hunter2"), "{command:?} {format}");
            assert!(shown(&["--first-bytes"]).contains("hunter2. secret!"), "{command:?} {format}");
            if format == "json" {
                schema::check(command[0], &shown(&["--pointers", "--first-bytes"]));
            }
        }
    }
    let explained =
        support::run(["explain", path, "10000000", "7ff600001000", "--pointers"]).stdout;
    for line in [
        "family     unexplained, +0x0; one of 5 allocations of 1,024 K, RW",
        "holds      99.9 % zero, constant entropy, first word leads into app.exe",
        "pointers   1 from data of app.exe, 1 from stacks",
    ] {
        assert!(explained.contains(line), "{line} in\n{explained}");
    }
    let most = folder.join("most.dmp");
    std::fs::write(&most, sorted(process()).build()).unwrap();
    let most = most.to_str().unwrap();
    let summary = support::run(["summary", most]).stdout;
    let summary: Vec<&str> = summary.split_whitespace().collect();
    let words = "most of it 5 allocations of 1,024 K, RW): dumpmap unexplained";
    assert!(summary.join(" ").contains(words), "{summary:?}");
    let json = support::run(["summary", most, "-f", "json"]).stdout;
    schema::check("summary", &json);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let family = &json["summary"]["unexplained_family"];
    assert_eq!((&family["allocations"], &family["bytes"]), (&5.into(), &(5 * MIB).into()));
    let text = support::run(["unexplained", path, "--pointers"]).stdout;
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    let csv = support::run(["unexplained", path, "-f", "csv", "--top", "1"]).stdout;
    assert!(csv.starts_with("size,protect,allocations,bytes,lowest,contents,pointers,first_bytes"));
    assert!(
        support::run(["unexplained", path, "-f", "markdown"]).stdout.starts_with("| Committed")
    );
}
