//! Regions that overlap: the smaller one keeps its bytes, because the larger
//! one is more likely to be the wrong one. Nothing vanishes: the pieces add
//! up to the union.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Region;
use crate::addr::AddressRange;

/// Sorts regions and makes them disjoint. Also answers how many lost bytes to
/// a smaller one. O(n log n), whatever the overlaps.
pub(super) fn disjoint(mut regions: Vec<Region>) -> (Vec<Region>, u64) {
    regions.sort_by_key(|region| region.range.start());
    if regions.is_sorted_by(|a, b| a.range.last() < b.range.start()) {
        return (regions, 0);
    }
    let mut out: Vec<Region> = Vec::with_capacity(regions.len());
    let mut active: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut kept: Vec<u64> = vec![0; regions.len()];
    let mut next = 0;
    let mut at = regions.first().map(|region| region.range.start());
    while let Some(from) = at {
        while let Some(region) = regions.get(next).filter(|region| region.range.start() <= from) {
            active.push(Reverse((region.range.size(), next)));
            next = next.saturating_add(1);
        }
        let upcoming = regions.get(next).map(|region| region.range.start());
        let Some(Reverse((_, winner))) = active.peek().copied() else {
            at = upcoming;
            continue;
        };
        let Some(region) = regions.get(winner) else { break };
        if region.range.last() < from {
            active.pop();
            continue;
        }
        let until = upcoming.map_or(u64::MAX, |start| start.saturating_sub(1));
        let last = region.range.last().min(until);
        if let Some(piece) = AddressRange::spanning(from, last) {
            push(&mut out, Region { range: piece, ..*region });
            if let Some(kept) = kept.get_mut(winner) {
                *kept = kept.saturating_add(piece.size());
            }
        }
        at = last.checked_add(1);
    }
    let lost = regions.iter().zip(&kept).filter(|(region, kept)| region.range.size() != **kept);
    let lost = u64::try_from(lost.count()).unwrap_or(u64::MAX);
    (out, lost)
}

/// Adds a piece, joined to the one before when both are of one region.
fn push(out: &mut Vec<Region>, piece: Region) {
    if let Some(previous) = out.last_mut()
        && previous.origin == piece.origin
        && previous.range.last().checked_add(1) == Some(piece.range.start())
        && (Region { range: piece.range, ..*previous }) == piece
        && let Some(joined) = AddressRange::spanning(previous.range.start(), piece.range.last())
    {
        previous.range = joined;
        return;
    }
    out.push(piece);
}

#[cfg(test)]
mod tests {
    use super::super::{Origin, State};
    use super::*;

    fn region(start: u64, size: u64, id: u32) -> Region {
        let range = AddressRange::new(start, size).unwrap();
        Region::bare(range, State::Commit, Origin::Record(id))
    }

    fn check(input: &[(u64, u64)], expected: &[(u64, u64, u32)], lost: u64) {
        let input = input.iter().zip(0..).map(|((start, size), id)| region(*start, *size, id));
        let (out, count) = disjoint(input.collect());
        let out: Vec<_> = out
            .iter()
            .map(|region| {
                let Origin::Record(id) = region.origin else { unreachable!() };
                (region.range.start(), region.range.size(), id)
            })
            .collect();
        assert_eq!(out, expected);
        assert_eq!(count, lost);
    }

    #[test]
    fn one_bogus_huge_region_hides_nothing() {
        check(
            &[(0, 1 << 47), (0x10000, 0x1000), (0x20000, 0x1000)],
            &[
                (0, 0x10000, 0),
                (0x10000, 0x1000, 1),
                (0x11000, 0xf000, 0),
                (0x20000, 0x1000, 2),
                (0x21000, (1 << 47) - 0x21000, 0),
            ],
            1,
        );
    }

    #[test]
    fn the_same_region_twice_counts_once() {
        check(&[(0x1000, 0x1000), (0x1000, 0x1000)], &[(0x1000, 0x1000, 0)], 1);
    }

    #[test]
    fn random_regions_add_up_to_their_union() {
        let mut seed = 7_u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let count = random(40) + 1;
            let input: Vec<Region> =
                (0..count).map(|id| region(random(500), random(60) + 1, id as u32)).collect();
            let mut covered = vec![false; 600];
            for region in &input {
                (region.range.start()..region.range.end())
                    .for_each(|byte| covered[byte as usize] = true);
            }
            let (out, _) = disjoint(input);
            assert!(out.is_sorted_by(|a, b| a.range.last() < b.range.start()));
            let total: u64 = out.iter().map(|region| region.range.size()).sum();
            assert_eq!(total, covered.iter().filter(|byte| **byte).count() as u64);
        }
    }
}
