//! Allocations of one size and protection. From the map alone: one sweep, and
//! memory for the families, of which a forged map has no more than [`MOST`].

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Block, Family, is_unexplained};
use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::map::Protection;

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

/// Gives each allocation that has memory that nobody explains.
fn each(analysis: &Analysis<'_>, mut give: impl FnMut(Run)) {
    // The allocation so far: base and range; its run once it has one.
    let mut open: Option<(u64, AddressRange, Option<Run>)> = None;
    let end = |open: Option<(u64, AddressRange, Option<Run>)>, give: &mut dyn FnMut(Run)| {
        if let Some((_, range, Some(run))) = open {
            give(Run { range, ..run });
        }
    };
    for piece in analysis.pieces() {
        let base = piece.region.allocation_base;
        if open.as_ref().map(|(base, ..)| *base) != base {
            end(open.take(), &mut give);
            open = base.map(|base| (base, piece.range, None));
        }
        let Some((_, range, run)) = &mut open else { continue };
        *range = AddressRange::spanning(range.start(), piece.range.last()).unwrap_or(*range);
        if !is_unexplained(analysis, &piece) {
            continue;
        }
        let protect = Some(piece.region.protect.0);
        let new = Run { range: *range, bytes: 0, protect, largest: piece.range };
        let run = run.get_or_insert(new);
        run.bytes = run.bytes.saturating_add(piece.range.size());
        if run.protect != protect {
            run.protect = None;
        }
        if piece.range.size() > run.largest.size() {
            run.largest = piece.range;
        }
    }
    end(open, &mut give);
}
