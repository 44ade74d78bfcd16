//! Annotations of a GitHub workflow: commands that the runner reads from
//! standard output. Nothing but commands and one line without foreign text is
//! written, so that no name from a dump can become a command.

use super::sanitize::{github, github_property};
use super::text::{check_line, check_text};
use crate::report::CheckReport;

/// One annotation for whatever fails, cannot be read or cannot be told.
pub fn check(report: &CheckReport) -> String {
    let mut out = String::new();
    let mut annotate = |level: &str, path: &str, title: &str, message: &str| {
        out.push_str(&format!(
            "::{level} file={},title={}::{}\n",
            github_property(path),
            github_property(title),
            github(message)
        ));
    };
    for dump in &report.dumps {
        if let Some(error) = &dump.error {
            annotate("error", &dump.path, "dumpmap: unreadable", error);
        }
        for check in &dump.checks {
            let level = match (check.fails(), check.severity) {
                (true, "error") => "error",
                (true, "warning") => "warning",
                (true, _) => "notice",
                (false, _) if check.status == "cannot-tell" => "notice",
                (false, _) => continue,
            };
            annotate(level, &dump.path, &format!("dumpmap: {}", check.name), &check_text(check));
        }
    }
    out.push_str(&format!("{}\n", check_line(report)));
    out
}
