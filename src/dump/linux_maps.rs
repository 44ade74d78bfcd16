//! The address space of a Linux process. Source: the text of /proc/PID/maps
//! (0x47670009). One bad line costs that line, never the map.

use super::StreamReader;
use super::bytes::length;
use super::stream_type;
use crate::addr::AddressRange;

const KIND: u32 = stream_type::LINUX_MAPS;

/// One line of /proc/PID/maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxMap {
    /// From the first byte up to the second address, which is outside.
    pub range: AddressRange,
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// Executable.
    pub execute: bool,
    /// `s`: writes are seen by others. `p`: private, copied on write.
    pub shared: bool,
    /// Offset in the file.
    pub offset: u64,
    /// Device, as major and minor number.
    pub device: (u32, u32),
    /// Inode; 0 when no file is behind it.
    pub inode: u64,
    /// Path or name in brackets, without ` (deleted)`; empty when anonymous.
    pub name: String,
    /// Whether the file was deleted after it was mapped.
    pub deleted: bool,
}

/// The maps text.
#[derive(Clone, Debug, Default)]
pub struct LinuxMaps {
    /// In address order; overlapping lines are kept and left to the map.
    pub maps: Vec<LinuxMap>,
    /// Whether a line was lost or the text cut: then gaps are not known to
    /// be free.
    pub incomplete: bool,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>) -> Option<LinuxMaps> {
    let stream = reader.stream(KIND)?;
    let mut found = LinuxMaps::default();
    let mut text = stream.bytes;
    if text.len() > reader.limits.text_bytes {
        let limit = reader.limits.text_bytes;
        reader.issue(KIND, stream.offset, || {
            format!("{} bytes of maps; only the first {limit} are read", text.len())
        });
        text = text.get(..limit).unwrap_or(text);
        found.incomplete = true;
    }
    // Padding after the text.
    while let Some((0, before)) = text.split_last() {
        text = before;
    }
    let mut place = stream.offset;
    while !text.is_empty() {
        let line = next_line(text);
        text = text.get(line.len()..).unwrap_or(&[]);
        let start = place;
        place = place.saturating_add(length(line.len()));
        let ended = line.last() == Some(&b'\n');
        let line = line.trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        if found.maps.len() >= reader.limits.entries {
            let limit = reader.limits.entries;
            reader.issue(KIND, start, || format!("only the first {limit} lines are read"));
            found.incomplete = true;
            break;
        }
        let parsed = parse_line(line);
        // The kernel ends every line. A last one without an end was cut: it
        // may lack lines after it, or the rest of its name.
        if !ended || parsed.is_none() {
            found.incomplete = true;
            reader.issue(KIND, start, || match (ended, parsed.is_some()) {
                (false, true) => "the last line is not ended: the text was cut there".into(),
                (false, false) => {
                    format!("the last line was cut after {} bytes; left out", line.len())
                }
                _ => format!("a line of {} bytes is no mapping; left out", line.len()),
            });
        }
        if let Some(Line::Mapping(map)) = parsed {
            found.maps.push(map);
        }
    }
    if !found.maps.is_sorted_by_key(|map| map.range.start()) {
        found.maps.sort_by_key(|map| map.range.start());
    }
    Some(found)
}

/// A line that can be read.
enum Line {
    Mapping(LinuxMap),
    /// Start and end are the same: `be1ff000-be1ff000 ---p`, the stack's guard
    /// page as Android's Linux 3.0 lists it. No memory, and no damage.
    Empty,
}

/// `start-end perms offset major:minor inode name`, the name with spaces or
/// missing.
fn parse_line(line: &[u8]) -> Option<Line> {
    let mut rest = line;
    let start = hex(&mut rest)?;
    skip(&mut rest, b'-')?;
    let end = hex(&mut rest)?;
    skip(&mut rest, b' ')?;
    let (&[read, write, execute, sharing], after) = rest.split_first_chunk::<4>()?;
    rest = after;
    skip(&mut rest, b' ')?;
    let offset = hex(&mut rest)?;
    skip(&mut rest, b' ')?;
    let major = hex(&mut rest)?;
    skip(&mut rest, b':')?;
    let minor = hex(&mut rest)?;
    skip(&mut rest, b' ')?;
    let inode = decimal(&mut rest)?;
    let name = match rest.split_first() {
        None => rest,
        Some((b' ' | b'\t', name)) => name.trim_ascii_start(),
        Some(_) => return None,
    };
    let (name, deleted) = match name.strip_suffix(b" (deleted)") {
        Some(name) => (name, true),
        None => (name, false),
    };
    if start == end {
        return Some(Line::Empty);
    }
    Some(Line::Mapping(LinuxMap {
        range: AddressRange::between(start, end)?,
        read: flag(read, b'r')?,
        write: flag(write, b'w')?,
        execute: flag(execute, b'x')?,
        shared: match sharing {
            b's' | b'S' => true,
            b'p' | b'P' | b'-' => false,
            _ => return None,
        },
        offset,
        device: (u32::try_from(major).ok()?, u32::try_from(minor).ok()?),
        inode,
        name: text(name),
        deleted,
    }))
}

/// Checking first is several times faster than the lossy way.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn flag(byte: u8, set: u8) -> Option<bool> {
    match byte {
        b'-' => Some(false),
        _ => (byte == set).then_some(true),
    }
}

/// The separator, once or more.
fn skip(rest: &mut &[u8], separator: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[separator])?;
    while separator == b' '
        && let Some(after) = rest.strip_prefix(b" ")
    {
        *rest = after;
    }
    Some(())
}

/// A hexadecimal number of at most 16 digits.
fn hex(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    let mut digits = 0_usize;
    for byte in rest.iter().take(17) {
        let digit = match byte {
            b'0'..=b'9' => byte & 0xf,
            b'a'..=b'f' | b'A'..=b'F' => (byte & 0xf).saturating_add(9),
            _ => break,
        };
        value = value << 4 | u64::from(digit);
        digits = digits.saturating_add(1);
    }
    *rest = rest.get(digits..)?;
    (1..=16).contains(&digits).then_some(value)
}

/// A decimal number that fits 64 bits.
fn decimal(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    let mut digits = 0_usize;
    while let Some(byte @ b'0'..=b'9') = rest.get(digits) {
        value = value.checked_mul(10)?.checked_add(u64::from(byte & 0xf))?;
        digits = digits.saturating_add(1);
    }
    *rest = rest.get(digits..)?;
    (digits > 0).then_some(value)
}

/// The bytes up to the next line feed, with it; all where there is none.
/// Whole blocks are compared at once: lines are most of a large text.
fn next_line(text: &[u8]) -> &[u8] {
    let (blocks, _) = text.as_chunks::<32>();
    let without = blocks
        .iter()
        .take_while(|block| block.iter().fold(true, |without, byte| without & (*byte != b'\n')));
    let start = without.count().saturating_mul(32);
    let rest = text.get(start..).unwrap_or(&[]);
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(at) => text.get(..=start.saturating_add(at)).unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, read};

    /// The maps of a dump with this text, and how many issues it has.
    fn maps(text: &[u8]) -> (LinuxMaps, u64) {
        let bytes = Bytes::new().stream(KIND, text).finish();
        read(&bytes, |dump| (dump.linux.maps.clone().unwrap(), dump.issues.total()))
    }

    fn only(text: &str) -> LinuxMap {
        let (found, issues) = maps(text.as_bytes());
        assert_eq!((found.maps.len(), found.incomplete, issues), (1, false, 0), "{text}");
        found.maps[0].clone()
    }

    #[test]
    fn every_field_of_a_line() {
        let map = only("7f0012340000-7f0012345000 r-xp 0001f000 fd:1a 123456 /lib/libc.so.6\n");
        let expected = LinuxMap {
            range: AddressRange::between(0x7f00_1234_0000, 0x7f00_1234_5000).unwrap(),
            read: true,
            write: false,
            execute: true,
            shared: false,
            offset: 0x1f000,
            device: (0xfd, 0x1a),
            inode: 123_456,
            name: "/lib/libc.so.6".into(),
            deleted: false,
        };
        assert_eq!(map, expected);
    }

    #[test]
    fn names_of_all_kinds() {
        let line = |name: &str| only(&format!("1000-2000 rw-s 0 00:05 7{name}\n"));
        let cases = [
            ("", "", false),
            (" ", "", false),
            ("                       [heap]", "[heap]", false),
            (" /SYSV00", "/SYSV00", false),
            (" /SYSV00000000 (deleted)", "/SYSV00000000", true),
            (" [stack:", "[stack:", false),
            (" /opt/my app/a b.so", "/opt/my app/a b.so", false),
            (" /memfd:x y (deleted) (deleted)", "/memfd:x y (deleted)", true),
            (
                " [anon:dalvik-main space (region space)]   ",
                "[anon:dalvik-main space (region space)]",
                false,
            ),
            (" (deleted)", "(deleted)", false),
        ];
        for (text, name, deleted) in cases {
            let map = line(text);
            assert_eq!((map.name.as_str(), map.deleted), (name, deleted), "{text:?}");
            assert!(map.shared && map.read && map.write && !map.execute);
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_kept_lossily() {
        let (found, issues) = maps(b"1000-2000 r--p 0 00:00 0 /tmp/\xff\n");
        assert_eq!((found.maps[0].name.as_str(), issues), ("/tmp/\u{fffd}", 0));
    }

    #[test]
    fn padding_and_blank_lines_mean_nothing() {
        let (found, issues) = maps(b"\n1000-2000 r--p 0 00:00 0\r\n  \n\0\0\0");
        assert_eq!((found.maps.len(), found.incomplete, issues), (1, false, 0));
    }

    #[test]
    fn the_last_line_may_be_cut() {
        let (found, issues) = maps(b"1000-2000 r--p 0 00:00 0 \n3000-40");
        assert_eq!((found.maps.len(), found.incomplete, issues), (1, true, 1));
        // Readable, but who knows how the name went on.
        let (found, issues) = maps(b"1000-2000 r--p 0 00:00 0 /lib/libfo");
        assert_eq!((found.maps.len(), found.incomplete, issues), (1, true, 1));
    }

    #[test]
    fn a_bad_line_costs_that_line() {
        let bad = [
            "garbage",
            "1000 r--p 0 00:00 0",
            "2000-1000 r--p 0 00:00 0",
            "1000-2000 rwzp 0 00:00 0",
            "1000-2000 rwx? 0 00:00 0",
            "1000-2000 rwxp 0 0000 0",
            "1000-2000 rwxp 0 00:00 0x7",
            "1000-2000 rwxp 0 00:100000000 0",
            "1000-20000000000000000 r--p 0 00:00 0",
            "-2000 r--p 0 00:00 0",
            "1000-2000",
        ];
        for line in bad {
            let text = format!("1000-2000 r--p 0 00:00 0\n{line}\n5000-6000 r--p 0 00:00 0\n");
            let (found, issues) = maps(text.as_bytes());
            assert_eq!((found.maps.len(), found.incomplete, issues), (2, true, 1), "{line}");
        }
    }

    #[test]
    fn lines_of_every_length_end_where_they_end() {
        for size in 0..100 {
            let line = [vec![b'x'; size], vec![b'\n']].concat();
            let text = [line.clone(), b"tail\n".to_vec()].concat();
            assert_eq!(next_line(&text), line);
            assert_eq!(next_line(&line[..size]), &line[..size]);
        }
    }

    #[test]
    fn an_empty_mapping_is_no_damage() {
        let (found, issues) = maps(b"be1ff000-be1ff000 ---p 00000000 00:00 0 \n");
        assert_eq!((found.maps.len(), found.incomplete, issues), (0, false, 0));
    }

    #[test]
    fn lines_come_out_in_address_order() {
        let (found, issues) = maps(
            b"ffffffffff600000-ffffffffff601000 --xp 0 00:00 0 [vsyscall]\n1000-2000 r--p 0 00:00 0\n",
        );
        let starts: Vec<u64> = found.maps.iter().map(|map| map.range.start()).collect();
        assert_eq!((starts, issues), (vec![0x1000, 0xffff_ffff_ff60_0000], 0));
    }
}
