//! Images: the module list, headers in memory, images that no list names, and
//! modules that were unloaded.

use super::Evidence;
use crate::addr::AddressRange;
use crate::dump::Dump;
use crate::map::{Protection, RegionMap};

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub range: AddressRange,
    /// Index in the module list; `None` for an image that it does not name.
    pub module: Option<u32>,
    /// Path, from the module list, the loader's list, the maps text or the
    /// export directory, in that order; empty when nothing names it.
    pub path: String,
    /// Whether any region of the map holds its base.
    pub mapped: bool,
    /// Sections, or runs of one protection where the header is not captured.
    pub sections: Vec<Section>,
    /// Whether the sections come from the header.
    pub has_header: bool,
    /// What else the header says.
    pub header: Option<PeFacts>,
}

/// What a PE header says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeFacts {
    /// IMAGE_FILE_HEADER.Machine.
    pub machine: u16,
    /// IMAGE_FILE_HEADER.Characteristics: 0x20 large-address-aware, 0x2000
    /// DLL.
    pub characteristics: u16,
    /// DllCharacteristics: 0x40 dynamic base, 0x100 NX, 0x4000 CFG.
    pub dll_characteristics: u16,
    /// ImageBase: in memory the loader has put the real base here.
    pub image_base: u64,
    /// SizeOfImage.
    pub size_of_image: u32,
    /// TimeDateStamp.
    pub timestamp: u32,
    /// CheckSum.
    pub checksum: u32,
}

/// One section of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, or the number of its run.
    pub usage: super::Use,
    /// Where it is.
    pub range: AddressRange,
    /// Protection that the header asks for; of the run where there is no
    /// header.
    pub protect: Protection,
}

pub(super) fn gather(_dump: &Dump<'_>, _map: &RegionMap<'_>, _evidence: &mut Evidence) {}
