//! PE files that are in memory, but not as images: loaded as data files, or
//! copied into private memory by a loader of its own.

use super::header::{Header, HeaderReader};
use super::names::{self, Place};
use super::pe::PeHeader;
use super::{PeFacts, page_up};
use crate::addr::AddressRange;
use crate::evidence::{
    Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use,
};
use crate::map::MemoryType;

/// Allocations whose first bytes are looked at. Real processes have some
/// hundred that qualify.
pub(super) const MAX_PROBES: usize = 4_096;

/// How the bytes of a PE file lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLayout {
    /// As in the file.
    Flat,
    /// As an image: sections at their virtual addresses.
    Image,
    /// Neither size nor contents decide.
    Unknown,
}

/// A PE file that is in memory, but not as an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataImage {
    /// The allocation that begins with its header.
    pub range: AddressRange,
    /// Mapped: a view of the file, as LoadLibraryEx makes for a data file.
    /// Private: executable memory, as manual mapping makes.
    pub memory_type: MemoryType,
    /// How its bytes lie there.
    pub layout: DataLayout,
    /// What its export or debug directory calls it; empty when neither does.
    pub name: String,
    /// What its header says.
    pub header: PeFacts,
}

/// An allocation that may begin with a PE header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) range: AddressRange,
    pub(super) memory_type: MemoryType,
}

pub(super) fn gather(
    candidates: &[Candidate],
    headers: &mut HeaderReader<'_, '_>,
    evidence: &mut Evidence,
) {
    for candidate in candidates {
        let (range, memory_type) = (candidate.range, candidate.memory_type);
        let Some(Header::Pe(header)) = headers.header(range.start()) else { continue };
        let layout = layout(&header, range, headers);
        let (kind, usage) = match memory_type {
            MemoryType::Mapped => (RegionKind::MappedFile, "PE file mapped as data"),
            _ => (RegionKind::Private, "PE image in private memory"),
        };
        let detail = match layout {
            DataLayout::Flat => "begins with a PE header, laid out as the file",
            DataLayout::Image => "begins with a PE header, laid out as an image",
            DataLayout::Unknown => "begins with a PE header",
        };
        evidence.claim(Claim {
            range,
            kind: Some(kind),
            usage: Use::Named(usage),
            subject: Subject::None,
            confidence: Confidence::Derived,
            source: EvidenceSource::Signature,
            detail: Detail::Words(detail),
        });
        let own_name = name(&header, range, layout, headers);
        evidence.data_images.push(DataImage {
            range,
            memory_type,
            layout,
            name: own_name.unwrap_or_default(),
            header: header.facts,
        });
    }
}

/// Contents first: the export directory reads as one in one layout only.
/// Else the size of the allocation.
fn layout(header: &PeHeader, range: AddressRange, headers: &HeaderReader<'_, '_>) -> DataLayout {
    let reads = |layout| name(header, range, layout, headers).is_some();
    match (reads(DataLayout::Image), reads(DataLayout::Flat)) {
        (true, false) => return DataLayout::Image,
        (false, true) => return DataLayout::Flat,
        _ => {}
    }
    let (image, file) = (page_up(header.facts.size_of_image.into()), page_up(header.file_size()));
    match (range.size() == image, range.size() == file) {
        (true, false) => DataLayout::Image,
        (false, true) => DataLayout::Flat,
        _ => DataLayout::Unknown,
    }
}

fn name(
    header: &PeHeader,
    range: AddressRange,
    layout: DataLayout,
    headers: &HeaderReader<'_, '_>,
) -> Option<String> {
    names::own_name(&Place { header, base: range.start(), layout, memory: headers.memory() })
}
