//! `heaps`: one row a heap, from headers and segments.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::HeapsReport;

use super::{Done, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Heaps {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
}

pub(super) fn run(args: &Heaps, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("heaps", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let source = input::open(&args.dump)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let report = HeapsReport::of(&input::input(&analysis, &args.dump, options));
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(&report.heaps, out),
        Csv => csv::rows(&report.heaps, out),
        Markdown => out.write_all(markdown::table(&text::heaps_table(&report)).as_bytes()),
        _ => out.write_all(text::heaps(&report, paint).as_bytes()),
    })
}
