//! PE headers. Source: IMAGE_DOS_HEADER, IMAGE_NT_HEADERS and the section
//! table, from the first page of an image or a file.

use super::{PeFacts, Section, page_up};
use crate::addr::AddressRange;
use crate::dump::bytes::{array_at, index, u16_at, u32_at, u64_at};
use crate::evidence::Use;
use crate::map::Protection;

/// The loader refuses more.
const MAX_SECTIONS: u16 = 96;
/// Bytes of one IMAGE_SECTION_HEADER.
const SECTION_HEADER: usize = 40;

/// A PE header whose magic numbers are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeHeader {
    pub(super) facts: PeFacts,
    /// SizeOfHeaders: DOS header to section table.
    pub(super) size_of_headers: u32,
    /// SectionAlignment.
    pub(super) section_alignment: u32,
    pub(super) sections: Vec<PeSection>,
    /// Export and debug directories: RVA and size, 0 when absent.
    pub(super) exports: (u32, u32),
    pub(super) debug: (u32, u32),
}

/// One IMAGE_SECTION_HEADER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeSection {
    pub(super) name: [u8; 8],
    pub(super) virtual_size: u32,
    pub(super) address: u32,
    pub(super) raw_size: u32,
    pub(super) raw_offset: u32,
    pub(super) characteristics: u32,
}

/// The header in the first bytes of an image or a file. The section table
/// may be cut: the sections that are there are used.
pub(super) fn parse(bytes: &[u8]) -> Option<PeHeader> {
    if bytes.first_chunk::<2>() != Some(b"MZ") {
        return None;
    }
    let nt = index(u32_at(bytes, 0x3c)?);
    let nt_headers = bytes.get(nt..)?;
    if nt_headers.first_chunk::<4>() != Some(b"PE\0\0") {
        return None;
    }
    let optional = nt_headers.get(24..)?;
    let (image_base, directories): (u64, usize) = match u16_at(optional, 0)? {
        0x10b => (u64::from(u32_at(optional, 28)?), 96),
        0x20b => (u64_at(optional, 24)?, 112),
        _ => return None,
    };
    let optional_size = usize::from(u16_at(nt_headers, 20)?);
    let directory = |number: usize| {
        let count = u32_at(optional, directories.checked_sub(4)?)?;
        let at = number.checked_mul(8)?.checked_add(directories)?;
        let there = number < index(count) && at.checked_add(8)? <= optional_size;
        there.then_some((u32_at(optional, at)?, u32_at(optional, at.checked_add(4)?)?))
    };
    let count = u16_at(nt_headers, 6)?.min(MAX_SECTIONS);
    let table = optional.get(optional_size..).unwrap_or(&[]);
    let sections = table.chunks_exact(SECTION_HEADER).take(usize::from(count)).filter_map(section);
    Some(PeHeader {
        facts: PeFacts {
            machine: u16_at(nt_headers, 4)?,
            characteristics: u16_at(nt_headers, 22)?,
            dll_characteristics: u16_at(optional, 70)?,
            image_base,
            size_of_image: u32_at(optional, 56)?,
            timestamp: u32_at(nt_headers, 8)?,
            checksum: u32_at(optional, 64)?,
            is_managed: directory(14).is_some_and(|(address, _)| address != 0),
        },
        size_of_headers: u32_at(optional, 60)?,
        section_alignment: u32_at(optional, 32)?,
        sections: sections.collect(),
        exports: directory(0).unwrap_or((0, 0)),
        debug: directory(6).unwrap_or((0, 0)),
    })
}

fn section(record: &[u8]) -> Option<PeSection> {
    Some(PeSection {
        name: array_at(record, 0)?,
        virtual_size: u32_at(record, 8)?,
        address: u32_at(record, 12)?,
        raw_size: u32_at(record, 16)?,
        raw_offset: u32_at(record, 20)?,
        characteristics: u32_at(record, 36)?,
    })
}

impl PeHeader {
    /// Bytes of the file: the end of the last section's data.
    pub(super) fn file_size(&self) -> u64 {
        let ends =
            self.sections.iter().filter(|section| section.raw_size > 0).map(|section| {
                u64::from(section.raw_offset).saturating_add(section.raw_size.into())
            });
        ends.max().unwrap_or(0).max(self.size_of_headers.into())
    }

    /// Where the byte of an RVA is in the file.
    pub(super) fn file_offset(&self, rva: u32) -> Option<u64> {
        let into = |section: &PeSection| {
            let into = rva.checked_sub(section.address)?;
            (into < section.raw_size)
                .then(|| u64::from(section.raw_offset).saturating_add(into.into()))
        };
        self.sections.iter().find_map(into)
    }

    /// Where the headers are in an image at `base`: whole pages, up to the
    /// first section.
    pub(super) fn header_range(&self, base: u64) -> Option<AddressRange> {
        let first = self.sections.iter().map(|section| section.address).filter(|at| *at > 0).min();
        let end = page_up(self.size_of_headers.into()).min(first.map_or(u64::MAX, u64::from));
        AddressRange::new(base, end)
    }

    /// The sections of an image at `base`, whole pages each; what lies
    /// between them is alignment, and reserved.
    pub(super) fn sections_at(&self, base: u64) -> Vec<Section> {
        let place = |section: &PeSection| {
            let size = match section.virtual_size {
                0 => section.raw_size,
                size => size,
            };
            // Images aligned below a page are mapped as they lie in the file.
            let pages = self.section_alignment >= 0x1000;
            let size = if pages { page_up(size.into()) } else { size.into() };
            let range = AddressRange::new(base.checked_add(section.address.into())?, size)?;
            Some(Section { usage: Use::Section(section.name), range, protect: section.protect() })
        };
        self.sections.iter().filter_map(place).collect()
    }
}

impl PeSection {
    /// What the loader gives a section of these characteristics. Writable
    /// pages are PAGE_WRITECOPY until they are written.
    fn protect(&self) -> Protection {
        let bit = |mask| self.characteristics & mask != 0;
        match (bit(0x2000_0000), bit(0x4000_0000), bit(0x8000_0000)) {
            (true, _, true) => Protection::EXECUTE_READ_WRITE,
            (true, true, false) => Protection::EXECUTE_READ,
            (true, false, false) => Protection::EXECUTE,
            (false, _, true) => Protection::READ_WRITE,
            (false, true, false) => Protection::READ_ONLY,
            (false, false, false) => Protection::NO_ACCESS,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A PE32+ header with one `.text` of 0x1800 bytes at 0x1000.
    pub(crate) fn sample() -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x80;
        let mut put = |at: usize, value: &[u8]| {
            bytes[0x80 + at..0x80 + at + value.len()].copy_from_slice(value);
        };
        put(0, b"PE\0\0");
        put(4, &0x8664_u16.to_le_bytes());
        put(6, &1_u16.to_le_bytes());
        put(8, &0x1234_5678_u32.to_le_bytes());
        put(20, &240_u16.to_le_bytes());
        put(22, &0x2022_u16.to_le_bytes());
        put(24, &0x20b_u16.to_le_bytes());
        put(24 + 24, &0x1_8000_0000_u64.to_le_bytes());
        put(24 + 32, &0x1000_u32.to_le_bytes());
        put(24 + 56, &0x4000_u32.to_le_bytes());
        put(24 + 60, &0x400_u32.to_le_bytes());
        put(24 + 70, &0x4160_u16.to_le_bytes());
        put(24 + 108, &16_u32.to_le_bytes());
        put(24 + 112, &0x2000_u32.to_le_bytes());
        put(24 + 116, &0x40_u32.to_le_bytes());
        put(24 + 240, b".text\0\0\0");
        put(24 + 248, &0x1800_u32.to_le_bytes());
        put(24 + 252, &0x1000_u32.to_le_bytes());
        put(24 + 256, &0x1800_u32.to_le_bytes());
        put(24 + 260, &0x400_u32.to_le_bytes());
        put(24 + 276, &0x6000_0020_u32.to_le_bytes());
        bytes
    }

    #[test]
    fn a_header_gives_sections_in_whole_pages() {
        let header = parse(&sample()).unwrap();
        assert_eq!(header.facts.size_of_image, 0x4000);
        assert_eq!(header.facts.dll_characteristics, 0x4160);
        assert_eq!(header.exports, (0x2000, 0x40));
        assert_eq!(header.debug, (0, 0));
        assert_eq!(header.file_size(), 0x1c00);
        assert_eq!(header.header_range(0x10_0000), AddressRange::new(0x10_0000, 0x1000));
        assert_eq!(
            header.sections_at(0x10_0000),
            [Section {
                usage: Use::Section(*b".text\0\0\0"),
                range: AddressRange::new(0x10_1000, 0x2000).unwrap(),
                protect: Protection::EXECUTE_READ,
            }]
        );
    }

    #[test]
    fn what_is_cut_or_lies_is_not_a_header() {
        let good = sample();
        for cut in 0..good.len() {
            let _ = parse(&good[..cut]);
        }
        assert_eq!(parse(b"MZ"), None);
        let mut far = good.clone();
        far[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(parse(&far), None);
        let mut many = good;
        many[0x86..0x88].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(parse(&many).unwrap().sections.len() <= 96);
    }
}
