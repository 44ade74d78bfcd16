//! HotSpot: the heap, the class space, the code cache and the tables of its
//! collectors. Seen with OpenJDK 17: its heap, by what `jcmd GC.heap_info`
//! said, with G1, the serial, the parallel and the Z collector.

use super::{Access, GIB, Line, MIB, TIB, anonymous_runs, claim, range_of, window};
use crate::addr::AddressRange;
use crate::evidence::Claim;

/// Smaller reservations may be anything.
const LEAST: u64 = 256 * MIB;
/// How far pointers of 32 bits to objects of 8 bytes reach.
const COMPRESSED: u64 = 32 * GIB;
/// CompressedClassSpaceSize.
const CLASSES: u64 = GIB;
/// ReservedCodeCacheSize, with and without the tiers of the compiler.
const CODE: [u64; 2] = [240 * MIB, 48 * MIB];

/// The claims on all of HotSpot's reservations.
pub(super) fn claims(lines: &[Line]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = anonymous_runs(lines).flat_map(run).collect();
    claims.extend(views(lines));
    claims
}

fn run(run: &[Line]) -> Vec<Claim> {
    if let Some(range) = range_of(run).filter(|range| range.start() < COMPRESSED) {
        // Programs, libraries and other mappings are far above.
        let heap = range.size() >= LEAST
            && range.end() <= COMPRESSED
            && run.iter().any(|line| line.access == Access::ReadWrite)
            && run.iter().all(|line| matches!(line.access, Access::ReadWrite | Access::Nothing));
        let detail = "below 32 GiB, where short pointers reach, beside libjvm.so";
        return heap.then(|| claim(range, "Java heap", detail)).into_iter().collect();
    }
    let mut claims = Vec::new();
    let mut end = 0;
    for (first, line) in run.iter().enumerate() {
        if line.range.start() < end {
            continue;
        }
        let found = code(run, first).or_else(|| classes(run, first)).or_else(|| other(run, first));
        if let Some(claim) = found {
            end = claim.range.end();
            claims.push(claim);
        }
    }
    claims
}

/// Code, and what is set aside for more, and nothing else.
fn code(run: &[Line], first: usize) -> Option<Claim> {
    if run.get(first)?.access != Access::Execute {
        return None;
    }
    let only = |lines: &[Line]| {
        // Three segments of it are few mappings; a forged map may have many.
        lines.len() <= 64
            && lines.iter().all(|line| matches!(line.access, Access::Execute | Access::Nothing))
    };
    let found = CODE.iter().filter_map(|size| window(run, first, *size));
    let (_, range) = found.into_iter().find(|(lines, _)| only(lines))?;
    let detail = "its size, only code and memory set aside, beside libjvm.so";
    Some(claim(range, "Java code cache", detail))
}

/// A GiB whose committed part is at its start.
fn classes(run: &[Line], first: usize) -> Option<Claim> {
    let line = run.get(first).filter(|line| line.access == Access::ReadWrite)?;
    let (lines, range) = window(run, first, CLASSES)?;
    let rest = lines.last().filter(|last| last.access == Access::Nothing)?;
    let fits = line.range.start().is_multiple_of(4 * MIB) && rest.size() >= CLASSES / 2;
    let detail = "1 GiB, used from its start, beside libjvm.so";
    fits.then(|| claim(range, "Java class space", detail))
}

/// Read-write memory and a large part without access behind it.
fn other(run: &[Line], first: usize) -> Option<Claim> {
    let used = run.get(first).filter(|line| line.access == Access::ReadWrite)?;
    let rest = run.get(first.checked_add(1)?)?;
    let fits = rest.access == Access::Nothing && rest.size() >= LEAST;
    let range = AddressRange::spanning(used.range.start(), rest.range.last())?;
    let detail = "256 MiB or more behind memory in use, beside libjvm.so";
    fits.then(|| claim(range, "Java heap or its tables", detail))
}

/// The Z collector's three views of one heap: at 4, 8 and 16 TiB, as large and
/// as far from there.
fn views(lines: &[Line]) -> Vec<Claim> {
    const VIEWS: [u64; 3] = [4 * TIB, 8 * TIB, 16 * TIB];
    let views = VIEWS.map(|view| {
        let first = lines.partition_point(|line| line.range.start() < view);
        let behind = lines.get(first..).unwrap_or(&[]).iter();
        behind.take_while(move |line| line.range.start() < view.saturating_add(4 * TIB))
    });
    let [one, two, three] = views;
    let place = |line: &Line, view: u64| (line.range.start().wrapping_sub(view), line.size());
    let set = |lines: &mut dyn Iterator<Item = &Line>, view: u64| -> Vec<(u64, AddressRange)> {
        let wanted = |line: &&Line| line.access == Access::Nothing && line.size() >= LEAST;
        lines.filter(wanted).map(|line| (place(line, view).0, line.range)).collect()
    };
    let [four, eight, sixteen] = VIEWS;
    let (one, two, three) =
        (set(&mut { one }, four), set(&mut { two }, eight), set(&mut { three }, sixteen));
    let same = |sets: &[(u64, AddressRange)], (offset, range): (u64, AddressRange)| {
        let at = sets.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        sets.get(at).map(|(_, other)| *other).filter(|other| other.size() == range.size())
    };
    let detail = "three of one size at 4, 8 and 16 TiB, beside libjvm.so";
    let threes =
        one.iter().filter_map(|view| Some([view.1, same(&two, *view)?, same(&three, *view)?]));
    threes.flatten().map(|range| claim(range, "Java heap (a view of ZGC)", detail)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::v8::tests::{lines, shown};
    use super::*;

    fn check(maps: &str, expected: &[&str]) {
        assert_eq!(shown(&claims(&lines(maps))), expected);
    }

    #[test]
    fn as_openjdk_17_has_it() {
        check(
            "687400000-69f000000 rw-p
             69f000000-7ff800000 ---p
             7ff800000-7ffb00000 rw-p
             7ff927bc7000-7ff928000000 ---p
             7ff928000000-7ff928010000 rw-p
             7ff928010000-7ff928040000 ---p
             7ff928040000-7ff928050000 rw-p
             7ff928050000-7ff968000000 ---p
             7ff968000000-7ff968021000 rw-p
             7ff968021000-7ff96c000000 ---p
             7ff980000000-7ff980001000 rw-p
             7ff980001000-7ff980271000 rwxp
             7ff980271000-7ff987539000 ---p
             7ff987539000-7ff9877a9000 rwxp
             7ff9877a9000-7ff98f001000 ---p
             7ff990000000-7ff990600000 rw-p
             7ff990600000-7ff9b8000000 ---p",
            &[
                "687400000-7ffb00000 Java heap",
                "7ff928000000-7ff968000000 Java class space",
                "7ff980001000-7ff98f001000 Java code cache",
                "7ff990000000-7ff9b8000000 Java heap or its tables",
            ],
        );
    }

    #[test]
    fn the_views_of_zgc() {
        let maps = "40017a00000-4178c000000 ---p
            80017a00000-8178c000000 ---p
            100017a00000-10178c000000 ---p";
        let name = "Java heap (a view of ZGC)";
        let expected = [
            format!("40017a00000-4178c000000 {name}"),
            format!("80017a00000-8178c000000 {name}"),
            format!("100017a00000-10178c000000 {name}"),
        ];
        check(maps, &expected.each_ref().map(String::as_str));
        check(&maps.replace("80017a00000", "80017b00000"), &[]);
        check(&maps.replace("10178c000000", "10178d000000"), &[]);
    }

    #[test]
    fn small_or_other_memory_is_nothing() {
        check(
            "400000-500000 rw-p
             687400000-687500000 rw-p
             700000000-800000000 r--p
             7ff968000000-7ff968021000 rw-p
             7ff968021000-7ff96c000000 ---p
             7ff980001000-7ff980271000 rwxp
             7ff980271000-7ff987539000 rw-p",
            &[],
        );
    }
}
