//! `diff`: against what processes wrote down, made pairs whose answer is
//! known, a slow comparison page by page, and pairs of real dumps.

mod support;

#[path = "diff/made.rs"]
mod made;
#[path = "diff/pages.rs"]
mod pages;
#[path = "diff/pairs.rs"]
mod pairs;
#[path = "cli/schema.rs"]
mod schema;
#[path = "diff/truth.rs"]
mod truth;

use dumpmap::diff::{Diff, Question, Rows, RunChoice, Snapshot, Sort, diff};
use dumpmap::limits::Limits;
use dumpmap::owner::Owners;
use dumpmap::source::Source;
use dumpmap::{Analysis, analyze};

/// Everything that changed.
pub(crate) fn all(run: RunChoice) -> Question {
    Question { run, top: usize::MAX, min: 0, sort: Sort::Committed, rows: Rows::Each }
}

/// Compares analyses; the first and the last by address.
pub(crate) fn compare(analyses: &[&Analysis<'_>], question: &Question) -> Diff {
    let owners: Vec<Owners<'_>> = analyses.iter().map(|of| Owners::of(of)).collect();
    let snapshots: Vec<Snapshot> =
        analyses.iter().zip(&owners).map(|(of, owners)| Snapshot::of(of, owners)).collect();
    let last = analyses.len() - 1;
    diff((analyses[0], &owners[0]), (analyses[last], &owners[last]), &snapshots, question)
}

/// As [`compare`], of the bytes of dumps.
pub(crate) fn compare_bytes(dumps: &[Vec<u8>], question: &Question) -> Diff {
    let sources: Vec<Source> = dumps.iter().cloned().map(Source::from_bytes).collect();
    let analyses: Vec<Analysis<'_>> =
        sources.iter().map(|source| analyze(source, &Limits::default()).unwrap()).collect();
    compare(&analyses.iter().collect::<Vec<_>>(), question)
}

/// Fails when a row does not add up.
pub(crate) fn assert_adds_up(diff: &Diff, what: &str) {
    assert!(diff.audit.owners.is_empty(), "{what}: owners: {:?}", diff.audit.owners);
    let regions = diff.audit.regions.iter().flatten().count();
    assert_eq!(regions, 0, "{what}: regions: {:?}", diff.audit.regions);
}
