//! A thread whose stack pointer lies outside of the stack that its TEB gives.

use super::common::{count, is_filtered, is_windows, place, some_of, thread_title};
use super::stack_overflow::{is_just_below, is_own};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};

const COMMON: Threshold = Threshold::new(
    "common",
    (3, Unit::Count),
    "judgement: more threads at once are a run-time that makes stacks of its own",
);

pub(super) const RULE: Rule = Rule {
    id: "stack-pivot",
    severity: Severity::Warning,
    title: "a thread runs on memory that is not its stack",
    manual: include_str!("stack_pivot.md"),
    thresholds: &[COMMON],
    check,
};

/// Threads that one finding names.
const NAMED: usize = 5;
/// MINIDUMP_THREAD_INFO: error, exited, no info, no context, no TEB.
const UNSURE: u32 = 0x1 | 0x4 | 0x8 | 0x10 | 0x20;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || is_filtered(facts) {
        return Vec::new();
    }
    let mut pivots = Vec::new();
    for stack in facts.evidence.stacks.iter().filter(|stack| is_own(facts, stack)) {
        let (Some(at), Some(_), None) = (stack.thread, stack.teb, stack.stack_pointer) else {
            continue;
        };
        let Some(thread) = facts.dump.threads.get(at as usize) else { continue };
        if thread.info.as_deref().is_some_and(|info| info.dump_flags & UNSURE != 0) {
            continue;
        }
        let Some(registers) = facts.dump.registers(thread) else { continue };
        let pointer = facts.map.width.mask(registers.stack_pointer);
        if pointer != 0 && !is_just_below(facts, stack, pointer) {
            pivots.push((at, pointer));
        }
    }
    if pivots.is_empty() {
        return Vec::new();
    }
    let many = pivots.len() as u64 > facts.value(&RULE, &COMMON);
    let lines = pivots.iter().map(|(thread, pointer)| {
        format!(
            "thread {}: stack pointer {}, in {}",
            thread_title(facts, *thread),
            place(facts, *pointer),
            memory_at(facts, *pointer)
        )
    });
    let mut details = some_of(lines, NAMED);
    if many {
        details.push("so many are a run-time that makes stacks of its own, as Go does".into());
    }
    vec![Finding {
        severity: if many { Severity::Note } else { Severity::Warning },
        details,
        numbers: vec![("threads", pivots.len() as u64)],
        next: "see what the memory is: dumpmap explain DUMP ADDRESS".into(),
        ..RULE.finding(format!(
            "{} outside of the stack that the TEB gives",
            match pivots.len() {
                1 => "1 thread has its stack pointer".into(),
                more => format!("{} have their stack pointers", count(more as u64, "thread")),
            }
        ))
    }]
}

fn memory_at(facts: Facts<'_>, address: u64) -> String {
    let mut stacks = facts.evidence.stacks.iter();
    if stacks.any(|stack| stack.range.contains(address)) {
        return "another stack".into();
    }
    match facts.map.find(address) {
        Some(region) => match region.memory_type {
            Some(memory_type) => {
                format!(
                    "{} memory, {}",
                    memory_type.as_str(),
                    region.protect.words().to_lowercase()
                )
            }
            None => format!("{} memory", region.state.as_str()),
        },
        None => "no memory".into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::Severity;
    use crate::rules::testing::{finding, findings, severities};
    use crate::synth::windows::{Allocation, Capture, Process, ThreadPlan};
    use crate::synth::{Context, DumpBuilder, PAGE_READWRITE};

    const ID: &str = "stack-pivot";

    fn dump(threads: u32, pointer: impl Fn(u64, u64) -> u64) -> DumpBuilder {
        let mut process =
            Process::x64().allocate(Allocation::private().commit(0x10000, PAGE_READWRITE));
        for id in 0..threads {
            process = process.thread(ThreadPlan::new(0x100 + id * 4));
        }
        let layout = process.lay_out();
        let mut dump = layout.dump(Capture::Small);
        for (thread, placed) in
            dump.threads.as_mut().unwrap().iter_mut().zip(&layout.threads).skip(1)
        {
            let at = pointer(layout.allocations[0], placed.stack.allocation_base);
            thread.context = Context::at(0x1000, at);
        }
        dump
    }

    #[test]
    fn a_stack_pointer_in_other_memory() {
        let found = finding(ID, &dump(1, |heap, _| heap + 0x800));
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.details[0].ends_with("private memory, read/write"), "{found:?}");
        assert!(findings(ID, &dump(1, |_, stack| stack + 0xf_fc00)).is_empty());
        assert!(findings(ID, &dump(1, |_, stack| stack - 0x20)).is_empty(), "an overflow");
        assert_eq!(severities(ID, &dump(4, |heap, _| heap + 0x800)), [Severity::Note]);
        let filtered = dump(1, |heap, _| heap + 0x800).flags(0x8);
        assert!(findings(ID, &filtered).is_empty());
    }
}
