//! V8: its sandbox of 1 TiB between guards, the tables and the range that it
//! keeps outside of the sandbox, its code range, and the pages of a heap that
//! has no cage. Sizes by V8's constants; all were seen, in Chromium 156 and
//! node 20.

use super::{Access, GIB, KIB, Line, MIB, TIB, anonymous_runs, claim, range_of, window};
use crate::addr::AddressRange;
use crate::evidence::Claim;

const CAGE: u64 = 4 * GIB;
const CODE: [u64; 2] = [512 * MIB, 128 * MIB];
const PAGE: u64 = 256 * KIB;
/// Fewer pages may be chance.
const PAGES: usize = 4;

/// The claims on sandboxes and on what comes with each.
pub(super) fn sandboxes(lines: &[Line]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = anonymous_runs(lines).flat_map(sandbox).collect();
    if !claims.is_empty() {
        claims.extend(anonymous_runs(lines).filter_map(trusted));
    }
    claims
}

/// A guard of 32 to 64 GiB, then 1 TiB from a multiple of 4 GiB on, which is
/// in use at its start, then another guard.
fn sandbox(run: &[Line]) -> Vec<Claim> {
    let mut claims = Vec::new();
    let all = range_of(run).map_or(0, |range| range.end());
    for (at, guard) in run.iter().enumerate() {
        let base = guard.range.end();
        let Some(end) = base.checked_add(TIB).filter(|end| *end <= all) else { break };
        let used = run.get(at.saturating_add(1)).is_some_and(|next| next.access == Access::Read);
        let fits = guard.access == Access::Nothing
            && (32 * GIB..=64 * GIB).contains(&guard.size())
            && guard.size().is_multiple_of(CAGE)
            && base.is_multiple_of(CAGE);
        if !fits || !used {
            continue;
        }
        let detail = "1 TiB at a multiple of 4 GiB, behind a guard, beside V8";
        let between = |start, end| AddressRange::between(start, end);
        claims.extend(between(base, end).map(|range| claim(range, "V8 sandbox", detail)));
        let detail = "the first 4 GiB of the sandbox";
        let cage = base.checked_add(CAGE).and_then(|end| between(base, end));
        claims.extend(cage.map(|range| claim(range, "V8 heap cage", detail)));
        let detail = "without access, right beside the sandbox";
        let last = run.partition_point(|line| line.range.end() <= end);
        let after = run.get(last).filter(|line| line.access == Access::Nothing);
        let after = after.and_then(|line| between(end.max(line.range.start()), line.range.end()));
        let guards = [Some(guard.range), after];
        let guards = guards.into_iter().flatten();
        claims.extend(guards.map(|range| claim(range, "V8 sandbox guard", detail)));
        claims.extend(run.get(..at).map(tables).unwrap_or_default());
        break;
    }
    claims
}

/// Tables of pointers that must not lie in the sandbox: each begins with 64
/// KiB that can only be read, the entry for null, and is mostly set aside.
fn tables(before: &[Line]) -> Vec<Claim> {
    let begins = |line: &Line| line.access == Access::Read && line.size() == 64 * KIB;
    let tables = before.chunk_by(|_, next| !begins(next)).filter(|table| {
        let range = range_of(table);
        table.first().is_some_and(begins)
            && table.last().is_some_and(|line| line.access == Access::Nothing)
            && range.is_some_and(|range| range.size() >= 32 * MIB)
    });
    let detail = "64 KiB to read, then memory set aside, before the sandbox's guard";
    let claims = tables.filter_map(range_of);
    claims.map(|range| claim(range, "V8 pointer table", detail)).collect()
}

/// The trusted range: 1 GiB at a multiple of 4 GiB whose start is not used.
fn trusted(run: &[Line]) -> Option<Claim> {
    let range = range_of(run)?;
    let fits = range.size() == GIB
        && range.start().is_multiple_of(CAGE)
        && run.len() >= 3
        && run.first().is_some_and(|line| line.access == Access::Nothing)
        && run.iter().all(|line| line.access != Access::Execute);
    let detail = "1 GiB at a multiple of 4 GiB, beside a sandbox";
    fits.then(|| claim(range, "V8 trusted range", detail))
}

/// The code ranges in a run that may have code of a file in it: V8 maps its
/// own built-in code a second time, into the range.
pub(super) fn code_ranges(run: &[Line]) -> Vec<Claim> {
    // Pages of read-only data are no part of it, and some of it is code.
    let count = |wanted: &dyn Fn(&Line) -> bool| -> Vec<usize> {
        let mut sum = 0_usize;
        let mut sums = vec![0];
        sums.extend(run.iter().map(|line| {
            sum = sum.saturating_add(usize::from(wanted(line)));
            sum
        }));
        sums
    };
    let foreign = count(&|line| line.access == Access::Read);
    let code = count(&|line| line.access == Access::Execute && line.anonymous);
    let mut claims = Vec::new();
    let mut end = 0;
    for (first, line) in run.iter().enumerate() {
        let start = line.range.start();
        if start < end || !line.anonymous || !start.is_multiple_of(PAGE) {
            continue;
        }
        let found = CODE.iter().find_map(|size| {
            let (lines, range) = window(run, first, *size)?;
            let behind = first.checked_add(lines.len())?;
            let within = |sums: &[usize]| Some(sums.get(behind)?.saturating_sub(*sums.get(first)?));
            (within(&foreign)? == 0 && within(&code)? > 0).then_some(range)
        });
        if let Some(range) = found {
            end = range.end();
            let detail = "its size, with code in it, beside a module that has V8";
            claims.push(claim(range, "V8 code range", detail));
        }
    }
    claims
}

/// Pages of a heap without a cage: V8 puts each at an address of its own.
pub(super) fn pages(lines: &[Line]) -> Vec<Claim> {
    let pages = anonymous_runs(lines).filter_map(|run| match run {
        [line] if line.access == Access::ReadWrite => Some(line.range),
        _ => None,
    });
    let exact = |page: &AddressRange| page.size() == PAGE && page.start().is_multiple_of(PAGE);
    let detail = "256 KiB at a multiple of 256 KiB, beside node";
    let claims: Vec<Claim> =
        pages.filter(exact).map(|page| claim(page, "V8 heap page", detail)).collect();
    if claims.len() < PAGES { Vec::new() } else { claims }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::runs;
    use super::*;
    use crate::evidence::Use;

    /// Lines of a maps text; those with a word behind the access are files.
    pub(in super::super) fn lines(maps: &str) -> Vec<Line> {
        let line = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let (start, end) = words[0].split_once('-').unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            let access = match words[1] {
                "---p" => Access::Nothing,
                "r--p" => Access::Read,
                "rw-p" => Access::ReadWrite,
                _ => Access::Execute,
            };
            let range = AddressRange::between(number(start), number(end)).unwrap();
            Line { range, access, anonymous: words.len() == 2 }
        };
        maps.lines().map(line).collect()
    }

    /// Ranges and uses.
    pub(in super::super) fn shown(claims: &[Claim]) -> Vec<String> {
        let shown = |claim: &Claim| {
            let Use::Named(name) = claim.usage else { panic!("{claim:?}") };
            format!("{:x}-{:x} {name}", claim.range.start(), claim.range.end())
        };
        claims.iter().map(shown).collect()
    }

    const SANDBOX: &str = "37100000000-37101000000 ---p
        37101000000-371010c0000 rw-p
        371010c0000-37140000000 ---p
        7e2d84000000-7e2d84010000 r--p
        7e2d84010000-7e2d88000000 ---p
        7e2d88000000-7e2d88010000 r--p
        7e2d88010000-7e2d88020000 rw-p
        7e2d88020000-7e2e00000000 ---p
        7e2e00000000-7e3e00000000 ---p
        7e3e00000000-7e3e00010000 r--p
        7e3e00010000-7e3e01000000 ---p
        7e3e01000000-7e3e01980000 rw-p
        7e3e01980000-7f8600000000 ---p";

    #[test]
    fn the_sandbox_of_a_renderer() {
        assert_eq!(
            shown(&sandboxes(&lines(SANDBOX))),
            [
                "7e3e00000000-7f3e00000000 V8 sandbox",
                "7e3e00000000-7e3f00000000 V8 heap cage",
                "7e2e00000000-7e3e00000000 V8 sandbox guard",
                "7f3e00000000-7f8600000000 V8 sandbox guard",
                "7e2d84000000-7e2d88000000 V8 pointer table",
                "7e2d88000000-7e2e00000000 V8 pointer table",
                "37100000000-37140000000 V8 trusted range",
            ]
        );
        // Too short, or nothing at its start.
        let short = SANDBOX.replace("7f8600000000", "7f3d00000000");
        assert_eq!(shown(&sandboxes(&lines(&short))), [""; 0]);
        let unused = SANDBOX.replace("7e3e00010000 r--p", "7e3e00010000 rw-p");
        assert_eq!(shown(&sandboxes(&lines(&unused))), [""; 0]);
    }

    #[test]
    fn code_with_the_built_ins_in_it() {
        let node = "7efccc021000-7efcd4000000 ---p
            7efcd4000000-7efcd4002000 rw-p
            7efcd4002000-7efcd4003000 ---p
            7efcd4003000-7efcd403f000 rwxp
            7efcd403f000-7efcf3e40000 ---p
            7efcf3e40000-7efcf3fd2000 r-xp node
            7efcf3fd2000-7efcf4000000 ---p
            7efcf4000000-7efcf4021000 rw-p
            7efcf4021000-7efcf8000000 ---p";
        let found = |maps: &str| {
            let lines = lines(maps);
            shown(&runs(&lines).flat_map(code_ranges).collect::<Vec<_>>())
        };
        assert_eq!(found(node), ["7efcd4000000-7efcf4000000 V8 code range"]);
        assert_eq!(found(&node.replace("rwxp", "rw-p")), [""; 0]);
        assert_eq!(found(&node.replace("7efcf4000000", "7efcf4001000")), [""; 0]);
        let all = "55a3e0000000-55a400000000 rwxp";
        assert_eq!(found(all), ["55a3e0000000-55a400000000 V8 code range"]);
    }

    #[test]
    fn pages_come_in_numbers() {
        let page = |nth: u64| format!("{:x}-{:x} rw-p", nth << 20, (nth << 20) + PAGE);
        let pages_of = |count: u64| {
            let maps: Vec<String> = (1..=count).map(page).collect();
            pages(&lines(&maps.join("\n"))).len()
        };
        assert_eq!(pages_of(3), 0);
        assert_eq!(pages_of(4), 4);
        assert_eq!(pages(&lines("40000-80000 rw-p\n80000-c0000 rw-p")).len(), 0);
    }
}
