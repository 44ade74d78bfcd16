//! The page of `report FOLDER`: one row a dump, with a bar, to sort, filter
//! and group.

use std::fmt::Write as _;
use std::io;

use super::picture::{ink, swatch};
use super::{assets, esc};
use crate::evidence::RegionKind;
use crate::render::number::{count, grouped, size};
use crate::report::scan::{ScanRow, Scanned};
use crate::report::{SCHEMA_VERSION, time};

/// A row, and the page of its dump where there is one.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The row.
    pub row: ScanRow,
    /// The page, relative to this one: names and slashes only.
    pub page: Option<String>,
}

/// Title, and whether it is a number.
const COLUMNS: [(&str, bool); 14] = [
    ("Dump", false),
    ("Process", false),
    ("Verdict", false),
    ("Committed by type", true),
    ("Committed", true),
    ("Private", true),
    ("Largest free", true),
    ("Findings", true),
    ("Crash", false),
    ("Threads", true),
    ("Version", false),
    ("Written", false),
    ("System", false),
    ("Issues", true),
];
/// Columns that rows are grouped by: process, verdict, crash, version.
const GROUPS: &str = "1 2 8 10";

/// Writes the page.
///
/// # Errors
/// `out` cannot be written.
pub fn folder(title: &str, rows: &[Linked], out: &mut dyn io::Write) -> io::Result<()> {
    let title = esc(title);
    let dumps = rows.iter().filter_map(|linked| linked.row.dump());
    let most = dumps.clone().filter_map(|dump| dump.total.committed).max().unwrap_or(0);
    let failed = rows.len() - dumps.clone().count();
    let crashed = dumps.clone().filter(|dump| dump.crash.is_some()).count();
    let mut body = String::with_capacity(64 << 10);
    let _ = write!(
        body,
        "<a class=\"skip\" href=\"#main\">Skip to the rows</a>\n<header>\n<div class=\"bar\">\n\
         <h1>{title} <small>{}</small></h1>\n<div id=\"tools\" class=\"tools\"></div>\n</div>\n\
         <p>{} with a crash, {} could not be read.</p>\n</header>\n<main id=\"main\">\n\
         <p id=\"controls\" class=\"controls\"></p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Dumps\">\n<table class=\"list sortable\" data-groups=\"{GROUPS}\">\n<thead><tr>",
        count(rows.len() as u64, "dump"),
        grouped(crashed as u64),
        grouped(failed as u64),
    );
    for (title, number) in COLUMNS {
        let class = if number { " class=\"num\"" } else { "" };
        let _ = write!(body, "<th scope=\"col\"{class}>{title}</th>");
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    let shared = shared_folder(rows);
    for linked in rows {
        line(linked, shared, most, &mut body);
    }
    body.push_str("</tbody>\n</table>\n</div>\n<p class=\"legend\">");
    for kind in RegionKind::ALL {
        let there = |dump: &Scanned| committed(dump, kind) > 0;
        if dumps.clone().any(there) {
            let _ = write!(body, "<span>{}{}</span> ", swatch(kind), kind.title());
        }
    }
    let _ = write!(
        body,
        "</p>\n</main>\n<footer>\n<p>dumpmap {} · schema {SCHEMA_VERSION}. Committed memory is \
         drawn on one scale for all rows. Findings: errors / warnings / notes. <b>?</b> is not known.</p>\n</footer>\n",
        env!("CARGO_PKG_VERSION")
    );
    assets::tables(&format!("{title} · dumpmap"), &body, out)
}

/// Bytes of the folder that all paths begin with, its separator included.
fn shared_folder(rows: &[Linked]) -> usize {
    let Some((first, rest)) = rows.split_first() else { return 0 };
    let first = first.row.path.as_str();
    let mut shared = first.rfind(['/', '\\']).map_or(0, |at| at + 1);
    for linked in rest {
        let path = linked.row.path.as_str();
        while shared > 0 && path.get(..shared) != first.get(..shared) {
            let shorter = first.get(..shared - 1).and_then(|start| start.rfind(['/', '\\']));
            shared = shorter.map_or(0, |at| at + 1);
        }
    }
    shared
}

fn line(linked: &Linked, shared: usize, most: u64, out: &mut String) {
    let path = &linked.row.path;
    let shown = esc(path.get(shared..).unwrap_or(path));
    let name = match &linked.page {
        Some(page) => format!("<a href=\"{}\" title=\"{}\">{shown}</a>", esc(page), esc(path)),
        None => format!("<span title=\"{}\">{shown}</span>", esc(path)),
    };
    let dump = match &linked.row.result {
        Ok(dump) => dump,
        Err(error) => {
            let rest = COLUMNS.len() - 1;
            let _ = writeln!(
                out,
                "<tr class=\"alarm\"><th scope=\"row\">{name}</th><td colspan=\"{rest}\">could not be \
                 read: {}</td></tr>",
                esc(error)
            );
            return;
        }
    };
    let text = |text: Option<&str>| format!("<td>{}</td>", esc(text.unwrap_or("")));
    let number = |value: Option<u64>, shown: fn(u64) -> String| match value {
        Some(value) => format!("<td class=\"num\" data-sort=\"{value}\">{}</td>", shown(value)),
        None => "<td class=\"num\" data-sort=\"\">?</td>".into(),
    };
    let written = dump.time.and_then(time::iso).map(|time| time::for_people(&time));
    let system =
        format!("{} {} {}", dump.platform, dump.os_version.as_deref().unwrap_or(""), dump.arch);
    let _ = write!(out, "<tr><th scope=\"row\">{name}</th>");
    out.push_str(&text(dump.process_name.as_deref()));
    out.push_str(&text(Some(&dump.verdict)));
    bar(dump, most, out);
    out.push_str(&number(dump.total.committed, size));
    out.push_str(&number(dump.total.private, size));
    out.push_str(&number(dump.free.map(|free| free.largest), size));
    let [errors, warnings, notes] = dump.findings;
    // Errors weigh more than any number of warnings, and so on.
    let weight = errors.saturating_mul(1_000_000) + warnings.saturating_mul(1_000) + notes;
    let _ = write!(
        out,
        "<td class=\"num\" data-sort=\"{weight}\" title=\"{}\">{errors} / {warnings} / {notes}</td>",
        esc(&dump.rules.join(", "))
    );
    out.push_str(&text(dump.crash.as_ref().map(|crash| crash.signature.as_str())));
    out.push_str(&number(Some(dump.counts[0]), grouped));
    out.push_str(&text(dump.process_version.as_deref()));
    out.push_str(&text(written.as_deref()));
    out.push_str(&text(Some(&system)));
    out.push_str(&number(Some(dump.issue_count), grouped));
    out.push_str("</tr>\n");
}

fn committed(dump: &Scanned, kind: RegionKind) -> u64 {
    let row = dump.kinds.get(kind.index()).copied().flatten();
    row.and_then(|row| row.committed).unwrap_or(0)
}

/// Committed bytes by kind, the row with most of all filling the width.
fn bar(dump: &Scanned, most: u64, out: &mut String) {
    let Some(total) = dump.total.committed.filter(|_| most > 0) else {
        out.push_str("<td class=\"num\" data-sort=\"\">?</td>");
        return;
    };
    let _ = write!(
        out,
        "<td data-sort=\"{total}\"><svg role=\"img\" aria-label=\"{} committed\" width=\"160\" \
         height=\"16\" viewBox=\"0 0 1000 1\" preserveAspectRatio=\"none\">",
        size(total)
    );
    let mut left = 0;
    for kind in RegionKind::ALL {
        let bytes = committed(dump, kind);
        let wide = (u128::from(bytes) * 1_000).div_ceil(u128::from(most));
        if bytes == 0 {
            continue;
        }
        let _ = write!(
            out,
            "<rect x=\"{left}\" width=\"{wide}\" height=\"1\" fill=\"{}\"><title>{} {}</title></rect>",
            ink(kind),
            kind.title(),
            size(bytes)
        );
        left += wide;
    }
    out.push_str("</svg></td>");
}
