//! The one place that makes strings from a dump harmless: names are chosen by
//! whoever wrote the dump. Also measures and clips them.

use std::borrow::Cow;
use std::fmt::Write as _;

use textwrap::{WordSeparator, WordSplitter};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

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

/// For text and quoted attributes of HTML.
pub fn html(text: &str) -> Cow<'_, str> {
    let text = terminal(text);
    if !text.contains(['<', '>', '&', '"', '\'']) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
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
    text.width()
}

/// `text` in at most `columns`, its middle replaced by `…`: both the drive and
/// the file name of a path stay.
pub fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let head = fitting(text.graphemes(true), room / 3);
    let tail = fitting(text.graphemes(true).rev(), room - room / 3);
    Cow::Owned(format!("{}…{}", &text[..head], &text[text.len() - tail..]))
}

/// How many bytes of the characters have room.
fn fitting<'t>(characters: impl Iterator<Item = &'t str>, columns: usize) -> usize {
    let mut left = columns;
    let fits = |character: &&str| {
        let rest = left.checked_sub(width(character));
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    characters.take_while(fits).map(str::len).sum()
}

/// `text` broken at blanks into lines of at most `columns`. A word that does
/// not fit a line is not broken: it may be a path to copy.
pub fn wrap(text: &str, columns: usize) -> Vec<Cow<'_, str>> {
    let options = textwrap::Options::new(columns)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text, options)
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
    fn no_tag_and_no_attribute_in_html() {
        let hostile = "</script><b x='\"&\u{202e}";
        assert_eq!(html(hostile), "&lt;/script&gt;&lt;b x=&#39;&quot;&amp;\\u{202e}");
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
