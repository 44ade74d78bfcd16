//! Giant reservations: named, set aside, and still part of what adds up.

mod support;

use dumpmap::evidence::{RegionKind, Use};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap::synth::{Context, DumpBuilder, Module, PAGE_NOACCESS, PAGE_READWRITE, Region, Thread};
use dumpmap::totals::aside::GIANT;
use dumpmap::{Analysis, analyze};

const GIB: u64 = 1 << 30;

fn analyzed(dump: DumpBuilder, then: impl FnOnce(&Analysis<'_>)) {
    let source = Source::from_bytes(dump.build());
    then(&analyze(&source, &Limits::default()).expect("a dump"));
}

/// Use, kind, bytes and allocations of each row.
fn rows(analysis: &Analysis<'_>) -> Vec<(&'static str, RegionKind, u64, u64)> {
    let name = |usage: Option<Use>| match usage {
        Some(Use::Named(name)) => name,
        Some(_) => "a name of the maps",
        None => "",
    };
    let rows = analysis.totals.set_aside.iter();
    rows.map(|row| (name(row.usage), row.kind, row.size, row.allocations)).collect()
}

fn reserve(base: u64, size: u64, allocation_protect: u32) -> Region {
    Region { allocation_protect, ..Region::reserve(base, size) }
}

#[test]
fn known_uses_have_their_names() {
    const CAGE: u64 = 0x3e_0000_0000;
    let cage = [
        Region {
            allocation_protect: PAGE_NOACCESS,
            ..Region::commit(CAGE, 0x10_0000, PAGE_READWRITE)
        },
        reserve(CAGE + 0x10_0000, 4 * GIB - 0x10_0000, PAGE_NOACCESS).within(CAGE),
    ];
    let bitmap = Region {
        memory_type: dumpmap::synth::MEM_MAPPED,
        ..reserve(0x7df5_0000_0000, 0x200_0000_0000, PAGE_NOACCESS)
    };
    let dump = DumpBuilder::windows_x64()
        .module(Module::new(r"C:\app\node.exe", 0x7ff6_0000_0000, 0x1000))
        .regions(cage)
        .region(reserve(0x50_0000_0000, GIANT, PAGE_READWRITE))
        .region(reserve(0x60_0000_0000, GIANT - 0x1000, PAGE_READWRITE))
        .region(bitmap);
    analyzed(dump, |analysis| {
        let expected = [
            ("V8 heap cage", RegionKind::Private, 4 * GIB - 0x10_0000, 1),
            ("", RegionKind::Private, GIANT, 1),
            ("CFG bitmap", RegionKind::Shareable, 0x200_0000_0000, 1),
        ];
        assert_eq!(rows(analysis), expected);
        let private = analysis.totals.row(RegionKind::Private);
        assert_eq!(private.set_aside, 4 * GIB - 0x10_0000 + GIANT);
        assert_eq!(private.largest, Some(4 * GIB));
        assert_eq!(private.largest_kept, Some(GIANT - 0x1000));
        assert_eq!(analysis.totals.audit.accounted, analysis.totals.audit.range_size);
    });
}

#[test]
fn java_and_a_sanitizer_on_windows() {
    let java = DumpBuilder::windows_x64()
        .module(Module::new(r"C:\jdk\bin\server\jvm.dll", 0x7ff6_0000_0000, 0x1000))
        .region(Region::commit(0x7_0000_0000, 0x100_0000, PAGE_READWRITE))
        .region(reserve(0x7_0100_0000, 4 * GIB - 0x100_0000, PAGE_READWRITE).within(0x7_0000_0000));
    analyzed(java, |analysis| {
        let size = 4 * GIB - 0x100_0000;
        assert_eq!(rows(analysis), [("Java heap or class space", RegionKind::Private, size, 1)]);
    });
    let sanitizer = DumpBuilder::windows_x64()
        .module(Module::new(r"C:\app\clang_rt.asan_dynamic-x86_64.dll", 0x7ff6_0000_0000, 0x1000))
        .region(reserve(0x1000_0000_0000, 14 << 40, PAGE_READWRITE));
    analyzed(sanitizer, |analysis| {
        assert_eq!(rows(analysis)[0].0, "AddressSanitizer shadow");
    });
}

/// In 32 bits a reservation is what the process lacks.
#[test]
fn nothing_is_set_aside_in_32_bits() {
    let dump = DumpBuilder::windows_x86().region(Region::reserve(0x1000_0000, GIB));
    analyzed(dump, |analysis| {
        assert_eq!(rows(analysis), []);
        assert_eq!(analysis.totals.total.set_aside, 0);
    });
}

/// Records that contradict each other: one allocation of two types, of which the second has more.
#[test]
fn an_allocation_of_two_kinds_is_split_by_kind() {
    const BASE: u64 = 0x10_0000_0000;
    let view = Region {
        memory_type: dumpmap::synth::MEM_MAPPED,
        ..reserve(BASE + GIB, 2 * GIB, PAGE_READWRITE)
    };
    let dump = DumpBuilder::windows_x64()
        .region(reserve(BASE, GIB, PAGE_READWRITE))
        .region(view.within(BASE))
        .region(Region::free(BASE + 3 * GIB, 0x1_0000))
        .region(reserve(BASE + 8 * GIB, GIB / 2, PAGE_READWRITE));
    analyzed(dump, |analysis| {
        let expected =
            [("", RegionKind::Mapped, 3 * GIB, 1), ("", RegionKind::Private, GIB / 2, 1)];
        assert_eq!(rows(analysis), expected);
        assert_eq!(analysis.totals.row(RegionKind::Private).set_aside, GIB + GIB / 2);
        assert_eq!(analysis.totals.row(RegionKind::Mapped).set_aside, 2 * GIB);
    });
}

/// The first lines of /proc/self/maps of a program that GCC 12 linked with libasan 8.
const SANITIZED: &str = "\
7fff7000-8fff7000 rw-p 00000000 00:00 0
8fff7000-2008fff7000 ---p 00000000 00:00 0
2008fff7000-10007fff8000 rw-p 00000000 00:00 0
600000000000-603000000000 ---p 00000000 00:00 0
603000000000-603000010000 rw-p 00000000 00:00 0
603000010000-603e00000000 ---p 00000000 00:00 0
603e00000000-603e00010000 rw-p 00000000 00:00 0
640000000000-640000002000 rw-p 00000000 00:00 0
";

#[test]
fn a_sanitizer_on_linux() {
    let dump = DumpBuilder::linux_x64()
        .linux_maps(SANITIZED)
        .thread(Thread { context: Context::at(0x1000, 0x2000), ..Thread::new(1) });
    analyzed(dump, |analysis| {
        let found = rows(analysis);
        let names: Vec<&str> = found.iter().map(|row| row.0).collect();
        let expected =
            ["AddressSanitizer shadow", "AddressSanitizer shadow gap", "AddressSanitizer heap"];
        assert_eq!(names, expected);
        assert_eq!(found[0].2, 0x1000_0000 + (0x1000_7fff_8000 - 0x0200_8fff_7000));
        // Not the shadow, of which nobody knows what was touched.
        let shares = analysis.totals.total.shares.unwrap();
        assert_eq!((shares.heuristic, shares.unexplained), (0x2_0000, 0x2000));
        assert_eq!(analysis.totals.row(RegionKind::Private).private, Some(0x2000));
        // What has no memory would leave no room for the rest in the picture.
        assert_eq!(analysis.totals.strip.bytes(), 0x2_2000);
    });
    // One page more: no sanitizer, and nothing is called one.
    let other = SANITIZED.replace("10007fff8000", "10007fff9000");
    analyzed(DumpBuilder::linux_x64().linux_maps(other), |analysis| {
        assert!(rows(analysis).iter().all(|row| row.0.is_empty()), "{:?}", rows(analysis));
    });
}

/// What programs reserved on purpose, by their truth files and by the runtimes' own structures.
#[test]
fn real_processes() {
    let Some(scenarios) = support::shared_or_skip("scenarios") else { return };
    let rows_of = |path: std::path::PathBuf| {
        let source = Source::open(&support::unpacked_path(&path)).expect("a file");
        let analysis = analyze(&source, &Limits::default()).expect("a dump");
        let table = rows(&analysis);
        let kept = analysis.totals.total.size - analysis.totals.total.set_aside;
        (table, kept)
    };
    // Five reservations of the program itself, of 2 GiB to 4 TiB; the rest is small.
    let (table, kept) = rows_of(scenarios.join("x64-hugereserve.info.dmp"));
    let [("", RegionKind::Private, size, 5)] = table[..] else { panic!("{table:?}") };
    assert!(size > 5 << 40 && kept < 32 << 20, "{size} {kept}");
    let Some(dotnet) = support::shared_or_skip("dotnet") else { return };
    for file in ["net8.rw.dmp.zst", "net8.info.dmp.zst", "net8-svr.rw.dmp.zst"] {
        let (table, kept) = rows_of(dotnet.join(file));
        let names: Vec<_> = table.iter().map(|row| (row.0, row.1)).collect();
        assert!(names.contains(&("GC heap", RegionKind::ManagedHeap)), "{file}: {table:?}");
        assert!(kept < GIB, "{file}: {kept}");
    }
    let Some(corpus) = support::shared_or_skip("corpus") else { return };
    for (file, use_of_one) in [
        ("zuohuiyang__dump-analyzer-mcp-server/electron.dmp", "V8 sandbox"),
        ("zuohuiyang__dump-analyzer-mcp-server/electron.dmp", "PartitionAlloc pool"),
        ("mozilla-services__minidump-stackwalk/windows-x86_64.dmp", "SpiderMonkey code"),
        ("mozilla-services__minidump-stackwalk/windows-aarch64.dmp", "CFG bitmap"),
    ] {
        let (table, kept) = rows_of(corpus.join(file));
        assert!(table.iter().any(|row| row.0 == use_of_one), "{file}: {table:?}");
        assert!(kept < 4 * GIB, "{file}: {kept}");
    }
}
