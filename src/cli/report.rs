//! `report`: one page to look at, complete in itself: of a dump, of many, or
//! of what grew between two.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use dumpmap::Analysis;
use dumpmap::batch::{self, Outcome};
use dumpmap::diff::{Question, Rows, RunChoice, Sort};
use dumpmap::inputs::{self, Links};
use dumpmap::render::html::{self, Linked};
use dumpmap::report::scan::ScanRow;
use dumpmap::report::{Input, Names, PageReport, Privacy, redact};

use super::inputs::processors;
use super::{Done, Failure, Format, Options, at_path, diff, input, output, supported};

#[derive(Debug, Args)]
#[command(after_help = "A page needs no network and no other file: send it, print it, keep it. \
    Its first screen needs no JavaScript.\n\n  \
    dumpmap report crash.dmp -o crash.html\n  \
    dumpmap report --diff before.dmp after.dmp -o growth.html\n  \
    dumpmap report crashes/ --pages -o crashes.html\n\n\
    Exit codes: 0 done, 2 a dump could not be read, or the command is wrong.")]
pub(super) struct Report {
    /// A .dmp file; or a folder, a pattern, or several, for one row a dump;
    /// - reads standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What grew between the dumps, oldest first
    #[arg(long)]
    diff: bool,
    /// Of many: also the page of each dump, in a folder beside the page
    #[arg(long, conflicts_with = "diff")]
    pages: bool,
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
    if args.diff {
        return growth(&args.paths, options);
    }
    let given = args.paths.clone();
    let mut found = inputs::find(given.into_iter().map(Ok), Links::PassOver, None).peekable();
    match &args.paths[..] {
        [path] if !args.pages && found.peek().is_some_and(|input| is_one(path, input)) => {
            one(path, options)
        }
        paths => many(paths, found, args.pages, options),
    }
}

/// Whether a path stands for itself: it is no folder and no pattern.
fn is_one(path: &Path, first: &inputs::Input) -> bool {
    first.name() == path.as_os_str() && !path.is_dir()
}

fn one(path: &Path, options: &Options) -> Done {
    let source = input::open(path, options)?;
    let analysis = input::load(&source, path, options)?;
    let input = input::input(&analysis, path, options);
    let names = Names::of(&input);
    let report = PageReport::of(&names).map_err(Failure::Message)?;
    output::write(options, &[path], |out, _| html::page(&report, &names, out))
}

fn growth(paths: &[PathBuf], options: &Options) -> Done {
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let question = Question {
        run: RunChoice::Decide,
        top: html::DIFF_ROWS,
        min: 0,
        sort: Sort::Committed,
        rows: Rows::Alike,
    };
    let report = diff::report(&paths, &question, options)?;
    output::write(options, &paths, |out, _| html::diff(&report, out))
}

fn many(
    paths: &[PathBuf],
    found: impl Iterator<Item = inputs::Input> + Send + 'static,
    pages: bool,
    options: &Options,
) -> Done {
    let folder = if pages { Some(Arc::new(pages_beside(options)?)) } else { None };
    let privacy = input::privacy(options);
    let batch = batch::Options {
        workers: processors(),
        limits: input::limits(options),
        ..batch::Options::default()
    };
    let rows = batch::rows(found, &batch, move |path, analysis| match analysis {
        Ok(analysis) => {
            let row = ScanRow::of(&Input { analysis, path, privacy }, &[]);
            let page = folder.as_ref().map(|folder| page(folder, path, analysis, privacy));
            (row, page)
        }
        Err(error) => (ScanRow::failed(path, privacy, &error), None),
    });
    let rows = rows.map_err(|error| Failure::Message(format!("report: cannot start: {error}")))?;
    let mut linked = Vec::new();
    for outcome in rows {
        let Outcome::Row((row, page)) = outcome else { continue };
        let page = page.transpose()?;
        linked.push(Linked { row, page });
    }
    if linked.is_empty() {
        return Err(Failure::Message("report: no dump found".into()));
    }
    let title: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    let title = match privacy {
        Privacy::Full => title.join(", "),
        Privacy::Redacted => redact::redact(&title.join(", ")).into_owned(),
    };
    let inputs: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    output::write(options, &inputs, |out, _| html::folder(&title, &linked, out))?;
    let failed = linked.iter().filter(|linked| linked.row.dump().is_none()).count();
    if failed > 0 {
        let _ =
            output::complain(&format!("report: {failed} could not be read; their rows say why"));
        return Err(Failure::Code(2));
    }
    Ok(())
}

/// The folder for pages of single dumps: `crashes-pages` for `crashes.html`.
fn pages_beside(options: &Options) -> Result<PathBuf, Failure> {
    let output = options.output.as_deref().filter(|path| path.as_os_str() != "-");
    let Some(stem) = output.and_then(Path::file_stem) else {
        let message = "report: --pages needs a file to put them beside: -o crashes.html";
        return Err(Failure::Message(message.into()));
    };
    let mut name = stem.to_os_string();
    name.push("-pages");
    let folder = output.map_or_else(PathBuf::new, |path| path.with_file_name(name));
    fs::create_dir_all(&folder)
        .map_err(|error| at_path(&folder, format!("cannot make the folder: {error}")))?;
    Ok(folder)
}

/// Writes the page of one dump; its place as seen from the page of all.
fn page(
    folder: &Path,
    path: &OsStr,
    analysis: &Analysis<'_>,
    privacy: Privacy,
) -> Result<String, Failure> {
    let name = page_name(path);
    let input = Input { analysis, path, privacy };
    let names = Names::of(&input);
    let report = PageReport::of(&names).map_err(Failure::Message)?;
    output::replace(&folder.join(&name), |out| html::page(&report, &names, out))?;
    let beside = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{}/{name}", link(&beside)))
}

/// A name of plain characters, and a number that is the path's own: dumps of
/// two folders may be called the same.
fn page_name(path: &OsStr) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let shown = Path::new(path).file_name().unwrap_or(path).to_string_lossy();
    let shown: String = shown.chars().take(60).map(plain).collect();
    let hash = inputs::fnv1a(path.as_encoded_bytes().iter().copied());
    format!("{}-{hash:016x}.html", shown.trim_matches('.'))
}

/// A file name in a link: everything but plain characters in percent signs.
fn link(name: &str) -> String {
    dumpmap::render::sanitize::uri(name)
}
