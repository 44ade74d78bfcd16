//! Sums over the pieces: VMMap's table, the free blocks, the strip and the
//! self-audit, folded in one sweep. Nothing is stored per region.

pub mod aside;
mod records;
pub mod strip;

use crate::addr::AddressRange;
use crate::classify::{Piece, sweep_kinds};
use crate::dump::{CapturedRange, Dump, PointerWidth};
use crate::evidence::{Claim, RegionKind};
use crate::explained::{Explained, is_private_commit, is_without_memory};
use crate::map::{MapSource, MemoryType, Origin, RegionMap, State};
use aside::{Aside, SetAside};
use strip::Strip;

/// Free blocks smaller than this are too small for jemalloc and the JavaScript
/// allocator. Source: Mozilla's `tiny_block_size`.
pub const TINY: u64 = 0x10_0000;

/// One row of the table. Sizes in bytes; `None` where the map cannot say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// All of it, reserved included.
    pub size: u64,
    /// Committed.
    pub committed: Option<u64>,
    /// Reserved, not committed.
    pub reserved: Option<u64>,
    /// Committed private memory: MEM_PRIVATE, and image pages that are
    /// writable or copy-on-write (an upper bound). `None` for views of
    /// sections.
    pub private: Option<u64>,
    /// Bytes whose contents the dump holds.
    pub captured: u64,
    /// VirtualQuery regions, each counted for the kind that has most of it.
    pub blocks: u64,
    /// Allocations, each counted for the kind that has most of it.
    pub allocations: Option<u64>,
    /// The largest allocation; the largest block for free and unusable memory.
    pub largest: Option<u64>,
    /// What explains the committed private bytes (MEM_PRIVATE; on Linux
    /// anonymous ones).
    pub shares: Option<Shares>,
    /// Bytes of `size` that are set aside: reserved ones of giant allocations.
    pub set_aside: u64,
    /// The largest allocation without what is set aside of it.
    pub largest_kept: Option<u64>,
}

/// Committed private bytes by what explains them. They add up to all of
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// By a stream or by checked structures.
    pub structure: u64,
    /// By a pattern.
    pub heuristic: u64,
    /// By nobody.
    pub unexplained: u64,
}

impl Shares {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.structure.saturating_add(self.heuristic).saturating_add(self.unexplained)
    }

    fn add(&mut self, explained: Explained, bytes: u64) {
        let share = match explained {
            Explained::Structure => &mut self.structure,
            Explained::Heuristic => &mut self.heuristic,
            Explained::Nothing => &mut self.unexplained,
        };
        *share = share.wrapping_add(bytes);
    }

    fn plus(self, other: Shares) -> Shares {
        Shares {
            structure: self.structure.saturating_add(other.structure),
            heuristic: self.heuristic.saturating_add(other.heuristic),
            unexplained: self.unexplained.saturating_add(other.unexplained),
        }
    }
}

impl Row {
    /// That of a kind which is known to have no byte.
    pub fn none() -> Row {
        let none = Some(0);
        Row {
            committed: none,
            reserved: none,
            private: none,
            allocations: none,
            largest: none,
            ..Row::default()
        }
    }
}

/// The free memory of a map that knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Free {
    /// Free bytes that an allocation can use.
    pub size: u64,
    /// Free blocks, unusable parts taken off.
    pub blocks: u64,
    /// The largest of them.
    pub largest: u64,
    /// Where the largest begins.
    pub largest_address: u64,
    /// Size and address of the second largest; zeros without one.
    pub second: (u64, u64),
    /// All free bytes, as `!address` counts them.
    pub raw_size: u64,
    /// The largest free region, as `!address` counts it.
    pub raw_largest: u64,
    /// Bytes in free blocks under [`TINY`].
    pub tiny: u64,
}

impl Free {
    /// DebugDiag's measure: (free - largest) / free, in percent. `None`
    /// without free memory.
    pub fn fragmentation(&self) -> Option<f64> {
        let scattered = self.size.saturating_sub(self.largest);
        (self.size > 0).then(|| scattered as f64 / self.size as f64 * 100.0)
    }
}

/// The proof that the rows add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Bytes of the range, and of regions outside it (`[vsyscall]`). Of a
    /// rebuilt map: the union of what it was rebuilt from.
    pub range_size: u64,
    /// Bytes of all pieces.
    pub accounted: u64,
    /// Regions of the source that overlapped others.
    pub overlaps: u64,
    /// Runs of bytes that no record describes.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
}

/// All sums.
#[derive(Clone, Debug)]
pub struct Totals {
    /// By [`RegionKind::index`]; `None` for kinds with no byte.
    pub kinds: [Option<Row>; RegionKind::ALL.len()],
    /// All kinds except free memory.
    pub total: Row,
    /// `None` when the map does not know what is free.
    pub free: Option<Free>,
    /// The proof.
    pub audit: Audit,
    /// The kinds in address order.
    pub strip: Strip,
    /// Giant reservations by use, in address order of the first of each.
    pub set_aside: Vec<SetAside>,
}

impl Totals {
    /// Sums up the map under these claims.
    pub fn of(dump: &Dump<'_>, map: &RegionMap<'_>, claims: &[Claim]) -> Totals {
        let mut fold = Fold::new(dump, map, claims);
        let mut pieces = sweep_kinds(map, claims);
        loop {
            pieces.plain_records(|record| fold.add_record(record));
            let Some(piece) = pieces.next() else { break };
            fold.add(&piece);
        }
        fold.end_allocation();
        let giants = std::mem::take(&mut fold.giants);
        let aside = (!giants.is_empty()).then(|| Aside::of(map, claims, &giants));
        fold.finish(aside)
    }

    /// The row of a kind, zeros when it has no byte.
    pub fn row(&self, kind: RegionKind) -> Row {
        self.kinds.get(kind.index()).copied().flatten().unwrap_or_default()
    }
}

/// Sums of one kind while folding; [`row`] says which of them are known.
#[derive(Clone, Copy, Default)]
struct Sums {
    size: u64,
    committed: u64,
    reserved: u64,
    private: u64,
    captured: u64,
    blocks: u64,
    allocations: u64,
    /// The largest allocation that is not giant, and the largest that is.
    largest: u64,
    giant: u64,
    /// Of the pieces that claims touch.
    shares: Shares,
}

const KINDS: usize = RegionKind::ALL.len();

/// How many bytes of each kind one region or allocation holds. Nearly all hold
/// a single kind and never touch the table.
struct Mix {
    only: Option<usize>,
    bytes: u64,
    mixed: Option<[u64; KINDS]>,
}

impl Mix {
    const NONE: Mix = Mix { only: None, bytes: 0, mixed: None };

    #[inline]
    fn add(&mut self, kind: usize, bytes: u64) {
        match (self.only, &mut self.mixed) {
            (_, Some(mixed)) => mixed[kind] += bytes,
            (None, None) => self.only = Some(kind),
            (Some(only), None) if only == kind => {}
            (Some(only), None) => {
                let mut mixed = [0; KINDS];
                mixed[only] = self.bytes;
                mixed[kind] += bytes;
                self.mixed = Some(mixed);
            }
        }
        self.bytes += bytes;
    }

    /// The kind with most bytes, and the bytes of all; leaves nothing.
    #[inline]
    fn take(&mut self) -> Option<(usize, u64)> {
        let first = self.only.take()?;
        let bytes = std::mem::take(&mut self.bytes);
        if self.mixed.is_none() {
            return Some((first, bytes));
        }
        let mixed = self.mixed.take()?;
        let most = (0..KINDS).rev().max_by_key(|kind| mixed[*kind])?;
        Some((most, bytes))
    }
}

struct Fold<'m> {
    source: MapSource,
    range: Option<AddressRange>,
    kinds: [Sums; KINDS],
    claims: &'m [Claim],
    captured: &'m [CapturedRange],
    region: Mix,
    allocation: Mix,
    allocation_base: Option<u64>,
    plain: records::Plain,
    /// From how many bytes on an allocation is giant, and the bases of those.
    giant: u64,
    giants: Vec<u64>,
    free: Free,
    free_block: Option<AddressRange>,
    raw_block: u64,
    /// Bytes of the last unusable block, and where it ends.
    unusable_block: u64,
    unusable_end: Option<u64>,
    audit: Audit,
    outside: u64,
    strip: Strip,
}

impl<'m> Fold<'m> {
    fn new(dump: &'m Dump<'_>, map: &RegionMap<'_>, claims: &'m [Claim]) -> Fold<'m> {
        let linear = map.width == PointerWidth::Bits32 && map.knows_free();
        Fold {
            source: map.source,
            range: map.range,
            kinds: [Sums::default(); KINDS],
            claims,
            captured: dump.captured.ranges(),
            region: Mix::NONE,
            allocation: Mix::NONE,
            allocation_base: None,
            plain: records::Plain::default(),
            giant: aside::giant(map),
            giants: Vec::new(),
            free: Free::default(),
            free_block: None,
            raw_block: 0,
            unusable_block: 0,
            unusable_end: None,
            audit: Audit { overlaps: map.overlaps, ..Audit::default() },
            outside: 0,
            strip: Strip::new(linear, dump.limits.strip_cells),
        }
    }

    #[inline]
    fn add(&mut self, piece: &Piece) {
        let (kind, size, region) = (piece.kind.index(), piece.range.size(), &piece.region);
        let starts_region = piece.range.start() == region.range.start();
        if starts_region {
            self.end_region();
        }
        if self.source == MapSource::LinuxMaps {
            let inside = self.range.and_then(|range| range.intersect(piece.range));
            let inside = inside.map_or(0, AddressRange::size);
            self.outside = self.outside.wrapping_add(size.wrapping_sub(inside));
        }
        let captured = self.captured_bytes(piece.range);
        let bare = is_without_memory(region, piece.winner, self.source, self.claims);
        let explainable = is_private_commit(region) && !bare;
        let written = piece.kind == RegionKind::Image && region.protect.is_writable();
        let private = explainable || (written && region.memory_type != Some(MemoryType::Private));
        if self.strip.shows(region.state, bare) {
            self.strip.add(kind, size);
        }
        // Pieces are disjoint, so no sum can pass 2^64.
        let sums = &mut self.kinds[kind];
        sums.size = sums.size.wrapping_add(size);
        sums.captured = sums.captured.wrapping_add(captured);
        if region.state == State::Free {
            return self.add_free(piece.kind, piece.range);
        }
        let committed = if region.state == State::Commit { size } else { 0 };
        let reserved = if region.state == State::Reserve { size } else { 0 };
        sums.committed = sums.committed.wrapping_add(committed);
        sums.private = sums.private.wrapping_add(if private { committed } else { 0 });
        sums.reserved = sums.reserved.wrapping_add(reserved);
        if explainable {
            sums.shares.add(Explained::of(piece), size);
        }
        if region.origin == Origin::Gap {
            self.audit.gaps += u64::from(starts_region);
            self.audit.gap_bytes = self.audit.gap_bytes.wrapping_add(size);
        }
        if starts_region && piece.range.last() == region.range.last() {
            sums.blocks += 1;
        } else {
            self.region.add(kind, size);
        }
        self.end_free_run();
        if starts_region && region.allocation_base != self.allocation_base {
            self.end_allocation();
            self.allocation_base = region.allocation_base;
        }
        if region.allocation_base.is_some() {
            self.allocation.add(kind, size);
        }
    }

    /// Whether captured memory that no earlier piece has given begins at or
    /// before `last`.
    #[inline]
    fn has_captured(&self, last: u64) -> bool {
        self.captured.first().is_some_and(|run| run.range.start() <= last)
    }

    /// Captured bytes in a piece. Pieces come in address order, so ranges that
    /// end before one are never looked at again.
    #[inline]
    fn captured_bytes(&mut self, range: AddressRange) -> u64 {
        let mut bytes = 0;
        while let Some((run, rest)) = self.captured.split_first() {
            if run.range.start() > range.last() {
                break;
            }
            bytes += run.range.intersect(range).map_or(0, AddressRange::size);
            if run.range.last() > range.last() {
                break;
            }
            self.captured = rest;
        }
        bytes
    }

    fn add_free(&mut self, kind: RegionKind, range: AddressRange) {
        self.end_allocation();
        self.allocation_base = None;
        self.raw_block = self.raw_block.saturating_add(range.size());
        self.free.raw_largest = self.free.raw_largest.max(self.raw_block);
        if kind == RegionKind::Unusable {
            self.end_free_block();
            let sums = &mut self.kinds[RegionKind::Unusable.index()];
            let goes_on = self.unusable_end == Some(range.start());
            sums.blocks += u64::from(!goes_on);
            self.unusable_block = range.size() + if goes_on { self.unusable_block } else { 0 };
            sums.largest = sums.largest.max(self.unusable_block);
            self.unusable_end = Some(range.end());
            return;
        }
        let joined = self.free_block.filter(|block| block.end() == range.start());
        if joined.is_none() {
            self.end_free_block();
        }
        let start = joined.map_or(range.start(), AddressRange::start);
        self.free_block = AddressRange::spanning(start, range.last());
    }

    #[inline]
    fn end_free_run(&mut self) {
        self.raw_block = 0;
        if self.free_block.is_some() {
            self.end_free_block();
        }
    }

    fn end_free_block(&mut self) {
        let Some(block) = self.free_block.take() else { return };
        let size = block.size();
        self.free.blocks += 1;
        if size > self.free.largest {
            self.free.second = (self.free.largest, self.free.largest_address);
            (self.free.largest, self.free.largest_address) = (size, block.start());
        } else if size > self.free.second.0 {
            self.free.second = (size, block.start());
        }
        if size < TINY {
            self.free.tiny += size;
        }
    }

    #[inline]
    fn end_region(&mut self) {
        if let Some((kind, _)) = self.region.take() {
            self.kinds[kind].blocks += 1;
        }
    }

    #[inline]
    fn end_allocation(&mut self) {
        let Some((kind, bytes)) = self.allocation.take() else { return };
        let sums = &mut self.kinds[kind];
        sums.allocations += 1;
        if bytes < self.giant {
            sums.largest = sums.largest.max(bytes);
        } else {
            sums.giant = sums.giant.max(bytes);
            self.giants.extend(self.allocation_base);
        }
    }

    fn finish(mut self, aside: Option<Aside>) -> Totals {
        self.end_region();
        self.end_allocation();
        self.end_free_run();
        self.plain.add_to(&mut self.kinds);
        let unusable = self.kinds[RegionKind::Unusable.index()].size;
        let free = &mut self.kinds[RegionKind::Free.index()];
        (free.blocks, free.largest) = (self.free.blocks, self.free.largest);
        self.free.size = free.size;
        self.free.raw_size = free.size.wrapping_add(unusable);
        // Records that no claim touches never come to the shares.
        let private = &mut self.kinds[RegionKind::Private.index()];
        let shares = &mut private.shares;
        shares.unexplained = private.private - shares.structure - shares.heuristic;
        let mut kinds = [None; KINDS];
        let mut total = Sums::default();
        for (kind, sums) in RegionKind::ALL.into_iter().zip(self.kinds) {
            if sums.size > 0 {
                kinds[kind.index()] = Some(row(&sums, self.source, Some(kind)));
            }
            if kind == RegionKind::Unusable {
                // Its largest is a block, not an allocation.
                total = total.plus(&Sums { largest: 0, ..sums });
            } else if kind != RegionKind::Free {
                total = total.plus(&sums);
            }
        }
        self.audit.accounted =
            self.kinds.iter().fold(0, |sum: u64, sums| sum.wrapping_add(sums.size));
        self.audit.range_size = match self.range {
            _ if self.source == MapSource::Rebuilt => self.audit.accounted,
            range => range.map_or(0, AddressRange::size).saturating_add(self.outside),
        };
        let mut totals = Totals {
            kinds,
            total: row(&total, self.source, None),
            free: (self.source != MapSource::Rebuilt).then_some(self.free),
            audit: self.audit,
            strip: self.strip,
            set_aside: Vec::new(),
        };
        if let Some(aside) = aside {
            aside.put(&mut totals);
        }
        totals
    }
}

impl Sums {
    /// The sums of both, and the largest of either.
    fn plus(self, other: &Sums) -> Sums {
        Sums {
            size: self.size.saturating_add(other.size),
            committed: self.committed.saturating_add(other.committed),
            reserved: self.reserved.saturating_add(other.reserved),
            private: self.private.saturating_add(other.private),
            captured: self.captured.saturating_add(other.captured),
            blocks: self.blocks + other.blocks,
            allocations: self.allocations + other.allocations,
            largest: self.largest.max(other.largest),
            giant: self.giant.max(other.giant),
            shares: self.shares.plus(other.shares),
        }
    }
}

/// Leaves out what this source cannot know: Linux does not tell reserved from
/// committed, a rebuilt map knows neither, and whether a view of a section is
/// private to the process is not in a dump.
fn row(sums: &Sums, source: MapSource, kind: Option<RegionKind>) -> Row {
    use RegionKind::{Mapped, MappedFile, Shareable, Unknown};
    let known = source != MapSource::Rebuilt;
    let view = matches!(kind, Some(Mapped | MappedFile | Shareable | Unknown));
    Row {
        size: sums.size,
        committed: known.then_some(sums.committed),
        reserved: (source == MapSource::MemoryInfo).then_some(sums.reserved),
        private: (known && !view).then_some(sums.private),
        captured: sums.captured,
        blocks: sums.blocks,
        allocations: known.then_some(sums.allocations),
        largest: known.then_some(sums.largest.max(sums.giant)),
        shares: known.then_some(sums.shares),
        set_aside: 0,
        largest_kept: known.then_some(sums.largest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Confidence, Detail, EvidenceSource, Subject, Use};
    use crate::limits::Limits;
    use crate::source::Source;
    use crate::synth::{DumpBuilder, Region};

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % limit
        }
    }

    /// Regions in order, some free, some gaps, allocations of several regions.
    fn random_regions(random: &mut Random) -> Vec<Region> {
        let mut at = random.below(3) * 0x1_0000;
        let mut allocation = at;
        (0..random.below(60) + 1)
            .map(|_| {
                let (base, size) = (at, 0x1000 * (random.below(40) + 1));
                at += size + if random.below(8) == 0 { 0x3000 } else { 0 };
                if random.below(2) == 0 {
                    allocation = base;
                }
                let protect = [0x02, 0x04, 0x08, 0x20][random.below(4) as usize];
                match random.below(5) {
                    0 | 1 => Region::free(base, size),
                    2 => Region::reserve(base, size).within(allocation),
                    3 => Region::image(base, size, protect, allocation),
                    _ => Region::commit(base, size, protect).within(allocation),
                }
            })
            .collect()
    }

    fn random_claims(random: &mut Random) -> Vec<Claim> {
        let claim = |random: &mut Random| {
            let start = 0x1000 * random.below(1500);
            let kinds = [RegionKind::Heap, RegionKind::Stack, RegionKind::Image];
            Claim {
                range: AddressRange::new(start, 0x1000 * (random.below(80) + 1)).unwrap(),
                kind: Some(kinds[random.below(3) as usize]),
                usage: Use::Plain,
                subject: Subject::None,
                confidence: Confidence::Derived,
                source: EvidenceSource::Shape,
                detail: Detail::None,
            }
        };
        (0..random.below(6)).map(|_| claim(random)).collect()
    }

    #[test]
    fn records_and_pieces_give_the_same_sums() {
        let mut random = Random(11);
        for _ in 0..300 {
            let mut builder = DumpBuilder::windows_x64();
            builder = builder.regions(random_regions(&mut random));
            let source = Source::from_bytes(builder.build());
            let dump = Dump::read(&source, &Limits::default()).unwrap();
            let map = RegionMap::build(&dump);
            let claims = random_claims(&mut random);
            let by_records = Totals::of(&dump, &map, &claims);
            let mut fold = Fold::new(&dump, &map, &claims);
            crate::classify::sweep(&map, &claims).for_each(|piece| fold.add(&piece));
            let by_pieces = fold.finish(None);
            assert_eq!(by_records.kinds, by_pieces.kinds);
            assert_eq!(by_records.total, by_pieces.total);
            assert_eq!(by_records.free, by_pieces.free);
            assert_eq!(by_records.audit, by_pieces.audit);
            assert_eq!(by_records.strip.kinds(80), by_pieces.strip.kinds(80));
            assert_eq!(by_records.audit.range_size, by_records.audit.accounted);
        }
    }
}
