//! `scan` as text: one line a dump, in columns that do not depend on the rows,
//! so that they are written as they come; or a block a group.

use std::borrow::Cow;

use super::labelled;
use crate::render::number::count;
use crate::render::paint::{ALARM, BOLD, DIM, Paint};
use crate::render::{WIDTH, sanitize};
use crate::report::scan::{Column, FigureView, GroupBy, GroupView, ScanRow, Unit, Value, column};
use crate::report::time::for_people;
use crate::size::human;

/// The figures that a line shows: private bytes, the largest free block, and
/// in its place what the rows are sorted by.
#[derive(Clone, Copy, Debug)]
pub struct ScanLines {
    shown: [&'static Column; 2],
}

impl ScanLines {
    /// Lines of rows that are sorted by a column.
    pub fn new(sorted_by: Option<&'static Column>) -> ScanLines {
        let usual = |name| column(name).unwrap_or(&crate::report::scan::COLUMNS[0]);
        let first = usual("total_private");
        let second = usual("free_largest");
        let other =
            sorted_by.filter(|by| (by.is_figure() || by.of_time()) && by.name != first.name);
        ScanLines { shown: [first, other.unwrap_or(second)] }
    }

    /// The heading.
    pub fn heading(&self, paint: Paint) -> String {
        let second = match self.shown[1].name {
            "free_largest" => "Max free".to_owned(),
            name => name.replace('_', " "),
        };
        let second = sanitize::clip(&second, 9);
        let line = format!(
            "{:<7} {:>9} {second:>9}  {:<13} {:<14} Path",
            "Status", "Private", "Verdict", "Process"
        );
        format!("{}\n", paint.paint(BOLD, &line))
    }

    /// One row; of a file that is no dump, the reason below it.
    pub fn row(&self, row: &ScanRow, paint: Paint) -> String {
        let [first, second] = self.shown.map(|column| figure(column, row));
        let dump = row.dump();
        let verdict = dump.map_or("-", |dump| &dump.verdict);
        let process = dump.and_then(|dump| dump.process_name.as_deref()).unwrap_or("?");
        let process = sanitize::terminal(if dump.is_some() { process } else { "-" });
        let process = sanitize::clip(&process, 14);
        let gap = " ".repeat(14_usize.saturating_sub(sanitize::width(&process)));
        let head = format!("{first:>9} {second:>9}  {verdict:<13} {process}{gap} ");
        let path = sanitize::terminal(&row.path);
        let room = WIDTH.saturating_sub(8 + sanitize::width(&head));
        let status = format!("{:<7}", row.status());
        let style = match row.status() {
            "ok" => DIM,
            "partial" => BOLD,
            _ => ALARM,
        };
        let status = paint.paint(style, &status);
        let path = tail(&path, room);
        let mut out = format!("{status} {head}{path}\n");
        if let Err(error) = &row.result {
            out.push_str(&labelled("        ", &format!("{}: {error}", row.path), paint, DIM));
        }
        out
    }
}

/// The end of a path: folders are left out from its beginning until it fits.
fn tail(path: &str, room: usize) -> Cow<'_, str> {
    let fits = |text: &str| sanitize::width(text) + 2 <= room;
    if sanitize::width(path) <= room {
        return Cow::Borrowed(path);
    }
    let parts = path.char_indices().filter(|(_, char)| matches!(char, '/' | '\\'));
    let mut tails = parts.map(|(at, _)| &path[at + 1..]);
    match tails.find(|tail| fits(tail)).filter(|tail| !tail.is_empty()) {
        Some(tail) => Cow::Owned(format!("…/{tail}")),
        None => sanitize::clip(crate::dump::file_name(path), room),
    }
}

fn figure(column: &Column, row: &ScanRow) -> String {
    if row.dump().is_none() {
        return "-".into();
    }
    match column.of(row) {
        Value::Number(number) if column.unit == Unit::Bytes => human(number),
        Value::Number(number) => crate::render::number::grouped(number),
        Value::Percent(percent) => format!("{percent:.1} %"),
        Value::Time(seconds) => {
            let iso = crate::report::time::iso(seconds).unwrap_or_default();
            iso.get(..10).unwrap_or("?").to_owned()
        }
        _ => "?".into(),
    }
}

/// The groups, one block each.
pub fn groups(by: GroupBy, groups: &[GroupView], paint: Paint) -> String {
    let mut out = String::new();
    for group in groups {
        out.push_str(&block(by, group, paint));
    }
    out
}

fn block(by: GroupBy, group: &GroupView, paint: Paint) -> String {
    let title = match (&group.group, by) {
        (Some(key), _) => key.clone(),
        (None, GroupBy::Signature) => "no crash recorded".into(),
        (None, _) => "not known".into(),
    };
    let mut out = labelled("", &title, paint, BOLD);
    let mut facts = vec![count(group.dumps, "dump")];
    if group.unreadable > 0 {
        facts.push(format!("{} unreadable", group.unreadable));
    }
    if group.with_errors > 0 {
        facts.push(format!("{} with errors", group.with_errors));
    }
    if let (Some(first), Some(last)) = (&group.first, &group.last) {
        let (first, last) = (for_people(first), for_people(last));
        let span = if first == last { first } else { format!("{first} to {last}") };
        facts.push(span);
    }
    for line in super::join_parts(&[facts]) {
        out.push_str(&format!("  {line}\n"));
    }
    let known: Vec<&FigureView> = group.figures.iter().filter(|of| of.known > 0).collect();
    if !known.is_empty() {
        let heading = format!(
            "  {:<16} {:>6} {:>10} {:>10} {:>10} {:>10}",
            "", "known", "min", "median", "p90", "max"
        );
        out.push_str(&format!("{}\n", paint.paint(DIM, &heading)));
    }
    for figure in &known {
        let value = |value: Option<u64>| shown(figure.name, value);
        out.push_str(&format!(
            "  {:<16} {:>6} {:>10} {:>10} {:>10} {:>10}\n",
            figure.name.replace('_', " "),
            figure.known,
            value(figure.min),
            value(figure.p50),
            value(figure.p90),
            value(figure.max)
        ));
    }
    for figure in known {
        for outlier in figure.outliers.iter().take(3) {
            let value = shown(figure.name, Some(outlier.value));
            let text = format!(
                "{} {value}, the median is {}: {}",
                figure.name.replace('_', " "),
                shown(figure.name, figure.p50),
                outlier.path
            );
            out.push_str(&labelled("  outlier  ", &text, paint, DIM));
        }
    }
    out.push('\n');
    out
}

fn shown(name: &str, value: Option<u64>) -> String {
    match (value, column(name).map(|column| column.unit)) {
        (None, _) => "?".into(),
        (Some(bytes), Some(Unit::Bytes)) => human(bytes),
        (Some(number), _) => crate::render::number::grouped(number),
    }
}
