//! `schema`: the JSON schemas of what the other commands print.

use clap::{Args, ValueEnum};

use super::{Done, Options, output};

#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Whose output; without it the list of all
    command: Option<Document>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Document {
    Summary,
    Regions,
    Explain,
    Crash,
    Stacks,
    Images,
    Heaps,
    Unexplained,
    Fits,
    Diff,
    Streams,
    Check,
    Scan,
    ScanGroups,
    Rules,
}

pub(super) fn run(args: &Schema, options: &Options) -> Done {
    let text = match args.command {
        None => include_str!("../../schema/README.md"),
        Some(Document::Summary) => include_str!("../../schema/summary.json"),
        Some(Document::Regions) => include_str!("../../schema/regions.json"),
        Some(Document::Explain) => include_str!("../../schema/explain.json"),
        Some(Document::Crash) => include_str!("../../schema/crash.json"),
        Some(Document::Stacks) => include_str!("../../schema/stacks.json"),
        Some(Document::Images) => include_str!("../../schema/images.json"),
        Some(Document::Heaps) => include_str!("../../schema/heaps.json"),
        Some(Document::Unexplained) => include_str!("../../schema/unexplained.json"),
        Some(Document::Fits) => include_str!("../../schema/fits.json"),
        Some(Document::Diff) => include_str!("../../schema/diff.json"),
        Some(Document::Streams) => include_str!("../../schema/streams.json"),
        Some(Document::Check) => include_str!("../../schema/check.json"),
        Some(Document::Scan) => include_str!("../../schema/scan.json"),
        Some(Document::ScanGroups) => include_str!("../../schema/scan-groups.json"),
        Some(Document::Rules) => include_str!("../../schema/rules.json"),
    };
    output::write(options, &[], |out, _| out.write_all(text.as_bytes()))
}
