//! The system's commit limit was reached, or is close.

use super::common::{is_windows, percent};
use super::failed_allocation::failed_allocation;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::size::human;

const LEFT: Threshold = Threshold::new(
    "left",
    (200 << 20, Unit::Bytes),
    "Firefox' default for low commit space, browser.low_commit_space_threshold_mb",
);

const LEFT_PERCENT: Threshold = Threshold::new(
    "left-percent",
    (5, Unit::Percent),
    "Firefox' default where it measures in percent, browser.low_commit_space_threshold_percent",
);

pub(super) const RULE: Rule = Rule {
    id: "commit-limit",
    severity: Severity::Error,
    title: "the system could commit hardly any more memory",
    manual: include_str!("commit_limit.md"),
    thresholds: &[LEFT, LEFT_PERCENT],
    check,
};

/// The system's commit counters, when the dump was written.
#[derive(Clone, Copy)]
struct Commit {
    limit: u64,
    left: u64,
}

/// Of SystemMemoryInfo, else of Chromium's stability report.
fn commit(facts: Facts<'_>) -> Option<Commit> {
    let by_system = facts.dump.system_memory.map(|memory| Commit {
        limit: memory.commit_limit,
        left: memory.commit_limit.saturating_sub(memory.committed),
    });
    let by_report = facts
        .dump
        .stability
        .map(|report| Commit { limit: report.commit_limit, left: report.commit_left });
    [by_system, by_report].into_iter().flatten().find(|commit| commit.limit > 0)
}

/// What the system could still commit, when the dump was written.
pub(super) fn commit_left(facts: Facts<'_>) -> Option<u64> {
    commit(facts).map(|commit| commit.left)
}

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) {
        return Vec::new();
    }
    let by_code = failed_allocation(facts).filter(|failed| failed.commit_limit);
    let commit = commit(facts);
    let threshold = facts.value(&RULE, &LEFT);
    let (severity, message) = match (by_code, commit) {
        (_, Some(Commit { limit, left })) if left < threshold => (
            Severity::Error,
            format!(
                "the system could commit {} more of {}, under {}",
                human(left),
                human(limit),
                human(threshold)
            ),
        ),
        (Some(failed), _) => (
            Severity::Error,
            format!("the process died of {}: the system could commit no more memory", failed.what),
        ),
        (None, Some(Commit { limit, left }))
            if percent(left, limit) < facts.value(&RULE, &LEFT_PERCENT) =>
        {
            (
                Severity::Warning,
                format!("the system could commit {} more of {}", human(left), human(limit)),
            )
        }
        _ => return Vec::new(),
    };
    let mut details = Vec::new();
    let mut numbers = Vec::new();
    if let Some(Commit { limit, left }) = commit {
        numbers = vec![("commit_left", left), ("commit_limit", limit)];
    }
    if let Some(memory) = facts.dump.system_memory.filter(|memory| memory.commit_limit > 0) {
        details.push(format!(
            "{} of {} physical memory was available",
            human(memory.available),
            human(memory.physical)
        ));
        numbers.extend([("committed", memory.committed), ("physical_available", memory.available)]);
    }
    if let Some(counters) = facts.dump.vm_counters {
        details.push(format!("this process had committed {}", human(counters.private)));
        numbers.push(("process_private", counters.private));
    }
    vec![Finding {
        severity,
        details,
        numbers,
        next: "see whether this process or another took it: dumpmap summary DUMP, private bytes; make the page file larger".into(),
        ..RULE.finding(message)
    }]
}

#[cfg(test)]
mod tests {
    use crate::dump::stream_type;
    use crate::rules::testing::{severities, verdict};
    use crate::rules::{Severity, Verdict};
    use crate::synth::{DumpBuilder, Exception, Region, SystemMemoryInfo};

    const ID: &str = "commit-limit";

    fn dump(committed: u64, limit: u64) -> DumpBuilder {
        let memory = SystemMemoryInfo {
            committed_pages: committed >> 12,
            commit_limit: limit >> 12,
            ..SystemMemoryInfo::new()
        };
        DumpBuilder::windows_x64()
            .region(Region::free(0, 0x7fff_ffff_0000))
            .region(Region::reserve(0x7fff_ffff_0000, 0x1000))
            .system_memory(memory)
    }

    #[test]
    fn what_is_left_decides() {
        let limit = 32 << 30;
        assert_eq!(severities(ID, &dump(limit - (199 << 20), limit)), [Severity::Error]);
        assert_eq!(verdict(&dump(limit - (199 << 20), limit)).0, Verdict::CommitLimit);
        assert_eq!(severities(ID, &dump(limit - (1 << 30), limit)), [Severity::Warning]);
        assert_eq!(verdict(&dump(limit - (1 << 30), limit)).0, Verdict::NearLimit);
        assert!(severities(ID, &dump(20 << 30, limit)).is_empty());
        assert!(severities(ID, &dump(0, 0)).is_empty(), "counters that are not set");
        // A limit of 8 GiB, and 100 MiB left, in pages.
        let system = [0x08, 0x80, 0x80, 0x80, 0x01, 0x10, 0x80, 0xc8, 0x01];
        let report = [&[0x3a, 11, 0x0a, 9][..], &system].concat();
        let chromium = DumpBuilder::windows_x64().raw(stream_type::STABILITY_REPORT, report);
        assert_eq!(severities(ID, &chromium), [Severity::Error]);
        let by_code = DumpBuilder::windows_x64().exception(Exception::new(1, 0xc000_012d, 0x1000));
        assert_eq!(severities(ID, &by_code), [Severity::Error]);
    }
}
