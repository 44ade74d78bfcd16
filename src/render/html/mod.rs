//! Pages of HTML, each complete in itself: no network, no other file. Of one
//! dump, the first screen is plain HTML and SVG; script adds the strip and the tabs, from data
//! that the page carries compressed.
//!
//! Text of a dump gets into the page through [`sanitize::html`] or, in the
//! data, through `data.rs`; script sets it as text, never as markup.

mod assets;
mod columns;
mod data;
mod diff;
mod findings;
mod folder;
mod head;
mod picture;
mod plain;
mod sums;

use std::io::{self, Write};

pub use diff::{ROWS as DIFF_ROWS, diff};
pub use folder::{Linked, folder};

use super::sanitize;
use crate::report::{Names, PageReport};

/// Writes the page of one dump.
///
/// # Errors
/// `out` cannot be written.
pub fn page(report: &PageReport<'_>, names: &Names<'_>, out: &mut dyn Write) -> io::Result<()> {
    let summary = &report.summary;
    let title = head::title(&summary.dump);
    let mut body = String::with_capacity(32 << 10);
    head::header(report, &mut body);
    body.push_str("<main id=\"main\">\n<div class=\"first\">\n<div class=\"numbers\">\n");
    sums::bars(summary, &mut body);
    sums::table(summary, &mut body);
    body.push_str("</div>\n<div class=\"words\">\n");
    findings::verdict(summary, &mut body);
    findings::crash(&report.crash, &mut body);
    findings::cards(summary, &mut body);
    body.push_str("</div>\n</div>\n");
    picture::still(summary, &mut body);
    body.push_str(assets::STAGE);
    body.push_str("</main>\n");
    head::footer(summary, &mut body);
    assets::explorer(&title, &body, |out| data::write(report, names, out), out)
}

/// `text`, harmless in HTML.
fn esc(text: &str) -> std::borrow::Cow<'_, str> {
    sanitize::html(text)
}
