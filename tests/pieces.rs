//! Sizes out are sizes in, over random dumps: whatever regions, modules, stacks and captured memory a
//! dump has, every byte of its map lies in exactly one piece.

use dumpmap::classify::Piece;
use dumpmap::explained::{Explained, is_committed_private};
use dumpmap::limits::Limits;
use dumpmap::map::{MapSource, Origin};
use dumpmap::source::Source;
use dumpmap::synth::{
    Context, DumpBuilder, MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE,
    Mapping, Memory, Module, PAGE_READWRITE, Region, Stack, Thread, maps_text,
};
use dumpmap::{Analysis, analyze};

/// A generator that gives the same numbers everywhere (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// An address near others: mostly page aligned, at times at the ends of the space.
    fn address(&mut self) -> u64 {
        let near = match self.below(12) {
            0 => 0,
            1 => 0x7fff_0000,
            2 => 0xffff_ffff_ffff_0000,
            _ => 0x10_0000,
        };
        let offset = match self.below(6) {
            0 => self.below(0x4_0000),
            _ => self.below(0x40) << 12,
        };
        near + offset % 0x1_0000 + (offset & !0xffff) * u64::from(near == 0x10_0000)
    }

    fn size(&mut self) -> u64 {
        match self.below(20) {
            0 => 0,
            1 => u64::MAX - self.below(0x1000),
            2 => self.below(0x10_0000),
            3 => 1 << self.below(48),
            _ => (1 + self.below(8)) << 12,
        }
    }

    fn region(&mut self) -> Region {
        let base = self.address();
        let unknown = self.one_in(30);
        Region {
            base,
            size: self.size(),
            allocation_base: base & !0xffff,
            allocation_protect: PAGE_READWRITE,
            state: if unknown { 7 } else { self.of(&[MEM_COMMIT, MEM_RESERVE, MEM_FREE]) },
            protect: self.of(&[0x02, 0x04, 0x20, 0x104, 0x08, 0x01]),
            memory_type: if unknown { 9 } else { self.of(&[MEM_PRIVATE, MEM_MAPPED, MEM_IMAGE]) },
        }
    }

    /// Modules, threads with stacks, captured memory: what makes claims.
    fn clutter(&mut self, mut dump: DumpBuilder) -> DumpBuilder {
        for id in 0..self.below(5) {
            let (base, size) = (self.address(), self.size() as u32);
            dump = dump.module(Module::new(format!(r"C:\m{id}.dll"), base, size));
        }
        for id in 0..self.below(4) {
            let base = self.address();
            let size = (self.below(4) << 12) as usize;
            let stack = match self.below(3) {
                0 => Stack::Range { base, size: self.size() as u32 },
                _ => Stack::Captured(Memory::new(base, vec![self.below(256) as u8; size])),
            };
            let context = Context::at(self.address(), base.wrapping_add(self.below(0x1000)));
            let teb = self.address();
            dump = dump.thread(Thread { teb, stack, context, ..Thread::new(id as u32 + 1) });
        }
        for _ in 0..self.below(4) {
            let (base, size) = (self.address(), self.below(0x3000) as usize);
            dump = if self.one_in(2) {
                dump.memory(base, vec![0x4d; size])
            } else {
                dump.memory64(base, vec![0x5a; size])
            };
        }
        dump
    }
}

/// First and last byte of ranges that are neither empty nor wrap, joined where they meet.
fn union(ranges: impl IntoIterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut ends: Vec<(u64, u64)> = ranges
        .into_iter()
        .filter_map(|(base, size)| Some((base, base.checked_add(size.checked_sub(1)?)?)))
        .collect();
    ends.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ends {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// 2⁶⁴ bytes have no 64-bit size: a map from the first byte to the last leaves that one out.
fn leave_out_last_of_everything(ranges: &mut Vec<(u64, u64)>) {
    if ranges.first().is_some_and(|first| first.0 == 0)
        && let Some(last) = ranges.last_mut().filter(|last| last.1 == u64::MAX)
    {
        last.1 -= 1;
        if last.0 > last.1 {
            ranges.pop();
        }
    }
}

fn bytes_in(ranges: &[(u64, u64)]) -> u128 {
    ranges.iter().map(|(first, last)| u128::from(last - first) + 1).sum()
}

/// Checks what holds for every map, and gives the bytes in regions and in gaps.
fn check(analysis: &Analysis<'_>, what: &str) -> (u128, u128) {
    let pieces: Vec<Piece> = analysis.pieces().collect();
    let (mut listed, mut gaps) = (0_u128, 0_u128);
    for piece in &pieces {
        assert!(piece.region.range.covers(piece.range), "{what}: {piece:x?}");
        let size = u128::from(piece.range.size());
        match piece.region.origin {
            Origin::Gap => gaps += size,
            _ => listed += size,
        }
    }
    let in_order = pieces.is_sorted_by(|a, b| a.range.last() < b.range.start());
    assert!(in_order, "{what}: pieces overlap or are out of order");
    let audit = analysis.totals.audit;
    assert_eq!(audit.accounted, audit.range_size, "{what}");
    assert_eq!(u128::from(audit.accounted), listed + gaps, "{what}");
    let rows: u64 =
        dumpmap::evidence::RegionKind::ALL.iter().map(|kind| analysis.totals.row(*kind).size).sum();
    assert_eq!(rows, audit.range_size, "{what}: the rows do not add up");
    set_aside(analysis, what);
    shares(analysis, &pieces, what);
    (listed, gaps)
}

/// What is set aside adds up by kind and by use, and is part of the sizes.
fn set_aside(analysis: &Analysis<'_>, what: &str) {
    let totals = &analysis.totals;
    let by_use: u64 = totals.set_aside.iter().map(|row| row.size).sum();
    let rows = || totals.kinds.iter().flatten();
    let by_kind: u64 = rows().map(|row| row.set_aside).sum();
    assert_eq!((by_use, by_kind), (totals.total.set_aside, totals.total.set_aside), "{what}");
    for row in rows() {
        assert!(row.set_aside <= row.size, "{what}: {row:?}");
        assert!(row.largest_kept <= row.largest, "{what}: {row:?}");
        assert!(row.reserved.is_none_or(|reserved| row.set_aside <= reserved), "{what}: {row:?}");
    }
}

/// The shares are those of a walk over the pieces.
fn shares(analysis: &Analysis<'_>, pieces: &[Piece], what: &str) {
    let mut sums = [0_u64; 3];
    for piece in pieces {
        if is_committed_private(piece, analysis.map.source, &analysis.evidence.claims) {
            sums[Explained::of(piece) as usize] += piece.range.size();
        }
    }
    if let Some(shares) = analysis.totals.total.shares {
        assert_eq!(sums, [shares.structure, shares.heuristic, shares.unexplained], "{what}");
    }
}

fn analyzed(dump: DumpBuilder, what: &str, then: impl FnOnce(&Analysis<'_>)) {
    let source = Source::from_bytes(dump.build());
    let analysis = analyze(&source, &Limits::default()).unwrap_or_else(|e| panic!("{what}: {e}"));
    then(&analysis);
}

#[test]
fn random_region_lists_add_up_to_their_union() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..3_000 {
        let what = format!("round {round}");
        let mut regions: Vec<Region> = (0..random.below(12)).map(|_| random.region()).collect();
        if random.one_in(3) {
            regions.sort_by_key(|region| region.base);
        }
        let mut all = union(regions.iter().map(|region| (region.base, region.size)));
        leave_out_last_of_everything(&mut all);
        let dump = random.clutter(DumpBuilder::windows_x64().regions(regions));
        analyzed(dump, &what, |analysis| {
            let (listed, gaps) = check(analysis, &what);
            if analysis.map.source != MapSource::MemoryInfo {
                return;
            }
            assert_eq!(listed, bytes_in(&all), "{what}: the regions do not add up to their union");
            let (first, last) = (all.first().map_or(0, |it| it.0), all.last().map_or(0, |it| it.1));
            let whole = if all.is_empty() { 0 } else { u128::from(last - first) + 1 };
            assert_eq!(listed + gaps, whole, "{what}");
        });
    }
}

#[test]
fn random_rebuilt_maps_add_up_to_their_union() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    for round in 0..2_000 {
        let what = format!("round {round}");
        let dump = random.clutter(DumpBuilder::windows_x64());
        analyzed(dump, &what, |analysis| {
            assert_eq!(analysis.map.source, MapSource::Rebuilt);
            let dump = &analysis.dump;
            let modules = dump.modules.modules.iter().map(|it| (it.base, u64::from(it.size)));
            let stacks = dump.threads.iter().map(|thread| thread.stack);
            let captured =
                dump.captured.ranges().iter().map(|run| (run.range.start(), run.range.size()));
            let all = union(modules.chain(stacks).chain(captured));
            let (listed, gaps) = check(analysis, &what);
            assert_eq!((listed, gaps), (bytes_in(&all), 0), "{what}");
        });
    }
}

#[test]
fn random_linux_maps_add_up_to_the_user_space() {
    let mut random = Random(0xfeed_f00d_dead_beef);
    let names = ["", "[heap]", "/lib/a.so", "[stack]", "[anon:x]", "/dev/shm/x", "/m (deleted)"];
    let permissions = ["rw-p", "r--p", "r-xp", "---p", "rw-s", "r--s"];
    for round in 0..1_000 {
        let what = format!("round {round}");
        let maps: Vec<Mapping> = (0..random.below(14))
            .map(|_| {
                let start = 0x7f00_0000_0000 + (random.below(0x40) << 12);
                let end = start + (random.below(9) << 12);
                Mapping::new(start, end, random.of(&permissions), random.of(&names))
            })
            .collect();
        let all = union(maps.iter().map(|map| (map.start, map.end - map.start)));
        let dump = DumpBuilder::linux_x64().linux_maps(maps_text(&maps));
        let dump = random.clutter(dump);
        analyzed(dump, &what, |analysis| {
            let (listed, gaps) = check(analysis, &what);
            if analysis.map.source == MapSource::LinuxMaps {
                assert_eq!(listed, bytes_in(&all), "{what}");
                assert_eq!(listed + gaps, 0x7fff_ffff_f000, "{what}: the user space of x86-64");
            }
        });
    }
}
