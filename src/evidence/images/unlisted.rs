//! Images that the module list does not name, and PE files that are mapped,
//! but not as images.

use std::collections::HashMap;

use super::header::{Header, HeaderReader};
use super::listed::Content;
use super::names::{self, Place};
use super::{DataLayout, Image, MAX_UNLISTED, data, image_claim, loader, next_row};
use crate::addr::AddressRange;
use crate::dump::{Dump, Module, stream_type};
use crate::evidence::{Confidence, Detail, Evidence, EvidenceSource, Use};
use crate::map::{AllocationRun, MemoryType, RegionMap};

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    found: &Candidates,
    headers: &mut HeaderReader<'_, '_>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    if found.more > 0 {
        evidence.issues.add(Some(stream_type::MODULE_LIST), None, || {
            format!("{} more images that no list names are left out", found.more)
        });
    }
    // The loader's list is a walk; most dumps need none.
    let loaded =
        if found.images.is_empty() { HashMap::new() } else { loader_names(dump, evidence) };
    for range in found.images.iter().copied() {
        let at = next_row(evidence);
        let known = (Confidence::Recorded, EvidenceSource::MemoryInfoList);
        let detail = Detail::Words(if dump.modules.present {
            "an image that the module list does not name"
        } else {
            "an image, and there is no module list"
        });
        evidence.claim(image_claim(range, at, Use::Plain, known, detail));
        let header = headers.header(range.start());
        let (path, named_by) = match (loaded.get(&range.start()), &header) {
            (Some(path), _) => (path.clone(), Some(EvidenceSource::LoaderList)),
            (None, Some(Header::Pe(header))) => {
                let place = Place {
                    header,
                    base: range.start(),
                    layout: DataLayout::Image,
                    memory: headers.memory(),
                };
                match names::own_name(&place) {
                    Some(name) => (name, Some(EvidenceSource::PeHeader)),
                    None => (String::new(), None),
                }
            }
            (None, _) => (String::new(), None),
        };
        let mut image = Image {
            range,
            module: None,
            path: path.into(),
            named_by,
            mapped: true,
            sections: Vec::new(),
            has_header: false,
            header: None,
        };
        let content = Content { header, part: range, read: headers.allowed() };
        let regions = dump.limits.section_runs.then(|| map.regions_in(range));
        content.describe(&mut image, at, regions, sections_left, evidence);
        evidence.images.push(image);
    }
    data::gather(&found.files, headers, evidence);
}

fn loader_names(dump: &Dump<'_>, evidence: &Evidence) -> HashMap<u64, String> {
    let pebs = evidence.environment.pebs.iter();
    let entries = pebs.filter_map(|peb| loader::list(dump, peb)).flat_map(|list| list.entries);
    entries.filter(|entry| !entry.path.is_empty()).map(|entry| (entry.base, entry.path)).collect()
}

/// What the pass over the allocations finds.
#[derive(Debug, Default)]
pub(in crate::evidence) struct Candidates {
    /// The bases of the module list, sorted.
    listed: Vec<u64>,
    images: Vec<AddressRange>,
    /// Images that begin where a module of the list does, in address order.
    at_bases: Vec<AllocationRun>,
    /// Images beyond the bound.
    more: u64,
    /// Allocations that may begin with a PE header.
    files: Vec<data::Candidate>,
}

impl Candidates {
    pub(in crate::evidence) fn new(modules: &[Module<'_>]) -> Candidates {
        let mut listed: Vec<u64> = modules.iter().map(|module| module.base).collect();
        listed.sort_unstable();
        Candidates { listed, ..Candidates::default() }
    }

    /// The image that begins at the base of a module.
    pub(super) fn image_at(&self, base: u64) -> Option<AllocationRun> {
        let at = self.at_bases.binary_search_by_key(&base, |run| run.base).ok()?;
        self.at_bases.get(at).copied()
    }

    #[inline]
    pub(in crate::evidence) fn look(&mut self, run: &AllocationRun) {
        match run.memory_type {
            Some(MemoryType::Image) => self.look_at_image(run),
            Some(MemoryType::Private) if !run.executable => {}
            Some(memory_type) if run.is_whole() && self.files.len() < data::MAX_PROBES => {
                self.look_at_file(run, memory_type);
            }
            _ => {}
        }
    }

    fn look_at_image(&mut self, run: &AllocationRun) {
        // Part of an image whose base is elsewhere, or with a module inside.
        let range = run.range();
        let first = self.listed.partition_point(|base| *base < range.start().min(run.base));
        if let Some(base) = self.listed.get(first).filter(|base| **base <= range.last()) {
            if *base == range.start() && run.is_whole() {
                self.at_bases.push(*run);
            }
            return;
        }
        if self.images.len() < MAX_UNLISTED {
            self.images.push(range);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    fn look_at_file(&mut self, run: &AllocationRun, memory_type: MemoryType) {
        let range = run.range();
        if range.size() >= 0x1000 && self.listed.binary_search(&run.base).is_err() {
            self.files.push(data::Candidate { range, memory_type });
        }
    }
}
