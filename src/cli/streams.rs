//! `streams`: what the file holds, what it lacks, and how to capture that.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::StreamsReport;

use super::{Done, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Streams {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
}

pub(super) fn run(args: &Streams, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("streams", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let report = StreamsReport::of(&input::input(&analysis, &args.dump, options));
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(&report.streams, out),
        Csv => csv::rows(&report.streams, out),
        Markdown => out.write_all(markdown::table(&text::streams_table(&report)).as_bytes()),
        _ => out.write_all(text::streams(&report, paint).as_bytes()),
    })
}
