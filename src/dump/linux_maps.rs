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
    for line in text.split_inclusive(|byte| *byte == b'\n') {
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
        let map = parse_line(line);
        // The kernel ends every line. A last one without an end was cut: it
        // may lack lines after it, or the rest of its name.
        if !ended || map.is_none() {
            found.incomplete = true;
            reader.issue(KIND, start, || match (ended, map.is_some()) {
                (false, true) => "the last line is not ended: the text was cut there".into(),
                (false, false) => {
                    format!("the last line was cut after {} bytes; left out", line.len())
                }
                _ => format!("a line of {} bytes is no mapping; left out", line.len()),
            });
        }
        found.maps.extend(map);
    }
    if !found.maps.is_sorted_by_key(|map| map.range.start()) {
        found.maps.sort_by_key(|map| map.range.start());
    }
    Some(found)
}

/// `start-end perms offset major:minor inode name`, the name with spaces or
/// missing.
fn parse_line(line: &[u8]) -> Option<LinuxMap> {
    let mut rest = line;
    let start = number::<16>(&mut rest)?;
    skip(&mut rest, b'-')?;
    let end = number::<16>(&mut rest)?;
    skip(&mut rest, b' ')?;
    let (&[read, write, execute, sharing], after) = rest.split_first_chunk::<4>()?;
    rest = after;
    skip(&mut rest, b' ')?;
    let offset = number::<16>(&mut rest)?;
    skip(&mut rest, b' ')?;
    let major = number::<16>(&mut rest)?;
    skip(&mut rest, b':')?;
    let minor = number::<16>(&mut rest)?;
    skip(&mut rest, b' ')?;
    let inode = number::<10>(&mut rest)?;
    let name = match rest.split_first() {
        None => rest,
        Some((b' ' | b'\t', name)) => name.trim_ascii_start(),
        Some(_) => return None,
    };
    let (name, deleted) = match name.strip_suffix(b" (deleted)") {
        Some(name) => (name, true),
        None => (name, false),
    };
    Some(LinuxMap {
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
        name: String::from_utf8_lossy(name).into_owned(),
        deleted,
    })
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

/// One digit or more; `None` past 2^64.
fn number<const RADIX: u32>(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    let mut digits = 0_usize;
    while let Some((byte, after)) = rest.split_first()
        && let Some(digit) = char::from(*byte).to_digit(RADIX)
    {
        value = value.checked_mul(RADIX.into())?.checked_add(digit.into())?;
        digits = digits.saturating_add(1);
        *rest = after;
    }
    (digits > 0).then_some(value)
}
