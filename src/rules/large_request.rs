//! The process died of one allocation that asked for much.

use super::commit_limit::commit_left;
use super::common::windows_free;
use super::failed_allocation::{Failed, failed_allocation};
use super::reserve::free_memory_had;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::size::human;

const LARGE: Threshold = Threshold::new(
    "large",
    (256 << 10, Unit::Bytes),
    "Mozilla's crash signatures: OOMAllocationSize over 262,144 is `OOM | large`",
);

pub(super) const RULE: Rule = Rule {
    id: "large-request",
    severity: Severity::Error,
    title: "the process died of a large allocation that failed",
    manual: include_str!("large_request.md"),
    thresholds: &[LARGE],
    check,
};

/// The failed allocation and its size, when that is large.
pub(super) fn large_request(facts: Facts<'_>) -> Option<(Failed, u64)> {
    let failed = failed_allocation(facts)?;
    let size = failed.size.filter(|size| *size > facts.value(&RULE, &LARGE))?;
    Some((failed, size))
}

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let Some((failed, size)) = large_request(facts) else { return Vec::new() };
    let mut details = vec![format!("known from {}", failed.what)];
    let mut numbers = vec![("requested", size)];
    if let Some(free) = windows_free(facts) {
        let had = free_memory_had(facts, free);
        numbers.push(("largest_free", had.largest));
        details.push(match size <= had.largest {
            true => format!("the largest free block, {}, had room for it", human(had.largest)),
            false => format!("the largest free block, {}, had no room for it", human(had.largest)),
        });
        details.extend(had.remark());
    }
    if let Some(left) = commit_left(facts) {
        numbers.push(("commit_left", left));
        details.push(format!("the system could commit {} more", human(left)));
    }
    vec![Finding {
        details,
        numbers,
        next: format!("see what would have fitted: dumpmap fits DUMP {size}"),
        ..RULE.finding(format!("an allocation of {} failed", human(size)))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::Verdict;
    use crate::rules::testing::{finding, findings, verdict};
    use crate::synth::{DumpBuilder, Exception, Region};

    const ID: &str = "large-request";

    fn dump(code: u32, parameters: &[u64]) -> DumpBuilder {
        DumpBuilder::windows_x86()
            .region(Region::reserve(0x1_0000, 0x1000_0000))
            .region(Region::free(0x1001_0000, 0x6ffe_0000))
            .exception(Exception {
                parameters: parameters.to_vec(),
                ..Exception::new(1, code, 0x1000)
            })
    }

    #[test]
    fn the_size_is_in_the_exception() {
        let chromium = dump(0xe000_0008, &[2 << 30]);
        assert_eq!(finding(ID, &chromium).message, "an allocation of 2 GiB failed");
        assert_eq!(verdict(&chromium).0, Verdict::LargeRequest);
        assert_eq!(finding(ID, &dump(0xc000_0017, &[3 << 20])).numbers[0], ("requested", 3 << 20));
        assert!(findings(ID, &dump(0xc000_0017, &[3 << 20, 1])).is_empty(), "no size");
        assert!(findings(ID, &dump(0xe000_0008, &[0x4_0000])).is_empty(), "small");
        assert!(findings(ID, &dump(0xc000_0005, &[1, 3 << 20])).is_empty());
    }
}
