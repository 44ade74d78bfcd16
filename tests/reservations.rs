//! Reservations that look alike: in made dumps, and in real ones of Firefox
//! and Electron, where the pieces are counted another way.

mod support;

use dumpmap::evidence::Use;
use dumpmap::limits::Limits;
use dumpmap::reservation::{Reservation, Sum, around};
use dumpmap::source::Source;
use dumpmap::synth::{DumpBuilder, Region};
use dumpmap::{Analysis, analyze};

const MIB: u64 = 1 << 20;

fn at(analysis: &Analysis<'_>, address: u64) -> Option<Reservation> {
    let piece = analysis.pieces().find(|piece| piece.range.contains(address));
    around(analysis, &[(address, piece)]).remove(0)
}

#[test]
fn memory_that_is_only_reserved() {
    let mut dump = DumpBuilder::windows_x64();
    for nth in 0..5 {
        dump = dump.region(Region::reserve(0x1_0000_0000 + nth * 4 * MIB, 2 * MIB));
    }
    // As large, but partly committed, or of another size.
    let partly = 0x2_0000_0000;
    dump = dump.region(Region::reserve(partly, MIB));
    dump = dump.region(Region::commit(partly + MIB, MIB, 4).within(partly));
    dump = dump.region(Region::reserve(0x3_0000_0000, 3 * MIB));
    let source = Source::from_bytes(dump.build());
    let analysis = analyze(&source, &Limits::default()).unwrap();
    let found = at(&analysis, 0x1_0000_1234).unwrap();
    assert_eq!((found.range.start(), found.range.size()), (0x1_0000_0000, 2 * MIB));
    assert_eq!((found.usage, found.same_use), (None, None));
    assert_eq!(found.alike, Sum { count: 5, bytes: 10 * MIB });
    assert_eq!(at(&analysis, 0x3_0000_0000).unwrap().alike, Sum { count: 1, bytes: 3 * MIB });
    // `unexplained` has a family for both parts of it.
    assert_eq!(at(&analysis, partly), None);
    assert_eq!(at(&analysis, partly + MIB), None);
    assert_eq!(at(&analysis, 0x5_0000_0000), None);
}

#[test]
fn arenas_of_malloc() {
    let mut maps = String::new();
    for nth in 0..3_u64 {
        let base = 0x7f00_0000_0000 + nth * 128 * MIB;
        let (tail, end) = (base + MIB + nth * MIB, base + 64 * MIB);
        maps.push_str(&format!(
            "{base:x}-{tail:x} rw-p 00000000 00:00 0\n{tail:x}-{end:x} ---p 00000000 00:00 0\n"
        ));
    }
    maps.push_str("7f1000000000-7f1000001000 r-xp 00000000 08:01 7 /lib/libc.so.6\n");
    let source = Source::from_bytes(DumpBuilder::linux_x64().linux_maps(maps).build());
    let analysis = analyze(&source, &Limits::default()).unwrap();
    for offset in [0, 0x123, 40 * MIB] {
        let found = at(&analysis, 0x7f00_0800_0000 + offset).unwrap();
        assert_eq!((found.range.start(), found.range.size()), (0x7f00_0800_0000, 64 * MIB));
        assert_eq!(found.usage, Some(Use::Named("malloc arena")));
        assert_eq!(found.alike, Sum { count: 3, bytes: 192 * MIB });
    }
}

/// Every winning claim of a named use, counted by the pieces themselves.
#[test]
fn counts_are_those_of_the_pieces() {
    let Some(dir) = support::shared_or_skip("corpus") else { return };
    for (file, usage) in [
        ("mozilla-services__minidump-stackwalk/windows-x86_64.dmp", "mozjemalloc chunk"),
        (
            "mozilla-services__minidump-stackwalk/windows-aarch64.dmp",
            "mozjemalloc or SpiderMonkey chunk",
        ),
        ("zuohuiyang__dump-analyzer-mcp-server/electron.dmp", "V8 sandbox"),
    ] {
        let source = Source::open(&support::unpacked_path(&dir.join(file))).unwrap();
        let analysis = analyze(&source, &Limits::default()).unwrap();
        let claim = |id: u32| &analysis.evidence.claims[id as usize];
        let mut won: Vec<u32> = analysis
            .pieces()
            .filter_map(|piece| piece.winner)
            .filter(|id| claim(*id).usage == Use::Named(usage))
            .collect();
        won.sort_unstable();
        won.dedup();
        let sizes: Vec<u64> = won.iter().map(|id| claim(*id).range.size()).collect();
        assert!(sizes.len() > 1, "{file}");
        let own = claim(won[0]).range;
        let found = at(&analysis, own.start() + 8).unwrap();
        assert_eq!(found.range, own, "{file}");
        let count = sizes.iter().filter(|size| **size == own.size()).count() as u64;
        assert_eq!(found.alike, Sum { count, bytes: count * own.size() }, "{file}");
        let all = Sum { count: sizes.len() as u64, bytes: sizes.iter().sum() };
        assert_eq!(found.same_use, Some(all), "{file}");
    }
}
