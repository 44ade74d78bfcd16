//! `check` as JUnit: a test suite a dump, a test case an assertion or finding.
//! As `junit-10.xsd` says, by which Jenkins takes or refuses a file.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::sanitize::terminal;
use super::text::check_text;
use crate::report::{CheckReport, CheckView, CheckedDump};

/// The document. It has no times: the same dumps give the same bytes.
///
/// # Errors
/// `out` cannot be written.
pub fn check(report: &CheckReport, out: &mut dyn Write) -> io::Result<()> {
    let mut document = Report::new("dumpmap check");
    for dump in &report.dumps {
        document.add_test_suite(suite(dump));
    }
    let text = document.to_string().map_err(io::Error::other)?;
    // Jenkins' schema, junit-10.xsd, has `skipped` for suites, not for the whole.
    let skipped = format!(" skipped=\"{}\"", document.skipped);
    out.write_all(text.replacen(&skipped, "", 1).as_bytes())
}

fn suite(dump: &CheckedDump) -> TestSuite {
    let path = xml(&dump.path);
    let mut suite = TestSuite::new(path.as_str());
    let mut add = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname(path.as_str());
        suite.add_test_case(case);
    };
    match &dump.error {
        Some(error) => add("readable", non_success(NonSuccessKind::Error, "unreadable", error)),
        // A suite without cases passes nowhere.
        None => add("readable", TestCaseStatus::success()),
    }
    for check in &dump.checks {
        let name = match check.kind {
            "assertion" => xml(check.message.split(": ").next().unwrap_or("")),
            _ => xml(&check.name),
        };
        add(&name, status(check));
    }
    suite
}

fn status(check: &CheckView) -> TestCaseStatus {
    let text = check_text(check);
    match check.status {
        "passed" => TestCaseStatus::success(),
        "failed" => non_success(NonSuccessKind::Failure, check.severity, &text),
        other => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(xml(&format!("{other}: {text}")));
            status
        }
    }
}

fn non_success(kind: NonSuccessKind, ty: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(ty).set_message(xml(text));
    status
}

/// Without what no XML document may hold. The writer escapes the rest.
fn xml(text: &str) -> String {
    terminal(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
