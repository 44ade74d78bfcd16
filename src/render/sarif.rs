//! `check` as SARIF 2.1.0, for code scanning: a result for whatever fails or
//! is accepted, a notification for each file that could not be read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_sarif::sarif::{
    Address, ArtifactLocation, Invocation, Location, Message, MultiformatMessageString,
    Notification, NotificationLevel, PhysicalLocation, ReportingDescriptor, Result as SarifResult,
    ResultLevel, Run, SCHEMA_URL, Sarif, Suppression, SupressionKind, Tool, ToolComponent, Version,
};

use super::json;
use super::sanitize::{terminal, uri};
use crate::report::{CheckReport, CheckView, CheckedDump};
use crate::rules;

/// The log file.
///
/// # Errors
/// `out` cannot be written.
pub fn check(report: &CheckReport, out: &mut dyn Write) -> io::Result<()> {
    let shown = |check: &&CheckView| check.fails() || check.status == "accepted";
    let of_dump = |dump| -> Vec<(&CheckedDump, &CheckView)> {
        let dump: &CheckedDump = dump;
        dump.checks.iter().filter(shown).map(|check| (dump, check)).collect()
    };
    let results: Vec<(&CheckedDump, &CheckView)> = report.dumps.iter().flat_map(of_dump).collect();
    let ids: BTreeSet<&str> = results.iter().map(|(_, check)| rule_id(check)).collect();
    let driver = ToolComponent::builder()
        .name("dumpmap")
        .version(env!("CARGO_PKG_VERSION"))
        .information_uri(env!("CARGO_PKG_REPOSITORY"))
        .rules(ids.into_iter().map(descriptor).collect::<Vec<_>>())
        .build();
    let unreadable = report.dumps.iter().filter_map(notification).collect::<Vec<_>>();
    let invocation = Invocation::builder()
        .execution_successful(report.unreadable == 0)
        .tool_execution_notifications(unreadable)
        .build();
    let results: Vec<SarifResult> =
        results.into_iter().map(|(dump, check)| result(dump, check)).collect();
    let run = Run::builder()
        .tool(Tool::builder().driver(driver).build())
        .invocations(vec![invocation])
        .results(results)
        .build();
    let log = Sarif::builder()
        .schema(SCHEMA_URL)
        .version(Version::V2_1_0.to_string())
        .runs(vec![run])
        .build();
    json::document(&log, out)
}

/// Assertions share one rule: SARIF wants ids that do not vary with a policy.
fn rule_id(check: &CheckView) -> &str {
    if check.kind == "finding" { &check.name } else { check.kind }
}

fn descriptor(id: &str) -> ReportingDescriptor {
    let rule = rules::ALL.iter().find(|rule| rule.id == id);
    let title = match (rule, id) {
        (Some(rule), _) => rule.title,
        (None, "assertion") => "a figure of the dump is not what the policy asks for",
        (None, _) => "the dump file has issues",
    };
    let help = rule.map_or(title, |rule| rule.manual);
    let text = |text: &str| MultiformatMessageString::builder().text(text).build();
    ReportingDescriptor::builder()
        .id(id)
        .short_description(text(title))
        .help(MultiformatMessageString::builder().text(help).markdown(help).build())
        .build()
}

fn result(dump: &CheckedDump, check: &CheckView) -> SarifResult {
    let level = match check.severity {
        "error" => ResultLevel::Error,
        "warning" => ResultLevel::Warning,
        _ => ResultLevel::Note,
    };
    let fingerprint = ("dumpmap/v1".to_owned(), check.fingerprint.clone());
    let suppressions: Vec<Suppression> = (check.status == "accepted")
        .then(|| {
            let kind = serde_json::json!(SupressionKind::External);
            Suppression::builder().kind(kind).justification("accepted by the baseline").build()
        })
        .into_iter()
        .collect();
    SarifResult::builder()
        .rule_id(rule_id(check))
        .level(level)
        .message(message(&check.message))
        .locations(vec![location(dump, check.base.map(|base| base.address))])
        .partial_fingerprints(BTreeMap::from([fingerprint]))
        .suppressions(suppressions)
        .build()
}

fn notification(dump: &CheckedDump) -> Option<Notification> {
    let error = dump.error.as_deref()?;
    Some(
        Notification::builder()
            .level(serde_json::json!(NotificationLevel::Error))
            .message(message(error))
            .locations(vec![location(dump, None)])
            .build(),
    )
}

fn message(text: &str) -> Message {
    // Braces and brackets are placeholders and links in SARIF messages.
    let text = terminal(text).replace('[', "\\[").replace(']', "\\]");
    Message::builder().text(text.replace('{', "{{").replace('}', "}}")).build()
}

fn location(dump: &CheckedDump, address: Option<u64>) -> Location {
    let artifact = ArtifactLocation::builder().uri(uri(&dump.path)).build();
    // Addresses are signed in SARIF.
    let physical = match address.and_then(|address| i64::try_from(address).ok()) {
        Some(address) => PhysicalLocation::builder()
            .artifact_location(artifact)
            .address(Address::builder().absolute_address(address).build())
            .build(),
        None => PhysicalLocation::builder().artifact_location(artifact).build(),
    };
    Location::builder().physical_location(physical).build()
}
