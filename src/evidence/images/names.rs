//! What a PE image calls itself: the name in its export directory, or the
//! path of its PDB.

use super::data::DataLayout;
use super::pe::PeHeader;
use crate::dump::CapturedMemory;
use crate::dump::bytes::{text_before_nul, u32_at};

/// Bytes of a name: as long as Windows lets paths be.
const MAX_NAME: usize = 260;
/// IMAGE_DEBUG_DIRECTORY entries looked at; images have one to six.
const MAX_DEBUG_ENTRIES: u32 = 16;
const DEBUG_ENTRY: u32 = 28;
const CODE_VIEW: u32 = 2;

/// A PE file in memory.
pub(super) struct Place<'p, 'm, 's> {
    pub(super) header: &'p PeHeader,
    pub(super) base: u64,
    /// How its bytes lie there; `Flat`, or as an image.
    pub(super) layout: DataLayout,
    pub(super) memory: &'m CapturedMemory<'s>,
}

/// The file's own name, as far as it is captured.
pub(super) fn own_name(place: &Place<'_, '_, '_>) -> Option<String> {
    export_name(place).or_else(|| pdb_path(place))
}

impl Place<'_, '_, '_> {
    /// Where the byte of an RVA is; RVA 0 stands for nothing.
    fn address(&self, rva: u32) -> Option<u64> {
        let offset = match self.layout {
            DataLayout::Flat => self.header.file_offset(rva)?,
            _ => rva.into(),
        };
        self.base.checked_add(offset).filter(|_| rva != 0)
    }
}

fn export_name(place: &Place<'_, '_, '_>) -> Option<String> {
    let (directory, size) = place.header.exports;
    if size < 16 {
        return None;
    }
    let directory = place.memory.array::<16>(place.address(directory)?).ok()?;
    text(place.memory, place.address(u32_at(&directory, 12)?)?)
}

/// From an RSDS record: GUID and age, then the path.
fn pdb_path(place: &Place<'_, '_, '_>) -> Option<String> {
    let memory = place.memory;
    let (directory, size) = place.header.debug;
    let count = size.checked_div(DEBUG_ENTRY)?.min(MAX_DEBUG_ENTRIES);
    let mut at = place.address(directory)?;
    for _ in 0..count {
        let entry = memory.array::<28>(at).ok()?;
        if u32_at(&entry, 12) == Some(CODE_VIEW) {
            let record = place.address(u32_at(&entry, 20)?)?;
            let magic = memory.array::<4>(record).ok()?;
            return match &magic {
                b"RSDS" => text(memory, record.checked_add(24)?),
                b"NB10" => text(memory, record.checked_add(16)?),
                _ => None,
            };
        }
        at = at.checked_add(DEBUG_ENTRY.into())?;
    }
    None
}

/// Printable text up to its NUL; other bytes are no name.
fn text(memory: &CapturedMemory<'_>, address: u64) -> Option<String> {
    let bytes = memory.bytes_at(address, MAX_NAME);
    let name = text_before_nul(&bytes);
    let sound = !name.is_empty()
        && name.len() < MAX_NAME
        && !name.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    sound.then(|| name.into_owned())
}
