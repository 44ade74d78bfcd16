//! The pipeline: facts, claims, conclusions, findings.

use crate::classify::{Sweep, sweep};
use crate::dump::{Dump, file_name};
use crate::error::Result;
use crate::evidence::{self, Evidence, RegionKind};
use crate::limits::Limits;
use crate::map::RegionMap;
use crate::rules::{self, Facts, Finding, Thresholds, Verdict};
use crate::source::Source;
use crate::totals::{Row, Totals};

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
    /// What the verdict rests on, one short sentence each.
    pub signals: Vec<String>,
}

/// Analyses one dump.
///
/// # Errors
/// There is no dump: the file is something else, or shorter than a header.
/// Damage inside a dump is an issue, not an error.
pub fn analyze<'s>(source: &'s Source, limits: &Limits) -> Result<Analysis<'s>> {
    analyze_with(source, limits, &Thresholds::default())
}

/// As [`analyze`], with other thresholds of the rules.
///
/// # Errors
/// As [`analyze`].
pub fn analyze_with<'s>(
    source: &'s Source,
    limits: &Limits,
    thresholds: &Thresholds,
) -> Result<Analysis<'s>> {
    let dump = Dump::read(source, limits)?;
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    let totals = Totals::of(&dump, &map, &evidence.claims);
    let facts = Facts { dump: &dump, map: &map, evidence: &evidence, totals: &totals, thresholds };
    let findings = rules::check_all(facts);
    let (verdict, signals) = rules::verdict::of(facts, &findings);
    Ok(Analysis { dump, map, evidence, totals, findings, verdict, signals })
}

impl<'s> Analysis<'s> {
    /// The pieces of the map in address order.
    pub fn pieces(&self) -> Sweep<'_, 's> {
        sweep(&self.map, &self.evidence.claims)
    }

    /// The sums of one kind; `None` where the dump cannot tell that there is
    /// none of it.
    pub fn known_row(&self, kind: RegionKind) -> Option<Row> {
        use RegionKind::{Free, Image, Mapped, Private, Unknown, Unusable};
        // The map itself tells these; that there is no byte of the others may
        // be for want of evidence.
        let told = matches!(kind, Image | Mapped | Private | Unusable | Free | Unknown);
        let row = self.totals.kinds.get(kind.index()).copied().flatten();
        row.or_else(|| (told && self.map.knows_free()).then(Row::none))
    }

    /// The program's file name: of the process parameters, of the first
    /// module, which all writers list first, of Linux' status.
    pub fn process_name(&self) -> Option<&str> {
        let parameters = self.evidence.environment.parameters.image_path.as_deref();
        let program = parameters.map(file_name);
        let module = self.dump.modules.modules.first().map(|module| module.name());
        [program, module, self.dump.linux.process_name.as_deref()]
            .into_iter()
            .flatten()
            .find(|name| !name.is_empty())
    }
}
