//! The heap manager found its structures damaged, and ended the process.

use super::common::is_windows;
use super::{Facts, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "heap-corruption",
    severity: Severity::Error,
    title: "the heap manager found a heap damaged",
    manual: include_str!("heap_corruption.md"),
    thresholds: &[],
    check,
};

const STATUS_HEAP_CORRUPTION: u32 = 0xc000_0374;
const STATUS_STACK_BUFFER_OVERRUN: u32 = 0xc000_0409;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let Some(exception) = facts.dump.exception.as_ref().filter(|exception| exception.is_crash)
    else {
        return Vec::new();
    };
    if !is_windows(facts) {
        return Vec::new();
    }
    let message = match (exception.code, exception.parameters.first()) {
        (STATUS_HEAP_CORRUPTION, _) => "exception 0xc0000374, STATUS_HEAP_CORRUPTION",
        (STATUS_STACK_BUFFER_OVERRUN, Some(35)) => {
            "fail fast 35, FAST_FAIL_UNEXPECTED_HEAP_EXCEPTION"
        }
        (STATUS_STACK_BUFFER_OVERRUN, Some(50)) => {
            "fail fast 50, FAST_FAIL_HEAP_METADATA_CORRUPTION"
        }
        _ => return Vec::new(),
    };
    let mut details =
        vec!["found when the heap was used, which may be long after it was damaged".into()];
    if super::debug_heap_left_on::page_heap(facts) {
        details.push(
            "page heap was on: the instruction that crashed is likely the one that did it".into(),
        );
    }
    vec![Finding {
        details,
        next: "see who used the heap last: dumpmap crash DUMP; run again with page heap: gflags /p /enable PROGRAM /full".into(),
        ..RULE.finding(format!("the heap manager found a heap damaged: {message}"))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::{DumpBuilder, Exception};

    const ID: &str = "heap-corruption";

    #[test]
    fn only_by_the_exception() {
        let dump = |code: u32, parameters: &[u64]| {
            DumpBuilder::windows_x64().exception(Exception {
                parameters: parameters.to_vec(),
                ..Exception::new(1, code, 0x1000)
            })
        };
        assert!(finding(ID, &dump(0xc000_0374, &[])).message.ends_with("STATUS_HEAP_CORRUPTION"));
        assert_eq!(findings(ID, &dump(0xc000_0409, &[50])).len(), 1);
        assert!(findings(ID, &dump(0xc000_0409, &[2])).is_empty(), "a stack cookie");
        assert!(findings(ID, &dump(0xc000_0005, &[1, 0])).is_empty());
        let linux = DumpBuilder::linux_x64().exception(Exception::new(1, 0xc000_0374, 0));
        assert!(findings(ID, &linux).is_empty());
    }
}
