//! `heaps`: one row a heap, from headers, segments and entries; or every block.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::{
    AddressText, BlockView, Entries, HeapsQuery, HeapsReport, Input, Sizes, blocks, bytes_to_walk,
};
use indicatif::{ProgressBar, ProgressStyle};

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
    let all = args.walk || args.sizes || args.blocks || options.depth == Some(Depth::Walk);
    let entries = match () {
        () if args.no_walk => Entries::None,
        () if all => Entries::All,
        () => Entries::IfSmall,
    };
    let bytes = bytes_to_walk(&input, heap, entries).map_err(failed)?;
    let rows_to_terminal = args.blocks && options.output.is_none() && io::stdout().is_terminal();
    let progress = Progress::of(if rows_to_terminal { 0 } else { bytes });
    if args.blocks {
        return output::write(options, &[&args.dump], |out, _| {
            all_blocks(&input, heap, format, &progress, out)
        });
    }
    let sizes = if args.sizes { Sizes::Histogram } else { Sizes::No };
    let query = HeapsQuery { heap, entries, sizes };
    let report =
        HeapsReport::of(&input, &query, &mut |bytes| progress.read(bytes)).map_err(failed)?;
    drop(progress);
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

/// How far a long walk is, on a terminal's standard error.
struct Progress(Option<ProgressBar>);

impl Progress {
    /// Walks of fewer bytes take no time to speak of.
    const LONG: u64 = 64 << 20;

    fn of(bytes: u64) -> Progress {
        let quiet = !io::stderr().is_terminal() || std::env::var_os("CI").is_some();
        if quiet || bytes < Self::LONG {
            return Progress(None);
        }
        let bar = ProgressBar::new(bytes);
        let style =
            ProgressStyle::with_template("walking heaps {binary_bytes} of {binary_total_bytes}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress(Some(bar))
    }

    fn read(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Blocks are written as they come.
fn all_blocks(
    input: &Input<'_>,
    heap: Option<u64>,
    format: Format,
    progress: &Progress,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut written = Ok(());
    let mut each = |write: &mut dyn FnMut(&BlockView) -> io::Result<()>| {
        blocks(input, heap, &mut |bytes| progress.read(bytes), |block| {
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
