//! `rules` as text.

use super::labelled;
use crate::render::paint::{BOLD, DIM, Paint};
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

/// The list as findings look, and how to read more.
pub fn rules(report: &RulesReport, paint: Paint) -> String {
    let mut out = String::new();
    for rule in &report.rules {
        out.push_str(&format!("{:<9}{}\n", rule.severity, paint.paint(BOLD, rule.id)));
        out.push_str(&labelled("         ", rule.title, paint, DIM));
    }
    out.push_str(&paint.paint(DIM, "the manual of one: dumpmap rules ID"));
    out.push('\n');
    out
}
