//! `rules` as text.

use crate::render::WIDTH;
use crate::render::paint::{DIM, Paint};
use crate::render::table::{Table, words};
use crate::report::RulesReport;

/// One row a rule.
pub fn table(report: &RulesReport) -> Table {
    let mut table = Table::new([words("Rule"), words("Severity"), words("Finds")]);
    for rule in &report.rules {
        table.rows.push(vec![rule.id.into(), rule.severity.into(), rule.title.into()]);
    }
    table
}

/// The list, and how to read more.
pub fn rules(report: &RulesReport, paint: Paint) -> String {
    let more = paint.paint(DIM, "one rule's manual: dumpmap rules ID");
    format!("{}{more}\n", table(report).text(paint, WIDTH))
}
