//! Images: the module list, headers in memory, images that no list names, and
//! modules that were unloaded.
//!
//! Two ways in: the maps text of Linux and Android (`maps`), where an image
//! is a row of file mappings, and everything else (`listed`, `unlisted`, and
//! `loaded` without a region list), where it is one allocation. Both read at most one page of header an image.

mod data;
mod elf;
mod header;
mod lines;
mod listed;
mod loaded;
pub mod loader;
mod macho;
mod maps;
mod names;
mod pe;
mod places;
mod runs;
#[cfg(test)]
mod tests;
pub(super) mod unlisted;

pub use data::{DataImage, DataLayout};
pub(super) use maps::is_line_of_image;
pub use places::Places;

use super::survey::Survey;
use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::addr::AddressRange;
use crate::dump::{Dump, FilePath};
use crate::map::{MapSource, Protection, RegionMap};
use header::HeaderReader;

/// Sections of all images together. Real processes have some 40,000 at most;
/// hostile dumps can let one captured page be the header of every module.
const MAX_SECTIONS: usize = 400_000;
/// Images that no list names: the rest is counted in an issue.
const MAX_UNLISTED: usize = 65_536;

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it is: the module list's range; the allocation at its base or the
    /// lines of its file where the map knows better; one byte at the base when
    /// neither says how big it is.
    pub range: AddressRange,
    /// Index in the module list; `None` for an image that it does not name.
    pub module: Option<u32>,
    /// Path, from the module list, the loader's list, the maps text, the
    /// export directory or the debug directory, in that order; empty when
    /// nothing names it.
    pub path: FilePath,
    /// Who gave the path. A name from [`EvidenceSource::PeHeader`] is what
    /// the file calls itself: the export directory's name, or a PDB's path.
    pub named_by: Option<EvidenceSource>,
    /// Whether any region of the map holds its base, or any line of the maps
    /// text its file.
    pub mapped: bool,
    /// Sections, or runs of one protection where the header is not captured.
    pub sections: Vec<Section>,
    /// Whether the sections come from the header.
    pub has_header: bool,
    /// What else the header says, of a PE image.
    pub header: Option<PeFacts>,
}

impl Image {
    /// The part of the path after the last `\` or `/`.
    pub fn name(&self) -> &str {
        self.path.name()
    }
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
    /// ImageBase: where the kernel moves an image (ASLR) it puts the real base
    /// here; loaders that move one within a process may not.
    pub image_base: u64,
    /// SizeOfImage.
    pub size_of_image: u32,
    /// TimeDateStamp.
    pub timestamp: u32,
    /// CheckSum.
    pub checksum: u32,
    /// Whether it has a header of .NET: a COM descriptor directory.
    pub is_managed: bool,
}

/// One section of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, or the number of its run.
    pub usage: Use,
    /// Where it is.
    pub range: AddressRange,
    /// Protection that the header asks for; of the run where there is no
    /// header.
    pub protect: Protection,
}

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    survey: &Survey,
    evidence: &mut Evidence,
) {
    let mut headers = HeaderReader::new(dump);
    let mut sections_left = MAX_SECTIONS;
    match (map.source, &dump.linux.maps) {
        (MapSource::LinuxMaps, Some(lines)) => {
            maps::gather(dump, map, lines, &mut headers, &mut sections_left, evidence);
        }
        (source, _) => {
            let found = &survey.images;
            listed::gather(dump, map, found, &mut headers, &mut sections_left, evidence);
            if source == MapSource::MemoryInfo {
                unlisted::gather(dump, map, found, &mut headers, &mut sections_left, evidence);
            } else {
                loaded::gather(dump, &mut headers, &mut sections_left, evidence);
            }
        }
    }
    if sections_left == 0 {
        evidence.issues.add(None, None, || {
            format!("more than {MAX_SECTIONS} sections of images; the rest is left out")
        });
    }
    claim_unloaded(dump, evidence);
}

/// A remark: the addresses may be in use again.
fn claim_unloaded(dump: &Dump<'_>, evidence: &mut Evidence) {
    for (module, at) in dump.unloaded_modules.iter().zip(0_u32..) {
        let Some(range) = module.range else { continue };
        evidence.claim(Claim {
            range,
            kind: None,
            usage: Use::Plain,
            subject: Subject::UnloadedModule(at),
            confidence: Confidence::Recorded,
            source: EvidenceSource::UnloadedModuleList,
            detail: Detail::Words("was here until it was unloaded"),
        });
    }
}

/// A claim that `range` is a part of the image `at`.
fn image_claim(
    range: AddressRange,
    at: u32,
    usage: Use,
    known: (Confidence, EvidenceSource),
    detail: Detail,
) -> Claim {
    let (confidence, source) = known;
    Claim {
        range,
        kind: Some(RegionKind::Image),
        usage,
        subject: Subject::Image(at),
        confidence,
        source,
        detail,
    }
}

/// The row that the next image gets.
fn next_row(evidence: &Evidence) -> u32 {
    u32::try_from(evidence.images.len()).unwrap_or(u32::MAX)
}

/// The next multiple of a page; `u32::MAX` at most, so that it never wraps.
fn page_up(size: u64) -> u64 {
    size.checked_next_multiple_of(4096).unwrap_or(size)
}
