//! `crash`: why the process died.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::{CrashReport, Names};

use super::{Done, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Crash {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
}

pub(super) fn run(args: &Crash, options: &Options) -> Done {
    use Format::{Csv, Json, Markdown, Text};
    let format = supported("crash", options.format, &[Text, Json, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let names = Names::of(&input::input(&analysis, &args.dump, options));
    let report = CrashReport::of(&names);
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Csv => csv::rows(&report.frames, out),
        Markdown => out.write_all(markdown::crash(&report).as_bytes()),
        _ => out.write_all(text::crash(&report, paint).as_bytes()),
    })
}
