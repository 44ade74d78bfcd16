//! Colours and letters of kinds, and the address space as a still picture.

use std::fmt::Write as _;

use anstyle::RgbColor;

use super::esc;
use crate::evidence::RegionKind;
use crate::render::paint::{colour, letter};
use crate::render::text::strip_title;
use crate::report::SummaryReport;

/// Cells of the picture.
const CELLS: usize = 240;

/// A kind's colour in CSS and SVG.
pub(super) fn ink(kind: RegionKind) -> String {
    let RgbColor(red, green, blue) = colour(kind);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A part of a bar, from `left` percent on and `share` percent wide, with the
/// letter of its kind where there is room.
pub(super) fn segment(kind: RegionKind, title: &str, left: f64, share: f64, out: &mut String) {
    let _ = write!(
        out,
        "<g><title>{title}</title><rect x=\"{left:.3}%\" y=\"0\" width=\"{share:.3}%\" \
         height=\"26\" fill=\"{}\" stroke=\"#0006\"/>",
        ink(kind)
    );
    if share > 3.0 {
        let middle = left + share / 2.0;
        let _ = write!(
            out,
            "<text x=\"{middle:.3}%\" y=\"18\" text-anchor=\"middle\" fill=\"#000\" \
             font-size=\"13\">{}</text>",
            letter(kind)
        );
    }
    out.push_str("</g>");
}

/// A square with the colour and the letter of a kind.
pub(super) fn swatch(kind: RegionKind) -> String {
    format!(
        "<svg class=\"swatch\" width=\"18\" height=\"18\" aria-hidden=\"true\"><rect x=\"0.5\" \
         y=\"0.5\" width=\"17\" height=\"17\" rx=\"3\" fill=\"{}\" stroke=\"#0008\"/><text x=\"9\" \
         y=\"13\" text-anchor=\"middle\" fill=\"#000\" font-size=\"11\">{}</text></svg>",
        ink(kind),
        letter(kind)
    )
}

/// The address space, for print and for readers without script.
pub(super) fn still(report: &SummaryReport<'_>, out: &mut String) {
    let cells = report.strip.kinds(CELLS);
    if cells.is_empty() {
        return;
    }
    let title = strip_title(report);
    let title = esc(&title);
    let _ = write!(
        out,
        "<section class=\"still\" aria-label=\"Address space\">\n<h2>{title}</h2>\n<svg role=\"img\" \
         aria-label=\"{title}\" width=\"100%\" height=\"48\" viewBox=\"0 0 {} 1\" \
         preserveAspectRatio=\"none\">",
        cells.len()
    );
    let shown: Vec<RegionKind> =
        RegionKind::ALL.into_iter().filter(|kind| cells.contains(kind)).collect();
    for kind in &shown {
        let _ = write!(
            out,
            "<path fill=\"{}\" d=\"{}\"><title>{}</title></path>",
            ink(*kind),
            runs(&cells, *kind),
            kind.title()
        );
    }
    out.push_str("</svg>\n<p class=\"legend\">");
    for kind in shown {
        let _ = write!(out, "<span>{}{}</span> ", swatch(kind), kind.title());
    }
    out.push_str("</p>\n</section>\n");
}

/// The cells of a kind as boxes of a path, one high.
fn runs(cells: &[RegionKind], kind: RegionKind) -> String {
    let (mut out, mut at) = (String::new(), 0);
    for run in cells.chunk_by(|a, b| a == b) {
        let long = run.len();
        if run.first() == Some(&kind) {
            let _ = write!(out, "M{at} 0h{long}v1h-{long}z");
        }
        at += long;
    }
    out
}
