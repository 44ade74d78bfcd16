//! A heap keeps far more memory than the program has blocks in: reserved
//! address space, and where heaps are walked, free blocks.

use super::common::percent;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::evidence::heaps::Heap;
use crate::evidence::heaps::walk::{self, Scope};
use crate::limits::Depth;
use crate::size::human;

const UNUSED: Threshold = Threshold::new(
    "unused",
    (75, Unit::Percent),
    "judgement, on the measure that `!heap -s` prints: 1 - committed / virtual",
);

const SIZE: Threshold = Threshold::new(
    "size",
    (64 << 20, Unit::Bytes),
    "the block that a 32-bit process needs, see address-space-exhausted",
);

const FREE: Threshold = Threshold::new(
    "free",
    (50, Unit::Percent),
    "judgement: more of the committed memory is free than in use; heaps are walked for it",
);

pub(super) const RULE: Rule = Rule {
    id: "heap-fragmented",
    severity: Severity::Note,
    title: "a heap keeps far more address space than it uses",
    manual: include_str!("heap_fragmented.md"),
    thresholds: &[UNUSED, SIZE, FREE],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let heaps = facts.evidence.heaps.iter();
    let mut found: Vec<Finding> =
        heaps.filter(|heap| heap.complete).filter_map(|heap| of_heap(facts, heap)).collect();
    if facts.dump.limits.depth == Depth::Walk {
        found.extend(free_blocks(facts));
    }
    found
}

/// Heaps of which more is free than in use.
fn free_blocks(facts: Facts<'_>) -> Vec<Finding> {
    let heaps = &facts.evidence.heaps;
    let scope = Scope::of(facts.dump, facts.map, heaps);
    let large = |heap: &Heap| heap.committed.is_some_and(|size| size >= facts.value(&RULE, &SIZE));
    let walks = heaps.iter().enumerate().filter(|(_, heap)| large(heap));
    let finding = |(index, heap): (usize, &Heap)| {
        let walk = walk::walk(&scope, index, &mut |_| {});
        let free = percent(walk.free_bytes, walk.free_bytes.saturating_add(walk.busy_bytes));
        if !walk.complete || free < facts.value(&RULE, &FREE) {
            return None;
        }
        let external = walk.external_fragmentation().unwrap_or(0) / 100;
        Some(Finding {
            details: vec![format!(
                "{external} % of the free bytes lie outside of the largest free block, {}",
                human(walk.largest_free)
            )],
            ranges: heap.parts.iter().map(|part| part.range).collect(),
            numbers: vec![
                ("busy", walk.busy_bytes),
                ("free", walk.free_bytes),
                ("largest_free", walk.largest_free),
                ("free_percent", free),
            ],
            next: "see its blocks by size: dumpmap heaps DUMP --depth walk".into(),
            ..RULE.finding(format!(
                "{free} % of the heap at {:#x} is free: {}, with {} in use",
                heap.address,
                human(walk.free_bytes),
                human(walk.busy_bytes)
            ))
        })
    };
    walks.filter_map(finding).collect()
}

fn of_heap(facts: Facts<'_>, heap: &Heap) -> Option<Finding> {
    let (size, committed) = (heap.size?, heap.committed?);
    let unused = percent(size.saturating_sub(committed), size);
    let fires = size >= facts.value(&RULE, &SIZE) && unused >= facts.value(&RULE, &UNUSED);
    // The last segment is reserved at twice the size of the one before: what
    // lies there unused was never used.
    let last = heap.parts.iter().map(|part| part.range.size()).max()?;
    if !fires || last > size / 2 {
        return None;
    }
    Some(Finding {
        details: vec![format!("{unused} % of it is not committed, in {} parts", heap.parts.len())],
        ranges: heap.parts.iter().map(|part| part.range).collect(),
        numbers: vec![("size", size), ("committed", committed), ("unused_percent", unused)],
        next: "see its segments: dumpmap heaps DUMP".into(),
        ..RULE.finding(format!(
            "the heap at {:#x} keeps {} and uses {}",
            heap.address,
            human(size),
            human(committed)
        ))
    })
}

#[cfg(test)]
mod tests {
    use crate::limits::{Depth, Limits};
    use crate::rules::Thresholds;
    use crate::rules::testing::{all_within, finding, findings};
    use crate::synth::DumpBuilder;
    use crate::synth::heap::{Block, Heap, Segment};
    use crate::synth::windows::{Capture, Process};

    fn dump(segments: usize, reserved: u64) -> DumpBuilder {
        let mut heap = Heap::new();
        let first = heap.segments[0].clone();
        heap.segments = vec![Segment { reserve: reserved, ..first }; segments];
        Process::x64().heap(heap).lay_out().dump(Capture::Small)
    }

    #[test]
    fn segments_that_are_mostly_not_committed() {
        let found = finding("heap-fragmented", &dump(4, 20 << 20));
        assert!(found.message.contains("keeps 80 MiB and uses "), "{found:?}");
        assert!(findings("heap-fragmented", &dump(4, 10 << 20)).is_empty(), "small");
        assert!(findings("heap-fragmented", &dump(1, 80 << 20)).is_empty(), "one segment");
    }
    #[test]
    fn more_free_than_busy_where_heaps_are_walked() {
        let mut heap = Heap::new();
        let blocks =
            (0..6).map(|at| if at % 2 == 0 { Block::busy(0x20) } else { Block::free(0x800) });
        heap.segments[0].blocks = blocks.collect();
        let dump = Process::x64().heap(heap).lay_out().dump(Capture::Full);
        let mut thresholds = Thresholds::default();
        thresholds.set("heap-fragmented", "size", 0x1000);
        thresholds.set("heap-fragmented", "unused", 101);
        let messages = |depth| -> Vec<String> {
            let (found, ..) =
                all_within(&dump, &Limits { depth, ..Limits::default() }, &thresholds);
            let own = found.into_iter().filter(|found| found.rule == "heap-fragmented");
            own.map(|found| found.message).collect()
        };
        assert!(messages(Depth::Headers).is_empty());
        let walked = messages(Depth::Walk);
        assert!(walked.iter().any(|message| message.contains(" is free: ")), "{walked:?}");
        thresholds.set("heap-fragmented", "free", 101);
        let (found, ..) =
            all_within(&dump, &Limits { depth: Depth::Walk, ..Limits::default() }, &thresholds);
        assert!(found.iter().all(|found| found.rule != "heap-fragmented"));
    }
}
