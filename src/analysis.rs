//! The pipeline: facts, claims, conclusions, findings.

use crate::classify::{Sweep, sweep};
use crate::dump::Dump;
use crate::error::Result;
use crate::evidence::{self, Evidence};
use crate::limits::Limits;
use crate::map::{MapSource, RegionMap};
use crate::rules::{self, Facts, Finding, Verdict};
use crate::source::Source;
use crate::totals::Totals;

/// All that dumpmap says of one dump.
#[derive(Debug)]
pub struct Analysis<'s> {
    /// What the dump states.
    pub dump: Dump<'s>,
    /// The address space.
    pub map: RegionMap<'s>,
    /// Who says what about it.
    pub evidence: Evidence,
    /// The sums.
    pub totals: Totals,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// Whether memory ran out, and how.
    pub verdict: Verdict,
}

/// Analyses one dump.
///
/// # Errors
/// There is no dump: the file is something else, or shorter than a header.
/// Damage inside a dump is an issue, not an error.
pub fn analyze<'s>(source: &'s Source, limits: &Limits) -> Result<Analysis<'s>> {
    let dump = Dump::read(source, limits)?;
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    let totals = Totals::of(&dump, &map, &evidence.claims);
    let facts = Facts { dump: &dump, map: &map, evidence: &evidence, totals: &totals };
    let findings = rules::check_all(facts);
    let verdict = verdict(&map, &findings);
    Ok(Analysis { dump, map, evidence, totals, findings, verdict })
}

impl<'s> Analysis<'s> {
    /// The pieces of the map in address order.
    pub fn pieces(&self) -> Sweep<'_, 's> {
        sweep(&self.map, &self.evidence.claims)
    }
}

fn verdict(map: &RegionMap<'_>, findings: &[Finding]) -> Verdict {
    if map.source == MapSource::Rebuilt {
        Verdict::Unknown
    } else if findings.iter().any(|finding| finding.rule == "address-space-exhausted") {
        Verdict::Exhausted
    } else {
        Verdict::None
    }
}
