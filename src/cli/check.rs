//! `check`: budgets on figures and rules, for CI.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use clap::Args;
use dumpmap::analyze_with;
use dumpmap::policy::{self, Assertion, Baseline, Fingerprint, Policy, Standing};
use dumpmap::render::{github, json, markdown, text};
use dumpmap::report::{BaselineReport, CheckReport, CheckedDump};
use dumpmap::rules::Severity;

use super::{Done, Failure, Format, Options, at_path, dump_files, input, output, supported};

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 passed, 1 failed, 2 a file could not be read or the \
    command is wrong.\nFigures are the names of `summary -f json`: free.largest, total.private, \
    heap.committed, dump.threads … Sizes: 64M (M = MiB = 2^20), 1.5GiB, 0x4000.")]
pub(super) struct Check {
    /// Dumps, and folders to look for dumps in; - reads standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
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
    let found = dump_files::find(&args.paths);
    if found.is_empty() {
        let paths: Vec<_> = args.paths.iter().map(|path| path.to_string_lossy()).collect();
        let paths = dumpmap::render::sanitize::terminal(&paths.join(", ")).into_owned();
        return Err(Failure::Message(format!("{paths}: no dump in there")));
    }
    let mut seen = BTreeSet::new();
    let mut dumps = Vec::new();
    for file in &found {
        let checked = match file {
            Ok(path) => one(args, options, path, &policy, &baseline, &mut seen),
            Err((path, error)) => Err((path, error.to_string())),
        };
        dumps.push(checked.or_else(|(path, error)| {
            let privacy = input::privacy(options);
            let row = CheckedDump::unreadable(path.as_os_str(), privacy, error);
            let error = row.error.as_deref().unwrap_or("");
            let safe = dumpmap::render::sanitize::terminal(&row.path).into_owned();
            let _ = output::complain(&format!("{safe}: {error}"));
            Ok::<_, Failure>(row)
        })?);
    }
    let report = CheckReport::of(dumps);
    let mut inputs: Vec<&Path> = found.iter().flatten().map(PathBuf::as_path).collect();
    inputs.extend(args.policy.as_deref());
    if let Some(path) = &args.write_baseline {
        let accepted = Baseline { accepted: seen };
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

/// The row of one dump; it holds nothing of the dump when it is done. The
/// findings that a baseline has to hold are added to `seen`.
fn one<'p>(
    args: &Check,
    options: &Options,
    path: &'p PathBuf,
    policy: &Policy,
    baseline: &Baseline,
    seen: &mut BTreeSet<Fingerprint>,
) -> Result<CheckedDump, (&'p PathBuf, String)> {
    let failed = |what: String| (path, what);
    let source = input::source(path, options).map_err(|error| failed(error.to_string()))?;
    let mut check = || {
        let limits = input::limits(options);
        let analysis = analyze_with(&source, &limits, &policy.thresholds)
            .map_err(|error| failed(error.to_string()))?;
        let mut judged = policy::judge(&analysis, policy, baseline);
        if args.write_baseline.is_some() {
            for of in &mut judged.findings {
                if matches!(of.standing, Standing::Failed | Standing::Accepted) {
                    of.standing = Standing::Accepted;
                    seen.insert(of.fingerprint.clone());
                }
            }
        }
        Ok(CheckedDump::of(&input::input(&analysis, path, options), policy, &judged))
    };
    // A mistake of ours in one dump must not keep the others from being checked.
    catch_unwind(AssertUnwindSafe(&mut check))
        .unwrap_or_else(|_| Err(failed("internal error: please report it with this dump".into())))
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
