//! Dumps made to hurt: many overlaps, many lies. What comes out is bounded by what went in, and the
//! lists of issues stay short. How long it takes is measured by `benches/hostile.py`.

use dumpmap::issue::Issues;
use dumpmap::limits::{Depth, Limits};
use dumpmap::source::Source;
use dumpmap::synth::{
    Context, Damage, DumpBuilder, Memory, Module, Name, PAGE_READWRITE, Region, Stack, Thread,
    UnloadedModule, stream,
};
use dumpmap::{Analysis, analyze};

const MANY: u64 = 100_000;

fn checked(dump: DumpBuilder, then: impl FnOnce(&Analysis<'_>)) {
    let source = Source::from_bytes(dump.build());
    let limits = Limits { depth: Depth::Walk, ..Limits::default() };
    let analysis = analyze(&source, &limits).expect("a dump");
    let audit = analysis.totals.audit;
    assert_eq!(audit.accounted, audit.range_size);
    // Each region and each end of a claim can begin a piece, and a free region's start another.
    let pieces = analysis.pieces().count();
    let bound = 4 * (analysis.map.len() + analysis.evidence.claims.len()) + 4;
    assert!(pieces <= bound, "{pieces} pieces of {bound}");
    for issues in [&analysis.dump.issues, &analysis.map.issues, &analysis.evidence.issues] {
        bounded(issues);
    }
    then(&analysis);
}

/// At most 1,000 issues a stream, and one line with the count of the rest.
fn bounded(issues: &Issues) {
    let mut streams: Vec<Option<u32>> =
        issues.clone().into_vec().iter().map(|issue| issue.stream).collect();
    streams.sort_unstable();
    let longest = streams.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or(0);
    assert!(longest as u64 <= Issues::PER_STREAM + 1, "{longest} issues of one stream");
}

/// A committed image of 4 GiB for modules to lie in.
fn image() -> Region {
    Region::image(0x1_0000_0000, 0x1_0000_0000, 0x20, 0x1_0000_0000)
}

#[test]
fn modules_inside_each_other() {
    let mut dump = DumpBuilder::windows_x64().region(image());
    for at in 0..MANY {
        let (base, size) = (0x1_0000_0000 + at * 0x1000, (2 * (MANY - at) * 0x1000) as u32);
        dump = dump.module(Module::new("m.dll", base, size));
    }
    checked(dump, |analysis| {
        assert_eq!(analysis.dump.modules.modules.len() as u64, MANY);
        let images = analysis.totals.row(dumpmap::evidence::RegionKind::Image);
        assert_eq!(images.size, 0x1_0000_0000);
    });
}

#[test]
fn modules_one_behind_the_other() {
    let mut dump = DumpBuilder::windows_x64();
    for at in 0..MANY {
        dump = dump.module(Module::new("m.dll", 0x1_0000_0000 + at * 0x1000, 0x4000_0000));
    }
    checked(dump, |analysis| {
        let span = (MANY - 1) * 0x1000 + 0x4000_0000;
        assert_eq!(analysis.totals.audit.range_size, span);
        assert!(analysis.map.overlaps >= MANY - 1);
    });
}

#[test]
fn one_name_for_all_modules() {
    // The name is 20 KB and the file has it once: 100,000 copies would be 4 GB.
    let long = "x".repeat(20_000);
    let mut builder = DumpBuilder::windows_x64().module(Module::new(long, 0x1_0000, 0x1000));
    let at = builder.build().len() as u32 - 40_004;
    for module in 1..MANY {
        let name = Name::At(at);
        builder = builder.module(Module::new(name, 0x1_0000 + module * 0x1000, 0x1000));
    }
    checked(builder, |analysis| {
        let text: usize =
            analysis.dump.modules.modules.iter().map(|module| module.path.len()).sum();
        assert!(text <= 2 * Limits::default().text_bytes, "{text} bytes of names");
    });
}

#[test]
fn unloaded_modules_at_one_address() {
    let mut dump = DumpBuilder::windows_x64().region(image());
    for at in 0..MANY {
        dump = dump.unloaded(UnloadedModule::new("u.dll", 0x1_0000_0000, 0x1000 + at as u32));
    }
    checked(dump, |analysis| {
        assert_eq!(analysis.totals.audit.range_size, 0x1_0000_0000);
    });
}

#[test]
fn regions_inside_each_other() {
    let regions =
        (0..MANY).map(|at| Region::commit(at << 12, (2 * (MANY - at)) << 12, PAGE_READWRITE));
    checked(DumpBuilder::windows_x64().regions(regions), |analysis| {
        assert_eq!(analysis.totals.audit.range_size, (2 * MANY) << 12);
    });
}

#[test]
fn a_million_bad_regions() {
    let bad = Region::commit(0xffff_ffff_ffff_f000, 0x2000, PAGE_READWRITE);
    let good = Region::commit(0x1_0000, 0x1000, PAGE_READWRITE);
    let regions = std::iter::repeat_n(bad, 1_000_000).chain([good]);
    checked(DumpBuilder::windows_x64().regions(regions), |analysis| {
        assert_eq!(analysis.map.dropped, 1_000_000);
        assert_eq!(analysis.map.len(), 1);
    });
}

#[test]
fn bad_modules_names_and_threads() {
    let mut dump = DumpBuilder::windows_x64();
    for at in 0..MANY as u32 {
        // No size, and a name past the end of the file.
        dump = dump.module(Module::new(Name::At(u32::MAX - at), u64::from(at) << 12, 0));
        dump = dump.thread(Thread::new(at)).thread_name(at, Name::At(u32::MAX - at));
    }
    checked(dump, |analysis| {
        assert_eq!(analysis.dump.modules.modules.len() as u64, MANY);
        assert_eq!(analysis.dump.threads.len() as u64, MANY);
        assert!(analysis.dump.issues.total() >= 2 * MANY);
    });
}

#[test]
fn threads_on_one_stack() {
    let mut dump =
        DumpBuilder::windows_x64().region(Region::commit(0x10_0000, 0x10_0000, PAGE_READWRITE));
    for id in 0..MANY as u32 {
        let stack = Stack::Range { base: 0x18_0000, size: 0x8_0000 };
        let context = Context::at(0, 0x18_0000);
        dump = dump.thread(Thread { teb: 0x1000, stack, context, ..Thread::new(id) });
    }
    checked(dump, |analysis| {
        assert_eq!(analysis.totals.audit.range_size, 0x10_0000);
        assert!(analysis.evidence.claims.len() as u64 <= 8 * MANY);
    });
}

#[test]
fn captured_memory_that_overlaps() {
    let mut dump = DumpBuilder::windows_x64();
    dump.memory = Some((0..MANY / 10).map(|at| Memory::new(at * 8, vec![0; 16])).collect());
    checked(dump, |analysis| {
        assert_eq!(analysis.totals.audit.range_size, MANY / 10 * 8 + 8);
    });
}

#[test]
fn maps_that_overlap_and_lie() {
    let mut text = String::new();
    for at in 0..MANY {
        text += &format!("{:x}-{:x} rw-p 00000000 00:00 0 \n", at << 12, (MANY + at) << 12);
        text += "no mapping at all\n";
    }
    checked(DumpBuilder::linux_x64().linux_maps(text), |analysis| {
        let maps = analysis.dump.linux.maps.as_ref().expect("maps");
        assert_eq!(maps.maps.len() as u64, MANY);
        assert!(maps.incomplete);
        assert_eq!(analysis.dump.issues.total(), MANY);
    });
}

#[test]
fn a_directory_of_one_stream_many_times() {
    let mut dump = DumpBuilder::windows_x64();
    for at in 0..20_000_u64 {
        let region = Region::commit(at << 12, 0x1000, PAGE_READWRITE);
        let list = dumpmap::synth::memory_info_list(&[region]);
        dump = dump.raw(stream::MEMORY_INFO_LIST, list);
    }
    let dump = dump.damage(stream::MEMORY_INFO_LIST, Damage::Duplicate);
    checked(dump, |analysis| {
        assert!(analysis.dump.directory.streams.len() <= Limits::default().streams);
        assert_eq!(analysis.map.len(), 1);
    });
}
