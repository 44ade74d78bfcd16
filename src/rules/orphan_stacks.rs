//! Allocations with the shape of a stack that no thread of the list claims.

use super::common::{count, is_windows};
use super::stack_overflow::is_own;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::addr::AddressRange;
use crate::size::human;

const STACKS: Threshold = Threshold::new(
    "stacks",
    (4, Unit::Count),
    "judgement: fewer are threads that began or ended while the dump was written",
);

pub(super) const RULE: Rule = Rule {
    id: "orphan-stacks",
    severity: Severity::Note,
    title: "there are stacks that no thread of the dump has",
    manual: include_str!("orphan_stacks.md"),
    thresholds: &[STACKS],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || facts.dump.threads.is_empty() {
        return Vec::new();
    }
    let stacks = facts.evidence.stacks.iter();
    let orphans: Vec<AddressRange> = stacks
        .filter(|stack| stack.thread.is_none() && is_own(facts, stack))
        .map(|stack| stack.range)
        .collect();
    if (orphans.len() as u64) < facts.value(&RULE, &STACKS) {
        return Vec::new();
    }
    let size = orphans.iter().fold(0_u64, |sum, range| sum.saturating_add(range.size()));
    vec![Finding {
        details: vec!["fibers, or threads that the writer of the dump left out".into()],
        numbers: vec![("stacks", orphans.len() as u64), ("size", size)],
        next: "list them: dumpmap stacks DUMP".into(),
        ranges: orphans.clone(),
        ..RULE.finding(format!(
            "{} with {} belong to no thread of the dump",
            count(orphans.len() as u64, "stack"),
            human(size)
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Allocation, Capture, Process};
    use crate::synth::{DumpBuilder, PAGE_READWRITE};

    fn dump(orphans: u32) -> DumpBuilder {
        let stack =
            Allocation::private().reserve(0x8_0000).guard(0x3000).commit(0x5000, PAGE_READWRITE);
        let add = |process: Process, _| process.allocate(stack.clone());
        (0..orphans).fold(Process::x64(), add).lay_out().dump(Capture::Small)
    }

    #[test]
    fn shapes_without_a_thread() {
        let found = finding("orphan-stacks", &dump(4));
        assert_eq!(found.message, "4 stacks with 2.12 MiB belong to no thread of the dump");
        assert!(findings("orphan-stacks", &dump(3)).is_empty());
    }
}
