//! More heaps than a program has libraries to make them.

use super::common::is_windows;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::size::human;

const HEAPS: Threshold = Threshold::new(
    "heaps",
    (100, Unit::Count),
    "judgement: real processes have 3 to 30, one a library that makes its own",
);

pub(super) const RULE: Rule = Rule {
    id: "many-heaps",
    severity: Severity::Warning,
    title: "the process has more heaps than libraries make",
    manual: include_str!("many_heaps.md"),
    thresholds: &[HEAPS],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) {
        return Vec::new();
    }
    let pebs = facts.evidence.environment.pebs.iter();
    let listed = pebs.filter_map(|peb| peb.heaps).map(|(count, _)| u64::from(count)).max();
    // NumberOfHeaps of a damaged PEB may be anything; heaps were read.
    let found = facts.evidence.heaps.len() as u64;
    if found < facts.value(&RULE, &HEAPS) {
        return Vec::new();
    }
    let size =
        facts.evidence.heaps.iter().filter_map(|heap| heap.size).fold(0, u64::saturating_add);
    vec![Finding {
        details: listed.map(|count| format!("the PEB counts {count}")).into_iter().collect(),
        numbers: vec![("heaps", found), ("size", size)],
        next: "see whether many are of one size: dumpmap heaps DUMP".into(),
        ..RULE.finding(format!("{found} heaps, {} in all", human(size)))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{findings, findings_with};
    use crate::synth::heap::Heap;
    use crate::synth::windows::{Capture, Process};

    #[test]
    fn heaps_are_counted() {
        let process = Process::x64().heap(Heap::new()).heap(Heap::new());
        let dump = process.lay_out().dump(Capture::Small);
        let found = findings_with("many-heaps", &dump, &[("heaps", 3)]);
        assert_eq!(found[0].message, "3 heaps, 3 MiB in all");
        assert_eq!(found[0].details, ["the PEB counts 3"]);
        assert!(findings_with("many-heaps", &dump, &[("heaps", 4)]).is_empty());
        assert!(findings("many-heaps", &dump).is_empty());
    }
}
