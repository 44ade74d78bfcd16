//! What the rules' own tests share.

use crate::analysis::analyze_with;
use crate::limits::Limits;
use crate::rules::{Finding, Severity, Thresholds, Verdict};
use crate::source::Source;
use crate::synth::DumpBuilder;

/// The findings of one rule in a made-up dump.
pub(crate) fn findings(rule: &str, dump: &DumpBuilder) -> Vec<Finding> {
    all(dump, &Thresholds::default()).0.into_iter().filter(|found| found.rule == rule).collect()
}

/// The only finding of a rule.
pub(crate) fn finding(rule: &str, dump: &DumpBuilder) -> Finding {
    let mut found = findings(rule, dump);
    assert_eq!(found.len(), 1, "{rule}: {found:#?}");
    found.remove(0)
}

/// How bad the findings of a rule are; empty when it has none.
pub(crate) fn severities(rule: &str, dump: &DumpBuilder) -> Vec<Severity> {
    findings(rule, dump).into_iter().map(|found| found.severity).collect()
}

/// Verdict and its signals.
pub(crate) fn verdict(dump: &DumpBuilder) -> (Verdict, Vec<String>) {
    let (_, verdict, signals) = all(dump, &Thresholds::default());
    (verdict, signals)
}

/// Everything that is concluded.
pub(crate) fn all(
    dump: &DumpBuilder,
    thresholds: &Thresholds,
) -> (Vec<Finding>, Verdict, Vec<String>) {
    all_within(dump, &Limits::default(), thresholds)
}

/// As [`all`], with other limits.
pub(crate) fn all_within(
    dump: &DumpBuilder,
    limits: &Limits,
    thresholds: &Thresholds,
) -> (Vec<Finding>, Verdict, Vec<String>) {
    let source = Source::from_bytes(dump.build());
    let analysis = analyze_with(&source, limits, thresholds).unwrap();
    (analysis.findings, analysis.verdict, analysis.signals)
}

/// As [`findings`], with other thresholds of that rule.
pub(crate) fn findings_with(
    rule: &str,
    dump: &DumpBuilder,
    values: &[(&str, u64)],
) -> Vec<Finding> {
    let mut thresholds = Thresholds::default();
    for (name, value) in values {
        thresholds.set(rule, name, *value);
    }
    all(dump, &thresholds).0.into_iter().filter(|found| found.rule == rule).collect()
}
