//! `unexplained`: the private memory that nobody explains, described.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::{FirstBytes, UnexplainedReport};
use dumpmap::unexplained::Request;

use super::{Done, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Unexplained {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
    /// How many families are listed
    #[arg(long, value_name = "N", default_value = "10")]
    top: usize,
    /// Also counts the pointers to them, in stacks and modules' data
    #[arg(long)]
    pointers: bool,
    /// Also shows the first 16 bytes of each family, as text
    #[arg(long)]
    first_bytes: bool,
}

pub(super) fn run(args: &Unexplained, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("unexplained", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let request = Request { top: args.top, pointers: args.pointers };
    let input = input::input(&analysis, &args.dump, options);
    let report = UnexplainedReport::of(&input, request, first_bytes(args.first_bytes));
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(&report.families, out),
        Csv => csv::rows(&report.families, out),
        Markdown => out.write_all(markdown::table(&text::families_table(&report)).as_bytes()),
        _ => out.write_all(text::unexplained(&report, paint).as_bytes()),
    })
}

/// Contents of memory are shown only when somebody asks for them.
pub(super) fn first_bytes(asked: bool) -> FirstBytes {
    if asked { FirstBytes::Shown } else { FirstBytes::Hidden }
}
