//! `check` as text: one block a dump, what fails first, the count last.

use super::labelled;
use crate::render::number::count;
use crate::render::paint::{ALARM, BOLD, DIM, Paint, severity};
use crate::render::sanitize;
use crate::report::{CheckReport, CheckView, CheckedDump};
use crate::rules::Severity;

/// All dumps.
pub fn check(report: &CheckReport, paint: Paint) -> String {
    let mut out: String = report.dumps.iter().map(|dump| one(dump, paint)).collect();
    let style = if report.outcome == "passed" { BOLD } else { ALARM };
    out.push_str(&format!("{}\n", paint.paint(style, &check_line(report))));
    out
}

/// `3 dumps: 1 passed, 1 failed, 1 unreadable`.
pub(crate) fn check_line(report: &CheckReport) -> String {
    let mut line = format!(
        "{}: {} passed, {} failed",
        count(report.dumps.len() as u64, "dump"),
        report.passed,
        report.failed
    );
    if report.unreadable > 0 {
        line.push_str(&format!(", {} unreadable", report.unreadable));
    }
    line
}

fn one(dump: &CheckedDump, paint: Paint) -> String {
    let style = if dump.status == "passed" { DIM } else { ALARM };
    let mut title = dump.path.clone();
    if let Some(process) = &dump.process_name {
        title.push_str(&format!("   {process}"));
    }
    let mut out = labelled(&format!("{:<9}", dump.status), &title, paint, style);
    if let Some(error) = &dump.error {
        out.push_str(&labelled("         ", error, paint, DIM));
    }
    for check in dump.checks.iter().filter(|check| check.fails()) {
        out.push_str(&line(check, check.severity, paint));
    }
    for check in dump.checks.iter().filter(|check| check.status == "cannot-tell") {
        out.push_str(&line(check, "unknown", paint));
    }
    let silent: Vec<String> = [
        ("accepted", "accepted by the baseline"),
        ("allowed", "allowed by the policy"),
        ("below", "not severe enough to fail"),
    ]
    .into_iter()
    .map(|(status, why)| (dump.count(status), why))
    .filter(|(number, _)| *number > 0)
    .map(|(number, why)| format!("{} {why}", count(number, "finding")))
    .collect();
    if !silent.is_empty() {
        out.push_str(&labelled("         ", &silent.join(", "), paint, DIM));
    }
    out
}

fn line(check: &CheckView, word: &str, paint: Paint) -> String {
    let style = match word {
        "warning" => severity(Severity::Warning),
        "note" => severity(Severity::Note),
        "error" => severity(Severity::Error),
        _ => DIM,
    };
    labelled(&format!("  {word:<9}"), &check_text(check), paint, style)
}

/// What a check says, with the rule in front.
pub(crate) fn check_text(check: &CheckView) -> String {
    let text = match check.kind {
        "finding" => format!("{}: {}", check.name, check.message),
        _ => check.message.clone(),
    };
    sanitize::terminal(&text).into_owned()
}
