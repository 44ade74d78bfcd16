//! Reports for people, in 80 columns.

mod check;
mod crash;
mod diff;
mod explain;
mod fits;
mod map;
mod regions;
mod reports;
mod rules;
mod scan;
mod streams;
mod summary;
mod tables;
mod unexplained;

pub use check::check;
pub(crate) use check::{check_line, check_text};
pub use crash::crash;
pub(crate) use crash::{
    facts as crash_facts, frames as crash_frames, frames_notes, no_crash, symbol_lines,
    title as crash_title,
};
pub use diff::{DiffTables, diff};
pub(crate) use diff::{
    audit_line as diff_audit, head_lines as diff_head, image_table as diff_images,
    kind_table as diff_kinds, owner_table as diff_owners, region_table as diff_regions,
    region_title as diff_region_title, shown as diff_shown,
};
pub use explain::explain;
pub use fits::fits;
pub(crate) use fits::{answer_lines as fits_lines, fence_table, owner_table};
pub use map::map;
pub use regions::{
    cells as region_cells, footer as regions_footer, heading as regions_heading, row as region,
    table as regions_table,
};
pub use reports::{heaps, images, stacks};
pub use rules::{rules, table as rules_table};
pub use scan::{ScanLines, groups as scan_groups};
pub use streams::{streams, table as streams_table};
pub use summary::summary;
pub(crate) use summary::{
    audit_line, explained_line, head_lines, kept, private_line, set_aside_table, strip_title,
    summary_table, system,
};
pub use tables::{
    ImageRows, heaps as heaps_table, images as images_table, managed as managed_table,
    stacks as stacks_table,
};
pub use unexplained::{families_table, unexplained};

use super::{Paint, sanitize};
use crate::report::IssueView;

/// `ThreadList at 0x1234: message`.
pub(crate) fn issue_line(issue: &IssueView) -> String {
    let stream = issue.stream.as_deref().unwrap_or("header");
    match issue.offset {
        Some(offset) => format!("{stream} at {offset:#x}: {}", issue.message),
        None => format!("{stream}: {}", issue.message),
    }
}

/// Parts joined by ` · `. A group begins a line, unless the group before did
/// not fit one: then it follows, so that no single word stands on a line.
pub(crate) fn join_parts(groups: &[Vec<String>]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut wrapped = false;
    for group in groups {
        let mut first = !wrapped;
        wrapped = false;
        for part in group.iter().map(|part| sanitize::terminal(part)) {
            let room = super::WIDTH.saturating_sub(sanitize::width(&part) + 3);
            match lines.last_mut().filter(|line| !first && sanitize::width(line) <= room) {
                Some(line) => {
                    line.push_str(" · ");
                    line.push_str(&part);
                }
                None => {
                    wrapped = !first;
                    lines.push(sanitize::clip(&part, super::WIDTH).into_owned());
                }
            }
            first = false;
        }
    }
    lines
}

/// `label` and a text behind it, later lines indented to the text.
pub(crate) fn labelled(label: &str, text: &str, paint: Paint, style: anstyle::Style) -> String {
    let indent = sanitize::width(label);
    let text = sanitize::terminal(text);
    let lines = sanitize::wrap(&text, super::WIDTH.saturating_sub(indent));
    let mut out = paint.paint(style, label);
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}
