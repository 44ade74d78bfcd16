//! What a person should know of the process. One rule is one file, and one
//! `.md` beside it: its manual, its `rules ID` text and its page.

mod address_space_exhausted;
mod finding;
mod image_mapped_twice;

pub use finding::{Finding, Severity, Verdict};

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
    check: fn(Facts<'_>) -> Vec<Finding>,
}

/// Every rule, in the order of their findings.
pub const ALL: &[Rule] = &[address_space_exhausted::RULE, image_mapped_twice::RULE];

/// The findings of every rule, worst first, then in the order of [`ALL`].
pub fn check_all(facts: Facts<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ALL.iter().flat_map(|rule| (rule.check)(facts)).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}
