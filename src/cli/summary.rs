//! `summary`: what took the address space.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::SummaryReport;

use super::{Done, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Summary {
    /// A .dmp file; - reads standard input
    pub(super) dump: PathBuf,
}

pub(super) fn run(args: &Summary, options: &Options) -> Done {
    use Format::{Csv, Json, Markdown, Text};
    let format = supported("summary", options.format, &[Text, Json, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let report = SummaryReport::of(&input::input(&analysis, &args.dump, options));
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Csv => csv::rows(&report.summary.kinds, out),
        Markdown => out.write_all(markdown::summary(&report).as_bytes()),
        _ => out.write_all(text::summary(&report, paint).as_bytes()),
    })
}
