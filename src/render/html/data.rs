//! What the script of a page reads: the documents of the commands as JSON,
//! then the columns of the regions; compressed, in base64.
//!
//! ```text
//! zlib( u32 length of the JSON, little-endian | JSON | columns )
//! ```

use std::io::{self, Write};

use data_encoding::BASE64;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use super::columns::Columns;
use crate::render::sanitize;
use crate::report::{Names, PageData, PageReport};

/// The best trade of bytes for time: higher levels win a few percent.
const LEVEL: u8 = 6;

/// Base64 in lines of this many characters, for editors and mail programs.
const LINE: usize = 16 << 10;

/// Writes the data of a page.
pub(super) fn write(
    report: &PageReport<'_>,
    names: &Names<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = Columns::of(names);
    let json = document(&PageData { page: report, regions: columns.tables() })?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(json.len() + columns.len() + 4);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&json);
    drop(json);
    columns.append_to(&mut bytes);
    let packed = compress_to_vec_zlib(&bytes, LEVEL);
    drop(bytes);
    // Multiples of three bytes need no padding in between.
    for part in packed.chunks(LINE / 4 * 3) {
        out.write_all(b"\n")?;
        out.write_all(BASE64.encode(part).as_bytes())?;
    }
    out.write_all(b"\n")
}

/// JSON in one line, its text harmless on a screen: what steers a reader is
/// written as `\u{..}`, as in all other output.
fn document(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(64 << 10);
    value.serialize(&mut Serializer::with_formatter(&mut out, Harmless(CompactFormatter)))?;
    Ok(out)
}

struct Harmless(CompactFormatter);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        // The only character that `terminal` adds and JSON escapes.
        match sanitize::terminal(text) {
            std::borrow::Cow::Borrowed(text) => self.0.write_string_fragment(out, text),
            std::borrow::Cow::Owned(text) => {
                self.0.write_string_fragment(out, &text.replace('\\', "\\\\"))
            }
        }
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let control = match escape {
            CharEscape::Backspace => 0x8,
            CharEscape::Tab => 0x9,
            CharEscape::LineFeed => 0xa,
            CharEscape::FormFeed => 0xc,
            CharEscape::CarriageReturn => 0xd,
            CharEscape::AsciiControl(byte) => byte,
            other => return self.0.write_char_escape(out, other),
        };
        write!(out, "\\\\u{{{control:x}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_harmless_and_json_is_json() {
        let text = "a\"b\\c\u{202e}d\\\u{202e}\n\u{1b}[31m</script>é";
        let json = document(&[text]).unwrap();
        let back: Vec<String> = serde_json::from_slice(&json).unwrap();
        assert_eq!(back, [sanitize::terminal(text)]);
    }
}
