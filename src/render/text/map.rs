//! `regions --map`: the address space in lines of cells, one letter or block
//! of colour each, at any width.

use std::fmt::Write as _;

use super::summary::{cells_text, legend, strip_title};
use crate::addr::AddressRange;
use crate::evidence::RegionKind;
use crate::render::paint::{BOLD, DIM, Paint};
use crate::render::sanitize;
use crate::report::{Row, SummaryReport};

const KINDS: usize = RegionKind::ALL.len();
/// Lines of cells.
const LINES: usize = 16;
/// The narrowest map with addresses beside it.
const BESIDE: usize = 24;

/// Bytes by kind, of those that the filter shows; where the cell begins.
#[derive(Clone, Copy, Default)]
struct Cell {
    kinds: [u128; KINDS],
    start: Option<u64>,
}

/// The pieces that the strip shows, in at most `width` columns. Cells in which the filter shows
/// nothing are blank.
pub fn map(
    report: &SummaryReport<'_>,
    pieces: impl Iterator<Item = Row>,
    width: usize,
    paint: Paint,
    shows: impl Fn(&Row) -> bool,
) -> String {
    let total = report.strip.bytes();
    if total == 0 {
        return "the map has no memory to draw\n".into();
    }
    let digits = if report.dump.pointer_bits == 32 { 8 } else { 12 };
    let margin = if width >= BESIDE { digits + 4 } else { 0 };
    let columns = width.saturating_sub(margin).max(1);
    // No more cells than bytes: small maps have fewer lines.
    let count = (columns * LINES).min(usize::try_from(total).unwrap_or(usize::MAX));
    let mut cells = vec![Cell::default(); count];
    let mut at = 0_u64;
    for row in pieces {
        add(&mut cells, at, total, &row, shows(&row));
        at = at.saturating_add(row.range.size());
    }
    let title = strip_title(report);
    let mut out = String::new();
    for line in sanitize::wrap(&title, width) {
        let _ = writeln!(out, "{}", paint.paint(BOLD, &line));
    }
    let mut seen: Vec<RegionKind> = Vec::new();
    for line in cells.chunks(columns) {
        let mut drawn = draw(line, paint, &mut seen);
        if margin > 0 {
            let start = line.first().and_then(|cell| cell.start);
            let start =
                start.map_or(String::new(), |start| format!("{start:#0w$x}", w = digits + 2));
            let address = format!("{start:<w$}", w = digits + 4);
            drawn.insert_str(0, &paint.paint(DIM, &address));
        }
        // Blanks at the end of a line say nothing.
        let _ = writeln!(out, "{}", drawn.trim_end_matches(' '));
    }
    out.push_str(&legend(&seen, width, paint));
    out
}

fn draw(line: &[Cell], paint: Paint, seen: &mut Vec<RegionKind>) -> String {
    let mut out = String::new();
    let kinds: Vec<Option<RegionKind>> = line.iter().map(most).collect();
    for run in kinds.chunk_by(|a, b| a.is_some() == b.is_some()) {
        let known: Vec<RegionKind> = run.iter().flatten().copied().collect();
        if known.is_empty() {
            out.push_str(&" ".repeat(run.len()));
        }
        out.push_str(&cells_text(&known, paint));
        seen.extend(known);
    }
    out
}

/// The kind with most bytes; none where the filter shows nothing.
fn most(cell: &Cell) -> Option<RegionKind> {
    let best = (0..KINDS).rev().max_by_key(|kind| cell.kinds[*kind])?;
    (cell.kinds[best] > 0).then_some(RegionKind::ALL[best])
}

/// Spreads a piece over the cells it lies in: shares in units that are the
/// same for all cells.
fn add(cells: &mut [Cell], at: u64, total: u64, row: &Row, shown: bool) {
    let count = cells.len() as u128;
    let whole = u128::from(total);
    let (from, to) = (u128::from(at) * count, (u128::from(at) + size(row.range)) * count);
    let (first, last) = (from / whole, (to.saturating_sub(1)) / whole);
    for index in first..=last.min(count - 1) {
        let share = ((index + 1) * whole).min(to) - (index * whole).max(from);
        let Some(cell) = usize::try_from(index).ok().and_then(|index| cells.get_mut(index)) else {
            return;
        };
        if cell.start.is_none() {
            // Where in the piece the cell begins.
            let into = (index * whole).saturating_sub(from) / count;
            let into = u64::try_from(into).unwrap_or(0);
            cell.start = Some(row.range.start().saturating_add(into));
        }
        if shown {
            cell.kinds[row.kind.index()] += share;
        }
    }
}

fn size(range: AddressRange) -> u128 {
    u128::from(range.last() - range.start()) + 1
}
