//! `check`: what was checked of each dump, and how it stands.

use std::ffi::OsStr;

use serde::Serialize;

use super::{Hex, Input, Privacy, SCHEMA_VERSION, issue_count, issues, redact};
use crate::policy::Standing;
use crate::policy::{Baseline, Fingerprint, Judged, JudgedAssertion, JudgedFinding, Policy};

/// The document of `check`.
#[derive(Debug, Serialize)]
pub struct CheckReport {
    /// Version of the document.
    pub schema_version: &'static str,
    /// `passed`, `failed`, or `incomplete` when a file could not be read.
    pub outcome: &'static str,
    /// How many dumps passed.
    pub passed: u64,
    /// How many failed.
    pub failed: u64,
    /// How many files could not be read.
    pub unreadable: u64,
    /// One object a file.
    pub dumps: Vec<CheckedDump>,
}

/// One file.
#[derive(Debug, Serialize)]
pub struct CheckedDump {
    /// Path as it was given or found, U+FFFD where it is not Unicode; `-` for
    /// standard input.
    pub path: String,
    /// `passed`, `failed` or `error`.
    pub status: &'static str,
    /// Why it could not be read.
    pub error: Option<String>,
    /// File name of the program.
    pub process_name: Option<String>,
    /// How many issues the dump has; null when it could not be read.
    pub issue_count: Option<u64>,
    /// What was checked: assertions, findings, with `--strict` the issues.
    pub checks: Vec<CheckView>,
}

/// One assertion that was made, or one finding.
#[derive(Debug, Serialize)]
pub struct CheckView {
    /// `assertion`, `finding` or `issues`.
    pub kind: &'static str,
    /// The figure, or the rule's id.
    pub name: String,
    /// `passed`, `failed`, `cannot-tell`, `accepted`, `allowed` or `below`.
    pub status: &'static str,
    /// How bad it is if it fails.
    pub severity: &'static str,
    /// One sentence.
    pub message: String,
    /// Where it is, first of all.
    pub base: Option<Hex>,
    /// What stays the same in other dumps of the program.
    pub fingerprint: String,
}

/// The document that `--write-baseline` makes and `--baseline` reads.
#[derive(Debug, Serialize)]
pub struct BaselineReport<'a> {
    schema_version: &'static str,
    accepted: Vec<AcceptedView<'a>>,
}

#[derive(Debug, Serialize)]
struct AcceptedView<'a> {
    rule: &'a str,
    process: &'a str,
    images: &'a [String],
}

impl CheckReport {
    /// The document of these files.
    pub fn of(dumps: Vec<CheckedDump>) -> CheckReport {
        let with = |status| dumps.iter().filter(|dump| dump.status == status).count() as u64;
        let (passed, failed, unreadable) = (with("passed"), with("failed"), with("error"));
        let outcome = match (failed, unreadable) {
            (_, 1..) => "incomplete",
            (1.., _) => "failed",
            _ => "passed",
        };
        CheckReport { schema_version: SCHEMA_VERSION, outcome, passed, failed, unreadable, dumps }
    }
}

impl CheckedDump {
    /// The row of a dump that was judged.
    pub fn of(input: &Input<'_>, policy: &Policy, judged: &Judged<'_>) -> CheckedDump {
        let process = input.analysis.process_name().unwrap_or("");
        let mut checks: Vec<CheckView> = Vec::new();
        for of in &judged.assertions {
            checks.push(assertion(of, process, policy));
        }
        for of in &judged.findings {
            checks.push(finding(input, of));
        }
        let count = issue_count(input);
        if policy.strict && count > 0 {
            checks.push(strict_issues(input, count, process));
        }
        let failed = checks.iter().any(CheckView::fails);
        CheckedDump {
            path: path_text(input.path, input.privacy),
            status: if failed { "failed" } else { "passed" },
            error: None,
            process_name: (!process.is_empty()).then(|| input.text(process).into_owned()),
            issue_count: Some(count),
            checks,
        }
    }

    /// The row of a file that could not be read.
    pub fn unreadable(path: &OsStr, privacy: Privacy, error: String) -> CheckedDump {
        CheckedDump {
            path: path_text(path, privacy),
            status: "error",
            error: Some(error),
            process_name: None,
            issue_count: None,
            checks: Vec::new(),
        }
    }

    /// How many checks have this status.
    pub fn count(&self, status: &str) -> u64 {
        self.checks.iter().filter(|check| check.status == status).count() as u64
    }
}

impl CheckView {
    /// Whether the dump fails for it.
    pub fn fails(&self) -> bool {
        self.status == Standing::Failed.as_str()
    }
}

impl<'a> BaselineReport<'a> {
    /// The document of a baseline.
    pub fn of(baseline: &'a Baseline) -> BaselineReport<'a> {
        let view = |of: &'a Fingerprint| AcceptedView {
            rule: &of.rule,
            process: &of.process,
            images: &of.images,
        };
        BaselineReport {
            schema_version: SCHEMA_VERSION,
            accepted: baseline.accepted.iter().map(view).collect(),
        }
    }
}

fn path_text(path: &OsStr, privacy: Privacy) -> String {
    let lossy = path.to_string_lossy();
    match privacy {
        Privacy::Full => lossy.into_owned(),
        Privacy::Redacted => redact::redact(&lossy).into_owned(),
    }
}

fn assertion(of: &JudgedAssertion<'_>, process: &str, policy: &Policy) -> CheckView {
    let strict = policy.strict && of.standing == Standing::CannotTell;
    let standing = if strict { Standing::Failed } else { of.standing };
    let text = &of.assertion.text;
    CheckView {
        kind: "assertion",
        name: of.assertion.name.clone(),
        status: standing.as_str(),
        severity: "error",
        message: match &of.value {
            Some(value) => format!("{text}: it is {value}"),
            None => format!("{text}: the dump cannot tell"),
        },
        base: None,
        fingerprint: format!("assertion/{}/{}", process.to_lowercase(), of.assertion.name),
    }
}

fn finding(input: &Input<'_>, of: &JudgedFinding<'_>) -> CheckView {
    CheckView {
        kind: "finding",
        name: of.finding.rule.into(),
        status: of.standing.as_str(),
        severity: of.finding.severity.as_str(),
        message: input.owned(of.finding.message.clone()),
        base: of.finding.ranges.first().map(|range| input.hex(range.start())),
        fingerprint: of.fingerprint.to_string(),
    }
}

fn strict_issues(input: &Input<'_>, count: u64, process: &str) -> CheckView {
    let first = issues(input).into_iter().next().map_or_else(String::new, |issue| issue.message);
    CheckView {
        kind: "issues",
        name: "issues".into(),
        status: Standing::Failed.as_str(),
        severity: "error",
        message: format!("the dump file has issues ({count}), the first: {first}"),
        base: None,
        fingerprint: format!("issues/{}", process.to_lowercase()),
    }
}
