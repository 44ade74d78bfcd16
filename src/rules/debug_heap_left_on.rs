//! A debugging help of the heap was on: it costs memory and time.

use super::common::is_windows;
use super::{Facts, Finding, Rule, Severity};
use crate::evidence::heaps::HeapType;

pub(super) const RULE: Rule = Rule {
    id: "debug-heap-left-on",
    severity: Severity::Warning,
    title: "a debugging help of the heap was on",
    manual: include_str!("debug_heap_left_on.md"),
    thresholds: &[],
    check,
};

const PAGE_HEAP: u32 = 0x0200_0000;

/// The costly ones, and those that come with a debugger. Source: gflags.
const FLAGS: [(u32, &str, Severity); 7] = [
    (PAGE_HEAP, "page heap", Severity::Warning),
    (0x0100, "Application Verifier", Severity::Warning),
    (0x1000, "stack traces of allocations", Severity::Warning),
    (0x80, "validation of the whole heap at each call", Severity::Warning),
    (0x10, "tail checking", Severity::Note),
    (0x20, "free checking", Severity::Note),
    (0x40, "parameter checking", Severity::Note),
];

/// Whether page heap was on.
pub(super) fn page_heap(facts: Facts<'_>) -> bool {
    flags(facts) & PAGE_HEAP != 0
        || facts.evidence.heaps.iter().any(|heap| heap.heap_type == Some(HeapType::Page))
}

/// NtGlobalFlag of all PEBs.
fn flags(facts: Facts<'_>) -> u32 {
    let pebs = facts.evidence.environment.pebs.iter();
    pebs.filter_map(|peb| peb.global_flag).fold(0, |all, flag| all | flag)
}

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) {
        return Vec::new();
    }
    let mut flags = flags(facts);
    if page_heap(facts) {
        flags |= PAGE_HEAP;
    }
    let on: Vec<&(u32, &str, Severity)> =
        FLAGS.iter().filter(|(bit, _, _)| flags & bit != 0).collect();
    let Some(severity) = on.iter().map(|(_, _, severity)| *severity).min() else {
        return Vec::new();
    };
    let names: Vec<&str> = on.iter().map(|(_, name, _)| *name).collect();
    let mut details = Vec::new();
    if flags & 0x70 == 0x70 {
        details.push(
            "tail, free and parameter checking are what a program started by a debugger gets"
                .into(),
        );
    }
    if flags & PAGE_HEAP != 0 {
        details.push(
            "page heap takes two pages or more for each block: sizes are not those of the program"
                .into(),
        );
    }
    vec![Finding {
        severity,
        details,
        numbers: vec![("global_flag", u64::from(flags))],
        next: "see what is set: gflags /p; gflags /i PROGRAM".into(),
        ..RULE.finding(format!("on for this process: {}", names.join(", ")))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::Severity;
    use crate::rules::testing::severities;
    use crate::synth::DumpBuilder;
    use crate::synth::windows::{Capture, Process};

    const ID: &str = "debug-heap-left-on";

    fn dump(flag: u32) -> DumpBuilder {
        let mut layout = Process::x64().lay_out();
        let at = layout.peb + 0xbc;
        layout.contents.push(crate::synth::Memory::new(at, flag.to_le_bytes()));
        layout.dump(Capture::Full)
    }

    #[test]
    fn flags_of_the_peb() {
        assert!(severities(ID, &dump(0)).is_empty());
        assert!(severities(ID, &dump(0x400)).is_empty(), "not of the heap");
        assert_eq!(severities(ID, &dump(0x70)), [Severity::Note]);
        assert_eq!(severities(ID, &dump(0x0200_0000)), [Severity::Warning]);
        assert_eq!(severities(ID, &dump(0x1070)), [Severity::Warning]);
    }
}
