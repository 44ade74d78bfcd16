//! `fits`: made dumps whose answer is known, and the scenarios.

mod support;

#[path = "cli/schema.rs"]
mod schema;

use dumpmap::analyze;
use dumpmap::fits::{Fits, Request, fits};
use dumpmap::limits::Limits;
use dumpmap::owner::Owners;
use dumpmap::source::Source;
use dumpmap::synth::{Architecture, DumpBuilder, PAGE_READWRITE, Platform, Region};
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

/// Free 64 KiB, and 20 KiB at an address that is no multiple of 16 KiB.
#[test]
fn larger_pages_by_the_auxiliary_vector() {
    let maps = "00100000-00200000 rw-p 00000000 00:00 0\n\
                00210000-00301000 rw-p 00000000 00:00 0\n\
                00306000-1000000000000 rw-p 00000000 00:00 0\n";
    let arm = || {
        DumpBuilder::with_system(Architecture::Arm64, Platform::Linux, (6, 1, 0)).linux_maps(maps)
    };
    let of = |dump: &DumpBuilder| {
        let fits = answer(dump.build(), 0x1000, None).unwrap();
        (fits.size, fits.align, fits.page.bytes, fits.times)
    };
    // Below the first mapping there are 0xf0000 free bytes above 64 KiB.
    assert_eq!(of(&arm()), (0x1000, 0x1000, 0x1000, 0xf0 + 0x10 + 5));
    let large = arm().linux_auxv(&[(6, 0x4000)]);
    assert_eq!(of(&large), (0x4000, 0x4000, 0x4000, 0x3c + 4));
    let said = |dump: &DumpBuilder| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("fits-pages.dmp");
        std::fs::write(&path, dump.build()).unwrap();
        run(["fits", path.to_str().unwrap(), "1"]).stdout
    };
    let text = said(&large);
    assert!(text.contains("\npages of 16 KiB, by the auxiliary vector\n"), "{text}");
    let text = said(&arm());
    assert!(text.contains("\npages of 4 KiB are assumed: the dump does not tell"), "{text}");
    assert!(!said(&arm().linux_auxv(&[(6, 0x1000)])).contains("\npages of"));
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

#[test]
fn a_run_of_several_allocations_is_no_single_fence() {
    let bytes = DumpBuilder::windows_x86()
        .region(Region::free(0x10_0000, 0x10_0000))
        .region(Region::commit(0x20_0000, 0x1_0000, PAGE_READWRITE))
        .region(Region::commit(0x21_0000, 0x1_0000, PAGE_READWRITE))
        .region(Region::free(0x22_0000, 0x8_0000))
        .region(Region::commit(0x2a_0000, 0x1_0000, PAGE_READWRITE))
        .region(Region::reserve(0x2b_0000, 0x1_0000).within(0x2a_0000))
        .region(Region::free(0x2c_0000, 0x4_0000))
        .build();
    let fits = answer(bytes, 0x1a_0000, None).unwrap();
    assert_eq!((fits.fences, fits.runs, fits.enough), (1, 1, 0));
    // Two regions of one allocation are one fence.
    let [single] = &fits.top[..] else { panic!("{:?}", fits.top) };
    assert_eq!((single.range.start(), single.range.size()), (0x2a_0000, 0x2_0000));
    assert_eq!(single.joined, 0x8_0000 + 0x2_0000 + 0x4_0000);
    let run = fits.smallest_run.unwrap();
    assert_eq!((run.range.start(), run.allocations, run.joined), (0x20_0000, 2, 0x1a_0000));
    assert!(fits.owners.iter().map(|owner| owner.fences).sum::<u64>() == 1);
}

#[test]
fn an_image_of_several_mappings_is_one_fence() {
    use dumpmap::synth::{Mapping, Module, maps_text};
    let lines = [
        Mapping::new(0x10_0000, 0x20_0000, "rw-p", ""),
        Mapping::new(0x40_0000, 0x40_1000, "r--p", "/lib/a.so"),
        Mapping::new(0x40_1000, 0x40_2000, "r-xp", "/lib/a.so"),
        Mapping::new(0x60_0000, 0x60_1000, "rw-p", ""),
        Mapping::new(0x60_1000, 0x60_2000, "rw-s", "/dev/shm/x"),
        Mapping::new(0x80_0000, 0x80_1000, "rw-p", ""),
    ];
    let bytes = DumpBuilder::linux_x64()
        .module(Module::new("/lib/a.so", 0x40_0000, 0x2000))
        .linux_maps(maps_text(&lines))
        .build();
    let fits = answer(bytes, 0x1000, None).unwrap();
    // The first and the last stand between free blocks too: 0 and the top of the space are free.
    assert_eq!((fits.fences, fits.runs), (3, 1), "{fits:?}");
    assert_eq!(fits.align, 0x1000);
}

/// Fences of one and of several allocations, from what VirtualQuery said.
fn fences_of(walk: &[serde_json::Value]) -> (u64, u64) {
    let hex = |value: &serde_json::Value| {
        u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    let (mut counts, mut bases, mut free_before) =
        ((0, 0), std::collections::BTreeSet::new(), false);
    for row in walk {
        let end = hex(&row["base"]) + row["size"].as_u64().unwrap();
        if row["state"] != "free" {
            bases.insert(hex(&row["alloc_base"]));
        } else if end > 0x1_0000 {
            match (free_before, bases.len()) {
                (true, 1) => counts.0 += 1,
                (true, 2..) => counts.1 += 1,
                _ => {}
            }
            free_before = true;
            bases.clear();
        }
    }
    counts
}

#[test]
fn fences_are_those_of_the_process() {
    let Some(folder) = shared_or_skip("scenarios") else { return };
    for name in ["x86-fragmented", "x86-exhausted", "x86-private", "x64-leak-after", "x64-frag4k"] {
        let truth = std::fs::read_to_string(folder.join(format!("{name}.truth.json"))).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
        let bytes = std::fs::read(folder.join(format!("{name}.info.dmp"))).unwrap();
        let fits = answer(bytes, 1 << 20, None).unwrap();
        let counts = (fits.fences, fits.runs);
        assert_eq!(counts, fences_of(truth["walk"].as_array().unwrap()), "{name}");
    }
    let output = run(["fits", folder.join("x86-fragmented.info.dmp").to_str().unwrap(), "2M"]);
    let text = output.stdout.replace('\n', " ");
    assert!(text.contains("assumed: pages of 4 KiB, blocks at multiples of 64 KiB"), "{text}");
    assert!(text.contains("it would without one of "), "{text}");
}
