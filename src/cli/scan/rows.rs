//! Writes rows as they come, or what they are sorted and summed up to.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use dumpmap::render::{Paint, csv, json, text};
use dumpmap::report::scan::{Groups, GroupsReport, Order, Ordered, ScanRow};

use super::Scan;
use super::aside::Aside;
use super::resume::{self, Held};
use crate::cli::{Failure, Format, Options, at_path, output, supported};

/// Where rows go.
pub(super) enum Target {
    /// Standard output, or a file that appears at the end: what is sorted,
    /// summed up or for people.
    Report(Format),
    /// A file that grows by whole rows, under another name until the end.
    Growing { format: Format, file: File, path: PathBuf, at: PathBuf, headed: bool },
    /// A folder of Parquet files.
    #[cfg(feature = "parquet")]
    Parts(Box<super::parts::Parts>),
}

/// Opens the target, and tells which rows an earlier run left there.
pub(super) fn open(args: &Scan, options: &Options) -> Result<(Target, Held), Failure> {
    let format = format(args, options)?;
    #[cfg(feature = "parquet")]
    if format == Format::Parquet {
        return parts(args, options);
    }
    let to_file = options.output.as_deref().filter(|path| path.as_os_str() != "-");
    let grows = matches!(format, Format::Jsonl | Format::Csv)
        && args.order().is_none()
        && args.group_by.is_none();
    match to_file {
        Some(path) if grows && !is_special(path) => growing(args, format, path),
        _ if args.resume => Err(Failure::Message(
            "scan: --resume needs -o and -f jsonl, csv or parquet, without --sort".into(),
        )),
        _ => Ok((Target::Report(format), Held::default())),
    }
}

/// The format asked for, when rows or groups have it.
fn format(args: &Scan, options: &Options) -> Result<Format, Failure> {
    use Format::{Csv, Json, Jsonl, Text};
    let formats: &[Format] = match args.group_by {
        Some(_) => &[Text, Json, Jsonl],
        None if !args.with.is_empty() => &[
            Jsonl,
            #[cfg(feature = "parquet")]
            Format::Parquet,
        ],
        None => &[
            Text,
            Jsonl,
            Csv,
            #[cfg(feature = "parquet")]
            Format::Parquet,
        ],
    };
    supported("scan", options.format, formats)
}

fn growing(args: &Scan, format: Format, path: &Path) -> Result<(Target, Held), Failure> {
    output::check_target(path, &args.inputs.files())?;
    let failed = |error: io::Error| at_path(path, format!("cannot write the file: {error}"));
    let at = resume::partial(path);
    if args.resume {
        // A run that was killed left rows beside the place; an earlier one in it.
        let from = [&*at, path].into_iter().find(|path| path.exists());
        if let Some(from) = from {
            let (file, headed, held) = resume::open(from, format)
                .map_err(|error| at_path(from, format!("cannot go on with it: {error}")))?;
            let target =
                Target::Growing { format, file, path: path.into(), at: from.into(), headed };
            return Ok((target, held));
        }
    }
    let file = File::create(&at).map_err(failed)?;
    let target = Target::Growing { format, file, path: path.into(), at, headed: false };
    Ok((target, Held::default()))
}

#[cfg(feature = "parquet")]
fn parts(args: &Scan, options: &Options) -> Result<(Target, Held), Failure> {
    let folder = options.output.as_deref().ok_or_else(|| {
        Failure::Message("scan: -f parquet needs -o FOLDER: it is a folder of files".into())
    })?;
    if args.order().is_some() {
        return Err(Failure::Message("scan: --sort and --top are not for -f parquet".into()));
    }
    let mut held = Held::default();
    let goes_on = args.resume.then_some(&mut held);
    let parts = super::parts::Parts::open(folder, &args.nested(), goes_on)
        .map_err(|error| at_path(folder, format!("cannot write to the folder: {error}")))?;
    Ok((Target::Parts(Box::new(parts)), held))
}

/// A device or a pipe cannot be replaced.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Writes the rows.
pub(super) fn write(
    args: &Scan,
    options: &Options,
    target: Target,
    rows: impl Iterator<Item = ScanRow>,
) -> Result<(), Failure> {
    match target {
        Target::Report(format) => {
            let inputs = args.inputs.files();
            output::write(options, &inputs, |out, paint| report(args, format, rows, out, paint))
        }
        Target::Growing { format, file, path, at, headed } => {
            let failed = |error| at_path(&path, format!("cannot write the file: {error}"));
            let mut out = BufWriter::with_capacity(64 << 10, file);
            let mut written = if format == Format::Csv {
                in_csv(rows, headed, &mut out)
            } else {
                in_jsonl(rows, &mut out)
            };
            written = written.and_then(|()| out.flush());
            drop(out);
            if at != path {
                written = written.and_then(|()| fs::rename(&at, &path));
            }
            written.map_err(failed)
        }
        #[cfg(feature = "parquet")]
        Target::Parts(mut parts) => {
            let mut rows = rows;
            let written = rows.try_for_each(|row| parts.add(row)).and_then(|()| parts.finish());
            let folder = options.output.as_deref().unwrap_or(Path::new(""));
            written.map_err(|error| at_path(folder, format!("cannot write to the folder: {error}")))
        }
    }
}

fn report(
    args: &Scan,
    format: Format,
    rows: impl Iterator<Item = ScanRow>,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    match (args.group_by, args.order()) {
        (Some(_), _) => groups(args, format, rows, out, paint),
        (None, None) => each(format, rows, out, paint),
        (None, Some(order)) => sorted(order, format, rows, out, paint),
    }
}

fn each(
    format: Format,
    mut rows: impl Iterator<Item = ScanRow>,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    match format {
        Format::Csv => in_csv(rows, false, out),
        Format::Jsonl => in_jsonl(rows, out),
        _ => {
            let lines = text::ScanLines::new(None);
            out.write_all(lines.heading(paint).as_bytes())?;
            rows.try_for_each(|row| out.write_all(lines.row(&row, paint).as_bytes()))
        }
    }
}

/// A row is larger than its line: lines are put aside until all rows are there.
fn sorted(
    order: Order,
    format: Format,
    mut rows: impl Iterator<Item = ScanRow>,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let lines = text::ScanLines::new(Some(order.column));
    let line = |row: &ScanRow, out: &mut dyn Write| match format {
        Format::Csv => {
            let mut lines = csv::Lines::below(out, true);
            lines.scan_row(row).and_then(|()| lines.finish())
        }
        Format::Jsonl => json::lines([row], out),
        _ => out.write_all(lines.row(row, paint).as_bytes()),
    };
    let mut aside = Aside::new();
    let mut ordered = Ordered::new(order);
    rows.try_for_each(|row| ordered.add(&row, || aside.put(|out| line(&row, out))))?;
    let mut ordered = ordered.finish();
    match format {
        Format::Csv if ordered.len() > 0 => {
            let mut lines = csv::Lines::new(out);
            lines.scan_heading().and_then(|()| lines.finish())?;
        }
        Format::Csv | Format::Jsonl => {}
        _ => out.write_all(lines.heading(paint).as_bytes())?,
    }
    ordered.try_for_each(|place| out.write_all(aside.get(place)?))
}

/// Each row is written at once, so that nothing but whole lines is ever there.
fn in_jsonl(mut rows: impl Iterator<Item = ScanRow>, out: &mut dyn Write) -> io::Result<()> {
    let mut line = Vec::new();
    rows.try_for_each(|row| {
        line.clear();
        json::lines(std::iter::once(&row), &mut line)?;
        out.write_all(&line)
    })
}

fn in_csv(
    mut rows: impl Iterator<Item = ScanRow>,
    headed: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = csv::Lines::below(out, headed);
    rows.try_for_each(|row| lines.scan_row(&row))?;
    lines.finish()
}

fn groups(
    args: &Scan,
    format: Format,
    rows: impl Iterator<Item = ScanRow>,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let Some(by) = args.group_by() else { return Ok(()) };
    let mut groups = Groups::new(by);
    rows.for_each(|row| groups.add(&row));
    let groups = groups.finish();
    match format {
        Format::Json => json::document(&GroupsReport::of(by, groups), out),
        Format::Jsonl => json::lines(&groups, out),
        _ => out.write_all(text::scan_groups(by, &groups, paint).as_bytes()),
    }
}
