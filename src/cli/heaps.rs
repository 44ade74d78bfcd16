//! `heaps`: one row a heap, from headers, segments and entries; or every block.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::{
    AddressText, BlockView, Entries, HeapsQuery, HeapsReport, Input, Sizes, blocks,
};

use super::{Depth, Done, Failure, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Heaps {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
    /// Counts the entries of every heap; without it of heaps up to 16 MiB
    #[arg(long)]
    walk: bool,
    /// Counts no entries
    #[arg(long, conflicts_with_all = ["walk", "sizes", "blocks"])]
    no_walk: bool,
    /// Also the sizes of busy blocks, those with most bytes first
    #[arg(long)]
    sizes: bool,
    /// Only the heap with this handle, or with this address in it
    #[arg(long, value_name = "ADDRESS", value_parser = AddressText::parse)]
    heap: Option<AddressText>,
    /// Every block instead, one JSON object a line
    #[arg(long, conflicts_with = "sizes")]
    blocks: bool,
}

pub(super) fn run(args: &Heaps, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let formats: &[Format] =
        if args.blocks { &[Text, Jsonl, Csv] } else { &[Text, Json, Jsonl, Csv, Markdown] };
    let format = supported("heaps", options.format, formats)?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let input = input::input(&analysis, &args.dump, options);
    let failed = |what| Failure::Message(format!("heaps: {what}"));
    let heap =
        args.heap.as_ref().map(|heap| heap.resolve(&analysis)).transpose().map_err(failed)?;
    if args.blocks {
        return output::write(options, &[&args.dump], |out, _| {
            all_blocks(&input, heap, format, out)
        });
    }
    let entries = match () {
        () if args.no_walk => Entries::None,
        () if args.walk || args.sizes || options.depth == Some(Depth::Walk) => Entries::All,
        () => Entries::IfSmall,
    };
    let sizes = if args.sizes { Sizes::Histogram } else { Sizes::No };
    let report = HeapsReport::of(&input, &HeapsQuery { heap, entries, sizes }).map_err(failed)?;
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(&report.heaps, out),
        Csv => csv::rows(&report.heaps, out),
        Markdown => {
            out.write_all(markdown::table(&text::heaps_table(&report)).as_bytes())?;
            if report.managed.is_empty() {
                return Ok(());
            }
            writeln!(out)?;
            out.write_all(markdown::table(&text::managed_table(&report)).as_bytes())
        }
        _ => out.write_all(text::heaps(&report, paint).as_bytes()),
    })
}

/// Blocks are written as they come.
fn all_blocks(
    input: &Input<'_>,
    heap: Option<u64>,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut written = Ok(());
    let mut each = |write: &mut dyn FnMut(&BlockView) -> io::Result<()>| {
        blocks(input, heap, |block| {
            if written.is_ok() {
                written = write(block);
            }
        })
    };
    let found = if format == Format::Csv {
        let mut lines = csv::Lines::new(out);
        let found = each(&mut |block| lines.row(&serde_json::to_vec(block)?));
        lines.finish()?;
        found
    } else {
        each(&mut |block| json::lines(std::slice::from_ref(block), out))
    };
    found.map_err(io::Error::other).and(written)
}
