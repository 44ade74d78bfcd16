//! `crash`: why the process died.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::{CrashReport, Names};

use super::{Done, Failure, Format, Options, at_path, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Crash {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
    /// Names functions from Breakpad files DIR/app.pdb/DEBUGID/app.sym; may be
    /// given more than once
    #[arg(long, value_name = "DIR")]
    #[cfg_attr(not(feature = "symbols"), arg(hide = true))]
    symbols: Vec<PathBuf>,
}

pub(super) fn run(args: &Crash, options: &Options) -> Done {
    use Format::{Csv, Json, Markdown, Text};
    let format = supported("crash", options.format, &[Text, Json, Csv, Markdown])?;
    check_folders(&args.symbols)?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let names = Names::of(&input::input(&analysis, &args.dump, options));
    #[cfg(feature = "symbols")]
    let report = match args.symbols.as_slice() {
        [] => CrashReport::of(&names),
        folders => CrashReport::with_symbols(&names, folders),
    };
    #[cfg(not(feature = "symbols"))]
    let report = CrashReport::of(&names);
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Csv => csv::rows(&report.frames, out),
        Markdown => out.write_all(markdown::crash(&report).as_bytes()),
        _ => out.write_all(text::crash(&report, paint).as_bytes()),
    })
}

/// A mistyped folder must not look like one without symbols.
fn check_folders(folders: &[PathBuf]) -> Done {
    if cfg!(not(feature = "symbols")) && !folders.is_empty() {
        return Err(Failure::Message(
            "crash: --symbols needs a dumpmap that has the feature `symbols`, as the released \
             programs do: cargo install --path . --features symbols"
                .into(),
        ));
    }
    for folder in folders {
        match folder.metadata() {
            Ok(of) if of.is_dir() => {}
            Ok(_) => return Err(at_path(folder, "is no folder; give --symbols a folder")),
            Err(error) => return Err(at_path(folder, format!("cannot read the folder: {error}"))),
        }
    }
    Ok(())
}
