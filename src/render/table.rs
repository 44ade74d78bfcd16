//! A table as a value, and its two forms: aligned text and Markdown.

use anstyle::Style;

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
        self.widths().iter().sum::<usize>() + gaps
    }

    /// As aligned lines of at most `width` columns: the last column is clipped
    /// in the middle, but not under its heading.
    pub fn text(&self, paint: Paint, width: usize) -> String {
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| sanitize::terminal(&cell.text).into_owned()).collect())
            .collect();
        let mut widths = self.widths();
        if let Some((last, others)) = widths.split_last_mut() {
            let used = others.iter().sum::<usize>() + self.gap * others.len();
            let title = self.columns.last().map_or(0, |column| column.title.len());
            *last = (*last).min(width.saturating_sub(used).max(title.max(1)));
        }
        let mut out = String::new();
        let titles = self.columns.iter().map(|column| (column.title.to_owned(), BOLD));
        self.line(titles, &widths, paint, &mut out);
        for (texts, cells) in rows.into_iter().zip(&self.rows) {
            let cells = texts.into_iter().zip(cells).map(|(text, cell)| (text, cell.style));
            self.line(cells, &widths, paint, &mut out);
        }
        out
    }

    fn line(
        &self,
        cells: impl Iterator<Item = (String, Style)>,
        widths: &[usize],
        paint: Paint,
        out: &mut String,
    ) {
        let start = out.len();
        for (at, (text, style)) in cells.enumerate() {
            let (Some(column), Some(columns)) = (self.columns.get(at), widths.get(at)) else {
                break;
            };
            let text = sanitize::clip(&text, *columns);
            let padding = " ".repeat(columns.saturating_sub(sanitize::width(&text)));
            let painted = paint.paint(style, &text);
            if at > 0 {
                out.push_str(&" ".repeat(self.gap));
            }
            match column.align {
                Align::Left => out.extend([painted.as_str(), &padding]),
                Align::Right => out.extend([&padding, painted.as_str()]),
            }
        }
        out.truncate(start + out[start..].trim_end_matches(' ').len());
        out.push('\n');
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.title.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(sanitize::width(&sanitize::terminal(&cell.text)));
            }
        }
        widths
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
