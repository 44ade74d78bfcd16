//! The merge against a slow one that looks at each page.

use std::collections::BTreeMap;

use dumpmap::diff::{Diff, RunChoice, What};
use dumpmap::synth::{DumpBuilder, Region};

use crate::{all, assert_adds_up, compare_bytes};

const PAGE: u64 = 0x1000;
/// Pages of a made address space.
const PAGES: u64 = 400;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

/// Allocations of one to four regions; where a coin says so those of another
/// space are kept.
fn space(random: &mut Random, keep: Option<&[Region]>) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    let mut at = 0x10;
    while at < 0x10 + PAGES {
        let kept = keep.into_iter().flatten().find(|of| of.base == at * PAGE);
        if let Some(region) = kept.filter(|_| random.below(4) > 0) {
            regions.push(*region);
            at += region.size / PAGE;
            continue;
        }
        let end = keep.into_iter().flatten().map(|of| of.base / PAGE).find(|base| *base > at);
        let room = end.unwrap_or(u64::MAX).min(0x10 + PAGES) - at;
        let size = (random.below(12) + 1).min(room);
        let last = regions.last().filter(|of| of.state != 0x10000);
        let base = match last {
            Some(last) if random.below(2) == 0 => last.allocation_base,
            _ => at * PAGE,
        };
        let protect = [0x02, 0x04, 0x20][random.below(3) as usize];
        let (from, bytes) = (at * PAGE, size * PAGE);
        regions.push(match random.below(6) {
            0 | 1 => Region::free(from, bytes),
            2 => Region::reserve(from, bytes).within(base),
            3 => Region::mapped(from, bytes, protect),
            _ => Region::commit(from, bytes, protect).within(base),
        });
        at += size;
    }
    regions
}

fn by_pages(regions: &[Region]) -> Vec<Option<&Region>> {
    let page = |at| regions.iter().find(|of| of.base <= at && at < of.base + of.size);
    let taken = |of: Option<&'_ Region>| of.is_some_and(|of| of.state != 0x10000);
    (0..PAGES).map(|at| page((0x10 + at) * PAGE).filter(|of| taken(Some(*of)))).collect()
}

fn expected(before: &[Region], after: &[Region]) -> BTreeMap<What, u64> {
    let mut bytes = BTreeMap::new();
    for (old, new) in by_pages(before).into_iter().zip(by_pages(after)) {
        let what = match (old, new) {
            (None, Some(_)) => What::New,
            (Some(_), None) => What::Gone,
            (None, None) => continue,
            (Some(old), Some(new))
                if (old.allocation_base, old.memory_type)
                    != (new.allocation_base, new.memory_type) =>
            {
                What::Replaced
            }
            (Some(old), Some(new)) => match (old.state, new.state) {
                (0x2000, 0x1000) => What::Committed,
                (0x1000, 0x2000) => What::Decommitted,
                (0x1000, 0x1000) if old.protect != new.protect => What::Protection,
                _ => continue,
            },
        };
        *bytes.entry(what).or_insert(0) += PAGE;
    }
    bytes
}

fn found(diff: &Diff) -> BTreeMap<What, u64> {
    let tallies = What::ALL.into_iter().zip(&diff.regions.tallies);
    let tallies: BTreeMap<What, u64> =
        tallies.filter(|(_, of)| of.count > 0).map(|(what, of)| (what, of.size)).collect();
    let mut rows = BTreeMap::new();
    for row in &diff.regions.rows {
        *rows.entry(row.change.what).or_insert(0) += row.change.range.size();
    }
    assert_eq!(tallies, rows, "the rows are those that were counted");
    tallies
}

#[test]
fn each_page_became_what_the_merge_says() {
    let mut random = Random(5);
    for round in 0..300 {
        let before = space(&mut random, None);
        let after = space(&mut random, Some(&before));
        let dump =
            |regions: &[Region]| DumpBuilder::windows_x64().regions(regions.to_vec()).build();
        let diff = compare_bytes(&[dump(&before), dump(&after)], &all(RunChoice::Same));
        assert_eq!(found(&diff), expected(&before, &after), "round {round}");
        assert_adds_up(&diff, &format!("round {round}"));
        let mut rows: Vec<_> = diff.regions.rows.iter().map(|row| row.change.range).collect();
        rows.sort_by_key(|range| range.start());
        assert!(rows.windows(2).all(|two| two[0].last() < two[1].start()), "rows are disjoint");
    }
}
