//! `stacks`: one row a thread's stack.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::StacksReport;

use super::{Done, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Stacks {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
}

pub(super) fn run(args: &Stacks, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("stacks", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let report = StacksReport::of(&input::input(&analysis, &args.dump, options));
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(report.stacks.iter(), out),
        Csv => csv::rows(report.stacks.iter(), out),
        Markdown => out.write_all(markdown::table(&text::stacks_table(&report)).as_bytes()),
        _ => out.write_all(text::stacks(&report, paint).as_bytes()),
    })
}
