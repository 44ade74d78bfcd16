//! Why memory ran out, in one word, and what the word rests on.
//!
//! Order of precedence:
//!
//! 1. `unknown` for everything but Windows, and for dumps whose map does not
//!    know free memory, or not all of it because records are missing: whether
//!    the address space was full cannot be told.
//! 2. `exhausted`: `address-space-exhausted` found something. A 32-bit
//!    process without room has no other trouble that matters more.
//! 3. `fragmented`: `address-space-fragmented` found an error.
//! 4. `commit-limit`: `commit-limit` found an error. With room in the address
//!    space, nothing else makes small allocations fail.
//! 5. `large-request`: `large-request` found something. Neither the address
//!    space nor the commit limit was short: the request was too large.
//! 6. `unknown` when the process died of an allocation that failed
//!    (`out-of-memory`) and none of the above explains it: a limit of a job,
//!    an allocator's own limit, or commit that was given back before the dump
//!    was written.
//! 7. `near-limit`: `near-limit` found something, or one of the rules of 3
//!    and 4 a warning.
//! 8. `none`.

use super::commit_limit::commit_left;
use super::common::{is_windows, range_size, windows_free};
use super::reserve::free_memory_had;
use super::{Facts, Finding, Severity, Verdict};
use crate::size::human;

/// The rules whose findings speak of memory that ran out.
const RULES: [&str; 6] = [
    "address-space-exhausted",
    "address-space-fragmented",
    "commit-limit",
    "large-request",
    "out-of-memory",
    "near-limit",
];

/// The verdict and its signals: first the findings it rests on, then what is
/// known of address space and commit.
pub fn of(facts: Facts<'_>, findings: &[Finding]) -> (Verdict, Vec<String>) {
    let about = |finding: &&Finding| RULES.contains(&finding.rule);
    let mut signals: Vec<String> = findings
        .iter()
        .filter(about)
        .map(|finding| format!("{}: {}", finding.rule, finding.message))
        .collect();
    signals.push(address_space(facts));
    if let Some(left) = commit_left(facts).filter(|_| is_windows(facts)) {
        signals.push(format!("the system could commit {} more", human(left)));
    }
    (word(facts, findings), signals)
}

fn word(facts: Facts<'_>, findings: &[Finding]) -> Verdict {
    let worst = |rule: &str| {
        findings.iter().filter(|finding| finding.rule == rule).map(|finding| finding.severity).min()
    };
    let error = |rule| worst(rule) == Some(Severity::Error);
    if windows_free(facts).is_none() {
        Verdict::Unknown
    } else if error("address-space-exhausted") {
        Verdict::Exhausted
    } else if error("address-space-fragmented") {
        Verdict::Fragmented
    } else if error("commit-limit") {
        Verdict::CommitLimit
    } else if error("large-request") {
        Verdict::LargeRequest
    } else if error("out-of-memory") {
        Verdict::Unknown
    } else if RULES.into_iter().any(|rule| worst(rule).is_some()) {
        Verdict::NearLimit
    } else {
        Verdict::None
    }
}

fn address_space(facts: Facts<'_>) -> String {
    match windows_free(facts) {
        Some(free) => {
            let had = free_memory_had(facts, free);
            format!(
                "{} of {} address space free, {} in one block",
                human(had.size),
                human(range_size(facts)),
                human(had.largest)
            )
        }
        None if !is_windows(facts) => "no verdict for systems other than Windows".into(),
        None => "the dump has no map that knows all free memory".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::verdict;
    use crate::synth::{DumpBuilder, Region};

    #[test]
    fn unknown_without_a_map_or_windows() {
        let none = DumpBuilder::windows_x86();
        assert_eq!(verdict(&none).0, Verdict::Unknown);
        let linux = DumpBuilder::linux_x64().region(Region::commit(0x1000, 0x1000, 4));
        let (word, signals) = verdict(&linux);
        assert_eq!(word, Verdict::Unknown);
        assert_eq!(signals, ["no verdict for systems other than Windows"]);
        let healthy = DumpBuilder::windows_x64()
            .region(Region::commit(0x1_0000, 0x1000, 4))
            .region(Region::free(0x1_1000, 0x7fff_fffe_f000));
        let (word, signals) = verdict(&healthy);
        assert_eq!(word, Verdict::None);
        assert_eq!(signals, ["128 TiB of 128 TiB address space free, 128 TiB in one block"]);
    }
}
