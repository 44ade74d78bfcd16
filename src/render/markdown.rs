//! Markdown: headings and tables, for tickets and pull requests.

use super::{Table, text};
use crate::report::{FitsReport, SummaryReport};

/// The summary: the head, the findings and VMMap's table.
pub fn summary(report: &SummaryReport<'_>) -> String {
    use super::sanitize::markdown as safe;
    let mut out = format!("## {}\n\n", safe(report.dump.file_name()));
    for line in text::head_lines(&report.dump) {
        out.push_str(&format!("{}  \n", safe(&line)));
    }
    out.push_str("\n### Findings\n\n");
    for finding in &report.findings {
        out.push_str(&format!(
            "- **{}** `{}`: {}\n",
            finding.severity.as_str(),
            finding.rule,
            safe(&finding.message)
        ));
        for detail in &finding.details {
            out.push_str(&format!("  - {}\n", safe(detail)));
        }
    }
    if report.findings.is_empty() {
        out.push_str("none\n");
    }
    out.push_str("\n### Memory\n\n");
    out.push_str(&text::summary_table(report).markdown());
    out.push_str(&format!("\n{}\n", safe(&text::audit_line(report))));
    out
}

/// `fits`: the answer as a list, the fences and their owners as tables.
pub fn fits(report: &FitsReport<'_>) -> String {
    use super::sanitize::markdown as safe;
    let mut out = format!("## {}\n\n", safe(report.dump.file_name()));
    for line in text::fits_lines(report) {
        out.push_str(&format!("- {}\n", safe(&line)));
    }
    if let Some(fences) = report.answer.as_ref().map(|answer| &answer.fences) {
        out.push_str(&format!("\n### Fences\n\n{}", text::fence_table(fences).markdown()));
        out.push_str(&format!("\n### By owner\n\n{}", text::owner_table(fences).markdown()));
    }
    out
}

/// A table alone.
pub fn table(table: &Table) -> String {
    table.markdown()
}
