//! Executable images in memory: PE headers, sections, and the regions they make.

use super::space::Allocation;
use crate::synth::bytes::Canvas;
use crate::synth::{
    CodeView, Module, PAGE_EXECUTE_READ, PAGE_EXECUTE_WRITECOPY, PAGE_READONLY, PAGE_READWRITE,
    PAGE_WRITECOPY, Version,
};

const PAGE: u32 = 0x1000;

/// IMAGE_FILE_HEADER.Machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 0x14c, PE32.
    X86,
    /// 0x8664, PE32+.
    X64,
    /// 0xaa64, PE32+.
    Arm64,
}

impl Machine {
    /// The value in the header.
    pub fn code(self) -> u16 {
        match self {
            Machine::X86 => 0x14c,
            Machine::X64 => 0x8664,
            Machine::Arm64 => 0xaa64,
        }
    }
}

/// Whether the dump's module list and the loader's list know an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// In both lists.
    Listed,
    /// In neither: only its memory shows it.
    Unlisted,
}

/// One section of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// At most 8 bytes are written.
    pub name: String,
    /// VirtualSize, bytes.
    pub size: u32,
    /// Characteristics: 0x20000000 execute, 0x40000000 read, 0x80000000 write.
    pub characteristics: u32,
}

impl Section {
    /// A section with the given characteristics.
    pub fn new(name: &str, size: u32, characteristics: u32) -> Self {
        Section { name: name.to_owned(), size, characteristics }
    }

    /// `.text`: read and execute.
    pub fn text(size: u32) -> Self {
        Section::new(".text", size, 0x6000_0020)
    }

    /// `.rdata`: read.
    pub fn rdata(size: u32) -> Self {
        Section::new(".rdata", size, 0x4000_0040)
    }

    /// `.data`: read and write. Its first page counts as written to.
    pub fn data(size: u32) -> Self {
        Section::new(".data", size, 0xc000_0040)
    }

    /// `.rsrc`: read.
    pub fn rsrc(size: u32) -> Self {
        Section::new(".rsrc", size, 0x4000_0040)
    }
}

/// An image before it has an address.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePlan {
    /// Full path.
    pub path: String,
    /// Where it must be.
    pub base: Option<u64>,
    /// Machine of the header; decides PE32 or PE32+.
    pub machine: Machine,
    /// Sections; each starts at the next multiple of `section_alignment`.
    pub sections: Vec<Section>,
    /// SectionAlignment. Above 0x1000, the gaps are reserved regions of the image.
    pub section_alignment: u32,
    /// IMAGE_FILE_HEADER.Characteristics; 0x20 is large-address-aware.
    pub characteristics: u16,
    /// TimeDateStamp.
    pub timestamp: u32,
    /// CheckSum.
    pub checksum: u32,
    /// Version in the module list.
    pub version: Option<Version>,
    /// Debug record in the module list.
    pub code_view: CodeView,
    /// Who knows it.
    pub listing: Listing,
}

impl ImagePlan {
    /// An image with `.text`, `.rdata`, `.data` (2 pages) and `.rsrc`.
    pub fn new(path: &str, machine: Machine) -> Self {
        let wide: u16 = match machine {
            Machine::X86 => 0x0102,                  // executable, 32-bit
            Machine::X64 | Machine::Arm64 => 0x0022, // executable, large-address-aware
        };
        let file = path.rsplit('\\').next().unwrap_or(path);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        ImagePlan {
            path: path.to_owned(),
            base: None,
            machine,
            sections: vec![
                Section::text(0x3000),
                Section::rdata(0x1800),
                Section::data(0x2000),
                Section::rsrc(0x400),
            ],
            section_alignment: PAGE,
            characteristics: wide,
            timestamp: 0x6000_0000,
            checksum: 0x1_2345,
            version: Some(Version::new(10, 0, 19041, 1)),
            code_view: CodeView::Pdb70 { guid: [0x11; 16], age: 1, pdb: format!("{stem}.pdb") },
            listing: Listing::Listed,
        }
    }

    /// A 32-bit image.
    pub fn x86(path: &str) -> Self {
        ImagePlan::new(path, Machine::X86)
    }

    /// An x86-64 image.
    pub fn x64(path: &str) -> Self {
        ImagePlan::new(path, Machine::X64)
    }

    /// SizeOfImage, bytes.
    pub fn size(&self) -> u32 {
        let sections = self.section_addresses();
        let last = sections.iter().zip(&self.sections).next_back();
        last.map_or(PAGE, |(address, section)| {
            (address + section.size.max(1)).next_multiple_of(PAGE)
        })
    }

    /// VirtualAddress of each section.
    pub fn section_addresses(&self) -> Vec<u32> {
        let mut next = self.section_alignment.max(PAGE);
        self.sections
            .iter()
            .map(|section| {
                let address = next;
                let size = section.size.max(1);
                next = (address + size).next_multiple_of(self.section_alignment.max(PAGE));
                address
            })
            .collect()
    }

    /// The first 0x400 bytes of the image: MZ and PE headers and the section table.
    pub fn headers(&self, base: u64) -> Vec<u8> {
        const PE: usize = 0x80;
        const OPTIONAL: usize = PE + 24;
        let pointer = match self.machine {
            Machine::X86 => 4,
            Machine::X64 | Machine::Arm64 => 8,
        };
        let optional_size = if pointer == 4 { 0xe0 } else { 0xf0 };
        let mut image = Canvas::new(0x400, pointer);
        image
            .set(0, b"MZ")
            .u32(0x3c, PE as u32)
            .set(PE, b"PE\0\0")
            .u16(PE + 4, self.machine.code())
            .u16(PE + 6, self.sections.len() as u16)
            .u32(PE + 8, self.timestamp)
            .u16(PE + 20, optional_size as u16)
            .u16(PE + 22, self.characteristics)
            .u16(OPTIONAL, if pointer == 4 { 0x10b } else { 0x20b })
            .u32(OPTIONAL + 0x10, 0x1000) // entry point
            .u32(OPTIONAL + 0x20, self.section_alignment)
            .u32(OPTIONAL + 0x24, 0x200) // file alignment
            .u16(OPTIONAL + 0x30, 6) // subsystem version
            .u32(OPTIONAL + 0x38, self.size())
            .u32(OPTIONAL + 0x3c, 0x400) // size of headers
            .u32(OPTIONAL + 0x40, self.checksum)
            .u16(OPTIONAL + 0x44, 3) // console
            .u16(OPTIONAL + 0x46, 0x0140) // dynamic base, NX compatible
            .ptr(OPTIONAL + 0x48, 0x10_0000) // stack reserve
            .ptr(OPTIONAL + 0x48 + pointer, 0x1000)
            .ptr(OPTIONAL + 0x48 + 2 * pointer, 0x10_0000) // heap reserve
            .ptr(OPTIONAL + 0x48 + 3 * pointer, 0x1000)
            .u32(OPTIONAL + 0x4c + 4 * pointer, 16); // directories
        match pointer {
            4 => image.u32(OPTIONAL + 0x1c, base as u32),
            _ => image.u64(OPTIONAL + 0x18, base),
        };
        let mut file_offset = 0x400;
        for (index, (section, address)) in
            self.sections.iter().zip(self.section_addresses()).enumerate()
        {
            let at = OPTIONAL + optional_size + 40 * index;
            let raw_size = section.size.next_multiple_of(0x200);
            let name = section.name.as_bytes();
            image
                .set(at, &name[..name.len().min(8)])
                .u32(at + 8, section.size)
                .u32(at + 12, address)
                .u32(at + 16, raw_size)
                .u32(at + 20, file_offset)
                .u32(at + 36, section.characteristics);
            file_offset += raw_size;
        }
        image.bytes
    }

    /// The image as an allocation, headers included. Headers hold the base they are written for.
    pub(super) fn allocation(&self, base: Option<u64>) -> Allocation {
        let mut allocation =
            Allocation { base, ..Allocation::image() }.commit(u64::from(PAGE), PAGE_READONLY);
        for (section, address) in self.sections.iter().zip(self.section_addresses()) {
            let gap = u64::from(address).saturating_sub(allocation.size());
            let size = u64::from(section.size.max(1).next_multiple_of(PAGE));
            let page = u64::from(PAGE);
            allocation = allocation.reserve(gap);
            allocation = match (section.characteristics >> 29) & 7 {
                0b110 | 0b100 => {
                    allocation.commit(page, PAGE_READWRITE).commit(size - page, PAGE_WRITECOPY)
                }
                0b111 | 0b101 => allocation.commit(size, PAGE_EXECUTE_WRITECOPY),
                0b011 | 0b001 => allocation.commit(size, PAGE_EXECUTE_READ),
                _ => allocation.commit(size, PAGE_READONLY),
            };
        }
        allocation
    }

    /// The entry in the dump's module list.
    pub(super) fn module(&self, base: u64) -> Module {
        Module {
            checksum: self.checksum,
            timestamp: self.timestamp,
            version: self.version,
            code_view: self.code_view.clone(),
            ..Module::new(self.path.as_str(), base, self.size())
        }
    }
}
