//! Rows of `regions`, one line each, in columns that do not depend on the
//! rows: they are written as they come.

use std::borrow::Cow;

use crate::evidence::RegionKind;
use crate::map::State;
use crate::render::number::size;
use crate::render::paint::{self, BOLD, DIM, Paint};
use crate::render::table::{Cell, Table, numbers, words as words_column};
use crate::render::{WIDTH, sanitize};
use crate::report::{Names, ProtectionIs, Row};

/// The heading.
pub fn heading(names: &Names<'_>, paint: Paint) -> String {
    let line = format!(
        "{:<w$}  {:>11}  {:<8}  {:<12}  Use",
        "Base",
        "Size",
        "Access",
        "Type",
        w = address_width(names)
    );
    format!("{}\n", paint.paint(BOLD, &line))
}

/// One row; an allocation of several pieces has them below, indented.
pub fn row(names: &Names<'_>, row: &Row, paint: Paint) -> String {
    let mut out = line(names, row, "", paint);
    for part in &row.parts {
        out.push_str(&line(names, part, "  ", paint));
    }
    if row.more_parts > 0 {
        let more = crate::render::number::count(row.more_parts, "more piece");
        out.push_str(&format!("  and {more}\n"));
    }
    out
}

/// The columns as a table, for Markdown.
pub fn table() -> Table {
    let columns = [words_column("Base"), numbers("Size"), words_column("Access")];
    Table::new(columns.into_iter().chain([words_column("Type"), words_column("Use")]))
}

/// A row of that table.
pub fn cells(names: &Names<'_>, row: &Row) -> Vec<Cell> {
    vec![
        format!("{:#x}", row.range.start()).into(),
        size(row.range.size()).into(),
        access(row).into_owned().into(),
        row.kind.title().into(),
        words(names, row).into(),
    ]
}

/// How much was shown.
pub fn footer(shown: u64, all: u64, bytes: u64, noun: &str, paint: Paint) -> String {
    use crate::render::number::{count, grouped};
    let line = match shown == all {
        true => format!("{}, {}", count(all, noun), size(bytes)),
        false => format!("{} of {}, {}", grouped(shown), count(all, noun), size(bytes)),
    };
    format!("{}\n", paint.paint(DIM, &line))
}

fn line(names: &Names<'_>, row: &Row, indent: &str, paint: Paint) -> String {
    let width = address_width(names);
    let address = match width {
        10 => format!("{indent}{:#010x}", row.range.start()),
        _ => format!("{indent}{:#014x}", row.range.start()),
    };
    let head = format!("{address:<width$}  {:>11}  {:<8}  ", size(row.range.size()), access(row));
    let kind = row.kind.title();
    let kind_gap = " ".repeat(12_usize.saturating_sub(kind.len()) + 2);
    let words = words(names, row);
    let words = sanitize::terminal(&words);
    let room = WIDTH.saturating_sub(sanitize::width(&head) + 14);
    let words = sanitize::clip(&words, room);
    let plain = row.kind == RegionKind::Free || row.kind == RegionKind::Unknown;
    let kind = if plain { kind.to_owned() } else { paint.paint(paint::kind(row.kind), kind) };
    let line = format!("{head}{kind}{kind_gap}{words}");
    format!("{}\n", line.trim_end_matches(' '))
}

/// Addresses of 64-bit processes have 12 digits, but for Linux' vsyscall page.
fn address_width(names: &Names<'_>) -> usize {
    if names.input.analysis.dump.system.width.bits() == 32 { 10 } else { 14 }
}

/// `RW`, `reserve`, `free`.
fn access(row: &Row) -> Cow<'static, str> {
    match row.region.state {
        State::Commit if row.region.protect.0 == 0 && row.range.size() > row.committed => {
            "mixed".into()
        }
        State::Commit if row.region.protect.0 == 0 && row.blocks > 1 => "mixed".into(),
        State::Commit => ProtectionIs::short(row.region.protect).into(),
        State::Reserve => "reserve".into(),
        State::Free => "free".into(),
        State::Unknown => "?".into(),
    }
}

/// Use, whose it is, and the file name without its folder; of an image the
/// name first.
pub(super) fn words(names: &Names<'_>, row: &Row) -> String {
    let labels = names.labels(row);
    let file = crate::dump::file_name(&labels.name);
    // Of an allocation the name says more than the use of its largest piece.
    let whole = !row.parts.is_empty() || labels.usage == labels.name;
    let usage = if whole { "" } else { &*labels.usage };
    let heap = match labels.heap {
        Some(heap) if usage.starts_with("heap") => format!("{heap:#x}"),
        Some(heap) => format!("heap {heap:#x}"),
        None => String::new(),
    };
    let thread = labels.thread_id.map(|id| format!("thread {id}")).unwrap_or_default();
    let parts = match row.kind {
        RegionKind::Image => [file, usage.strip_prefix("section ").unwrap_or(usage), "", ""],
        _ => [usage, &heap, &thread, file],
    };
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("  ")
}
