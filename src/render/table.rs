//! A table as a value, and its two forms: aligned text and Markdown.

use anstyle::Style;
use comfy_table::CellAlignment;
use comfy_table::presets::NOTHING;

use super::paint::{BOLD, Paint};
use super::sanitize;

/// On which side a column is flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Its side.
    pub align: Align,
}

/// A column of words.
pub(crate) const fn words(title: &'static str) -> Column {
    Column { title, align: Align::Left }
}

/// A column of numbers.
pub(crate) const fn numbers(title: &'static str) -> Column {
    Column { title, align: Align::Right }
}

/// A cell: raw text, sanitised when it is written.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// How it looks in text.
    pub style: Style,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), style: Style::new() }
    }
}

impl Cell {
    /// With a style.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: text.into(), style }
    }
}

/// Columns and rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, a cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// Blanks between two columns.
    pub gap: usize,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Table {
        Table { columns: columns.into_iter().collect(), rows: Vec::new(), gap: 2 }
    }

    /// Columns that the text form takes.
    pub fn width(&self) -> usize {
        let gaps = self.gap * self.columns.len().saturating_sub(1);
        self.widths(&self.texts(usize::MAX)).iter().sum::<usize>() + gaps
    }

    /// As aligned lines of at most `width` columns: the last column is clipped
    /// in the middle, but not under its heading.
    pub fn text(&self, paint: Paint, width: usize) -> String {
        let mut rows = self.texts(width);
        let mut room = self.widths(&rows);
        if let (Some((last, others)), Some(column)) = (room.split_last_mut(), self.columns.last()) {
            let used = others.iter().map(|columns| columns + self.gap).sum();
            *last = width.saturating_sub(used).max(column.title.len());
        }
        for (text, room) in rows.iter_mut().flat_map(|row| row.iter_mut().zip(&room)) {
            *text = sanitize::clip(text, (*room).min(width)).into_owned();
        }
        let mut out = String::new();
        for (at, line) in self.laid_out(&rows).lines().enumerate() {
            let style = |column: usize| match at.checked_sub(1) {
                None => BOLD,
                Some(row) => self.rows[row][column].style,
            };
            paint_line(line.trim_end_matches(' '), &rows[at], style, paint, &mut out);
        }
        out
    }

    /// For a text of at most `width` columns: what does not fit into the last
    /// column goes on in further rows, broken at blanks.
    pub fn wrapped(&self, width: usize) -> Table {
        let room = self.widths(&self.texts(usize::MAX));
        let others = room.split_last().map_or(&[][..], |(_, others)| others);
        let used: usize = others.iter().map(|columns| columns + self.gap).sum();
        let heading = self.columns.last().map_or(0, |column| column.title.len());
        let room = width.saturating_sub(used).max(heading);
        let mut table = Table { rows: Vec::new(), columns: self.columns.clone(), gap: self.gap };
        for row in &self.rows {
            let Some((last, others)) = row.split_last() else { continue };
            let text = sanitize::terminal(&last.text);
            let fits = sanitize::width(&text) <= room;
            // Two blanks stand between two things.
            let parts = if fits { vec![&*text] } else { text.split("  ").collect() };
            let lines = parts.iter().flat_map(|part| sanitize::wrap(part, room));
            for (at, line) in lines.enumerate() {
                let empty = |cell: &Cell| Cell::styled("", cell.style);
                let before =
                    others.iter().map(|cell| if at == 0 { cell.clone() } else { empty(cell) });
                let end = Cell::styled(line, last.style);
                table.rows.push(before.chain([end]).collect());
            }
        }
        table
    }

    /// The headings and the rows, harmless, and clipped to what a line can
    /// show of one cell.
    fn texts(&self, most: usize) -> Vec<Vec<String>> {
        let titles = self.columns.iter().map(|column| column.title.to_owned()).collect();
        let safe = |cell: &Cell| sanitize::clip(&sanitize::terminal(&cell.text), most).into_owned();
        let rows = self.rows.iter().map(|row| row.iter().map(safe).collect());
        std::iter::once(titles).chain(rows).collect()
    }

    fn widths(&self, rows: &[Vec<String>]) -> Vec<usize> {
        let mut widths = vec![0; self.columns.len()];
        for row in rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(sanitize::width(text));
            }
        }
        widths
    }

    fn laid_out(&self, rows: &[Vec<String>]) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).add_rows(rows);
        let gap = u16::try_from(self.gap).unwrap_or(0);
        for (column, of) in table.column_iter_mut().zip(&self.columns) {
            column.set_padding((0, gap)).set_cell_alignment(match of.align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
        table
    }

    /// As a Markdown table.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = cells.collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        };
        line(&mut self.columns.iter().map(|column| column.title.to_owned()));
        line(
            &mut self
                .columns
                .iter()
                .map(|column| if column.align == Align::Right { "---:" } else { "---" }.to_owned()),
        );
        for row in &self.rows {
            line(&mut row.iter().map(|cell| sanitize::markdown(&cell.text).into_owned()));
        }
        out
    }
}

/// The line with its cells in their styles; they stand in it one by one.
fn paint_line(
    line: &str,
    cells: &[String],
    style: impl Fn(usize) -> Style,
    paint: Paint,
    out: &mut String,
) {
    let mut rest = line;
    for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
        let cell = cell.trim_end_matches(' ');
        let Some((before, after)) = rest.split_once(cell) else { break };
        out.extend([before, &paint.paint(style(column), cell)]);
        rest = after;
    }
    out.extend([rest, "\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([words("Name"), numbers("Size"), words("Path")]);
        table.rows.push(vec!["a".into(), "12 K".into(), "C:\\Windows\\System32\\a.dll".into()]);
        table.rows.push(vec!["b|\u{1b}".into(), "1,234 K".into(), "".into()]);
        table
    }

    #[test]
    fn text_is_aligned_and_clipped() {
        let expected = "\
Name         Size  Path
a            12 K  C:\\W…m32\\a.dll
b|\\u{1b}  1,234 K
";
        assert_eq!(table().text(Paint::Plain, 33), expected);
    }

    #[test]
    fn what_does_not_fit_goes_on_below() {
        let mut table = Table::new([words("Name"), numbers("Size"), words("Owner")]);
        table.rows.push(vec!["a".into(), "12 K".into(), "threads of a pool".into()]);
        table.rows.push(vec!["b".into(), "4 K".into(), "RW  heap of one".into()]);
        table.rows.push(vec!["c".into(), "4 K".into(), "".into()]);
        let expected = "\
Name  Size  Owner
a     12 K  threads of
            a pool
b      4 K  RW
            heap of
            one
c      4 K
";
        assert_eq!(table.wrapped(22).text(Paint::Plain, 22), expected);
    }

    #[test]
    fn markdown_escapes() {
        assert!(table().markdown().contains("| b\\|\\\\u{1b} | 1,234 K |  |"));
    }
}
