//! The streams of the dump are of different moments.

use super::common::{is_windows, some_of, thread_title};
use super::{Facts, Finding, Rule, Severity};
use crate::evidence::stacks::Stack;
use crate::map::{MapSource, State};

pub(super) const RULE: Rule = Rule {
    id: "torn-snapshot",
    severity: Severity::Note,
    title: "the process ran on while the dump was written",
    manual: include_str!("torn_snapshot.md"),
    thresholds: &[],
    check,
};

/// Contradictions that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || facts.map.source != MapSource::MemoryInfo {
        return Vec::new();
    }
    let mut lines = unmapped_modules(facts);
    lines.extend(moved_stacks(facts));
    lines.extend(vanished_stacks(facts));
    if lines.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        details: some_of(lines.iter().cloned(), NAMED),
        numbers: vec![("contradictions", lines.len() as u64)],
        next: "differences of a few pages mean nothing; a dump of a suspended process has none"
            .into(),
        ..RULE.finding(
            "streams of the dump contradict each other: the process ran on while it was written",
        )
    }]
}

/// Modules of the list with no memory at their base.
fn unmapped_modules(facts: Facts<'_>) -> Vec<String> {
    let images = facts.evidence.images.iter();
    let gone = images.filter(|image| image.module.is_some() && !image.mapped);
    gone.map(|image| {
        format!("{} at {:#x} is listed and not mapped", image.name(), image.range.start())
    })
    .collect()
}

/// Stacks that grew between the moment their TEB was read and the moment
/// their pages were asked for: the map has more committed than StackLimit.
fn moved_stacks(facts: Facts<'_>) -> Vec<String> {
    let grown = |stack: &&Stack| {
        let by_teb = stack.limit.and_then(|limit| stack.range.end().checked_sub(limit));
        // Pages can be committed below the guard as well, from the start.
        let (Some(by_teb), Some(by_map), Some(_)) = (by_teb, stack.committed, stack.teb) else {
            return false;
        };
        by_map < by_teb
    };
    let stacks = facts.evidence.stacks.iter().filter(grown);
    stacks
        .filter_map(|stack| {
            let thread = thread_title(facts, stack.thread?);
            Some(format!(
                "thread {thread}: its TEB says that more of its stack is committed than the map"
            ))
        })
        .collect()
}

/// Threads whose stack pointer hits free memory.
fn vanished_stacks(facts: Facts<'_>) -> Vec<String> {
    let mut has_stack = vec![false; facts.dump.threads.len()];
    for thread in facts.evidence.stacks.iter().filter_map(|stack| stack.thread) {
        if let Some(known) = has_stack.get_mut(thread as usize) {
            *known = true;
        }
    }
    let threads = facts.dump.threads.iter().zip(0_u32..).zip(has_stack);
    threads
        .filter(|(_, has_stack)| !has_stack)
        .filter_map(|((thread, at), _)| {
            let pointer = facts.map.width.mask(facts.dump.registers(thread)?.stack_pointer);
            let region = facts.map.find(pointer).filter(|_| pointer != 0)?;
            (region.state == State::Free).then(|| {
                format!(
                    "thread {}: its stack pointer {pointer:#x} is in free memory",
                    thread_title(facts, at)
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, Process};
    use crate::synth::{Context, Module, Thread};

    const ID: &str = "torn-snapshot";

    #[test]
    fn lists_that_contradict_the_map() {
        let dump = Process::x64().lay_out().dump(Capture::Small);
        assert!(findings(ID, &dump).is_empty());
        let gone = dump.clone().module(Module::new(r"C:\gone.dll", 0x6000_0000_0000, 0x1000));
        assert_eq!(
            finding(ID, &gone).details,
            ["gone.dll at 0x600000000000 is listed and not mapped"]
        );
        let thread = Thread { context: Context::at(0x1000, 0x6000_0000_0000), ..Thread::new(9) };
        let found = finding(ID, &dump.thread(thread));
        assert!(found.details[0].ends_with("is in free memory"), "{found:?}");
    }
}
