//! `scan`: many dumps, one row each, as they come.

mod aside;
mod isolated;
#[cfg(feature = "parquet")]
mod parts;
mod progress;
mod resume;
mod rows;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use dumpmap::batch::{self, Outcome};
use dumpmap::limits::{Depth, Limits};
use dumpmap::report::Input;
use dumpmap::report::scan::{COLUMNS, Column, GroupBy, Nested, Order, ScanRow, column};
use dumpmap::size::count;

use super::inputs::Inputs;
use super::{Done, Failure, Options, input, output};
use isolated::Isolated;
use progress::Progress;
use resume::Held;
use tally::Tally;

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 every dump has a row with its figures, 2 one could not be \
    read, or the command is wrong.\nColumns: `dumpmap schema scan`. Ctrl-C ends a run after the \
    dumps that have begun.")]
pub(super) struct Scan {
    #[command(flatten)]
    inputs: Inputs,
    /// Sorts by a column: figures largest first, words from A to Z
    #[arg(long, value_name = "COLUMN", value_parser = sorted_by)]
    sort: Option<&'static Column>,
    /// Sorts the other way around
    #[arg(long, requires = "sort")]
    reverse: bool,
    /// Only the first N rows; of those with most private bytes without --sort
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// One row a group, with percentiles of its figures and what is far from
    /// their median
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["sort", "top"])]
    group_by: Option<By>,
    /// Also lists of objects, for jsonl and parquet
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with_all = ["sort", "top", "group_by"])]
    with: Vec<List>,
    /// Also a hash of header, directory and streams: the same for copies
    #[arg(long)]
    hash: bool,
    /// Goes on with the output of a run that was ended: -o, jsonl, csv, parquet
    #[arg(long)]
    resume: bool,
    /// Reads each file in a process of its own
    #[arg(long)]
    isolate: bool,
    /// With --isolate: seconds that one file may take
    #[arg(long, value_name = "SECONDS", default_value = "60", requires = "isolate")]
    timeout: std::num::NonZeroU64,
    /// With --isolate: memory that one file may need, where the system can
    /// bound it
    #[arg(long, value_name = "SIZE", value_parser = super::values::size, default_value = "1G")]
    memory_limit: u64,
    /// What --isolate starts
    #[arg(long, hide = true, value_name = "KIND")]
    isolated: Option<String>,
    /// A file that cannot be read does not change the exit code
    #[arg(long)]
    ignore_unreadable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The crash signature
    Signature,
    /// The program
    Process,
    /// The program and its version
    Version,
    /// Why memory ran out
    Verdict,
    /// The program and how much of each kind it has: similar maps
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum List {
    /// Every piece of the map
    Regions,
    /// The findings with their messages
    Findings,
    /// The threads with their stacks
    Threads,
    /// The modules
    Modules,
}

pub(super) fn run(args: &Scan, options: &Options) -> Done {
    if args.resume && options.redact {
        let why =
            "scan: --resume cannot be used with --redact: redacted paths do not tell files apart";
        return Err(Failure::Message(why.into()));
    }
    if args.isolated.is_some() {
        isolated::limit_memory(args.memory_limit);
    }
    let (target, held) = rows::open(args, options)?;
    let before = held.rows();
    let mut members = held.members();
    let mut progress = Progress::new(args, options)?;
    let stop = stop_on_interrupt(progress.beside());
    let mut tally = Tally::default();
    let counted = start(args, options, held, &stop)?.filter_map(|outcome| match outcome {
        Outcome::Row(row) if members.take(&row.path) => None,
        Outcome::Row(row) => {
            progress.row(&row);
            tally.row(&row);
            Some(row)
        }
        Outcome::PassedOver(reason) => {
            progress.passed_over();
            tally.passed_over(reason);
            None
        }
    });
    let written = rows::write(args, options, target, counted);
    progress.finish();
    match written {
        // Nobody reads the rows any more; that is no failure of theirs.
        Ok(()) | Err(Failure::BrokenPipe) => {}
        Err(other) => return Err(other),
    }
    let earlier = match before {
        0 => String::new(),
        before => format!(" and {} of an earlier run", count(before, "row")),
    };
    let _ = output::complain(&format!("{tally}{earlier}"));
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::Message("scan: interrupted; the rows are those done by then".into()));
    }
    if args.isolated.is_some() && tally.rows() == 0 {
        return Err(Failure::Code(isolated::PASSED_OVER as u8));
    }
    if tally.rows() + before == 0 {
        return Err(Failure::Message("scan: no dump found".into()));
    }
    if tally.failed() > 0 && !args.ignore_unreadable {
        return Err(Failure::Code(2));
    }
    Ok(())
}

fn start(
    args: &Scan,
    options: &Options,
    held: Held,
    stop: &Arc<AtomicBool>,
) -> Result<batch::Rows<ScanRow>, Failure> {
    let privacy = input::privacy(options);
    let limits = input::limits_or(options, Depth::Streams);
    // Sections are not in the rows; a runtime is looked for in them.
    let section_runs = limits.depth > Depth::Streams || !args.with.is_empty();
    let batch = batch::Options {
        workers: args.inputs.workers(),
        limits: Limits { strip_cells: 1, section_runs, ..limits },
        stop: Arc::clone(stop),
        // Rows with lists are large.
        waiting: if args.with.is_empty() { 1024 } else { 8 },
        ..batch::Options::default()
    };
    let (nested, hash) = (args.nested(), args.hash);
    let inputs = held.skip(args.found()?);
    let cannot = |error| Failure::Message(format!("scan: cannot start: {error}"));
    if args.isolate {
        let isolated = Isolated::new(args, options)?;
        let rows = batch::each(inputs, &batch, move |input, put| isolated.rows(input, put));
        return rows.map_err(cannot);
    }
    let rows = batch::rows(inputs, &batch, move |path, analysis| match analysis {
        Ok(analysis) => {
            let row = ScanRow::of(&Input { analysis, path, privacy }, &nested);
            if hash { row.with_id(&analysis.dump) } else { row }
        }
        Err(error) => ScanRow::failed(path, privacy, &error),
    });
    rows.map_err(cannot)
}

/// Set by the first Ctrl-C; the second ends the program at once.
fn stop_on_interrupt(say: impl Fn(&str) + Send + 'static) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    // Without a handler Ctrl-C ends the program, as it does everywhere.
    let _ = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say("finishing the dumps that have begun; Ctrl-C again ends it now");
    });
    stop
}

impl Scan {
    /// The inputs; the one file of a process of its own.
    fn found(&self) -> Result<Box<dyn Iterator<Item = dumpmap::inputs::Input> + Send>, Failure> {
        match (&self.isolated, self.inputs.paths.first()) {
            (Some(kind), Some(path)) => {
                Ok(Box::new(std::iter::once(dumpmap::inputs::Input::of_kind(kind, path))))
            }
            _ => self.inputs.find(),
        }
    }

    fn order(&self) -> Option<Order> {
        let usual = || self.top.and_then(|_| column("total_private"));
        let column = self.sort.or_else(usual)?;
        Some(Order { column, reverse: self.reverse, top: self.top })
    }

    /// In the order of the columns, each once.
    fn nested(&self) -> Vec<Nested> {
        let mut nested: Vec<Nested> = self
            .with
            .iter()
            .map(|list| match list {
                List::Regions => Nested::Regions,
                List::Findings => Nested::Findings,
                List::Threads => Nested::Threads,
                List::Modules => Nested::Modules,
            })
            .collect();
        nested.sort_unstable();
        nested.dedup();
        nested
    }

    fn group_by(&self) -> Option<GroupBy> {
        self.group_by.map(|by| match by {
            By::Signature => GroupBy::Signature,
            By::Process => GroupBy::Process,
            By::Version => GroupBy::Version,
            By::Verdict => GroupBy::Verdict,
            By::Map => GroupBy::Map,
        })
    }
}

fn sorted_by(name: &str) -> Result<&'static Column, String> {
    column(name).ok_or_else(|| {
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        format!("there is no such column; there are {}", names.join(", "))
    })
}
