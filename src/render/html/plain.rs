//! Tables of text reports as HTML, for pages that have no data.

use std::fmt::Write as _;

use super::esc;
use crate::render::table::{Align, Table};

/// A table that script can sort, in a box of its own that scrolls.
pub(super) fn table(table: &Table, label: &str, out: &mut String) {
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n\
         <table class=\"list sortable\">\n<thead><tr>",
        esc(label)
    );
    let class = |at: usize| match table.columns.get(at).map(|column| column.align) {
        Some(Align::Right) => " class=\"num\"",
        _ => "",
    };
    for (at, column) in table.columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(at), esc(column.title));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let key = match class(at) {
                "" => String::new(),
                _ => format!(" data-sort=\"{}\"", key(&cell.text)),
            };
            let _ = write!(out, "<td{}{key}>{}</td>", class(at), esc(&cell.text));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

/// What a number sorts by: `1,234 K` and `+5 M` as bytes, nothing for `-`.
fn key(text: &str) -> String {
    let digits: String =
        text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+')).collect();
    let Ok(number) = digits.parse::<f64>() else { return String::new() };
    let scale = match text.chars().last() {
        Some('K') => 1024.0,
        Some('M') => 1024.0 * 1024.0,
        Some('G') => 1024.0 * 1024.0 * 1024.0,
        Some('T') => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => 1.0,
    };
    (number * scale).to_string()
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn numbers_sort_by_what_they_mean() {
        let cases = [
            ("1,234 K", "1263616"),
            ("+2 M", "2097152"),
            ("-4 K", "-4096"),
            ("12.5 %", "12.5"),
            ("-", ""),
            ("?", ""),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(key(text), expected, "{text}");
        }
    }
}
