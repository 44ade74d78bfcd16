//! One heap holds most of the private memory.

use super::common::percent;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::evidence::heaps::Heap;
use crate::size::human;

const SHARE: Threshold =
    Threshold::new("share", (50, Unit::Percent), "judgement: more than all others together");

const SIZE: Threshold = Threshold::new(
    "size",
    (100 << 20, Unit::Bytes),
    "judgement: smaller heaps are nobody's trouble",
);

pub(super) const RULE: Rule = Rule {
    id: "heap-dominates",
    severity: Severity::Note,
    title: "one heap holds most of the private memory",
    manual: include_str!("heap_dominates.md"),
    thresholds: &[SHARE, SIZE],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let committed = |heap: &&Heap| heap.committed.unwrap_or(0);
    let Some(heap) = facts.evidence.heaps.iter().max_by_key(committed) else { return Vec::new() };
    let size = committed(&heap);
    let Some(private) = facts.totals.total.private else { return Vec::new() };
    let share = percent(size, private);
    if size < facts.value(&RULE, &SIZE) || share < facts.value(&RULE, &SHARE) {
        return Vec::new();
    }
    let which = if heap.is_default { "the default heap" } else { "a heap" };
    vec![Finding {
        details: vec![format!("it has {} segments and large blocks", heap.parts.len())],
        ranges: heap.parts.iter().map(|part| part.range).collect(),
        numbers: vec![("committed", size), ("private", private), ("share_percent", share)],
        next: "see its segments: dumpmap heaps DUMP; compare with an earlier dump: dumpmap diff"
            .into(),
        ..RULE.finding(format!(
            "{which}, at {:#x}, holds {} of {} private memory",
            heap.address,
            human(size),
            human(private)
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{findings, findings_with};
    use crate::synth::heap::Heap;
    use crate::synth::windows::{Capture, Process};

    const ID: &str = "heap-dominates";

    #[test]
    fn more_than_half_of_the_private_bytes() {
        let heap = Heap { large: vec![4 << 20], ..Heap::new() };
        let dump = Process::x64().heap(heap).lay_out().dump(Capture::Small);
        let found = findings_with(ID, &dump, &[("size", 1 << 20)]);
        assert!(found[0].message.starts_with("a heap, at "), "{found:?}");
        assert!(findings_with(ID, &dump, &[("size", 1 << 20), ("share", 100)]).is_empty());
        assert!(findings(ID, &dump).is_empty());
    }
}
