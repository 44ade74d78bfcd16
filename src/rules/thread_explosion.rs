//! Far more threads than the process can have work for.

use std::collections::HashMap;

use super::common::{is_windows, percent, place, range_size};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::dump::PointerWidth;
use crate::size::human;

const THREADS: Threshold = Threshold::new(
    "threads",
    (500, Unit::Count),
    "a quarter of what 2 GiB hold with stacks of 1 MiB (Raymond Chen, 2005)",
);

const STACK_SHARE: Threshold = Threshold::new(
    "stack-share",
    (25, Unit::Percent),
    "the same quarter, where stacks are larger or the space is 32 bits wide",
);

const FEW: Threshold = Threshold::new(
    "few",
    (50, Unit::Count),
    "judgement: fewer are no explosion, however large their stacks",
);

pub(super) const RULE: Rule = Rule {
    id: "thread-explosion",
    severity: Severity::Warning,
    title: "the process has far more threads than it can have work for",
    manual: include_str!("thread_explosion.md"),
    thresholds: &[THREADS, STACK_SHARE, FEW],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let threads = facts.dump.threads.len() as u64;
    let stacks: u64 = facts
        .evidence
        .stacks
        .iter()
        .filter(|stack| stack.thread.is_some())
        .fold(0, |sum, stack| sum.saturating_add(stack.range.size()));
    let narrow = is_windows(facts) && facts.map.width == PointerWidth::Bits32;
    let share = if narrow { percent(stacks, range_size(facts)) } else { 0 };
    let crowded = threads >= facts.value(&RULE, &FEW) && share >= facts.value(&RULE, &STACK_SHARE);
    if threads < facts.value(&RULE, &THREADS) && !crowded {
        return Vec::new();
    }
    let mut message = format!("{threads} threads, {} of stacks", human(stacks));
    if narrow {
        message += &format!(", {share} % of the address space");
    }
    vec![Finding {
        details: common_starts(facts),
        numbers: vec![("threads", threads), ("stacks", stacks)],
        next: "see where they wait: dumpmap stacks DUMP".into(),
        ..RULE.finding(message)
    }]
}

/// The start addresses, or names, that most threads share.
fn common_starts(facts: Facts<'_>) -> Vec<String> {
    const NAMED: usize = 3;
    let mut starts: HashMap<u64, u64> = HashMap::new();
    for start in facts
        .dump
        .threads
        .iter()
        .filter_map(|thread| thread.info.as_deref())
        .map(|info| info.start_address)
    {
        if start != 0 {
            *starts.entry(start).or_default() += 1;
        }
    }
    let mut starts: Vec<(u64, u64)> = starts.into_iter().filter(|(_, times)| *times > 1).collect();
    starts.sort_by_key(|(start, times)| (std::cmp::Reverse(*times), *start));
    let line =
        |(start, times): &(u64, u64)| format!("{times} of them began at {}", place(facts, *start));
    starts.iter().take(NAMED).map(line).collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, Process, ThreadPlan};
    use crate::synth::{DumpBuilder, Thread};

    const ID: &str = "thread-explosion";

    #[test]
    fn by_number_or_by_their_stacks() {
        let many = |count: u32| {
            (0..count).fold(DumpBuilder::windows_x64(), |dump, id| dump.thread(Thread::new(id + 1)))
        };
        assert!(findings(ID, &many(499)).is_empty());
        assert!(finding(ID, &many(500)).message.starts_with("500 threads"));

        let mut process = Process::x86();
        for id in 0..60 {
            process =
                process.thread(ThreadPlan { reserve: 0x90_0000, ..ThreadPlan::new(0x2000 + id) });
        }
        let found = finding(ID, &process.lay_out().dump(Capture::MapOnly));
        assert!(found.message.ends_with("26 % of the address space"), "{found:?}");
        assert_eq!(found.details, ["61 of them began at app.exe+0x1100"]);
    }
}
