//! `check`: budgets on figures and rules, for CI.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use dumpmap::Analysis;
use dumpmap::batch::{self, Outcome};
use dumpmap::limits::Limits;
use dumpmap::policy::{self, Assertion, Baseline, Fingerprint, Policy, Standing};
use dumpmap::render::sanitize::terminal;
use dumpmap::render::{github, json, markdown, text};
use dumpmap::report::{BaselineReport, CheckReport, CheckedDump, Input, Privacy};
use dumpmap::rules::Severity;

use super::inputs::Inputs;
use super::{Done, Failure, Format, Options, at_path, input, output, supported};

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 passed, 1 failed, 2 a file could not be read or the \
    command is wrong.\nFigures are the names of `summary -f json`: free.largest, total.private, \
    heap.committed, dump.threads … Sizes: 64M (M = MiB = 2^20), 1.5GiB, 0x4000.")]
pub(super) struct Check {
    #[command(flatten)]
    inputs: Inputs,
    /// TOML with fail_on, deny, allow, thresholds and assert
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Must hold, as in 'free.largest >= 64M'; may be given more than once
    #[arg(long, value_name = "ASSERTION")]
    assert: Vec<String>,
    /// Findings of this rule fail at any severity; may be given more than once
    #[arg(long, value_name = "RULE")]
    deny: Vec<String>,
    /// Findings of this severity and worse fail: error (the default), warning
    /// or note
    #[arg(long, value_name = "SEVERITY", value_parser = policy::severity)]
    fail_on: Option<Severity>,
    /// Findings in this file are accepted
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Writes the findings that would fail to a file, and accepts them
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Fails on issues of a dump, and on figures that it cannot tell
    #[arg(long)]
    strict: bool,
    /// A file that cannot be read does not change the exit code
    #[arg(long)]
    ignore_unreadable: bool,
}

pub(super) fn run(args: &Check, options: &Options) -> Done {
    use Format::{Github, Json, Jsonl, Junit, Markdown, Sarif, Text};
    let formats = [Text, Json, Jsonl, Markdown, Github, Sarif, Junit];
    let format = supported("check", options.format, &formats)?;
    let policy = policy_of(args)?;
    let baseline = match &args.baseline {
        Some(path) => Baseline::parse(&read(path)?).map_err(|what| at_path(path, what))?,
        None => Baseline::default(),
    };
    let mut accepted = BTreeSet::new();
    let mut dumps = Vec::new();
    let mut files = Vec::new();
    for row in start(args, options, policy, baseline)? {
        let Outcome::Row(row) = row else { continue };
        if let Some(error) = &row.dump.error {
            let _ = output::complain(&format!("{}: {error}", terminal(&row.dump.path)));
        }
        accepted.extend(row.accepted);
        dumps.push(row.dump);
        files.push(row.path);
    }
    if dumps.is_empty() {
        let inputs: Vec<_> =
            args.inputs.files().iter().map(|path| path.to_string_lossy()).collect();
        let inputs = terminal(&inputs.join(", ")).into_owned();
        return Err(Failure::Message(format!("{inputs}: no dump in there")));
    }
    let report = CheckReport::of(dumps);
    let mut inputs = args.inputs.files();
    inputs.extend(files.iter().map(PathBuf::as_path));
    inputs.extend(args.policy.as_deref());
    if let Some(path) = &args.write_baseline {
        let accepted = Baseline { accepted };
        output::to_file(options, path, &inputs, |out, _| {
            json::document(&BaselineReport::of(&accepted), out)
        })?;
    }
    inputs.extend(args.baseline.as_deref());
    let written = output::write(options, &inputs, |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(&report.dumps, out),
        Markdown => out.write_all(markdown::check(&report).as_bytes()),
        Github => out.write_all(github::check(&report).as_bytes()),
        #[cfg(feature = "ci")]
        Sarif => dumpmap::render::sarif::check(&report, out),
        #[cfg(feature = "ci")]
        Junit => dumpmap::render::junit::check(&report, out),
        _ => out.write_all(text::check(&report, paint).as_bytes()),
    });
    match written {
        // Nobody reads the report, but the exit code still says how it went.
        Ok(()) | Err(Failure::BrokenPipe) => {}
        Err(other) => return Err(other),
    }
    match (report.unreadable, report.failed) {
        (1.., _) if !args.ignore_unreadable => Err(Failure::Code(2)),
        (_, 1..) => Err(Failure::Code(1)),
        _ => Ok(()),
    }
}

/// What came of one dump; it holds nothing of the dump.
struct Row {
    path: PathBuf,
    dump: CheckedDump,
    /// What a baseline has to hold of it.
    accepted: Vec<Fingerprint>,
}

fn start(
    args: &Check,
    options: &Options,
    policy: Policy,
    baseline: Baseline,
) -> Result<batch::Rows<Row>, Failure> {
    let batch = batch::Options {
        workers: args.inputs.workers(),
        limits: Limits { strip_cells: 1, ..input::limits(options) },
        thresholds: policy.thresholds.clone(),
        ..batch::Options::default()
    };
    let privacy = input::privacy(options);
    let accepts = args.write_baseline.is_some();
    let rows = batch::rows(args.inputs.find()?, &batch, move |name, analysis| {
        let (dump, accepted) = match analysis {
            Ok(analysis) => judge(name, analysis, privacy, &policy, &baseline, accepts),
            Err(error) => (CheckedDump::unreadable(name, privacy, error.to_string()), Vec::new()),
        };
        Row { path: name.into(), dump, accepted }
    });
    rows.map_err(|error| Failure::Message(format!("check: cannot start: {error}")))
}

/// With `accepts`, what fails is accepted and listed.
fn judge(
    path: &OsStr,
    analysis: &Analysis<'_>,
    privacy: Privacy,
    policy: &Policy,
    baseline: &Baseline,
    accepts: bool,
) -> (CheckedDump, Vec<Fingerprint>) {
    let mut judged = policy::judge(analysis, policy, baseline);
    let mut accepted = Vec::new();
    for of in judged.findings.iter_mut().filter(|_| accepts) {
        if matches!(of.standing, Standing::Failed | Standing::Accepted) {
            of.standing = Standing::Accepted;
            accepted.push(of.fingerprint.clone());
        }
    }
    (CheckedDump::of(&Input { analysis, path, privacy }, policy, &judged), accepted)
}

/// The policy file, with what the command line says on top.
fn policy_of(args: &Check) -> Result<Policy, Failure> {
    let mut policy = match &args.policy {
        Some(path) => Policy::parse(&read(path)?).map_err(|error| {
            let path = path.to_string_lossy();
            let path = dumpmap::render::sanitize::terminal(&path);
            Failure::Message(format!("{path}:{error}"))
        })?,
        None => Policy::default(),
    };
    for text in &args.assert {
        let assertion = Assertion::parse(text)
            .map_err(|error| Failure::Message(format!("check: --assert '{text}': {error}")))?;
        policy.assertions.push(assertion);
    }
    for rule in &args.deny {
        policy.deny(rule).map_err(|what| Failure::Message(format!("check: --deny: {what}")))?;
    }
    policy.fail_on = args.fail_on.unwrap_or(policy.fail_on);
    policy.strict = args.strict;
    Ok(policy)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| at_path(path, format!("cannot read the file: {error}")))
}
