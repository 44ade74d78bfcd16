//! Mach-O headers. Source: mach_header and its LC_SEGMENT commands in the
//! first page of an image; little-endian only.

use super::Section;
use crate::addr::AddressRange;
use crate::dump::bytes::{array_at, index, u32_at, u64_at};
use crate::evidence::Use;
use crate::map::Protection;

/// Segments have names of 16 bytes; a section's name keeps 8. The known
/// longer ones are spelled out.
const LONG_NAMES: [&str; 7] = [
    "__DATA_CONST",
    "__DATA_DIRTY",
    "__AUTH_CONST",
    "__OBJC_CONST",
    "__LINKEDIT",
    "__RESTRICT",
    "__TEXT_EXEC",
];

/// The segments of an image at `base`.
pub(super) fn sections_at(bytes: &[u8], base: u64) -> Option<Vec<Section>> {
    let (wide, first) = match u32_at(bytes, 0)? {
        0xfeed_face => (false, 28),
        0xfeed_facf => (true, 32),
        _ => return None,
    };
    let segments = segments(bytes, wide, first, u32_at(bytes, 16)?);
    // The header is the start of the segment that has the file's start.
    let text = segments.iter().find(|segment| segment.file.0 == 0 && segment.file.1 > 0)?;
    let slide = base.wrapping_sub(text.address);
    let place = |segment: &Segment| {
        // __PAGEZERO and the shared cache's __LINKEDIT are not the image's.
        if segment.protect == 0 || segment.size > 1 << 31 {
            return None;
        }
        let range = AddressRange::new(segment.address.wrapping_add(slide), segment.size)?;
        Some(Section { usage: name(segment.name), range, protect: protection(segment.protect) })
    };
    Some(segments.iter().filter_map(place).collect())
}

struct Segment {
    name: [u8; 16],
    address: u64,
    size: u64,
    /// Offset and size in the file.
    file: (u64, u64),
    /// VM_PROT_*: 1 read, 2 write, 4 execute.
    protect: u32,
}

fn segments(bytes: &[u8], wide: bool, first: usize, count: u32) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut rest = bytes.get(first..).unwrap_or(&[]);
    for _ in 0..count {
        let (Some(kind), Some(size)) = (u32_at(rest, 0), u32_at(rest, 4)) else { break };
        if matches!((kind, wide), (0x19, true) | (0x1, false)) {
            found.extend(segment(rest, wide));
        }
        match rest.get(index(size)..) {
            Some(next) if size >= 8 => rest = next,
            _ => break,
        }
    }
    found
}

fn segment(command: &[u8], wide: bool) -> Option<Segment> {
    let name = array_at(command, 8)?;
    let long = |at| u64_at(command, at);
    let word = |at| u32_at(command, at).map(u64::from);
    Some(if wide {
        Segment {
            name,
            address: long(24)?,
            size: long(32)?,
            file: (long(40)?, long(48)?),
            protect: u32_at(command, 60)?,
        }
    } else {
        Segment {
            name,
            address: word(24)?,
            size: word(28)?,
            file: (word(32)?, word(36)?),
            protect: u32_at(command, 44)?,
        }
    })
}

fn name(name: [u8; 16]) -> Use {
    let text = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
    match LONG_NAMES.iter().find(|known| known.as_bytes() == text) {
        Some(known) => Use::Named(known),
        None => Use::Section(name.first_chunk::<8>().copied().unwrap_or_default()),
    }
}

fn protection(bits: u32) -> Protection {
    match (bits & 4 != 0, bits & 2 != 0) {
        (true, true) => Protection::EXECUTE_READ_WRITE,
        (true, false) => Protection::EXECUTE_READ,
        (false, true) => Protection::READ_WRITE,
        (false, false) => Protection::READ_ONLY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_slide_with_the_header() {
        let mut bytes = vec![0; 0x1000];
        bytes[..4].copy_from_slice(&0xfeed_facf_u32.to_le_bytes());
        bytes[16] = 3;
        let mut segment = |at: usize, name: &str, address: u64, size: u64, file: u64, bits: u8| {
            let record = &mut bytes[32 + at * 72..32 + (at + 1) * 72];
            record[0] = 0x19;
            record[4] = 72;
            record[8..8 + name.len()].copy_from_slice(name.as_bytes());
            record[24..32].copy_from_slice(&address.to_le_bytes());
            record[32..40].copy_from_slice(&size.to_le_bytes());
            record[48..56].copy_from_slice(&file.to_le_bytes());
            record[60] = bits;
        };
        segment(0, "__PAGEZERO", 0, 0x1_0000_0000, 0, 0);
        segment(1, "__TEXT", 0x1_0000_0000, 0x4000, 0x4000, 5);
        segment(2, "__DATA_CONST", 0x1_0000_4000, 0x4000, 0, 3);
        let sections = sections_at(&bytes, 0x1_0500_0000).unwrap();
        let expected = [
            (Use::Section(*b"__TEXT\0\0"), 0x1_0500_0000, Protection::EXECUTE_READ),
            (Use::Named("__DATA_CONST"), 0x1_0500_4000, Protection::READ_WRITE),
        ];
        assert_eq!(
            sections.iter().map(|s| (s.usage, s.range.start(), s.protect)).collect::<Vec<_>>(),
            expected
        );
    }
}
