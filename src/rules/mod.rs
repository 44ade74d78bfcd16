//! What a person should know of the process. One rule is one file, and one
//! `.md` beside it: its manual, its `rules ID` text and its page.
//!
//! Rules look at totals and at the tables of the evidence. They never walk
//! the whole map: a process can have a million regions. Where a rule looks at
//! regions at all, it looks at those of one image or one address.

mod common;
mod engines;
mod failed_allocation;
mod finding;
mod reserve;
mod threshold;
pub mod verdict;

mod address_space_exhausted;
mod address_space_fragmented;
mod audit_remainder;
mod commit_limit;
mod debug_heap_left_on;
mod deleted_files_mapped;
mod dump_lacks_map;
mod dump_truncated;
mod executable_private_memory;
mod heap_corruption;
mod heap_dominates;
mod heap_fragmented;
mod image_mapped_twice;
mod large_request;
mod many_heaps;
mod map_count;
mod module_header_mismatch;
mod module_mitigations;
mod near_limit;
mod orphan_stacks;
mod out_of_memory;
mod overlapping_modules;
mod oversized_stack_reservations;
mod pe_in_private_memory;
mod pe_mapped_as_data;
mod relocated_modules;
mod stack_near_overflow;
mod stack_overflow;
mod stack_pivot;
mod third_party_modules;
mod thread_explosion;
mod torn_snapshot;
mod unlisted_image;
mod wow64_stacks;
mod writable_executable;
mod written_code_pages;

pub use finding::{Finding, Severity, Verdict};
pub use reserve::released_reserve;
pub use threshold::{Threshold, Thresholds, Unit, find as find_threshold};

use crate::dump::Dump;
use crate::evidence::Evidence;
use crate::map::RegionMap;
use crate::totals::Totals;

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The dump as it states itself.
    pub dump: &'a Dump<'a>,
    /// Its address space.
    pub map: &'a RegionMap<'a>,
    /// The claims and their tables.
    pub evidence: &'a Evidence,
    /// The sums.
    pub totals: &'a Totals,
    /// The numbers to compare with.
    pub thresholds: &'a Thresholds,
}

impl Facts<'_> {
    /// The value of a threshold of a rule.
    fn value(&self, rule: &Rule, threshold: &Threshold) -> u64 {
        self.thresholds.value(rule.id, threshold)
    }
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its id, as policies and reports name it.
    pub id: &'static str,
    /// How bad its findings are at worst.
    pub severity: Severity,
    /// One line: what it finds.
    pub title: &'static str,
    /// Its manual, in Markdown.
    pub manual: &'static str,
    /// The numbers it compares with.
    pub thresholds: &'static [Threshold],
    check: fn(Facts<'_>) -> Vec<Finding>,
}

impl Rule {
    /// A finding of this rule that has nothing but its message.
    fn finding(&self, message: impl Into<String>) -> Finding {
        Finding {
            rule: self.id,
            severity: self.severity,
            message: message.into(),
            details: Vec::new(),
            ranges: Vec::new(),
            numbers: Vec::new(),
            next: String::new(),
        }
    }
}

/// Every rule, in the order of their findings.
pub const ALL: &[Rule] = &[
    address_space_exhausted::RULE,
    address_space_fragmented::RULE,
    commit_limit::RULE,
    large_request::RULE,
    out_of_memory::RULE,
    near_limit::RULE,
    stack_overflow::RULE,
    stack_near_overflow::RULE,
    stack_pivot::RULE,
    heap_corruption::RULE,
    thread_explosion::RULE,
    oversized_stack_reservations::RULE,
    orphan_stacks::RULE,
    wow64_stacks::RULE,
    heap_dominates::RULE,
    heap_fragmented::RULE,
    many_heaps::RULE,
    debug_heap_left_on::RULE,
    executable_private_memory::RULE,
    writable_executable::RULE,
    written_code_pages::RULE,
    pe_in_private_memory::RULE,
    pe_mapped_as_data::RULE,
    unlisted_image::RULE,
    module_header_mismatch::RULE,
    overlapping_modules::RULE,
    relocated_modules::RULE,
    module_mitigations::RULE,
    image_mapped_twice::RULE,
    third_party_modules::RULE,
    map_count::RULE,
    deleted_files_mapped::RULE,
    dump_truncated::RULE,
    dump_lacks_map::RULE,
    torn_snapshot::RULE,
    audit_remainder::RULE,
];

/// Ranges of one finding that are kept: the numbers count all of them.
const RANGES: usize = 100;

/// The findings of every rule, worst first, then in the order of [`ALL`].
pub fn check_all(facts: Facts<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ALL.iter().flat_map(|rule| (rule.check)(facts)).collect();
    for finding in &mut findings {
        finding.ranges.truncate(RANGES);
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

#[cfg(test)]
use tests::testing;

#[cfg(test)]
mod tests;
