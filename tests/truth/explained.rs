//! No label by structure is wrong: what is called a stack, a TEB, a PEB or a heap is one by the truth
//! file, and nothing that the program took from VirtualAlloc or mmap itself is called anything.

use dumpmap::classify::Piece;
use dumpmap::dump::PointerWidth;
use dumpmap::evidence::{RegionKind, Subject, Use};
use dumpmap::explained::{Explained, is_committed_private};
use serde_json::Value;

use crate::Wrong;
use crate::data::{Case, list, number, text};

/// The pieces that are checked, and what they are said to be used for.
fn by_structure<'c>(case: &'c Case<'_>) -> impl Iterator<Item = (&'c Piece, &'static str)> + 'c {
    let (map, claims) = (&case.analysis.map, &case.analysis.evidence.claims);
    let pieces = case.pieces.iter().filter(|piece| {
        is_committed_private(piece, map.source, claims)
            && Explained::of(piece) == Explained::Structure
    });
    pieces.map(|piece| {
        let claim = &case.analysis.evidence.claims[piece.winner.expect("a claim") as usize];
        let usage = match claim.usage {
            Use::Named(name) => name,
            _ => "",
        };
        (piece, usage)
    })
}

fn overlaps(piece: &Piece, base: u64, size: u64) -> bool {
    size > 0 && piece.range.start() <= base + (size - 1) && piece.range.last() >= base
}

pub(crate) fn windows(case: &Case<'_>, wrong: &mut Wrong) {
    for (piece, usage) in by_structure(case) {
        let own = list(&case.truth["items"]).iter().find(|item| {
            text(&item["kind"]) == "private"
                && overlaps(piece, number(&item["base"]), number(&item["size"]))
        });
        let problem = match (own, piece.kind, usage) {
            (Some(item), _, "PE image in private memory") if item["pe_header"] == true => None,
            (Some(item), ..) => Some(format!("the program's own `{}`", text(&item["label"]))),
            (None, RegionKind::Stack, _) => stack(case, piece),
            (None, RegionKind::Heap, _) => heap(case, piece),
            (None, _, "TEB") => flagged(case, piece, "has_teb"),
            (None, _, "PEB") => flagged(case, piece, "has_peb"),
            _ => None,
        };
        if let Some(problem) = problem {
            wrong.push(format!("{} as {:?} `{usage}`: {problem}", piece.range, piece.kind));
        }
    }
}

/// A stack is a thread's or a fiber's, of either side of a WOW64 process.
fn stack(case: &Case<'_>, piece: &Piece) -> Option<String> {
    let of_threads = list(&case.truth["threads"]).iter().flat_map(|thread| {
        [("dealloc_stack", "stack_base"), ("dealloc_stack32", "stack_base32")]
            .map(|(bottom, top)| (&thread[bottom], &thread[top]))
    });
    let inside = |(bottom, top): (&Value, &Value)| {
        // Wine begins a 64-bit stack of a WOW64 thread a few bytes below a page.
        let end = number(top).next_multiple_of(0x1_0000);
        piece.range.start() >= number(bottom) && piece.range.last() < end
    };
    let found =
        of_threads.filter(|(bottom, top)| bottom.is_string() && top.is_string()).any(inside);
    (!found).then(|| "no thread's stack".into())
}

/// A heap is one that HeapWalk gave, or one that holds a block that the program got from one.
fn heap(case: &Case<'_>, piece: &Piece) -> Option<String> {
    let region = |entry: &Value| (number(&entry["base"]), number(&entry["committed"]));
    let walked =
        list(&case.truth["heap_walk"]).iter().filter(|entry| text(&entry["t"]) == "region");
    let known: Vec<(u64, u64)> = walked.map(region).collect();
    let claim = &case.analysis.evidence.claims[piece.winner? as usize];
    let wide = match claim.subject {
        Subject::Heap(row) => {
            case.analysis.evidence.heaps[row as usize].width == PointerWidth::Bits64
        }
        _ => false,
    };
    // A 32-bit program cannot walk the heaps of the 64-bit side of its process.
    if known.is_empty() || (wide && case.truth["wow64_child"] == true) {
        return None;
    }
    let allocation = piece.region.allocation_base?;
    let blocks = list(&case.truth["items"]).iter().filter(|item| text(&item["kind"]) == "heap-big");
    let in_block = blocks.map(|item| number(&item["base"])).any(|base| {
        let around = case.analysis.map.allocation(base);
        around.is_some_and(|around| around.range.start() == allocation)
    });
    let in_region = known.iter().any(|(base, size)| overlaps(piece, *base, *size));
    (!in_region && !in_block).then(|| "no heap that was walked".into())
}

/// The walk says which regions hold TEBs and the PEB.
fn flagged(case: &Case<'_>, piece: &Piece, flag: &str) -> Option<String> {
    let mut walk = list(&case.truth["walk"]).iter().filter(|region| region[flag] == true);
    let found =
        walk.any(|region| overlaps(piece, number(&region["base"]), number(&region["size"])));
    (!found).then(|| format!("no region of the walk {flag}"))
}

pub(crate) fn linux(case: &Case<'_>, wrong: &mut Wrong) {
    for (piece, usage) in by_structure(case) {
        for item in list(&case.truth["items"]) {
            if !overlaps(piece, number(&item["base"]), number(&item["size"])) {
                continue;
            }
            let right = match text(&item["kind"]) {
                "thread-stack" => piece.kind == RegionKind::Stack,
                "malloc-brk" | "malloc-arena" => piece.kind == RegionKind::Heap,
                "malloc-mmap" | "mmap" => false,
                _ => true,
            };
            if !right {
                let (kind, label) = (text(&item["kind"]), text(&item["label"]));
                let what = format!("{:?} `{usage}`", piece.kind);
                wrong.push(format!("{} as {what}: {kind} `{label}`", piece.range));
            }
        }
    }
}
