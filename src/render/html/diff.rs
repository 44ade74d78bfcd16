//! The page of `report --diff`: what grew between dumps.

use std::fmt::Write as _;
use std::io;

use super::findings::capital;
use super::picture::{segment, swatch};
use super::{assets, esc, plain};
use crate::evidence::RegionKind;
use crate::render::number::{grouped, size};
use crate::render::table::Table;
use crate::render::text::{
    diff_audit, diff_head, diff_images, diff_kinds, diff_owners, diff_region_title, diff_regions,
    diff_shown,
};
use crate::report::DiffReport;

/// Regions and owners that are listed; the JSON of `diff` has all.
pub const ROWS: usize = 1_000;

/// Writes the page.
///
/// # Errors
/// `out` cannot be written.
pub fn diff(report: &DiffReport, out: &mut dyn io::Write) -> io::Result<()> {
    let ends = report.dumps.first().zip(report.dumps.last());
    let title = ends.map_or(String::new(), |(first, last)| {
        format!("{} → {}", first.file_name(), last.file_name())
    });
    let title = esc(&title);
    let mut body = String::with_capacity(64 << 10);
    let _ = write!(
        body,
        "<a class=\"skip\" href=\"#main\">Skip to the numbers</a>\n<header>\n<div class=\"bar\">\n\
         <h1>What grew: {title}</h1>\n<div id=\"tools\" class=\"tools\"></div>\n</div>\n<ul class=\"plain\">\n"
    );
    for line in diff_head(report) {
        let _ = writeln!(body, "<li>{}</li>", esc(&line));
    }
    body.push_str("</ul>\n</header>\n<main id=\"main\">\n");
    conclusion(report, &mut body);
    bars(report, &mut body);
    section("By type", &diff_kinds(report), 0, &mut body);
    let more = report.owner_count.saturating_sub(report.owners.len() as u64);
    section("By owner", &diff_owners(report), more, &mut body);
    section("Images", &diff_images(report), 0, &mut body);
    let all: u64 = report.changes.iter().map(|tally| tally.count).sum();
    let more = all.saturating_sub(diff_shown(report));
    let heading = diff_region_title(report).replacen('b', "B", 1);
    section(&heading, &diff_regions(report), more, &mut body);
    let (_, audit) = diff_audit(report);
    let _ = write!(
        body,
        "</main>\n<footer>\n<p>audit: {}</p>\n<p>dumpmap {} · schema {}</p>\n</footer>\n",
        esc(&audit),
        env!("CARGO_PKG_VERSION"),
        report.schema_version
    );
    assets::tables(&format!("{title} · dumpmap"), &body, out)
}

fn conclusion(report: &DiffReport, out: &mut String) {
    let mut lines = report.conclusion.iter();
    let first = lines.next().map_or("No difference", String::as_str);
    let _ =
        write!(out, "<section class=\"verdict note\">\n<h2>{}</h2>\n<ul>\n", esc(&capital(first)));
    for line in lines {
        let _ = writeln!(out, "<li>{}</li>", esc(line));
    }
    out.push_str("</ul>\n</section>\n");
    for note in &report.notes {
        let _ = writeln!(out, "<p class=\"warn\">{}</p>", esc(note));
    }
}

/// Committed bytes by kind, one bar a dump, all on one scale.
fn bars(report: &DiffReport, out: &mut String) {
    let Some(total) = &report.total else { return };
    let figures: Vec<u64> =
        total.values.iter().map(|value| value.committed.unwrap_or(value.size)).collect();
    let Some(most) = figures.iter().copied().max().filter(|most| *most > 0) else { return };
    let kind_of = |word: &str| RegionKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    out.push_str(
        "<section class=\"bars\" aria-label=\"Committed memory by type\">\n<h2>Committed</h2>\n",
    );
    for (at, (dump, figure)) in report.dumps.iter().zip(&figures).enumerate() {
        let name = esc(dump.file_name());
        let _ = write!(
            out,
            "<div class=\"barrow wide\"><b>{name}</b><svg role=\"img\" aria-label=\"{name}: {} \
             committed\" width=\"100%\" height=\"26\">",
            size(*figure)
        );
        let mut left = 0.0;
        for kind in &report.kinds {
            let bytes = kind.growth.values.get(at).and_then(|value| value.committed).unwrap_or(0);
            let Some(of) = kind_of(kind.kind).filter(|_| bytes > 0) else { continue };
            let share = bytes as f64 / most as f64 * 100.0;
            let title = format!("{} {}", kind.title, size(bytes));
            segment(of, &title, left, share, out);
            left += share;
        }
        let _ = writeln!(out, "</svg><span class=\"figure\">{}</span></div>", size(*figure));
    }
    out.push_str("<p class=\"legend\">");
    for kind in report.kinds.iter().filter_map(|kind| kind_of(kind.kind)) {
        let _ = write!(out, "<span>{}{}</span> ", swatch(kind), kind.title());
    }
    out.push_str("</p>\n</section>\n");
}

fn section(title: &str, table: &Table, more: u64, out: &mut String) {
    if table.rows.is_empty() {
        return;
    }
    let _ = write!(out, "<section>\n<h2>{}</h2>\n", esc(title));
    plain::table(table, title, out);
    if more > 0 {
        let _ =
            writeln!(out, "<p class=\"fine\">and {} more: dumpmap diff --top N</p>", grouped(more));
    }
    out.push_str("</section>\n");
}
