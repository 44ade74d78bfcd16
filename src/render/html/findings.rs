//! The verdict, and findings as cards.

use std::fmt::Write as _;

use super::esc;
use crate::render::number::{count, grouped, size};
use crate::report::{CrashReport, FindingView, SummaryReport};
use crate::rules::Severity;

/// Whether memory ran out, and what that rests on.
pub(super) fn verdict(report: &SummaryReport<'_>, out: &mut String) {
    let (title, class) = match report.verdict {
        "exhausted" => ("The address space was exhausted", "error"),
        "fragmented" => ("The address space was fragmented", "error"),
        "commit-limit" => ("The commit limit was reached", "error"),
        "large-request" => ("One request was too large", "error"),
        "near-limit" => ("Memory was near a limit", "warning"),
        "none" => ("No sign that memory ran out", "note"),
        _ => ("Whether memory ran out is not known", "note"),
    };
    let _ = write!(
        out,
        "<section class=\"verdict {class}\" data-verdict=\"{}\">\n<h2>{title}</h2>\n<ul>\n",
        esc(report.verdict)
    );
    // A finding's own sentence stands on its card.
    let own = |signal: &str| {
        report.findings.iter().any(|finding| {
            signal.strip_prefix(finding.rule).is_some_and(|rest| rest.starts_with(": "))
        })
    };
    for signal in report.signals.iter().filter(|signal| !own(signal)) {
        let _ = writeln!(out, "<li>{}</li>", esc(signal));
    }
    out.push_str("</ul>\n</section>\n");
}

/// Why the process died, when the dump records it.
pub(super) fn crash(report: &CrashReport<'_>, out: &mut String) {
    if !report.recorded {
        return;
    }
    let name = report.name.as_deref().unwrap_or("crash");
    let message = report.message.as_deref().unwrap_or(name);
    let _ = write!(
        out,
        "<section class=\"card crash error\" aria-label=\"Crash\">\n<h3><span class=\"sev\">crash</span> \
         {}</h3>\n<p>{}</p>\n",
        esc(name),
        esc(&capital(message))
    );
    if !report.explanation.is_empty() {
        out.push_str("<ul>");
        for line in &report.explanation {
            let _ = write!(out, "<li>{}</li>", esc(line));
        }
        out.push_str("</ul>\n");
    }
    if let Some(frame) = report.frames.first() {
        let _ = writeln!(out, "<p>At <code>{}</code></p>", esc(&frame.location));
    }
    if let Some(signature) = &report.signature {
        let _ = writeln!(out, "<p class=\"next\"><b>Signature:</b> {}</p>", esc(signature));
    }
    out.push_str("</section>\n");
}

/// One card a finding.
pub(super) fn cards(report: &SummaryReport<'_>, out: &mut String) {
    let title = count(report.findings.len() as u64, "finding");
    let _ = write!(out, "<section class=\"findings\" aria-label=\"Findings\">\n<h2>{title}</h2>\n");
    if report.findings.is_empty() {
        let rules = count(crate::rules::ALL.len() as u64, "rule");
        let _ = writeln!(out, "<p>{rules} checked, none has anything to say.</p>");
    }
    for (at, finding) in report.findings.iter().enumerate() {
        card(at, finding, out);
    }
    out.push_str("</section>\n");
}

fn card(at: usize, finding: &FindingView<'_>, out: &mut String) {
    let class = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let _ = write!(
        out,
        "<article class=\"card {class}\" data-finding=\"{at}\">\n<h3><span class=\"sev\">{class}</span> \
         {}</h3>\n<p>{}</p>\n",
        esc(finding.rule),
        esc(&capital(&finding.message))
    );
    if !finding.details.is_empty() {
        out.push_str("<ul>");
        for detail in &finding.details {
            let _ = write!(out, "<li>{}</li>", esc(detail));
        }
        out.push_str("</ul>\n");
    }
    if !finding.numbers.is_empty() {
        out.push_str("<dl class=\"nums\">");
        for (name, value) in finding.numbers {
            let _ = write!(
                out,
                "<div><dt>{}</dt><dd><data value=\"{value}\">{}</data></dd></div>",
                esc(&name.replace('_', " ")),
                number(name, *value)
            );
        }
        out.push_str("</dl>\n");
    }
    if !finding.next.is_empty() {
        let _ = writeln!(out, "<p class=\"next\"><b>Next:</b> {}</p>", esc(&finding.next));
    }
    out.push_str("</article>\n");
}

/// Names of numbers that are bytes.
const BYTES: [&str; 24] = [
    "size",
    "free",
    "largest_free",
    "committed",
    "private",
    "process_private",
    "reserved",
    "requested",
    "used",
    "stack_used",
    "stack_size",
    "commit_left",
    "commit_limit",
    "writable",
    "executable",
    "wasted",
    "tiny",
    "remainder",
    "range",
    "physical_available",
    "missing_memory",
    "gap_bytes",
    "file_size",
    "threshold",
];

/// A finding's number as its name says: bytes, percent or a count.
fn number(name: &str, value: u64) -> String {
    match name {
        _ if BYTES.contains(&name) => size(value),
        _ if name.ends_with("_percent") => format!("{} %", grouped(value)),
        _ => grouped(value),
    }
}

/// With a capital letter first.
pub(super) fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}
