//! One pass over the regions for images that the module list does not name,
//! and for PE files that are mapped, but not as images.

use std::collections::HashMap;

use super::header::{Header, HeaderReader};
use super::listed::Content;
use super::names::{self, Place};
use super::{DataLayout, Image, MAX_UNLISTED, data, image_claim, loader, next_row};
use crate::addr::AddressRange;
use crate::dump::{Dump, stream_type};
use crate::evidence::{Confidence, Detail, Evidence, EvidenceSource, Use};
use crate::map::{MemoryType, Region, RegionMap};

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    headers: &mut HeaderReader<'_, '_>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    let mut listed: Vec<u64> = dump.modules.modules.iter().map(|module| module.base).collect();
    listed.sort_unstable();
    let found = find(map, &listed);
    if found.more > 0 {
        evidence.issues.add(Some(stream_type::MODULE_LIST), None, || {
            format!("{} more images that no list names are left out", found.more)
        });
    }
    // The loader's list is a walk; most dumps need none.
    let loaded =
        if found.images.is_empty() { HashMap::new() } else { loader_names(dump, evidence) };
    for range in found.images {
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
            path,
            named_by,
            mapped: true,
            sections: Vec::new(),
            has_header: false,
            header: None,
        };
        let content = Content { header, part: range, read: headers.allowed() };
        let regions = Some(map.regions_in(range));
        content.describe(&mut image, at, regions, sections_left, evidence);
        evidence.images.push(image);
    }
    data::gather(&found.candidates, headers, evidence);
}

fn loader_names(dump: &Dump<'_>, evidence: &Evidence) -> HashMap<u64, String> {
    let pebs = evidence.environment.pebs.iter();
    let entries = pebs.filter_map(|peb| loader::list(dump, peb)).flat_map(|list| list.entries);
    entries.filter(|entry| !entry.path.is_empty()).map(|entry| (entry.base, entry.path)).collect()
}

/// What the pass finds.
struct Found {
    images: Vec<AddressRange>,
    /// Images beyond the bound.
    more: u64,
    /// Allocations that may begin with a PE header.
    candidates: Vec<data::Candidate>,
}

/// An allocation, as far as the pass has come.
#[derive(Clone, Copy)]
struct Run {
    base: u64,
    start: u64,
    last: u64,
    memory_type: MemoryType,
    executable: bool,
}

/// One pass over the regions. `listed` are the bases of the module list,
/// sorted.
fn find(map: &RegionMap<'_>, listed: &[u64]) -> Found {
    let mut found = Found { images: Vec::new(), more: 0, candidates: Vec::new() };
    let mut current: Option<Run> = None;
    for region in (0..map.len()).map_while(|index| map.get(index)) {
        let (Some(base), Some(memory_type)) = (region.allocation_base, region.memory_type) else {
            continue;
        };
        if let Some(run) = current.as_mut().filter(|run| continues(run, base, &region)) {
            run.last = region.range.last();
            run.executable |= region.protect.is_executable();
            continue;
        }
        let run = Run {
            base,
            start: region.range.start(),
            last: region.range.last(),
            memory_type,
            executable: region.protect.is_executable(),
        };
        if let Some(done) = current.replace(run) {
            found.add(done, listed);
        }
    }
    if let Some(done) = current {
        found.add(done, listed);
    }
    found
}

#[inline]
fn continues(run: &Run, base: u64, region: &Region) -> bool {
    run.base == base && run.last.wrapping_add(1) == region.range.start()
}

impl Found {
    #[inline]
    fn add(&mut self, run: Run, listed: &[u64]) {
        match run.memory_type {
            MemoryType::Image => self.add_image(run, listed),
            MemoryType::Private if !run.executable => {}
            MemoryType::Private | MemoryType::Mapped => {
                if self.candidates.len() < data::MAX_PROBES && run.base == run.start {
                    self.add_candidate(run, listed);
                }
            }
        }
    }

    fn add_image(&mut self, run: Run, listed: &[u64]) {
        // Part of an image whose base is elsewhere, or with a module inside.
        let first = listed.partition_point(|base| *base < run.start.min(run.base));
        let named = listed.get(first).is_some_and(|base| *base <= run.last);
        let Some(range) = AddressRange::spanning(run.start, run.last).filter(|_| !named) else {
            return;
        };
        if self.images.len() < MAX_UNLISTED {
            self.images.push(range);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    fn add_candidate(&mut self, run: Run, listed: &[u64]) {
        let named = listed.binary_search(&run.base).is_ok();
        let range =
            AddressRange::spanning(run.start, run.last).filter(|range| range.size() >= 0x1000);
        if let Some(range) = range.filter(|_| !named) {
            self.candidates.push(data::Candidate { range, memory_type: run.memory_type });
        }
    }
}
