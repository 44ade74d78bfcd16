//! `diff`: what grew between dumps. Keeps the first and the last open; of
//! those between only sums are held.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dumpmap::Analysis;
use dumpmap::diff::{Question, Rows, RunChoice, Snapshot, Sort, diff};
use dumpmap::owner::Owners;
use dumpmap::render::text::DiffTables;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::{DiffReport, DumpView, Ends};

use super::{Done, Failure, Format, Options, input, output, supported, values};

#[derive(Debug, Args)]
#[command(after_help = "Dumps of one run are compared by address; those of two runs by names and \
    shapes, because addresses differ. With more than two dumps each kind and owner gets a slope. \
    jsonl and csv give the rows of --by, owners without it. The exit code is 0 whether there is a \
    difference or not: 2 means that a file could not be read or the command is wrong.")]
pub(super) struct Diff {
    /// Two or more .dmp files, oldest first; - reads standard input
    #[arg(required = true, num_args = 2.., value_name = "DUMP")]
    dumps: Vec<PathBuf>,
    /// Compares by address, whatever the dumps say
    #[arg(long, conflicts_with = "other_run")]
    same_run: bool,
    /// Compares by names and shapes, whatever the dumps say
    #[arg(long)]
    other_run: bool,
    /// Only this table
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// How many owners and regions that grew, and how many that shrank, are
    /// listed [default: 10; all in json, jsonl and csv]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Only owners and regions that changed by at least this much, such as 64K
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "0",
        hide_default_value = true)]
    min: u64,
    /// Which growth counts
    #[arg(long, value_name = "KEY", default_value = "committed")]
    sort: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Kinds of memory
    Kind,
    /// Images, threads, heaps, families of allocations
    Owner,
    /// Runs of bytes, with their addresses
    Region,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Key {
    /// Committed memory
    Committed,
    /// Address space, reserved included
    Size,
}

/// Rows of each sort in text and Markdown.
const TOP: usize = 10;

pub(super) fn run(args: &Diff, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("diff", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let paths: Vec<&Path> = args.dumps.iter().map(PathBuf::as_path).collect();
    let all = matches!(format, Json | Jsonl | Csv);
    let question = Question {
        run: match (args.same_run, args.other_run) {
            (true, _) => RunChoice::Same,
            (_, true) => RunChoice::Other,
            _ => RunChoice::Decide,
        },
        top: args.top.unwrap_or(if all { usize::MAX } else { TOP }),
        min: args.min,
        sort: match args.sort {
            Key::Committed => Sort::Committed,
            Key::Size => Sort::Size,
        },
        rows: if all { Rows::Each } else { Rows::Alike },
    };
    let report = report(&paths, &question, options)?;
    let tables = match args.by {
        None => DiffTables::All,
        Some(By::Kind) => DiffTables::Kinds,
        Some(By::Owner) => DiffTables::Owners,
        Some(By::Region) => DiffTables::Regions,
    };
    output::write(options, &paths, |out, paint| match (format, args.by) {
        (Json, _) => json::document(&report, out),
        (Jsonl, Some(By::Kind)) => json::lines(&report.kinds, out),
        (Jsonl, Some(By::Region)) => json::lines(&report.regions, out),
        (Jsonl, _) => json::lines(&report.owners, out),
        (Csv, Some(By::Kind)) => csv::rows(&report.kinds, out),
        (Csv, Some(By::Region)) => csv::rows(&report.regions, out),
        (Csv, _) => csv::rows(&report.owners, out),
        (Markdown, _) => out.write_all(markdown::diff(&report, tables).as_bytes()),
        _ => out.write_all(text::diff(&report, tables, paint).as_bytes()),
    })
}

/// The report on dumps, oldest first.
pub(super) fn report(
    paths: &[&Path],
    question: &Question,
    options: &Options,
) -> Result<DiffReport, Failure> {
    let (first_path, last_path) = ends(paths)?;
    let (first_source, last_source) =
        (input::open(first_path, options)?, input::open(last_path, options)?);
    let first = input::load(&first_source, first_path, options)?;
    let last = input::load(&last_source, last_path, options)?;
    let (first_owners, last_owners) = (Owners::of(&first), Owners::of(&last));

    let mut heads = Vec::with_capacity(paths.len());
    let mut snapshots = Vec::with_capacity(paths.len());
    let mut take = |analysis: &Analysis<'_>, owners: &Owners<'_>, path: &Path| {
        heads.push(DumpView::of(&input::input(analysis, path, options)).into_owned());
        snapshots.push(Snapshot::of(analysis, owners));
    };
    take(&first, &first_owners, first_path);
    for path in paths.iter().take(paths.len() - 1).skip(1) {
        let source = input::open(path, options)?;
        let analysis = input::load(&source, path, options)?;
        take(&analysis, &Owners::of(&analysis), path);
    }
    take(&last, &last_owners, last_path);

    let diff = diff((&first, &first_owners), (&last, &last_owners), &snapshots, question);
    let ends = Ends {
        first: input::input(&first, first_path, options),
        first_owners: &first_owners,
        last: input::input(&last, last_path, options),
        last_owners: &last_owners,
    };
    Ok(DiffReport::of(&ends, heads, &snapshots, &diff))
}

/// The first and the last; standard input can be only one of all.
fn ends<'p>(paths: &[&'p Path]) -> Result<(&'p Path, &'p Path), Failure> {
    if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Failure::Message("diff: - is given twice: standard input is one dump".into()));
    }
    match paths {
        [first, .., last] => Ok((first, last)),
        _ => Err(Failure::Message("diff: give two dumps or more".into())),
    }
}
