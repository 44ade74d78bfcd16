//! Markdown: headings and tables, for tickets and pull requests.

use super::{Table, text};
use crate::report::{CheckReport, CrashReport, DiffReport, FitsReport, SummaryReport};

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
    if let Some(table) = text::set_aside_table(report) {
        out.push_str(&format!("\n{}", table.markdown()));
    }
    if let Some(line) = text::explained_line(report) {
        out.push_str(&format!("\nprivate memory: {}\n", safe(&line)));
    }
    out.push_str(&format!("\n{}\n", safe(&text::audit_line(report))));
    out
}

/// A job summary of `check`: the count, and what did not pass.
pub fn check(report: &CheckReport) -> String {
    use super::sanitize::markdown as safe;
    let mut out = format!("## dumpmap check: {}\n\n", report.outcome);
    out.push_str(&format!("{}\n\n", text::check_line(report)));
    out.push_str("| dump | status | severity | what |\n| --- | --- | --- | --- |\n");
    let mut row = |path: &str, status: &str, severity: &str, what: &str| {
        let (path, what) = (safe(path), safe(what));
        out.push_str(&format!("| {path} | {status} | {severity} | {what} |\n"));
    };
    for dump in &report.dumps {
        match &dump.error {
            Some(error) => row(&dump.path, dump.status, "error", error),
            None if dump.status == "passed" => row(&dump.path, dump.status, "", ""),
            None => {}
        }
        for check in dump.checks.iter().filter(|of| of.fails() || of.status == "cannot-tell") {
            row(&dump.path, check.status, check.severity, &text::check_text(check));
        }
    }
    out
}

/// The crash: what happened, why, the frames and the signature, for a ticket.
pub fn crash(report: &CrashReport<'_>) -> String {
    use super::sanitize::markdown as safe;
    let mut out = format!("## {}\n\n", safe(report.dump.file_name()));
    for line in text::head_lines(&report.dump) {
        out.push_str(&format!("{}  \n", safe(&line)));
    }
    out.push_str("\n### Crash\n\n");
    if !report.recorded {
        out.push_str(&format!("{}\n", text::no_crash(report)));
        return out;
    }
    let message = report.message.as_deref().unwrap_or("");
    out.push_str(&format!("**{}**: {}\n\n", safe(&text::crash_title(report)), safe(message)));
    for sentence in &report.explanation {
        out.push_str(&format!("- {}\n", safe(sentence)));
    }
    for (label, text) in text::crash_facts(report) {
        out.push_str(&format!("- {label}: {}\n", safe(&text)));
    }
    let signature = report.signature.as_deref().unwrap_or("");
    out.push_str(&format!("- signature: {}\n", safe(signature)));
    out.push_str("\n### Frames\n\n");
    out.push_str(&text::crash_frames(report).markdown());
    for note in text::frames_notes(report) {
        out.push_str(&format!("\n{}\n", safe(note)));
    }
    let lines = text::symbol_lines(report);
    if !lines.is_empty() {
        out.push('\n');
    }
    for line in lines {
        out.push_str(&format!("- {}\n", safe(&line)));
    }
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

/// `diff`: the conclusion as a list, then growth by kind, owner and region.
pub fn diff(report: &DiffReport, tables: text::DiffTables) -> String {
    use super::sanitize::markdown as safe;
    let names: Vec<_> = report.dumps.iter().map(|dump| safe(dump.file_name())).collect();
    let mut out = format!("## {}\n\n", names.join(" → "));
    for line in text::diff_head(report) {
        out.push_str(&format!("{}  \n", safe(&line)));
    }
    out.push('\n');
    for sentence in report.conclusion.iter().chain(&report.notes) {
        out.push_str(&format!("- {}\n", safe(sentence)));
    }
    let mut section = |title: &str, table: Table| {
        if !table.rows.is_empty() {
            out.push_str(&format!("\n### {title}\n\n{}", table.markdown()));
        }
    };
    if tables.has(text::DiffTables::Kinds) {
        section("By kind", text::diff_kinds(report));
    }
    if tables.has(text::DiffTables::Owners) {
        section("By owner", text::diff_owners(report));
        section("Images", text::diff_images(report));
    }
    if tables.has(text::DiffTables::Regions) {
        let title = text::diff_region_title(report).replacen('b', "B", 1);
        section(&title, text::diff_regions(report));
    }
    out.push_str(&format!("\naudit: {}\n", safe(&text::diff_audit(report).1)));
    out
}

/// A table alone.
pub fn table(table: &Table) -> String {
    table.markdown()
}
