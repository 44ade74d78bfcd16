//! Names that records point to: `u32 length` in bytes, then UTF-16LE or
//! UTF-8 text, at a file offset. A name that cannot be read is an issue of
//! the record that names it, and costs nothing else.

use super::StreamReader;
use super::bytes::{index, length, u32_at};
use super::path::FilePath;

/// The longest name that is kept whole. UNICODE_STRING cannot hold more.
pub(super) const NAME_BYTES: usize = 64 << 10;

/// A length-prefixed text that a record at `place` names `what`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameAt {
    /// The stream of the record.
    pub(super) kind: u32,
    /// Where the record is in the file.
    pub(super) place: u64,
    /// What the name is of, for the issue.
    pub(super) what: &'static str,
    /// Where the name is in the file.
    pub(super) rva: u64,
}

/// MINIDUMP_STRING: UTF-16LE. `None` when nothing of it can be read.
pub(super) fn utf16(reader: &mut StreamReader<'_, '_>, name: NameAt) -> Option<String> {
    let bytes = text_bytes(reader, name)?;
    Some(decoded(reader, name, bytes))
}

/// As [`utf16`], for a path.
pub(super) fn path(reader: &mut StreamReader<'_, '_>, name: NameAt) -> Option<FilePath> {
    let bytes = text_bytes(reader, name)?;
    let units = without_nuls(bytes);
    if is_ascii(units) {
        reader.letters.clear();
        reader.letters.extend(units.iter().map(|[low, _]| *low));
        return std::str::from_utf8(&reader.letters).ok().map(FilePath::from);
    }
    Some(decoded(reader, name, bytes).into())
}

fn decoded(reader: &mut StreamReader<'_, '_>, name: NameAt, bytes: &[u8]) -> String {
    let (text, damaged) = decode_utf16(bytes);
    if damaged {
        issue(reader, name, || "has a lone surrogate; U+FFFD stands for it".into());
    }
    text
}

/// Crashpad's MinidumpUTF8String.
pub(super) fn utf8(reader: &mut StreamReader<'_, '_>, name: NameAt) -> Option<String> {
    let bytes = text_bytes(reader, name)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// UTF-16LE text without the NULs at its end, and whether a surrogate in it
/// was lone. Nearly every name is ASCII: that has its own way.
pub(super) fn decode_utf16(bytes: &[u8]) -> (String, bool) {
    let units = without_nuls(bytes);
    if is_ascii(units) {
        let text = units.iter().map(|[low, _]| *low).collect::<Vec<u8>>();
        if let Ok(text) = String::from_utf8(text) {
            return (text, false);
        }
    }
    let mut damaged = false;
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let chars = char::decode_utf16(units).map(|unit| {
        unit.unwrap_or_else(|_| {
            damaged = true;
            char::REPLACEMENT_CHARACTER
        })
    });
    (chars.collect(), damaged)
}

/// The units of a text without the NULs at its end.
fn without_nuls(bytes: &[u8]) -> &[[u8; 2]] {
    let mut units = bytes.as_chunks::<2>().0;
    while let Some((&[0, 0], rest)) = units.split_last() {
        units = rest;
    }
    units
}

/// Whether all units of UTF-16LE text are below 0x80.
fn is_ascii(units: &[[u8; 2]]) -> bool {
    const OTHERS: u64 = 0xff80_ff80_ff80_ff80;
    let (fours, rest) = units.as_flattened().as_chunks::<8>();
    let bits = fours.iter().fold(0, |bits, four| bits | u64::from_le_bytes(*four));
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(last, byte)| *last = *byte);
    (bits | u64::from_le_bytes(last)) & OTHERS == 0
}

/// UTF-16LE text up to its NUL, in a field of fixed size.
pub(super) fn utf16_before_nul(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0;
    let end = units.iter().position(|unit| *unit == [0, 0]).unwrap_or(units.len());
    decode_utf16(units.get(..end).unwrap_or(units).as_flattened()).0
}

/// The text's bytes, clipped to [`NAME_BYTES`] and to what is left of
/// `limits.name_bytes` for all names of the dump: many records may name one
/// long text, and each would keep a copy.
fn text_bytes<'s>(reader: &mut StreamReader<'_, 's>, name: NameAt) -> Option<&'s [u8]> {
    let source = reader.source;
    let Some(promised) = source.slice(name.rva, 4).and_then(|bytes| u32_at(bytes, 0)) else {
        issue(reader, name, || "lies outside the file; left out".into());
        return None;
    };
    let start = name.rva.saturating_add(4);
    if !source.holds(start, promised.into()) {
        issue(reader, name, || {
            format!("has {promised} bytes, more than the file has there; left out")
        });
        return None;
    }
    let kept = index(promised).min(NAME_BYTES);
    if kept < index(promised) {
        issue(reader, name, || format!("has {promised} bytes; clipped to {NAME_BYTES}"));
    }
    if kept > reader.text_left {
        let limit = reader.limits.name_bytes;
        issue(reader, name, || format!("would exceed {limit} bytes of names; left out"));
        return None;
    }
    reader.text_left = reader.text_left.saturating_sub(kept);
    source.slice(start, length(kept))
}

fn issue(reader: &mut StreamReader<'_, '_>, name: NameAt, message: impl FnOnce() -> String) {
    let NameAt { kind, place, what, rva } = name;
    reader.issue(kind, place, || format!("the {what} at {rva:#x} {}", message()));
}

/// `size` bytes at `rva`, all of them or none.
pub(super) fn located<'s>(
    reader: &StreamReader<'_, 's>,
    (size, rva): (u32, u32),
) -> Option<&'s [u8]> {
    reader.source.slice(rva.into(), size.into())
}

/// A MINIDUMP_LOCATION_DESCRIPTOR at `offset`: size and file offset, `None`
/// when either is 0.
pub(super) fn location(bytes: &[u8], offset: usize) -> Option<(u32, u32)> {
    let size = u32_at(bytes, offset)?;
    let rva = u32_at(bytes, offset.checked_add(4)?)?;
    (size > 0 && rva > 0).then_some((size, rva))
}

/// A GUID as sixteen bytes in a record, in its usual text form.
pub(super) fn guid(bytes: &[u8; 16]) -> Option<String> {
    let first = u32_at(bytes, 0)?;
    let [second, third] = [super::bytes::u16_at(bytes, 4)?, super::bytes::u16_at(bytes, 6)?];
    let [a, b, rest @ ..] = *bytes.last_chunk::<8>()?;
    let tail = rest.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    Some(format!("{first:08x}-{second:04x}-{third:04x}-{a:02x}{b:02x}-{tail:012x}"))
}

/// The records of a list whose header says how long its header and each of
/// its entries is: at least `N` bytes an entry are needed. Later versions of
/// a structure append fields, so longer entries are fine.
pub(super) fn strided<'s, const N: usize>(
    reader: &mut StreamReader<'_, 's>,
    kind: u32,
    stream: &super::StreamBytes<'s>,
    (header, stride, promised): (u32, u32, u32),
) -> impl Iterator<Item = (u64, &'s [u8; N])> + use<'s, N> {
    let (header, stride, promised) = (index(header), index(stride), index(promised));
    let fits = stride >= N;
    if !fits {
        reader.issue(kind, stream.offset, || {
            format!("entries of {stride} bytes: at least {N} are needed; the list is not used")
        });
    }
    let records = stream.bytes.get(header..).unwrap_or(&[]);
    // The last entry may lack fields that no version here reads.
    let whole = records.len().checked_div(stride.max(1)).unwrap_or(0);
    let there = match records.len().saturating_sub(whole.saturating_mul(stride)) {
        rest if rest >= N => whole.saturating_add(1),
        _ => whole,
    };
    let count = there.min(promised).min(reader.limits.entries);
    if fits && count < promised {
        reader.issue(kind, stream.offset, || {
            format!("the list promises {promised} entries, {count} are there and used")
        });
    }
    let first = stream.offset.saturating_add(length(header));
    let count = if fits { count } else { 0 };
    records.chunks(stride.max(1)).take(count).enumerate().filter_map(move |(at, record)| {
        let place = first.saturating_add(length(at.saturating_mul(stride)));
        Some((place, record.first_chunk::<N>()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, words};
    use crate::dump::{Directory, StreamReader};
    use crate::issue::Issues;
    use crate::limits::Limits;
    use crate::source::Source;

    /// Reads the UTF-16 name at `rva` with this much text left.
    fn name_at(file: &[u8], rva: u64, text_left: usize) -> (Option<String>, Vec<String>) {
        let source = Source::from_bytes(file);
        let (limits, directory) = (Limits::default(), Directory::default());
        let mut issues = Issues::default();
        let mut reader = StreamReader {
            source: &source,
            limits: &limits,
            directory: &directory,
            issues: &mut issues,
            text_left,
            letters: Vec::new(),
        };
        let name = utf16(&mut reader, NameAt { kind: 4, place: 0, what: "name", rva });
        (name, issues.into_vec().into_iter().map(|issue| issue.message).collect())
    }

    #[test]
    fn names_of_every_script() {
        for text in ["", "kernel32.dll", "C:\\Nutzer\\Jörg", "日本語.dll", "🦀.exe"] {
            let mut bytes = Bytes::new();
            let rva = bytes.name(text);
            assert_eq!(name_at(&bytes.finish(), rva.into(), 100), (Some(text.into()), vec![]));
        }
    }

    #[test]
    fn what_a_name_can_lack() {
        let odd = [words([3]), b"a\0b".to_vec()].concat();
        assert_eq!(name_at(&odd, 0, 100), (Some("a".into()), vec![]));
        let with_nul = [words([4]), b"a\0\0\0".to_vec()].concat();
        assert_eq!(name_at(&with_nul, 0, 100), (Some("a".into()), vec![]));
        let lone = [words([4]), vec![0, 0xd8, b'a', 0]].concat();
        let (name, issues) = name_at(&lone, 0, 100);
        assert_eq!((name.as_deref(), issues.len()), (Some("\u{fffd}a"), 1));
        for rva in [6, 8, u64::MAX, u64::MAX - 3] {
            let (name, issues) = name_at(&odd, rva, 100);
            assert_eq!((name, issues.len()), (None, 1), "{rva}");
        }
        let long = [words([u32::MAX]), vec![0; 100]].concat();
        let (name, issues) = name_at(&long, 0, 100);
        assert_eq!(
            (name, issues),
            (
                None,
                vec![
                    "the name at 0x0 has 4294967295 bytes, more than the file has there; left out"
                        .into()
                ]
            )
        );
    }

    #[test]
    fn long_names_are_clipped_and_all_names_are_bounded() {
        let size = NAME_BYTES + 2;
        let text = b"a\0".repeat(size / 2);
        let long = [words([u32::try_from(size).unwrap()]), text].concat();
        let (name, issues) = name_at(&long, 0, size);
        assert_eq!((name.unwrap().len(), issues.len()), (NAME_BYTES / 2, 1));
        let (name, issues) = name_at(&long, 0, NAME_BYTES - 1);
        assert_eq!((name, issues.len()), (None, 2));
    }

    #[test]
    fn guids_have_three_numbers_and_eight_bytes() {
        let bytes: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(guid(&bytes).unwrap(), "03020100-0504-0706-0809-0a0b0c0d0e0f");
    }
}
