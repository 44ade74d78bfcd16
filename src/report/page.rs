//! `report`: what the page of one dump is made from, the documents of the
//! commands side by side.

use serde::Serialize;

use super::streams::missing;
use super::{
    CrashReport, Entries, FitsReport, HeapsQuery, HeapsReport, ImagesReport, Lazy, MissingView,
    Names, SCHEMA_VERSION, Sizes, StackView, StacksReport, SummaryReport,
};
use crate::fits::Request;

/// The documents in one.
#[derive(Debug, Serialize)]
pub struct PageReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// As `summary`.
    pub summary: SummaryReport<'a>,
    /// What the dump lacks.
    pub missing: Vec<MissingView>,
    /// As `crash`.
    pub crash: CrashReport<'a>,
    /// As `stacks`.
    pub stacks: Lazy<'a, StackView<'a>>,
    /// As `heaps --sizes`.
    pub heaps: HeapsReport<'a>,
    /// As `images`.
    pub images: ImagesReport<'a>,
    /// As `fits`, of the smallest request that the free memory of a 32-bit
    /// process has no place for: what splits it. Null for 64 bits.
    pub fences: Option<FitsReport<'a>>,
}

/// Fences that are listed.
const FENCES: usize = 50;

impl<'a> PageReport<'a> {
    /// The document for one analysis.
    ///
    /// # Errors
    /// Never: heaps are not asked for by address.
    pub fn of(names: &'a Names<'a>) -> Result<PageReport<'a>, String> {
        let input = &names.input;
        let query = HeapsQuery { heap: None, entries: Entries::IfSmall, sizes: Sizes::Histogram };
        let small = input.analysis.dump.system.width.bits() == 32;
        let free = input.analysis.totals.free.filter(|free| small && free.blocks > 1);
        let request =
            |largest: u64| Request { size: largest.saturating_add(1), align: None, top: FENCES };
        Ok(PageReport {
            schema_version: SCHEMA_VERSION,
            summary: SummaryReport::of(input),
            missing: missing(input),
            crash: CrashReport::of(names),
            stacks: StacksReport::of(input).stacks,
            heaps: HeapsReport::of(input, &query, &mut |_| ())?,
            images: ImagesReport::of(input),
            fences: free.map(|free| FitsReport::of(input, &request(free.largest))),
        })
    }
}
