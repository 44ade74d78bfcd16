//! A thread has used nearly all of its stack.

use super::common::{count, is_windows, percent, some_of, thread_title};
use super::stack_overflow::{is_own, overflowed_thread};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::evidence::stacks::Stack;
use crate::size::human;

const USED: Threshold =
    Threshold::new("used", (90, Unit::Percent), "judgement: healthy threads use a few percent");

pub(super) const RULE: Rule = Rule {
    id: "stack-near-overflow",
    severity: Severity::Warning,
    title: "a thread has used nearly all of its stack",
    manual: include_str!("stack_near_overflow.md"),
    thresholds: &[USED],
    check,
};

/// Threads that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let threshold = facts.value(&RULE, &USED);
    let is_close = |stack: &&Stack| {
        is_own(facts, stack)
            && stack.allocation_base.is_some()
            && stack.used.is_some_and(|used| percent(used, stack.range.size()) >= threshold)
    };
    if !is_windows(facts) {
        return Vec::new();
    }
    let mut close: Vec<(u32, &Stack)> = facts
        .evidence
        .stacks
        .iter()
        .filter(is_close)
        .filter_map(|stack| Some((stack.thread?, stack)))
        .collect();
    let overflowed = overflowed_thread(facts);
    close.retain(|(thread, _)| Some(*thread) != overflowed);
    if close.is_empty() {
        return Vec::new();
    }
    let lines = close.iter().map(|(thread, stack)| {
        format!(
            "thread {}: {} of {} used",
            thread_title(facts, *thread),
            human(stack.used.unwrap_or(0)),
            human(stack.range.size())
        )
    });
    vec![Finding {
        details: some_of(lines, NAMED),
        ranges: close.iter().map(|(_, stack)| stack.range).collect(),
        numbers: vec![("threads", close.len() as u64)],
        next: "see how deep each stack is: dumpmap stacks DUMP".into(),
        ..RULE.finding(format!(
            "{} used {threshold} % of the stack or more",
            count(close.len() as u64, "thread")
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::Exception;
    use crate::synth::windows::{Capture, Process, ThreadPlan};

    const ID: &str = "stack-near-overflow";

    #[test]
    fn nine_tenths_of_the_reservation() {
        let dump = |used: u64| {
            let plan = ThreadPlan { commit: 0xf_8000, used, ..ThreadPlan::new(7) };
            Process::x64().thread(plan).lay_out().dump(Capture::Small)
        };
        let deep = dump(0xf_0000);
        assert_eq!(finding(ID, &deep).details, ["thread 0x7: 960 KiB of 1 MiB used"]);
        assert!(findings(ID, &dump(0x8_0000)).is_empty());
        let over = deep.exception(Exception::new(7, 0xc000_00fd, 0x1000));
        assert!(findings(ID, &over).is_empty(), "stack-overflow says it");
    }
}
