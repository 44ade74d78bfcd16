//! `images`: one row an image, with its sections if you like.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::text::ImageRows;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::ImagesReport;

use super::{Done, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Images {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
    /// Lists the sections of each image too
    #[arg(long)]
    sections: bool,
}

pub(super) fn run(args: &Images, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("images", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let report = ImagesReport::of(&input::input(&analysis, &args.dump, options));
    let rows = if args.sections { ImageRows::Sections } else { ImageRows::Images };
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(report.images.iter(), out),
        Csv => csv::rows(report.images.iter(), out),
        Markdown => out.write_all(markdown::table(&text::images_table(&report, rows)).as_bytes()),
        _ => out.write_all(text::images(&report, rows, paint).as_bytes()),
    })
}
