//! The images of the module list, one row an entry, where the map is not the
//! maps text of Linux.

use super::header::{Header, HeaderReader};
use super::unlisted::Candidates;
use super::{Image, Section, image_claim, page_up, runs};
use crate::addr::AddressRange;
use crate::dump::{Dump, Module, stream_type};
use crate::evidence::{Confidence, Detail, Evidence, EvidenceSource, Use};
use crate::issue::Issues;
use crate::map::{AllocationRun, Region, RegionMap, State};

/// The largest image extension that counts as one: 0x3000 bytes were seen on
/// Windows 11 24H2 and 25H2, on 122 of 137 images.
const MAX_EXTENSION: u64 = 0x1_0000;

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    found: &Candidates,
    headers: &mut HeaderReader<'_, '_>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    let modules = &dump.modules.modules;
    evidence.images.reserve(modules.len());
    evidence.claims.reserve(modules.len());
    for (module, at) in modules.iter().zip(0_u32..) {
        let extent = Extent::of(module, map, found, &mut evidence.issues);
        if let Some(range) = extent.range {
            let known = (Confidence::Recorded, EvidenceSource::ModuleList);
            evidence.claim(image_claim(range, at, Use::Plain, known, Detail::None));
        }
        if let Some(extension) = extent.extension {
            let known = (Confidence::Recorded, EvidenceSource::MemoryInfoList);
            let detail =
                Detail::Size("the allocation is larger than SizeOfImage by", extension.size());
            let usage = Use::Named("image extension");
            evidence.claim(image_claim(extension, at, usage, known, detail));
        }
        let range = extent.range.or_else(|| AddressRange::new(module.base, 1));
        let Some(range) = range else { continue };
        let mut image = Image {
            range,
            module: Some(at),
            path: module.path.clone(),
            named_by: (!module.path.is_empty()).then_some(EvidenceSource::ModuleList),
            mapped: extent.mapped,
            sections: Vec::new(),
            has_header: false,
            header: None,
        };
        let header = headers.header(module.base);
        let part = match extent.extension {
            Some(extension) => AddressRange::between(range.start(), extension.start()),
            None => Some(range),
        };
        let run = extent.run.filter(|_| dump.limits.section_runs);
        let regions = run.as_ref().map(|run| map.regions_of(run));
        let content = Content { header, part: part.unwrap_or(range), read: headers.allowed() };
        content.describe(&mut image, at, regions, sections_left, evidence);
        evidence.images.push(image);
    }
}

/// Where one module of the list is.
struct Extent {
    range: Option<AddressRange>,
    /// What the allocation has beyond SizeOfImage.
    extension: Option<AddressRange>,
    /// The allocation of MEM_IMAGE that begins at its base.
    run: Option<AllocationRun>,
    mapped: bool,
}

impl Extent {
    /// The list gives base and size; the allocation of an image at that base
    /// knows the size better. Each allocation has one base, so that no two
    /// modules walk the same one.
    fn of(
        module: &Module<'_>,
        map: &RegionMap<'_>,
        found: &Candidates,
        issues: &mut Issues,
    ) -> Extent {
        let run = found.image_at(module.base);
        let mapped = run.is_some()
            || map.indexed(module.base).is_some_and(|(_, region)| region.state != State::Free);
        let allocation = run.map(|run| run.range());
        let listed = module.range.map(|range| page_up(range.size()));
        let (Some(allocation), Some(listed)) = (allocation, listed) else {
            let range = allocation.or(module.range);
            return Extent { range, extension: None, run, mapped };
        };
        let more = allocation.size().saturating_sub(listed);
        let extension = AddressRange::new(module.base.saturating_add(listed), more)
            .filter(|extension| extension.size() <= MAX_EXTENSION);
        if allocation.size() < listed || more > MAX_EXTENSION {
            issues.add(Some(stream_type::MODULE_LIST), None, || {
                format!(
                    "the module at {:#x} has {:#x} bytes in the list and {:#x} in the map; the map's are used",
                    module.base,
                    listed,
                    allocation.size()
                )
            });
        }
        Extent { range: Some(allocation), extension, run, mapped }
    }
}

/// What is known of the inside of an image.
pub(super) struct Content {
    pub(super) header: Option<Header>,
    /// The image without its extension.
    pub(super) part: AddressRange,
    /// Whether headers were read at all.
    pub(super) read: bool,
}

impl Content {
    /// Fills in the sections of `image`, row `at`, and claims them: from the
    /// header, else from the protections of `regions`.
    pub(super) fn describe(
        self,
        image: &mut Image,
        at: u32,
        regions: Option<impl Iterator<Item = Region>>,
        sections_left: &mut usize,
        evidence: &mut Evidence,
    ) {
        let base = image.range.start();
        let (mut sections, known, detail) = match (&self.header, regions) {
            (Some(header), _) => {
                image.has_header = true;
                let known = (Confidence::Derived, header.source());
                (header.sections_at(base), known, Detail::None)
            }
            (None, Some(regions)) => {
                let known = (Confidence::Heuristic, EvidenceSource::ProtectionRuns);
                let detail = if self.read {
                    "named by protection, header not captured"
                } else {
                    "named by protection, header not read"
                };
                (runs::runs(regions, self.part), known, Detail::Words(detail))
            }
            (None, None) => return,
        };
        let mut limit = None;
        if let Some(Header::Pe(header)) = &self.header {
            image.header = Some(header.facts);
            limit = Some(self.part);
            if let Some(range) = header.header_range(base).and_then(|r| r.intersect(self.part)) {
                let usage = Use::Named("PE header");
                evidence.claim(image_claim(range, at, usage, known, Detail::None));
            }
        }
        if let Some(limit) = limit {
            let clip = |section: Section| {
                section.range.intersect(limit).map(|range| Section { range, ..section })
            };
            sections = sections.into_iter().filter_map(clip).collect();
        }
        sections.truncate(*sections_left);
        image.sections = sections;
        *sections_left = sections_left.saturating_sub(image.sections.len());
        for section in &image.sections {
            let claim = image_claim(section.range, at, section.usage, known, detail.clone());
            evidence.claim(claim);
        }
    }
}
