//! The command line: what is asked, where the answer goes, and the exit code.
//! One command is one file; it loads an analysis, makes a report and chooses a
//! renderer.

mod check;
mod completions;
mod crash;
mod deferred;
mod diff;
mod explain;
mod fits;
mod heaps;
mod images;
mod input;
mod inputs;
mod man;
mod output;
mod regions;
mod report;
mod rules;
mod scan;
mod schema;
mod stacks;
mod streams;
mod summary;
mod unexplained;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use deferred::Deferred;

/// VMMap for crash dumps: what took the address space of a process, and how
/// that is known, from its minidump.
#[derive(Debug, Parser)]
#[command(name = "dumpmap", version, arg_required_else_help = true, max_term_width = 80)]
#[command(after_help = "`dumpmap DUMP` is `dumpmap summary DUMP`. `-` reads standard input.")]
struct Cli {
    /// A .dmp file; shows its summary
    dump: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Options {
    /// How the answer is written
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Writes to a file instead of standard output
    #[arg(short, long, global = true, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Colours in text
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// How much memory content is read
    /// [default: headers; scan: streams]
    #[arg(long, global = true, value_name = "DEPTH", hide_possible_values = false)]
    depth: Option<Depth>,
    /// Hides user names, hosts and shares in paths
    #[arg(long, global = true)]
    redact: bool,
    /// How much one dump in an archive may unpack to, whatever the archive's
    /// own size [default: 64G, and 500 times the archive]
    #[cfg(feature = "archives")]
    #[arg(long, global = true, value_name = "SIZE", value_parser = values::size)]
    max_unpacked: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Jsonl,
    Csv,
    Markdown,
    /// One page: `report` only
    Html,
    /// A folder of Parquet files: `scan` only
    #[cfg_attr(not(feature = "parquet"), value(skip))]
    #[cfg_attr(not(feature = "parquet"), allow(dead_code))]
    Parquet,
    /// Annotations of a GitHub workflow: `check` only
    Github,
    /// SARIF 2.1.0: `check` only
    #[cfg_attr(not(feature = "ci"), value(skip))]
    Sarif,
    /// JUnit: `check` only
    #[cfg_attr(not(feature = "ci"), value(skip))]
    Junit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Depth {
    /// Streams only
    Streams,
    /// Also TEBs, PEBs, image and heap headers
    Headers,
    /// Also every entry of every heap
    Walk,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What took the address space: VMMap's table, free memory, findings
    Summary(Deferred<summary::Summary>),
    /// Every piece, region or allocation, filtered and sorted
    Regions(Deferred<Box<regions::Regions>>),
    /// What is at an address, who says so, and who says otherwise
    Explain(Deferred<explain::Explain>),
    /// Why the process died: exception, address, thread, frames
    Crash(Deferred<crash::Crash>),
    /// The stack of each thread
    Stacks(Deferred<stacks::Stacks>),
    /// The images, listed or not, with their sections
    Images(Deferred<images::Images>),
    /// The heaps, from their headers and segments
    Heaps(Deferred<heaps::Heaps>),
    /// The private memory that nobody explains, described
    Unexplained(Deferred<unexplained::Unexplained>),
    /// Would an allocation have fitted, and what splits the free memory
    Fits(Deferred<fits::Fits>),
    /// What grew between dumps of one process or of two runs
    Diff(Deferred<diff::Diff>),
    /// One self-contained page to look at: the map, its tables, the crash
    Report(Deferred<report::Report>),
    /// What the file holds, what it lacks, and how to capture that
    Streams(Deferred<streams::Streams>),
    /// Budgets on figures and rules over many dumps, for CI
    Check(Deferred<Box<check::Check>>),
    /// Many dumps, one row each
    Scan(Deferred<Box<scan::Scan>>),
    /// The rules behind findings, or the manual of one
    Rules(Deferred<rules::Rules>),
    /// The JSON schemas of what the commands print
    Schema(Deferred<schema::Schema>),
    /// Completions for a shell
    Completions(Deferred<completions::Completions>),
    /// The manual page
    Man(Deferred<man::Man>),
}

/// Why a command did not do its work.
#[derive(Debug)]
enum Failure {
    /// Nobody reads the answer any more: not a failure for the exit code.
    BrokenPipe,
    /// What to print after `dumpmap: `.
    Message(String),
    /// The answer is written, and says it; this is the exit code.
    Code(u8),
}

type Done = Result<(), Failure>;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(&cli) {
        Ok(()) | Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(Failure::Message(message)) => {
            let _ = output::complain(&message);
            ExitCode::from(2)
        }
        Err(Failure::Code(code)) => ExitCode::from(code),
    }
}

fn run(cli: &Cli) -> Done {
    let options = &cli.options;
    match (&cli.dump, &cli.command) {
        (Some(_), Some(_)) => Err(Failure::Message(COMMAND_FIRST.into())),
        (Some(dump), None) => summary::run(&summary::Summary { dump: dump.clone() }, options),
        (None, Some(command)) => match command {
            Command::Summary(args) => summary::run(args, options),
            Command::Regions(args) => regions::run(args, options),
            Command::Explain(args) => explain::run(args, options),
            Command::Crash(args) => crash::run(args, options),
            Command::Stacks(args) => stacks::run(args, options),
            Command::Images(args) => images::run(args, options),
            Command::Heaps(args) => heaps::run(args, options),
            Command::Unexplained(args) => unexplained::run(args, options),
            Command::Fits(args) => fits::run(args, options),
            Command::Diff(args) => diff::run(args, options),
            Command::Report(args) => report::run(args, options),
            Command::Streams(args) => streams::run(args, options),
            Command::Check(args) => check::run(args, options),
            Command::Scan(args) => scan::run(args, options),
            Command::Rules(args) => rules::run(args, options),
            Command::Schema(args) => schema::run(args, options),
            Command::Completions(args) => completions::run(args, options),
            Command::Man(args) => man::run(args, options),
        },
        (None, None) => Err(Failure::Message("no dump given: dumpmap DUMP".into())),
    }
}

const COMMAND_FIRST: &str = "a command comes before its dump: dumpmap COMMAND DUMP";

/// Help and version are no errors; everything else is one, with exit code 2.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.kind() == ErrorKind::MissingRequiredArgument && begins_with_a_dump() {
        let _ = output::complain(COMMAND_FIRST);
    }
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// Whether the first word is a file, where a command should be.
fn begins_with_a_dump() -> bool {
    let first = std::env::args_os().nth(1).unwrap_or_default();
    Path::new(&first).is_file() && Cli::command().find_subcommand(&first).is_none()
}

/// The format asked for, when this command has it.
fn supported(command: &str, format: Format, formats: &[Format]) -> Result<Format, Failure> {
    if formats.contains(&format) {
        return Ok(format);
    }
    let name = |format: &Format| {
        format.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    };
    let names: Vec<String> = formats.iter().map(name).collect();
    Err(Failure::Message(format!(
        "{command}: --format {} is not supported; use {}",
        name(&format),
        names.join(", ")
    )))
}

/// `PATH: what`, the path as a terminal may show it.
fn at_path(path: &std::path::Path, what: impl std::fmt::Display) -> Failure {
    // Errors name members of archives, too.
    let message = format!("{}: {what}", path.to_string_lossy());
    Failure::Message(dumpmap::render::sanitize::terminal(&message).into_owned())
}
