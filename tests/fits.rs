//! `fits`: made dumps whose answer is known, and the scenarios.

mod support;

#[path = "cli/schema.rs"]
mod schema;

use dumpmap::analyze;
use dumpmap::fits::{Fits, Request, fits};
use dumpmap::limits::Limits;
use dumpmap::owner::Owners;
use dumpmap::source::Source;
use dumpmap::synth::{DumpBuilder, PAGE_READWRITE, Region};
use support::{run, shared_or_skip};

fn answer(bytes: Vec<u8>, size: u64, align: Option<u64>) -> Option<Fits> {
    let source = Source::from_bytes(bytes);
    let analysis = analyze(&source, &Limits::default()).unwrap();
    fits(&analysis, &Owners::of(&analysis), &Request { size, align, top: 2 })
}

/// Free 1 MiB, 4 KiB taken, free 2 MiB less 4 KiB, 1 MiB taken, free 1 MiB,
/// the rest taken.
fn dump() -> Vec<u8> {
    DumpBuilder::windows_x86()
        .region(Region::reserve(0x1_0000, 0xf_0000))
        .region(Region::free(0x10_0000, 0x10_0000))
        .region(Region::commit(0x20_0000, 0x1000, PAGE_READWRITE))
        .region(Region::free(0x20_1000, 0x1f_f000))
        .region(Region::reserve(0x40_0000, 0x10_0000))
        .region(Region::free(0x50_0000, 0x10_0000))
        .region(Region::reserve(0x60_0000, 0x7f99_0000))
        .build()
}

#[test]
fn sizes_places_and_fences() {
    let none = answer(dump(), 3 << 20, None).unwrap();
    assert_eq!((none.times, none.lowest), (0, None));
    assert_eq!(none.largest, (0x1f_0000, 0x21_0000));
    assert_eq!(none.free, (0x3f_0000, 3));
    assert_eq!((none.fences, none.enough), (2, 2));
    let joined: Vec<_> = none.top.iter().map(|f| (f.range.start(), f.joined, f.free)).collect();
    let small = (0x20_0000, 0x30_0000, (0x10_0000, 0x1f_f000));
    let large = (0x40_0000, 0x3f_0000, (0x1f_f000, 0x10_0000));
    assert_eq!(joined, [large, small]);
    assert_eq!(none.smallest.unwrap().range.start(), 0x20_0000);

    let some = answer(dump(), 1 << 20, None).unwrap();
    assert_eq!((some.times, some.lowest), (3, Some(0x10_0000)));
    let pages = answer(dump(), 0x1f_f000, Some(0x1000)).unwrap();
    assert_eq!((pages.times, pages.lowest), (1, Some(0x20_1000)));
    assert_eq!(answer(dump(), u64::MAX, None).unwrap().times, 0);
}

#[test]
fn a_rebuilt_map_cannot_tell() {
    let bytes = DumpBuilder::windows_x64().memory(0x1_0000, vec![0; 64]).build();
    assert_eq!(answer(bytes, 1, None), None);
}

#[test]
fn wrong_requests_are_usage_errors() {
    for size in ["0", "x", "64M,3", "64M,0", "-1"] {
        let output = run(["fits", "fixtures/windows-x64.dmp", size]);
        assert_eq!(output.status, Some(2), "{size}");
    }
}

#[test]
fn json_is_what_the_schema_says() {
    let output = run(["fits", "fixtures/windows-x64.dmp", "64M", "-f", "json"]);
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    schema::check("fits", &output.stdout);
}

#[test]
fn scenarios() {
    let Some(folder) = shared_or_skip("scenarios") else { return };
    let ask = |name: &str, size: u64, align| {
        answer(std::fs::read(folder.join(name)).unwrap(), size, align).unwrap()
    };
    let full = ask("x86-exhausted.info.dmp", 96 << 20, None);
    assert_eq!((full.times, full.largest.0), (0, 64_946_176));
    assert_eq!(ask("x86-exhausted.info.dmp", 61 << 20, None).times, 1);
    let pieces = ask("x86-fragmented.info.dmp", 2 << 20, Some(0x1000));
    assert_eq!((pieces.times, pieces.largest.0), (0, 1_966_080));
}
