//! A heap reserves far more address space than it has committed.

use super::common::percent;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::evidence::heaps::Heap;
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

pub(super) const RULE: Rule = Rule {
    id: "heap-fragmented",
    severity: Severity::Note,
    title: "a heap keeps far more address space than it uses",
    manual: include_str!("heap_fragmented.md"),
    thresholds: &[UNUSED, SIZE],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let heaps = facts.evidence.heaps.iter();
    heaps.filter(|heap| heap.complete).filter_map(|heap| of_heap(facts, heap)).collect()
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
    use crate::rules::testing::{finding, findings};
    use crate::synth::DumpBuilder;
    use crate::synth::heap::{Heap, Segment};
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
}
