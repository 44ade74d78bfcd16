//! PartitionAlloc's address space, and what else Chromium sets aside for all
//! of its processes. Sizes by partition_alloc_constants.h, and as seen in
//! Chromium 156: two pools of 16 GiB in one reservation, and one of 16 GiB
//! more that holds a page or two of metadata for each super page of a pool.

use super::{Access, GIB, KIB, Line, MIB, claim, range_of, window};
use crate::evidence::Claim;

const POOL: u64 = 16 * GIB;
const SUPER_PAGE: u64 = 2 * MIB;
const PAGE: u64 = 4 * KIB;

/// The claims on one run of anonymous mappings.
pub(super) fn claims(run: &[Line]) -> Vec<Claim> {
    let whole = range_of(run).filter(|range| range.size() == POOL);
    if let Some(range) = whole.filter(|range| is_metadata(run, range.start())) {
        let detail = "16 GiB, single pages at multiples of 2 MiB, beside Chromium";
        return vec![claim(range, "PartitionAlloc metadata", detail)];
    }
    let mut claims: Vec<Claim> = low(run).into_iter().collect();
    let mut end = 0;
    for (first, line) in run.iter().enumerate() {
        if line.range.start() < end {
            continue;
        }
        let Some(claim) = pools(run, first) else { continue };
        end = claim.range.end();
        claims.push(claim);
    }
    claims
}

/// 32 GiB are both pools. 16 GiB alone may be Oilpan's cage as well.
fn pools(run: &[Line], first: usize) -> Option<Claim> {
    let kinds = [
        (2 * POOL, "PartitionAlloc pools", "32 GiB at a multiple of 32 GiB, beside Chromium"),
        (
            POOL,
            "PartitionAlloc pool or Oilpan cage",
            "16 GiB at a multiple of 16 GiB, beside Chromium",
        ),
    ];
    let start = run.get(first)?.range.start();
    kinds.into_iter().find_map(|(size, usage, detail)| {
        let aligned = start.is_multiple_of(size);
        let (lines, range) = aligned.then(|| window(run, first, size)).flatten()?;
        let used = lines.iter().any(|line| line.access == Access::ReadWrite);
        let data = lines.iter().all(|line| line.access != Access::Execute);
        (used && data).then(|| claim(range, usage, detail))
    })
}

fn is_metadata(run: &[Line], start: u64) -> bool {
    let fits = |line: &Line| {
        let offset = line.range.start().wrapping_sub(start) & SUPER_PAGE.wrapping_sub(1);
        line.access == Access::Nothing
            || (line.access == Access::ReadWrite && line.size() == PAGE && offset < 64 * KIB)
    };
    run.len() >= 3 && run.iter().all(fits)
}

/// A small integer that is taken for a pointer leads below 4 GiB, where V8
/// lets nothing be.
fn low(run: &[Line]) -> Option<Claim> {
    let line = run.first()?;
    let guard = line.access == Access::Nothing
        && line.range.start() <= MIB
        && (4 * GIB..=4_u64.wrapping_mul(GIB).wrapping_add(MIB)).contains(&line.range.end());
    let detail = "from the lowest address to 4 GiB, without access, beside Chromium";
    guard.then(|| claim(line.range, "guard of the first 4 GiB", detail))
}

#[cfg(test)]
mod tests {
    use super::super::anonymous_runs;
    use super::super::v8::tests::{lines, shown};
    use super::*;

    fn check(maps: &str, expected: &[&str]) {
        let lines = lines(maps);
        let claims: Vec<Claim> = anonymous_runs(&lines).flat_map(claims).collect();
        assert_eq!(shown(&claims), expected);
    }

    #[test]
    fn as_chromium_156_has_it() {
        check(
            "10000-100100000 ---p
             c2000000000-c2000004000 ---p
             c2000004000-c2000170000 rw-p
             c2000170000-c2400002000 ---p
             c2400002000-c2400003000 rw-p
             c2400003000-c2800000000 ---p
             28c00000000-28c02000000 ---p
             28c02000000-28c02780000 rw-p
             28c02780000-29000000000 ---p
             3668fd136000-3668fd137000 ---p
             3668fd137000-3668fd138000 rw-p
             3668fd138000-3668fd337000 ---p
             3668fd337000-3668fd338000 rw-p
             3668fd338000-366cfd136000 ---p",
            &[
                "10000-100100000 guard of the first 4 GiB",
                "c2000000000-c2800000000 PartitionAlloc pools",
                "28c00000000-29000000000 PartitionAlloc pool or Oilpan cage",
                "3668fd136000-366cfd136000 PartitionAlloc metadata",
            ],
        );
    }

    #[test]
    fn other_places_sizes_and_contents_are_nothing() {
        // Not aligned; without memory; with code; single pages elsewhere; one
        // mapping that goes beyond.
        check(
            "c2100000000-c2100004000 rw-p
             c2100004000-c2500000000 ---p
             40000000000-40400000000 ---p
             50000000000-50000001000 rwxp
             50000001000-50400000000 ---p
             3668fd136000-3668fd236000 ---p
             3668fd236000-3668fd237000 rw-p
             3668fd237000-366cfd136000 ---p
             800000000000-800000001000 rw-p
             800000001000-800400001000 ---p
             200000-100100000 ---p",
            &[],
        );
    }
}
