//! 64-bit stacks in the address space of a 32-bit process.

use super::common::{count, is_windows, percent};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::size::human;

const SHARE: Threshold = Threshold::new(
    "share",
    (2, Unit::Percent),
    "judgement: of the 4 GiB below which they lie; some 160 threads",
);

pub(super) const RULE: Rule = Rule {
    id: "wow64-stacks",
    severity: Severity::Note,
    title: "64-bit stacks take part of a 32-bit address space",
    manual: include_str!("wow64_stacks.md"),
    thresholds: &[SHARE],
    check,
};

const BELOW_4_GIB: u64 = 1 << 32;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || !facts.evidence.environment.wow64 {
        return Vec::new();
    }
    let stacks: Vec<AddressRange> = facts
        .evidence
        .stacks
        .iter()
        .filter(|stack| stack.width == PointerWidth::Bits64 && stack.base <= BELOW_4_GIB)
        .map(|stack| stack.range)
        .collect();
    let size = stacks.iter().fold(0_u64, |sum, range| sum.saturating_add(range.size()));
    if stacks.is_empty() || percent(size, BELOW_4_GIB) < facts.value(&RULE, &SHARE) {
        return Vec::new();
    }
    vec![Finding {
        details: vec![
            "each thread of a 32-bit process on 64-bit Windows has a 64-bit stack beside its own"
                .into(),
        ],
        numbers: vec![("stacks", stacks.len() as u64), ("size", size)],
        ranges: stacks.clone(),
        next: "fewer threads leave more room: dumpmap stacks DUMP".into(),
        ..RULE.finding(format!(
            "{} take {} of the 32-bit address space",
            count(stacks.len() as u64, "64-bit stack"),
            human(size)
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::DumpBuilder;
    use crate::synth::windows::{Capture, Process, ThreadPlan};

    fn dump(threads: u32) -> DumpBuilder {
        let add = |process: Process, id| {
            process.thread(ThreadPlan { reserve: 0x8_0000, ..ThreadPlan::new(0x2000 + 4 * id) })
        };
        (0..threads).fold(Process::wow64(), add).lay_out().dump(Capture::Small)
    }

    #[test]
    fn many_threads_of_a_wow64_process() {
        assert!(finding("wow64-stacks", &dump(360)).message.contains("64-bit stacks take"));
        assert!(findings("wow64-stacks", &dump(3)).is_empty());
    }
}
