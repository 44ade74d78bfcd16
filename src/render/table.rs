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
    fn markdown_escapes() {
        assert!(table().markdown().contains("| b\\|\\\\u{1b} | 1,234 K |  |"));
    }
}
