//! `report`: one page to look at, complete in itself.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use dumpmap::render::html;
use dumpmap::report::{Names, PageReport};

use super::{Done, Failure, Format, Options, input, output, supported};

#[derive(Debug, Args)]
#[command(after_help = "The page needs no network and no other file: send it, print it, keep it. \
    Its first screen needs no JavaScript.\n\n  dumpmap report crash.dmp -o crash.html")]
pub(super) struct Report {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
}

pub(super) fn run(args: &Report, options: &Options) -> Done {
    // HTML is the only format; `text` is what all commands have by default.
    if options.format != Format::Text {
        supported("report", options.format, &[Format::Html])?;
    }
    if options.output.is_none() && io::stdout().is_terminal() {
        let message = "report: a page is not for a terminal; give it a file: -o crash.html";
        return Err(Failure::Message(message.into()));
    }
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let input = input::input(&analysis, &args.dump, options);
    let names = Names::of(&input);
    let report = PageReport::of(&names).map_err(Failure::Message)?;
    output::write(options, &[&args.dump], |out, _| html::page(&report, &names, out))
}
