//! The dumps in `fixtures/` that the project makes itself: their bytes, and what each proves.
//!
//! The bytes are written by `dumpmap::synth` from the functions here, and the test compares them with
//! the files, so that neither can drift. To write them again after a change:
//! `DUMPMAP_WRITE_FIXTURES=1 cargo test --test fixtures`.

#![allow(clippy::print_stdout, reason = "which file a failure is about")]

use std::fs;
use std::path::{Path, PathBuf};

use dumpmap::dump::PointerWidth;
use dumpmap::evidence::RegionKind;
use dumpmap::limits::Limits;
use dumpmap::map::MapSource;
use dumpmap::source::Source;
use dumpmap::synth::heap::{Block, Heap, Segment};
use dumpmap::synth::windows::{
    Allocation, Capture, ImagePlan, Layout, Listing, Process, ThreadPlan,
};
use dumpmap::synth::{
    Architecture, Context, CrashpadInfo, Damage, DumpBuilder, Exception, Handle, Mapping, Memory,
    MiscInfo, Module, Name, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_GUARD, PAGE_NOACCESS,
    PAGE_READONLY, PAGE_READWRITE, Platform, Region, Stack, Thread, ThreadInfo, UnloadedModule,
    maps_text, memory_info_list, stream,
};
use dumpmap::{Analysis, analyze};

/// File name, its bytes, and the ground truth.
struct Fixture {
    name: &'static str,
    bytes: Vec<u8>,
    proves: fn(&Analysis<'_>),
}

fn fixtures() -> Vec<Fixture> {
    let make = |name, dump: DumpBuilder, proves| Fixture { name, bytes: dump.build(), proves };
    vec![
        make("windows-x64", windows(Process::x64()).dump(Capture::Small), whole_process),
        make("windows-x86", windows(Process::x86()).dump(Capture::Small), whole_process),
        make("windows-arm64", windows(Process::arm64()).dump(Capture::Small), whole_process),
        make("wow64-native", windows(Process::wow64()).dump(Capture::Small), both_halves),
        make("wow64-32bit", windows(Process::wow64()).dump32(Capture::Small), one_half),
        make("map-only", windows(Process::x64()).dump(Capture::MapOnly), without_contents),
        make("linux-maps", linux_maps(), linux_names),
        make("macos-without-map", macos(), rebuilt_from_modules),
        make("rebuilt-map", rebuilt(), rebuilt_from_captured_memory),
        make("unsorted-regions", unsorted(), sorted_again),
        make("overlapping-regions", overlapping(), smaller_region_wins),
        make("gaps", gaps(), gaps_are_not_free),
        make("unusable", unusable(), below_the_granule),
        make("sign-extended-x86", sign_extended(), masked_to_32_bits),
        make("cut-in-regions", cut(), what_is_left_is_used),
        make("duplicate-streams", duplicates(), the_larger_is_used),
        make("lying-counts", lying_counts(), entries_that_are_there),
        make("hostile-names", hostile_names(), names_as_they_are),
        make("unlisted-image", unlisted_image(), an_image_without_a_module),
        make("stack-overflow", stack_overflow(), a_thread_in_its_last_page),
        make("write-to-null", write_to_null(), a_crash_at_a_free_address),
        make("grows-before", grows(0), before_it_grew),
        make("grows-after", grows(1), after_it_grew),
        make("no-streams", DumpBuilder::new(), nothing_at_all),
    ]
}

#[test]
fn the_files_are_what_the_functions_write() {
    let write = std::env::var_os("DUMPMAP_WRITE_FIXTURES").is_some();
    for fixture in fixtures() {
        let path = folder().join(format!("{}.dmp", fixture.name));
        if write {
            fs::write(&path, &fixture.bytes).expect("fixtures can be written");
        }
        let there = fs::read(&path).unwrap_or_default();
        assert!(there == fixture.bytes, "{} is not what tests/fixtures.rs writes", path.display());
    }
}

#[test]
fn there_are_no_other_files() {
    let known: Vec<String> =
        fixtures().iter().map(|fixture| format!("{}.dmp", fixture.name)).collect();
    for entry in fs::read_dir(folder()).expect("the folder of fixtures") {
        let name = entry.expect("a readable entry").file_name().to_string_lossy().into_owned();
        let kept = name == "README.md" || name == "scenarios" || known.contains(&name);
        assert!(kept, "fixtures/{name} is made by nothing");
    }
}

#[test]
fn each_proves_what_it_says() {
    for fixture in fixtures() {
        let source = Source::from_bytes(fixture.bytes);
        let analysis = analyze(&source, &Limits::default()).expect("a dump");
        let audit = analysis.totals.audit;
        assert_eq!(audit.accounted, audit.range_size, "{}", fixture.name);
        println!("{}", fixture.name);
        (fixture.proves)(&analysis);
    }
}

#[test]
fn the_readme_has_a_line_for_each() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("fixtures/README.md");
    for fixture in fixtures() {
        assert!(readme.contains(&format!("| `{}` |", fixture.name)), "{} is missing", fixture.name);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

// Whole processes.

/// Two threads, one of them named; the default heap and one with a large block and a second segment;
/// private memory of each state; a view; a DLL.
fn windows(process: Process) -> Layout {
    let second = Heap {
        segments: vec![
            Segment { reserve: 0x10_0000, commit: 0x2000, blocks: vec![Block::busy(0x400)] },
            Segment { reserve: 0x20_0000, commit: 0x1000, blocks: vec![Block::free(0x200)] },
        ],
        large: vec![0x18_0000],
        ..Heap::new()
    };
    let worker = ThreadPlan {
        name: Some("worker".to_owned()),
        reserve: 0x4_0000,
        ..ThreadPlan::new(0x1004)
    };
    process
        .image(r"C:\App\plugin.dll")
        .thread(worker)
        .heap(second)
        .allocate(
            Allocation::private()
                .commit(0x1_0000, PAGE_READWRITE)
                .reserve(0x3_0000)
                .commit(0x1000, PAGE_NOACCESS),
        )
        .allocate(Allocation::private().commit(0x2000, PAGE_EXECUTE_READWRITE))
        .allocate(Allocation::mapped().commit(0x8000, PAGE_READONLY))
        .lay_out()
}

fn whole_process(analysis: &Analysis<'_>) {
    assert_eq!(analysis.map.source, MapSource::MemoryInfo);
    assert_eq!(analysis.dump.threads.len(), 2);
    assert_eq!(analysis.dump.threads[1].name.as_deref(), Some("worker"));
    assert_eq!(analysis.dump.modules.modules.len(), 3);
    let sizes: Vec<u64> = analysis.evidence.stacks.iter().map(|stack| stack.range.size()).collect();
    assert_eq!(sizes, [0x10_0000, 0x4_0000]);
    assert_eq!(analysis.evidence.heaps.len(), 2);
    let second = &analysis.evidence.heaps[1];
    assert!(second.complete && !second.is_default, "{second:x?}");
    assert_eq!(analysis.totals.row(RegionKind::Stack).size, 0x14_0000);
    assert_eq!(analysis.totals.row(RegionKind::Mapped).size, 0x8000);
    assert_eq!(analysis.totals.row(RegionKind::Image).blocks, 3 * 6);
    let no_issue = analysis.dump.issues.total() + analysis.map.issues.total();
    assert_eq!(no_issue, 0, "{:?}", analysis.dump.issues);
}

fn both_halves(analysis: &Analysis<'_>) {
    assert_eq!(analysis.dump.system.width, PointerWidth::Bits64);
    assert_eq!(analysis.dump.modules.repeated, 1);
    assert_eq!(analysis.evidence.environment.pebs.len(), 2);
    let widths: Vec<u32> =
        analysis.evidence.stacks.iter().map(|stack| stack.width.bits()).collect();
    assert_eq!(widths.iter().filter(|bits| **bits == 32).count(), 2);
    assert_eq!(widths.iter().filter(|bits| **bits == 64).count(), 2);
    assert_eq!(analysis.evidence.heaps.len(), 3);
}

fn one_half(analysis: &Analysis<'_>) {
    assert_eq!(analysis.dump.system.width, PointerWidth::Bits32);
    assert_eq!(analysis.evidence.environment.pebs.len(), 1);
    assert_eq!(analysis.evidence.heaps.len(), 2);
    let range = analysis.map.range.expect("a map");
    assert!(range.last() < 1 << 32, "{range}");
}

fn without_contents(analysis: &Analysis<'_>) {
    assert_eq!(analysis.map.source, MapSource::MemoryInfo);
    assert_eq!(analysis.totals.total.captured, 0);
    assert!(analysis.evidence.heaps.is_empty());
    assert_eq!(analysis.totals.row(RegionKind::Heap).size, 0);
    // The stacks are known all the same: by the region around the stack pointer.
    assert_eq!(analysis.totals.row(RegionKind::Stack).size, 0x14_0000);
}

/// Program, heap, an arena, a thread's stack with its guard, libraries, the kernel's own pages.
fn linux_maps() -> DumpBuilder {
    let maps = [
        Mapping::new(0x5555_5555_4000, 0x5555_5555_6000, "r--p", "/usr/bin/app"),
        Mapping::new(0x5555_5555_6000, 0x5555_5555_9000, "r-xp", "/usr/bin/app"),
        Mapping::new(0x5555_5555_9000, 0x5555_5555_b000, "rw-p", "/usr/bin/app"),
        Mapping::new(0x5555_5556_0000, 0x5555_5558_1000, "rw-p", "[heap]"),
        Mapping::new(0x7fff_e800_0000, 0x7fff_e802_1000, "rw-p", ""),
        Mapping::new(0x7fff_e802_1000, 0x7fff_ec00_0000, "---p", ""),
        Mapping::new(0x7fff_f000_0000, 0x7fff_f000_1000, "---p", ""),
        Mapping::new(0x7fff_f000_1000, 0x7fff_f080_1000, "rw-p", ""),
        Mapping::new(0x7fff_f7a0_0000, 0x7fff_f7a2_0000, "r--s", "/var/cache/data file (deleted)"),
        Mapping::new(0x7fff_f7c0_0000, 0x7fff_f7c2_8000, "r--p", "/usr/lib/libc.so.6"),
        Mapping::new(0x7fff_f7c2_8000, 0x7fff_f7db_d000, "r-xp", "/usr/lib/libc.so.6"),
        Mapping::new(0x7fff_f7fc_1000, 0x7fff_f7fc_3000, "r-xp", "[vdso]"),
        Mapping::new(0x7fff_fffd_e000, 0x7fff_ffff_f000, "rw-p", "[stack]"),
        Mapping::new(0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000, "--xp", "[vsyscall]"),
    ];
    let at = |instruction, stack| Context::at(instruction, stack);
    DumpBuilder::linux_x64()
        .misc(MiscInfo::new(4711))
        .module(Module::new("/usr/bin/app", 0x5555_5555_4000, 0x7000))
        .module(Module::new("/usr/lib/libc.so.6", 0x7fff_f7c0_0000, 0x1b_d000))
        .thread(Thread {
            stack: Stack::Captured(Memory::new(0x7fff_ffff_e000, vec![0; 0x200])),
            context: at(0x7fff_f7c3_0000, 0x7fff_ffff_e000),
            ..Thread::new(4711)
        })
        .thread(Thread {
            stack: Stack::Captured(Memory::new(0x7fff_f080_0000, vec![0; 0x200])),
            context: at(0x7fff_f7c3_0000, 0x7fff_f080_0000),
            ..Thread::new(4712)
        })
        .thread_name(4711, "main")
        .thread_name(4712, "worker")
        .linux_maps(maps_text(&maps))
}

fn linux_names(analysis: &Analysis<'_>) {
    assert_eq!(analysis.map.source, MapSource::LinuxMaps);
    assert_eq!(analysis.map.len(), 14);
    // 0 to 0x7fffffffefff, and [vsyscall].
    assert_eq!(analysis.totals.audit.range_size, 0x7fff_ffff_f000 + 0x1000);
    let row = |kind| analysis.totals.row(kind).size;
    assert_eq!(row(RegionKind::Heap), 0x2_1000 + 0x400_0000, "[heap] and the arena");
    assert_eq!(row(RegionKind::Stack), 0x2_1000 + 0x80_0000 + 0x1000, "[stack] and a thread's");
    assert_eq!(row(RegionKind::MappedFile), 0x2_0000);
    assert!(analysis.totals.total.reserved.is_none(), "Linux does not tell reserved memory");
}

fn macos() -> DumpBuilder {
    DumpBuilder::with_system(Architecture::Arm64, Platform::MacOs, (14, 5, 0))
        .misc(MiscInfo::new(812))
        .module(Module::new("/Applications/App.app/Contents/MacOS/App", 0x1_0000_0000, 0x1_0000))
        .module(Module::new("/usr/lib/libSystem.B.dylib", 0x1_8000_0000, 0x4000))
        .thread(Thread {
            teb: 0x1_f000_0000,
            stack: Stack::Captured(Memory::new(0x1_6fdf_e000, vec![0; 0x800])),
            context: Context::at(0x1_8000_1000, 0x1_6fdf_e000),
            ..Thread::new(259)
        })
        .crashpad(CrashpadInfo {
            annotations: vec![("product".to_owned(), "App".to_owned())],
            ..CrashpadInfo::default()
        })
}

fn rebuilt_from_modules(analysis: &Analysis<'_>) {
    assert_eq!(analysis.map.source, MapSource::Rebuilt);
    assert!(analysis.totals.free.is_none(), "nobody knows what is free");
    assert!(analysis.totals.total.reserved.is_none());
    assert_eq!(analysis.totals.row(RegionKind::Image).size, 0x1_4000);
    assert_eq!(analysis.totals.audit.range_size, 0x1_4000 + 0x800);
}

/// A usual Windows minidump: modules, threads and what is on their stacks, no stream 16.
fn rebuilt() -> DumpBuilder {
    let mut dump = windows(Process::x64()).dump(Capture::Small);
    dump.regions = None;
    dump.header.flags = 0;
    dump
}

fn rebuilt_from_captured_memory(analysis: &Analysis<'_>) {
    assert_eq!(analysis.map.source, MapSource::Rebuilt);
    assert!(analysis.totals.free.is_none());
    assert_eq!(analysis.dump.modules.modules.len(), 3);
    assert_eq!(analysis.totals.row(RegionKind::Image).size, 3 * 0x9000);
    // The TEBs are captured, so the stacks are known, as far as the map has their bytes.
    assert_eq!(analysis.evidence.stacks.len(), 2);
    let audit = analysis.totals.audit;
    let captured: u64 = analysis.dump.captured.ranges().iter().map(|run| run.range.size()).sum();
    assert!(audit.range_size > captured, "{audit:x?}");
}

// Regions with something wrong.

/// One of each state and type, 0x40000 bytes from 0.
fn plain_regions() -> Vec<Region> {
    vec![
        Region::free(0, 0x1_0000),
        Region::commit(0x1_0000, 0x4000, PAGE_READWRITE),
        Region::reserve(0x1_4000, 0xc000).within(0x1_0000),
        Region::mapped(0x2_0000, 0x1000, PAGE_READONLY),
        Region::free(0x2_1000, 0xf000),
        Region::image(0x3_0000, 0x1000, PAGE_READONLY, 0x3_0000),
        Region::image(0x3_1000, 0xf000, PAGE_EXECUTE_READ, 0x3_0000),
    ]
}

fn unsorted() -> DumpBuilder {
    let mut regions = plain_regions();
    regions.reverse();
    regions.swap(1, 4);
    DumpBuilder::windows_x64().regions(regions)
}

fn sorted_again(analysis: &Analysis<'_>) {
    let starts: Vec<u64> = analysis.map.iter().map(|region| region.range.start()).collect();
    assert_eq!(starts, [0, 0x1_0000, 0x1_4000, 0x2_0000, 0x2_1000, 0x3_0000, 0x3_1000]);
    assert_eq!(analysis.totals.audit.range_size, 0x4_0000);
    assert_eq!(analysis.totals.audit.overlaps, 0);
}

/// A free region over everything, as if the space were listed twice, and two that share a page.
fn overlapping() -> DumpBuilder {
    DumpBuilder::windows_x64().regions([
        Region::free(0, 0x10_0000),
        Region::commit(0x2_0000, 0x3000, PAGE_READWRITE),
        Region::commit(0x2_2000, 0x2000, PAGE_READONLY),
        Region::reserve(0xf_0000, 0x2_0000),
    ])
}

fn smaller_region_wins(analysis: &Analysis<'_>) {
    let map: Vec<(u64, u64, u32)> = analysis
        .map
        .iter()
        .map(|region| (region.range.start(), region.range.size(), region.protect.0))
        .collect();
    let expected = [
        (0, 0x2_0000, 0),
        (0x2_0000, 0x2000, PAGE_READWRITE),
        (0x2_2000, 0x2000, PAGE_READONLY),
        (0x2_4000, 0xc_c000, 0),
        (0xf_0000, 0x2_0000, 0),
    ];
    assert_eq!(map, expected);
    assert_eq!(analysis.totals.audit.range_size, 0x11_0000);
    assert_eq!(analysis.totals.audit.overlaps, 2);
    assert_eq!(analysis.map.issues.total(), 1);
}

/// Free memory is listed, so what no record describes is not free.
fn gaps() -> DumpBuilder {
    DumpBuilder::windows_x64().regions([
        Region::commit(0x1_0000, 0x1000, PAGE_READWRITE),
        Region::free(0x1_1000, 0xf000),
        Region::commit(0x4_0000, 0x1000, PAGE_READWRITE),
        Region::commit(0x5_0000, 0x1000, PAGE_READWRITE),
    ])
}

fn gaps_are_not_free(analysis: &Analysis<'_>) {
    let audit = analysis.totals.audit;
    assert_eq!((audit.gaps, audit.gap_bytes), (2, 0x2_0000 + 0xf000));
    assert_eq!(audit.range_size, 0x4_1000);
    assert_eq!(analysis.totals.row(RegionKind::Unknown).size, 0x2_f000);
    assert_eq!(analysis.totals.free.expect("a map").raw_size, 0xf000);
}

/// A page at each of three granules: 60 KiB after each cannot be allocated.
fn unusable() -> DumpBuilder {
    DumpBuilder::windows_x86().regions([
        Region::free(0, 0x1_0000),
        Region::commit(0x1_0000, 0x1000, PAGE_READWRITE),
        Region::free(0x1_1000, 0xf000),
        Region::commit(0x2_0000, 0x1000, PAGE_READWRITE),
        Region::free(0x2_1000, 0x2_f000),
        Region::commit(0x5_0000, 0x1000, PAGE_READWRITE),
    ])
}

fn below_the_granule(analysis: &Analysis<'_>) {
    let free = analysis.totals.free.expect("a map");
    assert_eq!(analysis.totals.row(RegionKind::Unusable).size, 2 * 0xf000);
    assert_eq!(analysis.totals.row(RegionKind::Unusable).blocks, 2);
    assert_eq!((free.raw_size, free.raw_largest), (0x4_e000, 0x2_f000));
    assert_eq!((free.size, free.blocks), (0x3_0000, 2));
    assert_eq!((free.largest, free.largest_address), (0x2_0000, 0x3_0000));
}

/// A large-address-aware process: what lies above 2 GiB is written with the upper half set.
fn sign_extended() -> DumpBuilder {
    DumpBuilder::windows_x86()
        .module(Module::new(r"C:\app.exe", 0x40_0000, 0x5000))
        .module(Module::new(r"C:\high.dll", 0x9000_0000, 0x5000))
        .regions([
            Region::free(0, 0x40_0000),
            Region::image(0x40_0000, 0x5000, PAGE_READONLY, 0x40_0000),
            Region::free(0x40_5000, 0x8fbf_b000),
            Region::image(0x9000_0000, 0x5000, PAGE_READONLY, 0x9000_0000),
            Region::free(0x9000_5000, 0x6ffe_b000),
            Region::commit(0xffff_0000, 0x1000, PAGE_READONLY),
        ])
        .memory(0xffff_0000, vec![1; 16])
        .sign_extended()
}

fn masked_to_32_bits(analysis: &Analysis<'_>) {
    let range = analysis.map.range.expect("a map");
    assert_eq!((range.start(), range.last()), (0, 0xffff_0fff));
    let high = &analysis.dump.modules.modules[1];
    assert_eq!(high.base, 0x9000_0000);
    assert_eq!(analysis.map.find(0x9000_0000).expect("a region").allocation_base, Some(high.base));
    assert_eq!(analysis.dump.captured.bytes_at(0xffff_0000, 16), [1; 16]);
    assert_eq!(analysis.totals.audit.overlaps, 0);
}

/// The file ends in the fourth of seven regions.
fn cut() -> DumpBuilder {
    DumpBuilder::windows_x64()
        .module(Module::new(r"C:\app.exe", 0x3_0000, 0x1_0000))
        .regions(plain_regions())
        .damage(stream::MEMORY_INFO_LIST, Damage::EndOfFile(16 + 3 * 48 + 20))
}

fn what_is_left_is_used(analysis: &Analysis<'_>) {
    assert_eq!(analysis.map.source, MapSource::MemoryInfo);
    assert_eq!(analysis.map.len(), 3);
    assert_eq!(analysis.dump.modules.modules.len(), 1);
    assert!(analysis.dump.issues.total() > 0);
}

/// Stream 16 twice, the second with other regions.
fn duplicates() -> DumpBuilder {
    let other = memory_info_list(&[Region::commit(0x7_0000, 0x1000, PAGE_READWRITE)]);
    DumpBuilder::windows_x64().regions(plain_regions()).raw(stream::MEMORY_INFO_LIST, other)
}

fn the_larger_is_used(analysis: &Analysis<'_>) {
    assert_eq!(analysis.dump.directory.of_kind(stream::MEMORY_INFO_LIST).count(), 2);
    assert_eq!(analysis.map.len(), 7);
    assert_eq!(analysis.dump.issues.total(), 1);
}

/// Lists that promise 2³² − 1 entries, and a region that would wrap.
fn lying_counts() -> DumpBuilder {
    let mut regions = plain_regions();
    regions.push(Region::commit(0xffff_ffff_ffff_f000, 0x2000, PAGE_READWRITE));
    DumpBuilder::windows_x64()
        .module(Module::new(r"C:\app.exe", 0x3_0000, 0x1_0000))
        .thread(Thread::new(1))
        .handle(Handle::new(4, "Event"))
        .regions(regions)
        .damage(stream::MODULE_LIST, Damage::Count(u64::from(u32::MAX)))
        .damage(stream::THREAD_LIST, Damage::Count(u64::from(u32::MAX)))
        .damage(stream::HANDLE_DATA, Damage::Count(u64::from(u32::MAX)))
        .damage(stream::MEMORY_INFO_LIST, Damage::Count(u64::MAX))
}

fn entries_that_are_there(analysis: &Analysis<'_>) {
    assert_eq!(analysis.map.len(), 7);
    assert_eq!(analysis.map.dropped, 1);
    assert_eq!(analysis.dump.modules.modules.len(), 1);
    assert_eq!(analysis.dump.threads.len(), 1);
    assert_eq!(analysis.totals.audit.range_size, 0x4_0000);
    assert!(analysis.dump.issues.total() >= 4, "{:?}", analysis.dump.issues);
}

// Contents with something to find.

/// What a terminal, a page, a spreadsheet and a shell would act on.
fn hostile_names() -> DumpBuilder {
    let script = r"C:\</script><img src=x onerror=alert(1)>.dll";
    let escape = "C:\\\u{1b}[31m\u{1b}]0;title\u{7}red.dll";
    let bidi = "C:\\harmless\u{202e}lld.exe";
    DumpBuilder::windows_x64()
        .regions(plain_regions())
        .module(Module::new(script, 0x3_0000, 0x1000))
        .module(Module::new(escape, 0x3_1000, 0x1000))
        .module(Module::new(bidi, 0x3_2000, 0x1000))
        .module(Module::new(r"\\attacker.example\share\x.dll", 0x3_3000, 0x1000))
        .module(Module::new("=HYPERLINK(\"http://x\",\"y\")", 0x3_4000, 0x1000))
        .module(Module::new(Name::Units(vec![0x41, 0xd800, 0x42]), 0x3_5000, 0x1000))
        .module(Module::new("C:\\two\r\nlines\t.dll", 0x3_6000, 0x1000))
        .unloaded(UnloadedModule::new("<b>gone</b>.dll", 0x3_8000, 0x1000))
        .thread(Thread {
            stack: Stack::Range { base: 0x1_0000, size: 0x4000 },
            context: Context::at(0x3_1100, 0x1_2000),
            ..Thread::new(1)
        })
        .thread_name(1, "\u{1b}[2J</script><img src=x onerror='alert(1)'>\"\u{202e}")
        .comment_w("--></script><script>alert(1)</script>\u{1b}[0m")
}

fn names_as_they_are(analysis: &Analysis<'_>) {
    let modules = &analysis.dump.modules.modules;
    assert_eq!(modules.len(), 7);
    assert!(modules[0].path.contains("</script>"));
    assert!(modules[1].path.contains('\u{1b}'));
    assert_eq!(modules[5].path, "A\u{fffd}B");
}

/// An image that neither the module list nor the loader knows.
fn unlisted_image() -> DumpBuilder {
    let mut process = Process::x64();
    process
        .images
        .push(ImagePlan { listing: Listing::Unlisted, ..ImagePlan::x64(r"C:\Temp\hidden.dll") });
    process.lay_out().dump(Capture::Small)
}

fn an_image_without_a_module(analysis: &Analysis<'_>) {
    assert_eq!(analysis.dump.modules.modules.len(), 2);
    assert_eq!(analysis.totals.row(RegionKind::Image).size, 3 * 0x9000);
    let unlisted: Vec<_> =
        analysis.evidence.images.iter().filter(|image| image.module.is_none()).collect();
    assert_eq!(unlisted.len(), 1, "{unlisted:x?}");
    assert_eq!(unlisted[0].range.size(), 0x9000);
}

/// All of a 1 MiB stack is in use but its lowest page, which Windows keeps.
fn stack_overflow() -> DumpBuilder {
    let thread =
        ThreadPlan { commit: 0xf_f000, guard: Some(0), used: 0xf_e000, ..ThreadPlan::new(0x1004) };
    let layout = Process::x64().thread(thread).lay_out();
    let thread = &layout.threads[1];
    let mut exception = Exception::new(thread.id, 0xc000_00fd, thread.instruction);
    exception.parameters = vec![1, thread.stack.pointer - 0x1000];
    exception.context = Context::at(thread.instruction, thread.stack.pointer);
    let mut dump = layout.dump(Capture::MapOnly).exception(exception);
    let teb = layout.read(thread.teb, 0x1800);
    dump.memory = Some(vec![teb]);
    dump
}

fn a_thread_in_its_last_page(analysis: &Analysis<'_>) {
    let exception = analysis.dump.exception.as_ref().expect("an exception");
    assert_eq!((exception.code, exception.thread_id), (0xc000_00fd, 0x1004));
    let stack = &analysis.evidence.stacks[1];
    assert_eq!((stack.range.size(), stack.used), (0x10_0000, Some(0xf_e000)));
    assert_eq!(stack.committed, Some(0xf_f000));
}

/// One process twice, an hour apart: more threads, more allocations of one
/// size, commit inside a reserve, a block given back, a page that can run.
fn grows(hours: u32) -> DumpBuilder {
    const APP: u64 = 0x1_4000_0000;
    const STACK: u64 = 0x10_0000;
    let later = hours > 0;
    let mut misc = MiscInfo::new(4242);
    misc.times = Some((1_700_000_000, 1, 1));
    let mut dump = DumpBuilder::windows_x64()
        .misc(misc)
        .patch(20, (1_700_000_600 + hours * 3600).to_le_bytes())
        .module(Module::new(r"C:\App\app.exe", APP, 0x2000))
        .region(Region::free(0, 0x100_0000));
    let mut at = 0x100_0000;
    let threads = if later { 12 } else { 2 };
    for id in 0..threads {
        let (guard, top) = (at + STACK - 0x9000, at + STACK);
        let mut thread = Thread::new(100 + id);
        thread.context = Context::at(APP + 0x1100, top - 0x800);
        let mut info = ThreadInfo::new(100 + id, APP + 0x1000);
        info.create_time += u64::from(id);
        dump = dump
            .region(Region::reserve(at, STACK - 0x9000))
            .region(Region::commit(guard, 0x1000, PAGE_READWRITE | PAGE_GUARD).within(at))
            .region(Region::commit(guard + 0x1000, 0x8000, PAGE_READWRITE).within(at))
            .thread(thread)
            .thread_info(info)
            .thread_name(100 + id, format!("worker-{id}").as_str());
        at = top;
    }
    let rest = 0x200_0000 - at;
    dump = dump.region(Region::free(at, rest));
    at = 0x200_0000;
    for _ in 0..if later { 20 } else { 4 } {
        dump = dump.region(Region::commit(at, 0x4_0000, PAGE_READWRITE));
        at += 0x4_0000;
    }
    dump = dump.region(Region::free(at, 0x300_0000 - at));
    let commit = if later { 0x50_0000 } else { 0x10_0000 };
    let pool = 0x300_0000;
    let page = if later { PAGE_EXECUTE_READ } else { PAGE_READWRITE };
    dump = dump
        .region(Region::commit(pool, commit, PAGE_READWRITE))
        .region(Region::reserve(pool + commit, 0x80_0000 - commit).within(pool))
        .region(Region::commit(pool + 0x80_0000, 0x1_0000, page))
        .region(Region::free(0x381_0000, 0x3f_0000))
        .region(match later {
            true => Region::free(0x3c0_0000, 0x20_0000),
            false => Region::commit(0x3c0_0000, 0x20_0000, PAGE_READWRITE),
        })
        .region(Region::free(0x3e0_0000, APP - 0x3e0_0000))
        .region(Region::image(APP, 0x1000, PAGE_READONLY, APP))
        .region(Region::image(APP + 0x1000, 0x1000, PAGE_EXECUTE_READ, APP))
        .region(Region::free(APP + 0x2000, 0x7fff_fffe_0000 - APP - 0x2000));
    dump
}

fn before_it_grew(analysis: &Analysis<'_>) {
    assert_eq!((analysis.dump.threads.len(), analysis.evidence.stacks.len()), (2, 2));
    assert_eq!(analysis.totals.row(RegionKind::Private).committed, Some(0x41_0000));
}

fn after_it_grew(analysis: &Analysis<'_>) {
    assert_eq!((analysis.dump.threads.len(), analysis.evidence.stacks.len()), (12, 12));
    assert_eq!(analysis.totals.row(RegionKind::Private).committed, Some(0xa1_0000));
}

fn write_to_null() -> DumpBuilder {
    let layout = Process::x64().lay_out();
    let thread = &layout.threads[0];
    let mut exception = Exception::write_fault(thread.id, thread.instruction, 0x24);
    exception.context = Context::at(thread.instruction, thread.stack.pointer);
    layout.dump(Capture::Small).exception(exception)
}

fn a_crash_at_a_free_address(analysis: &Analysis<'_>) {
    let exception = analysis.dump.exception.as_ref().expect("an exception");
    assert_eq!((exception.code, exception.crash_address), (0xc000_0005, Some(0x24)));
    assert_eq!(analysis.map.find(0x24).expect("a region").state.as_str(), "free");
}

fn nothing_at_all(analysis: &Analysis<'_>) {
    assert!(analysis.map.is_empty());
    assert_eq!(analysis.totals.audit.range_size, 0);
    assert!(analysis.totals.free.is_none());
}
