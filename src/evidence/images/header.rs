//! Reads the first page of an image from captured memory, at most once an
//! image, and says which format it is.

use super::{Section, elf, macho, pe};
use crate::dump::{CapturedMemory, Dump, ReadError};
use crate::evidence::EvidenceSource;
use crate::limits::Depth;

/// Headers and section tables fit one page, but for freaks.
const PAGE: usize = 4096;

/// Reads headers. Answers nothing when memory is not to be read.
pub(super) struct HeaderReader<'m, 's> {
    memory: &'m CapturedMemory<'s>,
    allowed: bool,
    page: Vec<u8>,
}

/// A header of one of the three formats.
#[derive(Debug)]
pub(super) enum Header {
    Pe(pe::PeHeader),
    Elf(elf::ElfHeader),
    /// The sections where they are in memory.
    MachO(Vec<Section>),
}

impl<'m, 's> HeaderReader<'m, 's> {
    pub(super) fn new(dump: &'m Dump<'s>) -> Self {
        HeaderReader {
            memory: &dump.captured,
            allowed: dump.limits.depth >= Depth::Headers,
            page: vec![0; PAGE],
        }
    }

    /// Whether headers may be read at all.
    pub(super) fn allowed(&self) -> bool {
        self.allowed
    }

    pub(super) fn memory(&self) -> &'m CapturedMemory<'s> {
        self.memory
    }

    /// The header at the start of an image.
    pub(super) fn header(&mut self, base: u64) -> Option<Header> {
        // Images begin at pages; asking that costs hostile dumps a page each.
        if base & 0xfff != 0 {
            return None;
        }
        let bytes = self.first_page(base)?;
        match bytes.first_chunk::<2>()? {
            b"MZ" => pe::parse(bytes).map(Header::Pe),
            b"\x7fE" => elf::parse(bytes).map(Header::Elf),
            _ => macho::sections_at(bytes, base).map(Header::MachO),
        }
    }

    /// The first page, or what is captured of its beginning.
    fn first_page(&mut self, base: u64) -> Option<&[u8]> {
        if !self.allowed {
            return None;
        }
        match self.memory.read(base, &mut self.page) {
            Ok(()) => Some(&self.page),
            Err(ReadError::CutShort { got }) => self.page.get(..got),
            Err(_) => None,
        }
    }
}

impl Header {
    pub(super) fn source(&self) -> EvidenceSource {
        match self {
            Header::Pe(_) => EvidenceSource::PeHeader,
            Header::Elf(_) => EvidenceSource::ElfHeader,
            Header::MachO(_) => EvidenceSource::MachHeader,
        }
    }

    /// The sections of the image at `base`.
    pub(super) fn sections_at(&self, base: u64) -> Vec<Section> {
        match self {
            Header::Pe(header) => header.sections_at(base),
            Header::Elf(header) => header.sections_at(base),
            Header::MachO(sections) => sections.clone(),
        }
    }
}
