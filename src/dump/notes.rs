//! What the writer added in words. Sources: CommentA/W (10, 11, raw text),
//! CrashpadInfo (0x43500001), BreakpadInfo (0x47670001), AssertionInfo
//! (0x47670002).

use super::bytes::{text_before_nul, u32_at};
use super::strings::{NAME_BYTES, utf16_before_nul};
use super::{StreamReader, crashpad, stream_type};

/// One key and value of Crashpad's annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// As the program chose it.
    pub key: String,
    /// As the program set it. May hold user data.
    pub value: String,
}

/// Comments, annotations and who asked for the dump.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The text of the comment streams.
    pub comment: Option<String>,
    /// Annotations of Crashpad, of the process and of its modules.
    pub annotations: Vec<Annotation>,
    /// The thread that wrote the dump and the one that asked for it, when the
    /// stream says that both are set.
    pub breakpad_threads: Option<(u32, u32)>,
    /// Expression, function, file and line of a failed assertion, as one text.
    pub assertion: Option<String>,
    /// Crashpad's report id, as a GUID.
    pub report_id: Option<String>,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>) -> Notes {
    let mut notes = Notes {
        comment: read_comment(reader),
        breakpad_threads: read_breakpad(reader),
        assertion: read_assertion(reader),
        ..Notes::default()
    };
    crashpad::read(reader, &mut notes);
    notes
}

/// Raw text, with or without a NUL; ProcDump writes the UTF-16 one. When
/// there are both and they differ, both are kept.
fn read_comment(reader: &mut StreamReader<'_, '_>) -> Option<String> {
    let narrow = comment_bytes(reader, stream_type::COMMENT_A);
    let narrow =
        narrow.map(|text| text_before_nul(text).into_owned()).filter(|text| !text.is_empty());
    let wide = comment_bytes(reader, stream_type::COMMENT_W);
    let wide = wide.map(utf16_before_nul).filter(|text| !text.is_empty());
    match (narrow, wide) {
        (Some(narrow), Some(wide)) if narrow != wide => Some(format!("{narrow}\n{wide}")),
        (narrow, wide) => wide.or(narrow),
    }
}

fn comment_bytes<'s>(reader: &mut StreamReader<'_, 's>, kind: u32) -> Option<&'s [u8]> {
    let stream = reader.stream(kind)?;
    let kept = stream.bytes.len().min(NAME_BYTES);
    if kept < stream.bytes.len() {
        reader.issue(kind, stream.offset, || {
            format!("a comment of {} bytes; clipped to {NAME_BYTES}", stream.bytes.len())
        });
    }
    stream.bytes.get(..kept)
}

/// Validity bit 0: the thread that wrote the dump; bit 1: the one that asked.
fn read_breakpad(reader: &mut StreamReader<'_, '_>) -> Option<(u32, u32)> {
    let stream = reader.stream(stream_type::BREAKPAD_INFO)?;
    let validity = u32_at(stream.bytes, 0)?;
    if validity & 3 != 3 {
        return None;
    }
    Some((u32_at(stream.bytes, 4)?, u32_at(stream.bytes, 8)?))
}

/// Three UTF-16 texts of 128 units each, a line number and a kind.
fn read_assertion(reader: &mut StreamReader<'_, '_>) -> Option<String> {
    let stream = reader.stream(stream_type::ASSERTION_INFO)?;
    let text = |at: usize| {
        let field = stream.bytes.get(at..at.saturating_add(256))?;
        Some(utf16_before_nul(field)).filter(|text| !text.is_empty())
    };
    let kind = match u32_at(stream.bytes, 772) {
        Some(1) => "invalid parameter",
        Some(2) => "pure virtual call",
        _ => "assertion",
    };
    let mut assertion = text(0).unwrap_or_else(|| kind.into());
    if let Some(function) = text(256) {
        assertion = format!("{assertion} in {function}");
    }
    if let Some(file) = text(512) {
        let line = u32_at(stream.bytes, 768).unwrap_or(0);
        assertion = format!("{assertion} ({file}:{line})");
    }
    Some(assertion)
}

#[cfg(test)]
mod tests {
    use crate::dump::tests::{Bytes, messages, read, words};

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn comments_with_and_without_a_nul() {
        let comment = |bytes: Bytes| read(&bytes.finish(), |dump| dump.notes.comment.clone());
        let narrow = Bytes::new().stream(10, "*** procdump\0\0\0");
        assert_eq!(comment(narrow).as_deref(), Some("*** procdump"));
        let both = Bytes::new().stream(11, wide("héllo")).stream(10, "hello");
        assert_eq!(comment(both).as_deref(), Some("hello\nhéllo"));
        let same = Bytes::new().stream(11, wide("hello\0")).stream(10, "hello");
        assert_eq!(comment(same).as_deref(), Some("hello"));
        assert_eq!(comment(Bytes::new().stream(10, "\0").stream(11, "x")), None);
    }

    #[test]
    fn a_long_comment_is_clipped() {
        let dump = Bytes::new().stream(10, "x".repeat(70_000)).finish();
        read(&dump, |dump| {
            let size = dump.notes.comment.as_ref().map(String::len);
            assert_eq!((size, messages(dump).len()), (Some(65_536), 1));
        });
    }

    #[test]
    fn breakpads_threads_when_both_are_valid() {
        for (validity, expected) in [(3, Some((7, 8))), (1, None), (0, None), (7, Some((7, 8)))] {
            let dump = Bytes::new().stream(0x4767_0001, words([validity, 7, 8])).finish();
            assert_eq!(read(&dump, |dump| dump.notes.breakpad_threads), expected);
        }
        let cut = Bytes::new().stream(0x4767_0001, words([3, 7])).finish();
        assert_eq!(read(&cut, |dump| dump.notes.breakpad_threads), None);
    }

    #[test]
    fn an_assertion_in_one_text() {
        let field = |text: &str| [wide(text), vec![0; 256 - 2 * text.len()]].concat();
        let assertion = |expression, function, file, kind| {
            let texts = [field(expression), field(function), field(file)].concat();
            let stream = [texts, words([42, kind])].concat();
            let dump = Bytes::new().stream(0x4767_0002, stream).finish();
            read(&dump, |dump| dump.notes.assertion.clone().unwrap())
        };
        assert_eq!(assertion("x > 0", "main", "a.c", 0), "x > 0 in main (a.c:42)");
        assert_eq!(assertion("", "", "", 2), "pure virtual call");
        assert_eq!(assertion("", "f", "", 1), "invalid parameter in f");
    }
}
