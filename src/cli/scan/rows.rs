//! Writes rows as they come, or what they are sorted and summed up to.

use std::io::{self, Write};

use dumpmap::render::{Paint, csv, json, text};
use dumpmap::report::scan::{Groups, GroupsReport, Ordered, ScanRow};

use super::{Scan, inputs};
use crate::cli::{Failure, Format, Options, output, supported};

/// The format asked for, when rows or groups have it.
pub(super) fn format(args: &Scan, options: &Options) -> Result<Format, Failure> {
    use Format::{Csv, Json, Jsonl, Text};
    let formats: &[Format] =
        if args.group_by.is_some() { &[Text, Json, Jsonl] } else { &[Text, Jsonl, Csv] };
    supported("scan", options.format, formats)
}

/// Writes the rows to where the answer goes.
pub(super) fn write(
    args: &Scan,
    options: &Options,
    format: Format,
    rows: impl Iterator<Item = ScanRow>,
) -> Result<(), Failure> {
    let inputs = inputs::files(args);
    output::write(options, &inputs, |out, paint| match (args.group_by, args.order()) {
        (Some(_), _) => groups(args, format, rows, out, paint),
        (None, None) => each(args, format, rows, out, paint),
        (None, Some(order)) => {
            let mut ordered = Ordered::new(order);
            rows.for_each(|row| ordered.add(row));
            each(args, format, ordered.finish(), out, paint)
        }
    })
}

fn each(
    args: &Scan,
    format: Format,
    mut rows: impl Iterator<Item = ScanRow>,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    match format {
        Format::Csv => {
            let mut lines = csv::Lines::new(out);
            rows.try_for_each(|row| lines.scan_row(&row))?;
            lines.finish()
        }
        Format::Jsonl => {
            // Whole lines only, whenever the run ends.
            let mut line = Vec::new();
            rows.try_for_each(|row| {
                line.clear();
                json::lines(std::slice::from_ref(&row), &mut line)?;
                out.write_all(&line)
            })
        }
        _ => {
            let lines = text::ScanLines::new(args.order().map(|order| order.column));
            out.write_all(lines.heading(paint).as_bytes())?;
            rows.try_for_each(|row| out.write_all(lines.row(&row, paint).as_bytes()))
        }
    }
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
