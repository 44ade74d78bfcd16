//! Stacks that reserve more of a 32-bit address space than threads use.

use super::common::{count, is_windows, percent, range_size};
use super::stack_overflow::is_own;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::dump::PointerWidth;
use crate::evidence::stacks::Stack;
use crate::size::human;

const LARGE: Threshold =
    Threshold::new("large", (4 << 20, Unit::Bytes), "four times the linker's default of 1 MiB");

const SHARE: Threshold = Threshold::new(
    "share",
    (10, Unit::Percent),
    "judgement: a tenth of the address space for stacks that are not used",
);

pub(super) const RULE: Rule = Rule {
    id: "oversized-stack-reservations",
    severity: Severity::Warning,
    title: "stacks reserve much of a 32-bit address space and use little of it",
    manual: include_str!("oversized_stack_reservations.md"),
    thresholds: &[LARGE, SHARE],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || facts.map.width != PointerWidth::Bits32 {
        return Vec::new();
    }
    let large = facts.value(&RULE, &LARGE);
    let is_large = |stack: &&Stack| {
        is_own(facts, stack) && stack.thread.is_some() && stack.range.size() >= large
    };
    let stacks: Vec<&Stack> = facts.evidence.stacks.iter().filter(is_large).collect();
    let sum = |of: fn(&Stack) -> u64| {
        stacks.iter().fold(0_u64, |sum, stack| sum.saturating_add(of(stack)))
    };
    let reserved = sum(|stack| stack.range.size());
    let committed = sum(|stack| stack.committed.unwrap_or(0));
    let share = percent(reserved.saturating_sub(committed), range_size(facts));
    if stacks.is_empty() || share < facts.value(&RULE, &SHARE) {
        return Vec::new();
    }
    vec![Finding {
        details: vec![format!("{share} % of the address space is reserved for stacks and not used")],
        ranges: stacks.iter().map(|stack| stack.range).collect(),
        numbers: vec![
            ("stacks", stacks.len() as u64),
            ("reserved", reserved),
            ("committed", committed),
        ],
        next: "see each reservation: dumpmap stacks DUMP; give CreateThread a size with STACK_SIZE_PARAM_IS_A_RESERVATION, or link with a smaller /STACK".into(),
        ..RULE.finding(format!(
            "{} of {} or more take {} and use {}",
            count(stacks.len() as u64, "stack"),
            human(large),
            human(reserved),
            human(committed)
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::DumpBuilder;
    use crate::synth::windows::{Capture, Process, ThreadPlan};

    const ID: &str = "oversized-stack-reservations";

    fn dump(process: Process, threads: u32, reserve: u64) -> DumpBuilder {
        let add = |process: Process, id| {
            process.thread(ThreadPlan { reserve, ..ThreadPlan::new(0x2000 + id) })
        };
        (0..threads).fold(process, add).lay_out().dump(Capture::MapOnly)
    }

    #[test]
    fn large_stacks_in_a_small_space() {
        let found = finding(ID, &dump(Process::x86(), 15, 16 << 20));
        assert_eq!(found.message, "15 stacks of 4 MiB or more take 240 MiB and use 240 KiB");
        assert!(findings(ID, &dump(Process::x86(), 5, 16 << 20)).is_empty());
        assert!(findings(ID, &dump(Process::x64(), 15, 16 << 20)).is_empty());
        assert!(findings(ID, &dump(Process::x86(), 15, 1 << 20)).is_empty());
    }
}
