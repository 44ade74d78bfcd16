//! Policy and baseline meet an analysis.

use super::{Assertion, Baseline, Fingerprint, Policy};
use crate::analysis::Analysis;
use crate::rules::Finding;

/// What came of one dump.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The assertions, in the order of the policy.
    pub assertions: Vec<JudgedAssertion<'a>>,
    /// The findings, in the order of the analysis.
    pub findings: Vec<JudgedFinding<'a>>,
}

/// One assertion, and what it met.
#[derive(Debug)]
pub struct JudgedAssertion<'a> {
    /// The assertion.
    pub assertion: &'a Assertion,
    /// The figure's value, for people; `None` when the dump cannot tell.
    pub value: Option<String>,
    /// Whether it holds.
    pub standing: Standing,
}

/// One finding, and whether it counts.
#[derive(Debug)]
pub struct JudgedFinding<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// What it is in a baseline.
    pub fingerprint: Fingerprint,
    /// Whether it counts.
    pub standing: Standing,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The assertion holds.
    Passed,
    /// It does not hold, or the finding counts.
    Failed,
    /// The dump cannot tell.
    CannotTell,
    /// A finding of the baseline.
    Accepted,
    /// A finding of a rule that is allowed.
    Allowed,
    /// A finding that is not bad enough.
    Below,
}

impl Standing {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Passed => "passed",
            Standing::Failed => "failed",
            Standing::CannotTell => "cannot-tell",
            Standing::Accepted => "accepted",
            Standing::Allowed => "allowed",
            Standing::Below => "below",
        }
    }
}

/// Judges one dump.
pub fn judge<'a>(
    analysis: &'a Analysis<'_>,
    policy: &'a Policy,
    baseline: &Baseline,
) -> Judged<'a> {
    let finding = |finding: &'a Finding| {
        let fingerprint = Fingerprint::of(analysis, finding);
        let standing = match () {
            () if policy.allow.contains(&finding.rule) => Standing::Allowed,
            () if finding.severity > policy.fail_on && !policy.deny.contains(&finding.rule) => {
                Standing::Below
            }
            () if baseline.accepted.contains(&fingerprint) => Standing::Accepted,
            () => Standing::Failed,
        };
        JudgedFinding { finding, fingerprint, standing }
    };
    Judged {
        assertions: policy.assertions.iter().map(|asked| assertion(analysis, asked)).collect(),
        findings: analysis.findings.iter().map(finding).collect(),
    }
}

fn assertion<'a>(analysis: &Analysis<'_>, assertion: &'a Assertion) -> JudgedAssertion<'a> {
    let value = assertion.figure.of(analysis);
    let standing = match value {
        None => Standing::CannotTell,
        Some(value) if assertion.holds(value) => Standing::Passed,
        Some(_) => Standing::Failed,
    };
    let value = value.map(|value| assertion.figure.text(value));
    JudgedAssertion { assertion, value, standing }
}
