//! The three bars of VMMap, and its table.

use std::fmt::Write as _;

use super::picture::{segment, swatch};
use super::{esc, plain};
use crate::evidence::RegionKind;
use crate::render::number::{count, grouped, size};
use crate::render::text::{explained_line, kept, private_line, set_aside_table};
use crate::report::{RowView, SummaryReport};

/// Committed, private and total bytes, each split by kind.
pub(super) fn bars(report: &SummaryReport<'_>, out: &mut String) {
    out.push_str("<section class=\"bars\" aria-label=\"Memory by type\">\n");
    let source = report.dump.map_source;
    bar("Committed", report, |row| kept(row, source).1, out);
    bar("Private", report, |row| row.private, out);
    bar("Total", report, |row| Some(kept(row, source).0), out);
    out.push_str("</section>\n");
}

/// One bar, full width whatever its figure: it shows what the figure is made
/// of.
fn bar(
    title: &str,
    report: &SummaryReport<'_>,
    part: impl Fn(&RowView) -> Option<u64>,
    out: &mut String,
) {
    let whole = part(&report.summary.total);
    let figure = whole.map_or("?".into(), size);
    let _ = write!(out, "<div class=\"barrow\"><b>{title}</b>");
    let whole = whole.unwrap_or(0);
    if whole == 0 {
        out.push_str("<span class=\"none\">not known from this dump</span>");
    } else {
        let _ = write!(
            out,
            "<svg role=\"img\" aria-label=\"{title} {figure} by type\" width=\"100%\" height=\"26\">"
        );
        let mut left = 0.0;
        for row in &report.summary.kinds {
            let Some(kind) = row.kind.filter(|kind| *kind != RegionKind::Free) else { continue };
            let bytes = part(row).unwrap_or(0);
            if bytes == 0 {
                continue;
            }
            let share = bytes as f64 / whole as f64 * 100.0;
            let title = format!("{} {} ({share:.1} %)", kind.title(), size(bytes));
            segment(kind, &title, left, share, out);
            left += share;
        }
        out.push_str("</svg>");
    }
    let _ = writeln!(out, "<span class=\"figure\">{figure}</span></div>");
}

const COLUMNS: [&str; 8] =
    ["Type", "Size", "Committed", "Private", "Captured", "Blocks", "Allocations", "Largest"];

/// VMMap's table without what a dump cannot have.
pub(super) fn table(report: &SummaryReport<'_>, out: &mut String) {
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of memory by type\">\n\
         <table class=\"types\" id=\"types\">\n<thead><tr>",
    );
    for title in COLUMNS {
        let _ = write!(out, "<th scope=\"col\">{title}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    let source = report.dump.map_source;
    row(&report.summary.total, source, out);
    for kind in &report.summary.kinds {
        row(kind, source, out);
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    set_aside(report, out);
    out.push_str("<p class=\"fine\">");
    let counters = report.counters.process;
    out.push_str(&match counters {
        Some(counters) => format!(
            "VMMap's working-set columns are not here: a dump does not say which pages were in \
             RAM. Windows counted a working set of {} for the whole process. ",
            size(counters.working_set)
        ),
        None => "VMMap's working-set columns are not here: a dump does not say which pages were \
                 in RAM. "
            .into(),
    });
    out.push_str(
        "<b>Captured</b> is what the dump holds of the contents. <b>-</b> does not apply, \
         <b>?</b> is not known, <b>0</b> is none.",
    );
    if let Some(line) = private_line(report) {
        let _ = write!(out, " {}.", esc(&line.replacen("private", "Private", 1)));
    }
    out.push_str("</p>\n");
    if let Some(line) = explained_line(report) {
        let _ = writeln!(out, "<p class=\"fine\">Private memory: {}.</p>", esc(&line));
    }
    if let Some(free) = &report.summary.free {
        let _ = writeln!(
            out,
            "<p class=\"fine\">Free: <data value=\"{}\">{}</data> in {}, the largest \
             <data value=\"{}\">{}</data> at <code>{}</code>{}.</p>",
            free.size,
            size(free.size),
            count(free.blocks, "block"),
            free.largest,
            size(free.largest),
            free.largest_address,
            free.fragmentation.map_or(String::new(), |percent| format!(
                "; {percent:.1} % of it is not in that block"
            ))
        );
    }
}

/// Giant reservations, which the table above leaves out.
fn set_aside(report: &SummaryReport<'_>, out: &mut String) {
    let Some(table) = set_aside_table(report) else { return };
    plain::table(&table, "Reservations set aside", out);
}

fn row(row: &RowView, source: &str, out: &mut String) {
    let rebuilt = source == "rebuilt";
    let free = matches!(row.kind, Some(RegionKind::Free | RegionKind::Unusable));
    let missing = if rebuilt { "?" } else { "-" };
    let applies = |value: Option<u64>| if free { None } else { value };
    let word = |text: &str| if free { "-".to_owned() } else { text.to_owned() };
    let bytes = |name: &str, value: Option<u64>, none: &str| match value {
        Some(bytes) => format!(
            "<td data-column=\"{name}\"><data value=\"{bytes}\">{}</data></td>",
            size(bytes)
        ),
        None => format!("<td data-column=\"{name}\">{none}</td>"),
    };
    let number = |name: &str, value: Option<u64>, none: &str| match value {
        Some(value) => format!(
            "<td data-column=\"{name}\"><data value=\"{value}\">{}</data></td>",
            grouped(value)
        ),
        None => format!("<td data-column=\"{name}\">{none}</td>"),
    };
    let (key, class) = row.kind.map_or(("total", " class=\"total\""), |kind| (kind.as_str(), ""));
    let head = row.kind.map_or("Total".into(), |kind| {
        format!("{}<span class=\"kind\">{}</span>", swatch(kind), kind.title())
    });
    let (bytes_kept, committed_kept) = kept(row, source);
    let _ = write!(out, "<tr data-kind=\"{key}\"{class}><th scope=\"row\">{head}</th>");
    out.push_str(&bytes("size", Some(bytes_kept), missing));
    out.push_str(&bytes("committed", applies(committed_kept), &word(missing)));
    out.push_str(&bytes("private", applies(row.private), &word(missing)));
    out.push_str(&bytes("captured", applies(Some(row.captured)), &word(missing)));
    out.push_str(&number("blocks", Some(row.blocks), missing));
    out.push_str(&number("allocations", applies(row.allocations), &word(missing)));
    out.push_str(&bytes("largest", row.largest_kept, missing));
    out.push_str("</tr>\n");
}
