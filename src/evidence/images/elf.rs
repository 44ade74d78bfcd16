//! ELF headers. Source: Elf32_Ehdr or Elf64_Ehdr and the program headers in
//! the first page of an image; little-endian only.

use super::{Section, page_up};
use crate::addr::AddressRange;
use crate::dump::bytes::{index, u16_at, u32_at, u64_at};
use crate::evidence::Use;
use crate::map::Protection;

const PT_LOAD: u32 = 1;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PAGE: u64 = 4096;

/// What the program headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ElfHeader {
    /// PT_LOAD, in file order.
    loads: Vec<Segment>,
    /// PT_GNU_RELRO: made read-only after relocation.
    relro: Option<Segment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    address: u64,
    file_size: u64,
    memory_size: u64,
    /// 1 executable, 2 writable, 4 readable.
    flags: u32,
}

/// The header in the first bytes of an image. Program headers outside the
/// bytes are left out.
pub(super) fn parse(bytes: &[u8]) -> Option<ElfHeader> {
    if bytes.first_chunk::<4>() != Some(b"\x7fELF") || bytes.get(5) != Some(&1) {
        return None;
    }
    let wide = match bytes.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let (first, entry, count) = if wide {
        (u64_at(bytes, 32)?, u16_at(bytes, 54)?, u16_at(bytes, 56)?)
    } else {
        (u64::from(u32_at(bytes, 28)?), u16_at(bytes, 42)?, u16_at(bytes, 44)?)
    };
    let (entry, least) = (usize::from(entry), if wide { 56 } else { 32 });
    if entry < least {
        return None;
    }
    let mut header = ElfHeader { loads: Vec::new(), relro: None };
    let table = bytes.get(index(first)..)?;
    for record in table.chunks_exact(entry).take(usize::from(count)) {
        let Some((kind, segment)) = segment(record, wide) else { continue };
        match kind {
            PT_LOAD => header.loads.push(segment),
            PT_GNU_RELRO => header.relro = Some(segment),
            _ => {}
        }
    }
    (!header.loads.is_empty()).then_some(header)
}

fn segment(record: &[u8], wide: bool) -> Option<(u32, Segment)> {
    let word = |at| u32_at(record, at);
    let segment = if wide {
        Segment {
            address: u64_at(record, 16)?,
            file_size: u64_at(record, 32)?,
            memory_size: u64_at(record, 40)?,
            flags: word(4)?,
        }
    } else {
        Segment {
            address: word(8)?.into(),
            file_size: word(16)?.into(),
            memory_size: word(20)?.into(),
            flags: word(24)?,
        }
    };
    Some((word(0)?, segment))
}

impl ElfHeader {
    /// What an address of the file is increased by in an image at `base`.
    fn bias(&self, base: u64) -> u64 {
        let first = self.loads.first().map_or(0, |load| load.address);
        base.wrapping_sub(first & !PAGE.wrapping_sub(1))
    }

    /// What the page at `address` is for, in an image at `base`.
    pub(super) fn use_of(&self, base: u64, address: u64) -> Option<&'static str> {
        let at = address.wrapping_sub(self.bias(base));
        let holds = |segment: &&Segment| {
            let start = segment.address & !PAGE.wrapping_sub(1);
            let end = segment.address.saturating_add(segment.memory_size);
            start <= at && at < page_up(end)
        };
        let load = self.loads.iter().find(holds)?;
        let relro = self.relro.as_ref().filter(holds).is_some();
        let data_end = page_up(load.address.saturating_add(load.file_size));
        Some(match () {
            () if load.flags & 1 != 0 => "ELF text",
            () if load.flags & 2 == 0 => "ELF read-only data",
            () if relro => "ELF relro",
            () if at >= data_end => "ELF bss",
            () => "ELF data",
        })
    }

    /// One past the last byte of an image at `base`, .bss included.
    pub(super) fn end(&self, base: u64) -> Option<u64> {
        let ends = self.loads.iter().map(|load| load.address.saturating_add(load.memory_size));
        let end = ends.max()?.checked_next_multiple_of(PAGE)?;
        self.bias(base).checked_add(end).or_else(|| {
            // Images linked above their load address have a negative bias.
            let end = self.bias(base).wrapping_add(end);
            (end > base).then_some(end)
        })
    }

    /// The segments of an image at `base`, whole pages each.
    pub(super) fn sections_at(&self, base: u64) -> Vec<Section> {
        let place = |segment: &Segment, name: &'static str, protect: Protection| {
            let start = segment.address & !PAGE.wrapping_sub(1);
            let size = page_up(segment.address.saturating_add(segment.memory_size))
                .saturating_sub(start)
                .min(1 << 32);
            let range = AddressRange::new(start.wrapping_add(self.bias(base)), size)?;
            Some(Section { usage: Use::Named(name), range, protect })
        };
        let loads = self.loads.iter().filter_map(|load| {
            let (name, protect) = match load.flags & 7 {
                flags if flags & 3 == 3 => ("ELF text", Protection::EXECUTE_READ_WRITE),
                flags if flags & 1 != 0 => ("ELF text", Protection::EXECUTE_READ),
                flags if flags & 2 != 0 => ("ELF data", Protection::READ_WRITE),
                _ => ("ELF read-only data", Protection::READ_ONLY),
            };
            place(load, name, protect)
        });
        let relro =
            self.relro.iter().filter_map(|part| place(part, "ELF relro", Protection::READ_ONLY));
        loads.chain(relro).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A 64-bit ELF linked at 0: headers, text at 0x1000, data at 0x3000 with
    /// 0x800 bytes in the file and 0x3000 in memory, relro over its first page.
    pub(crate) fn sample() -> Vec<u8> {
        let mut bytes = vec![0; 0x1000];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 4;
        let mut segment = |at: usize, kind: u32, flags: u32, address: u64, file: u64, size: u64| {
            let record = &mut bytes[64 + at * 56..64 + (at + 1) * 56];
            record[..4].copy_from_slice(&kind.to_le_bytes());
            record[4..8].copy_from_slice(&flags.to_le_bytes());
            record[16..24].copy_from_slice(&address.to_le_bytes());
            record[32..40].copy_from_slice(&file.to_le_bytes());
            record[40..48].copy_from_slice(&size.to_le_bytes());
        };
        segment(0, PT_LOAD, 4, 0, 0x800, 0x800);
        segment(1, PT_LOAD, 5, 0x1000, 0x1234, 0x1234);
        segment(2, PT_LOAD, 6, 0x3e00, 0x1000, 0x3000);
        segment(3, PT_GNU_RELRO, 4, 0x3e00, 0x200, 0x200);
        bytes
    }

    #[test]
    fn segments_are_named_by_their_flags() {
        let header = parse(&sample()).unwrap();
        let base = 0x7f00_0000_0000;
        let uses = [0, 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000]
            .map(|at| header.use_of(base, base + at).unwrap_or("-"));
        let data = "ELF data";
        assert_eq!(
            uses,
            [
                "ELF read-only data",
                "ELF text",
                "ELF text",
                "ELF relro",
                data,
                "ELF bss",
                "ELF bss",
                "-"
            ]
        );
        assert_eq!(header.end(base), Some(base + 0x7000));
        assert_eq!(header.sections_at(base).len(), 4);
    }

    #[test]
    fn a_cut_header_does_not_panic() {
        let bytes = sample();
        for cut in 0..300 {
            let _ = parse(&bytes[..cut]).map(|header| header.sections_at(u64::MAX));
        }
    }
}
