//! Gecko: mozjemalloc's chunks, which end in a page without access,
//! SpiderMonkey's chunks, and its code. Sizes by kChunkSize, ChunkSize and
//! MaxCodeBytesPerProcess; all were seen in a dump of Firefox on Linux.

use super::{Access, KIB, Line, MIB, anonymous_runs, claim, window};
use crate::evidence::Claim;

const CHUNK: u64 = MIB;
const PAGE: u64 = 4 * KIB;
const CODE: u64 = 2044 * MIB;
/// Fewer chunks may be chance.
const LEAST: usize = 4;
/// A protection for each 64 KiB of code at most.
const PARTS: usize = 32_704;

/// The claims on all of it.
pub(super) fn claims(lines: &[Line]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = anonymous_runs(lines).filter_map(code).collect();
    let mut add = |found: Vec<Claim>| {
        if found.len() >= LEAST {
            claims.extend(found);
        }
    };
    add(anonymous_runs(lines).flat_map(guarded).collect());
    add(anonymous_runs(lines).filter_map(alone).collect());
    claims
}

/// Read-write but for the last page.
fn guarded(run: &[Line]) -> Vec<Claim> {
    let chunk = |(first, line): (usize, &Line)| {
        let used = line.access == Access::ReadWrite
            && line.size() == CHUNK.wrapping_sub(PAGE)
            && line.range.start().is_multiple_of(CHUNK);
        let (lines, range) = used.then(|| window(run, first, CHUNK)).flatten()?;
        let guard = lines.get(1).is_some_and(|line| line.access == Access::Nothing);
        let detail = "1 MiB at a multiple of 1 MiB, its last page without access, beside Gecko";
        (lines.len() == 2 && guard).then(|| claim(range, "mozjemalloc chunk", detail))
    };
    run.iter().enumerate().filter_map(chunk).collect()
}

/// With nothing beside it, or the kernel had joined them.
fn alone(run: &[Line]) -> Option<Claim> {
    let [line] = run else { return None };
    let fits = line.access == Access::ReadWrite
        && line.size() == CHUNK
        && line.range.start().is_multiple_of(CHUNK);
    let detail = "1 MiB at a multiple of 1 MiB, beside Gecko";
    fits.then(|| claim(line.range, "mozjemalloc or SpiderMonkey chunk", detail))
}

/// One reservation for all code, in parts that may run and that may not.
fn code(run: &[Line]) -> Option<Claim> {
    let first = run.iter().position(|line| line.access == Access::Execute)?;
    // What comes before the first code is set aside too.
    let begins = [first.checked_sub(1), Some(first)].into_iter().flatten();
    let (_, range) = begins.filter_map(|place| window(run, place, CODE)).find(|(lines, _)| {
        lines.len() <= PARTS && lines.iter().all(|line| line.access != Access::Read)
    })?;
    let detail = "2,044 MiB with code in it, beside Gecko";
    Some(claim(range, "SpiderMonkey code", detail))
}

#[cfg(test)]
mod tests {
    use super::super::v8::tests::{lines, shown};
    use super::*;

    #[test]
    fn as_firefox_has_it() {
        let mut maps = String::from(
            "3f20a0c2d000-3f20a0c3d000 r-xp
             3f20a0c3d000-3f20a0c4d000 ---p
             3f20a0c4d000-3f20a0c5d000 r-xp
             3f20a0c5d000-3f212082d000 ---p",
        );
        for nth in 0..4_u64 {
            let start = 0x7f81_d7e0_0000 + nth * CHUNK;
            let (tail, end) = (start + CHUNK - PAGE, start + CHUNK);
            maps.push_str(&format!("\n{start:x}-{tail:x} rw-p\n{tail:x}-{end:x} ---p"));
        }
        let found = |maps: &str| shown(&claims(&lines(maps)));
        assert_eq!(
            found(&maps),
            [
                "3f20a0c2d000-3f212082d000 SpiderMonkey code",
                "7f81d7e00000-7f81d7f00000 mozjemalloc chunk",
                "7f81d7f00000-7f81d8000000 mozjemalloc chunk",
                "7f81d8000000-7f81d8100000 mozjemalloc chunk",
                "7f81d8100000-7f81d8200000 mozjemalloc chunk",
            ]
        );
        let three: Vec<&str> = maps.lines().skip(6).collect();
        assert_eq!(found(&three.join("\n")), [""; 0]);
        let code: Vec<&str> = maps.lines().take(4).collect();
        assert_eq!(found(&code.join("\n").replace("212082d000", "212083d000")), [""; 0]);
    }

    #[test]
    fn chunks_alone() {
        let alone = |count: u64| {
            let line = |nth: u64| {
                let start = nth * 4 * MIB;
                format!("{start:x}-{:x} rw-p", start + MIB)
            };
            let maps: Vec<String> = (1..=count).map(line).collect();
            claims(&lines(&maps.join("\n"))).len()
        };
        assert_eq!((alone(3), alone(4)), (0, 4));
    }
}
