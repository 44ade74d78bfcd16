//! mozjemalloc's chunks: 1 MiB at a multiple of 1 MiB. The first word of a
//! chunk leads to its arena, which begins with a magic number in builds with
//! diagnostic assertions. SpiderMonkey's chunks have the same size.
//!
//! Runs and bins in a chunk are not told: the page map behind its first words
//! has 256 entries, and of the 98 chunks with a captured start in two dumps of
//! Firefox, most hold 768 bytes of it and none more than 2,512. Nothing there
//! could show that a layout is the right one.

use std::collections::HashSet;

use super::claim;
use crate::dump::Dump;
use crate::evidence::heaps::Heap;
use crate::evidence::shapes::Shape;
use crate::evidence::{Claim, EvidenceSource};
use crate::limits::Depth;
use crate::map::Protection;

/// kChunkSize.
const CHUNK: u64 = 1 << 20;
/// ARENA_MAGIC.
const MAGIC: u32 = 0x947d_3d24;
/// Fewer of them may be chance.
const LEAST: usize = 4;
/// Chunks whose first words are read.
const PROBES: usize = 20_000;

/// What the first word of a chunk leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Arena,
    SomethingElse,
    NotCaptured,
}

/// `heaps` are the system's, whose reservations may look the same.
pub(super) fn claims(dump: &Dump<'_>, shapes: &[Shape], heaps: &[Heap]) -> Vec<Claim> {
    let heaps: HashSet<u64> = heaps.iter().map(|heap| heap.address).collect();
    let other = |shape: &&Shape| is_chunk(shape) && !heaps.contains(&shape.range.start());
    let fitting: Vec<&Shape> = shapes.iter().filter(other).collect();
    if fitting.len() < LEAST {
        return Vec::new();
    }
    let mut reader = dump.captured.reader();
    let reads = dump.limits.depth >= Depth::Headers;
    let mut first = |shape: &Shape| {
        let arena = reader.pointer(shape.range.start(), dump.system.width);
        let magic = arena.and_then(|arena| reader.u32(arena));
        match (arena, magic) {
            (_, Some(MAGIC)) => First::Arena,
            // Such builds exist: what leads elsewhere is something else.
            (_, Some(_)) | (Some(0), _) => First::SomethingElse,
            _ => First::NotCaptured,
        }
    };
    let probes = fitting.into_iter().take(PROBES);
    let known: Vec<(&Shape, First)> = probes
        .map(|shape| (shape, if reads { first(shape) } else { First::NotCaptured }))
        .collect();
    let claims = known.into_iter().filter_map(|(shape, first)| match first {
        First::Arena => {
            let detail = "its first word leads to an arena's magic number";
            let source = EvidenceSource::AllocatorHeader;
            Some(Claim { source, ..claim(shape.range, "mozjemalloc chunk", detail) })
        }
        First::NotCaptured => {
            let detail = "1 MiB at a multiple of 1 MiB, beside Gecko";
            Some(claim(shape.range, "mozjemalloc or SpiderMonkey chunk", detail))
        }
        First::SomethingElse => None,
    });
    claims.collect()
}

fn is_chunk(shape: &Shape) -> bool {
    shape.range.size() == CHUNK
        && shape.range.start().is_multiple_of(CHUNK)
        && shape.allocation_protect == Protection::READ_WRITE
        && shape.protects == Protection::READ_WRITE.0
}
