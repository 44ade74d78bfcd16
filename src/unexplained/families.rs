//! Allocations of one size and protection. From the map alone: one sweep, and
//! memory for the families, of which a forged map has no more than [`MOST`].

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Block, Family, is_unexplained};
use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::classify::sweep_kinds;
use crate::map::{MemoryType, Protection, State};

/// Families that are told apart; allocations of more are counted, and belong
/// to none. A browser has some hundreds.
const MOST: usize = 65_536;

/// What the members of a family have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    size: u64,
    /// `None` for several.
    protect: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Tally {
    allocations: u64,
    bytes: u64,
    lowest: u64,
}

/// All families of a map.
#[derive(Debug, Default)]
pub(super) struct Families {
    tallies: HashMap<Key, Tally>,
    /// Allocations with memory that nobody explains.
    pub(super) allocations: u64,
    /// The addresses that were asked for, and their families.
    around: Vec<(u64, Key)>,
}

impl Families {
    pub(super) fn of(analysis: &Analysis<'_>) -> Families {
        Families::around(analysis, &[])
    }

    pub(super) fn around(analysis: &Analysis<'_>, addresses: &[u64]) -> Families {
        let mut families = Families::default();
        each(analysis, |run| families.add(&run, addresses));
        families
    }

    fn add(&mut self, run: &Run, addresses: &[u64]) {
        self.allocations += 1;
        let inside = addresses.iter().filter(|address| run.range.contains(**address));
        self.around.extend(inside.map(|address| (*address, run.key())));
        let full = self.tallies.len() >= MOST;
        if full && !self.tallies.contains_key(&run.key()) {
            return;
        }
        let new = Tally { allocations: 0, bytes: 0, lowest: run.largest.start() };
        let tally = self.tallies.entry(run.key()).or_insert(new);
        tally.allocations += 1;
        tally.bytes = tally.bytes.saturating_add(run.bytes);
    }

    pub(super) fn count(&self) -> u64 {
        self.tallies.len() as u64
    }

    /// Those with most bytes, most first.
    pub(super) fn top(&self, most: usize) -> Vec<Family> {
        let mut all: Vec<(&Key, &Tally)> = self.tallies.iter().collect();
        all.sort_unstable_by_key(|(key, tally)| (Reverse(tally.bytes), **key));
        all.into_iter().take(most).map(|(key, tally)| family(*key, tally)).collect()
    }

    pub(super) fn family_around(&self, address: u64) -> Option<Family> {
        let (_, key) = self.around.iter().find(|(asked, _)| *asked == address)?;
        Some(family(*key, self.tallies.get(key)?))
    }
}

fn family(key: Key, tally: &Tally) -> Family {
    Family {
        size: key.size,
        protect: key.protect.map(Protection),
        allocations: tally.allocations,
        bytes: tally.bytes,
        lowest: tally.lowest,
        contents: None,
        pointers: None,
    }
}

/// The blocks of some families in address order, up to `most` of each.
pub(super) fn blocks(analysis: &Analysis<'_>, families: &[Family], most: usize) -> Vec<Block> {
    let key = |family: &Family| Key {
        size: family.size,
        protect: family.protect.map(|protect| protect.0),
    };
    let places: HashMap<Key, usize> = families.iter().map(key).zip(0..).collect();
    let mut taken = vec![0_usize; families.len()];
    let mut blocks = Vec::new();
    each(analysis, |run| {
        let Some(family) = places.get(&run.key()).copied() else { return };
        if taken[family] < most {
            taken[family] += 1;
            blocks.push(Block { range: run.largest, family });
        }
    });
    blocks
}

/// Regions of a map that are not worth a sample, and those of a sample.
const SMALL: usize = 4_096;
const SAMPLE: u64 = 512;

/// Whether one size and protection may have half of the `blank` bytes that
/// nobody explains, of `all` committed private ones: in a large map, whether
/// it has a third of them among regions here and there.
pub(super) fn may_dominate(analysis: &Analysis<'_>, blank: u64, all: u64) -> bool {
    let map = &analysis.map;
    if map.len() <= SMALL {
        return true;
    }
    let mut sample: Vec<(u64, u32)> = (0..SAMPLE)
        .filter_map(|nth| {
            // Scattered, or every second region would never be seen.
            let place = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
            let region = map.get((place % map.len() as u64) as usize)?;
            let private = region.memory_type == Some(MemoryType::Private);
            let counts = private && region.state == State::Commit;
            counts.then_some((region.range.size(), region.protect.0))
        })
        .collect();
    sample.sort_unstable();
    let bytes = |regions: &[(u64, u32)]| regions.iter().map(|(size, _)| u128::from(*size)).sum();
    let most: u128 = sample.chunk_by(|one, next| one == next).map(bytes).max().unwrap_or(0);
    let sampled: u128 = bytes(&sample);
    most * 3 * u128::from(all) >= sampled * u128::from(blank)
}

/// One allocation with memory that nobody explains.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// All of the allocation.
    range: AddressRange,
    /// Committed bytes that nobody explains.
    bytes: u64,
    /// Their protection.
    protect: Option<u32>,
    /// The largest piece of them.
    largest: AddressRange,
}

impl Run {
    fn key(&self) -> Key {
        Key { size: self.range.size(), protect: self.protect }
    }
}

/// Gives each allocation that has memory that nobody explains. Records that no
/// claim touches, nearly all of a large map, are taken as they stand.
fn each(analysis: &Analysis<'_>, mut give: impl FnMut(Run)) {
    let mut open = Open::default();
    let mut pieces = sweep_kinds(&analysis.map, &analysis.evidence.claims);
    loop {
        pieces.plain_records(|record| {
            let base = (!record.is_free()).then_some(record.allocation_base);
            let last = record.base.wrapping_add(record.size).wrapping_sub(1);
            let blank = record.is_committed() && record.is_private();
            let range = AddressRange::ordered(record.base, last);
            open.add(base, range, blank.then_some(record.protect), &mut give);
        });
        let Some(piece) = pieces.next() else { break };
        let blank = is_unexplained(analysis, &piece);
        let protect = blank.then_some(piece.region.protect.0);
        open.add(piece.region.allocation_base, piece.range, protect, &mut give);
    }
    open.end(&mut give);
}

/// The allocation so far: its base and bytes, and its run once it has one.
#[derive(Default)]
struct Open {
    allocation: Option<(u64, AddressRange)>,
    run: Option<Run>,
}

impl Open {
    /// Takes the next piece of the map; with its protection when nobody
    /// explains it.
    #[inline]
    fn add(
        &mut self,
        base: Option<u64>,
        range: AddressRange,
        protect: Option<u32>,
        give: &mut impl FnMut(Run),
    ) {
        match &mut self.allocation {
            Some((open, all)) if Some(*open) == base => {
                *all = AddressRange::spanning(all.start(), range.last()).unwrap_or(*all);
            }
            _ => {
                self.end(give);
                self.allocation = base.map(|base| (base, range));
            }
        }
        let Some((_, all)) = self.allocation.filter(|_| protect.is_some()) else { return };
        let new = Run { range: all, bytes: 0, protect, largest: range };
        let run = self.run.get_or_insert(new);
        run.bytes = run.bytes.saturating_add(range.size());
        if run.protect != protect {
            run.protect = None;
        }
        if range.size() > run.largest.size() {
            run.largest = range;
        }
    }

    fn end(&mut self, give: &mut impl FnMut(Run)) {
        let Some((_, range)) = self.allocation.take() else { return };
        if let Some(run) = self.run.take() {
            give(Run { range, ..run });
        }
    }
}
