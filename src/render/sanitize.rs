//! The one place that makes strings from a dump harmless: names are chosen by
//! whoever wrote the dump. Also measures and clips them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// For a terminal: what could move the cursor, change colours, break the line
/// or reorder the text is written as `\u{..}`.
pub fn terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_dangerous(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// For a cell of CSV: a text that a spreadsheet would take for a formula gets
/// an apostrophe in front. Quoting is the CSV writer's part.
pub fn csv(text: &str) -> Cow<'_, str> {
    let text = terminal(text);
    if text.starts_with(['=', '+', '-', '@']) { Cow::Owned(format!("'{text}")) } else { text }
}

/// For a cell of a Markdown table: nothing in it ends the cell or begins a
/// link, a tag, code or emphasis.
pub fn markdown(text: &str) -> Cow<'_, str> {
    let text = terminal(text);
    let special = |c: char| "\\|`*_[]<>&~#".contains(c);
    if !text.contains(special) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if special(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// For the message of a GitHub workflow command.
pub fn github(text: &str) -> Cow<'_, str> {
    escape_percent(terminal(text), &['%', '\r', '\n'])
}

/// For a property of a GitHub workflow command.
pub fn github_property(text: &str) -> Cow<'_, str> {
    escape_percent(terminal(text), &['%', '\r', '\n', ':', ','])
}

/// A path as a URI reference of SARIF: everything but the plainest characters
/// in percent signs; absolute paths with the scheme `file`.
pub fn uri(path: &str) -> String {
    let slashed = path.replace('\\', "/");
    let mut out = String::with_capacity(slashed.len() + 8);
    let drive = slashed.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && slashed.get(1..3) == Some(":/");
    if drive {
        out.push_str("file:///");
    } else if slashed.starts_with('/') {
        out.push_str(if slashed.starts_with("//") { "file:" } else { "file://" });
    }
    for byte in slashed.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn escape_percent<'t>(text: Cow<'t, str>, special: &[char]) -> Cow<'t, str> {
    if !text.contains(special) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special.contains(&c) {
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Control characters (ESC, newlines and C1 among them), line separators, and
/// the marks that change the direction of text or cannot be seen.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that `text` takes in a terminal.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_width).sum() }
}

/// Wide: the blocks of East Asian scripts and emoji. Zero: combining marks.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f => 0,
        0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xa960..=0xa97c => 2,
        0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff01..=0xff60 => 2,
        0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f680..=0x1f6ff | 0x1f900..=0x1f9ff => 2,
        0x2_0000..=0x3_fffd => 2,
        _ => 1,
    }
}

/// `text` in at most `columns`, its middle replaced by `…`: both the drive and
/// the file name of a path stay.
pub fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let head = take(text.chars(), room / 3);
    let tail: Vec<char> = take(text.chars().rev(), room - room / 3);
    let mut out: String = head.into_iter().collect();
    if columns > 0 {
        out.push('…');
    }
    out.extend(tail.into_iter().rev());
    Cow::Owned(out)
}

fn take(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut left = columns;
    chars
        .map_while(|c| {
            left = left.checked_sub(char_width(c))?;
            Some(c)
        })
        .collect()
}

/// `text` broken at blanks into lines of at most `columns`. A word that does
/// not fit a line is not broken: it may be a path to copy.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let room = columns.saturating_sub(width(word) + 1);
        match lines.last_mut().filter(|line| width(line) <= room) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_steers_it() {
        let cases = [
            ("plain ü 漢", "plain ü 漢"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\r\nb\tc", "a\\u{d}\\u{a}b\\u{9}c"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("exe\u{202e}gpj", "exe\\u{202e}gpj"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
        ];
        for (text, expected) in cases {
            assert_eq!(terminal(text), expected);
        }
    }

    #[test]
    fn no_formula_in_csv() {
        assert_eq!(csv("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(csv("@x"), "'@x");
        assert_eq!(csv("a-b"), "a-b");
    }

    #[test]
    fn no_markup_in_markdown() {
        assert_eq!(markdown("a|b<img src=x>`c`[d](e)"), "a\\|b&lt;img src=x&gt;\\`c\\`\\[d\\](e)");
    }

    #[test]
    fn no_command_in_annotations() {
        assert_eq!(github("50%\r\n::set-env"), "50%25\\u{d}\\u{a}::set-env");
        assert_eq!(github_property("a:b,c%"), "a%3Ab%2Cc%25");
    }

    #[test]
    fn paths_as_uris() {
        let cases = [
            ("a b/c%.dmp", "a%20b/c%25.dmp"),
            ("/tmp/x:y.dmp", "file:///tmp/x%3Ay.dmp"),
            (r"C:\d\x.dmp", "file:///C%3A/d/x.dmp"),
            (r"\\host\share\x", "file://host/share/x"),
            ("a:b.dmp", "a%3Ab.dmp"),
        ];
        for (path, expected) in cases {
            assert_eq!(uri(path), expected);
        }
    }

    #[test]
    fn clipping_counts_columns() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("C:\\Windows\\System32\\ntdll.dll", 14), "C:\\W…ntdll.dll");
        assert_eq!(clip("漢漢漢漢漢", 6), "…漢漢");
        assert_eq!(clip("abc", 0), "");
    }

    #[test]
    fn wrapping_keeps_words() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("a bbbbbbbbb c", 4), ["a", "bbbbbbbbb", "c"]);
        assert_eq!(wrap("", 10), [""]);
    }
}
