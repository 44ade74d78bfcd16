//! Images of a map that was rebuilt because there is no region list: what the
//! loader's list names, the module list does not, and a header in memory
//! confirms. A 32-bit process's list is in memory where its writer, being
//! 64-bit, gives the other one only.

use std::collections::HashSet;

use super::header::{Header, HeaderReader};
use super::listed::Content;
use super::loader::{self, LoaderEntry};
use super::{Image, MAX_UNLISTED, image_claim, next_row};
use crate::addr::AddressRange;
use crate::dump::Dump;
use crate::evidence::{Confidence, Detail, Evidence, EvidenceSource, Use};
use crate::map::Region;

pub(super) fn gather(
    dump: &Dump<'_>,
    headers: &mut HeaderReader<'_, '_>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    let mut known: HashSet<u64> = dump.modules.modules.iter().map(|module| module.base).collect();
    let pebs = evidence.environment.pebs.iter();
    let lists = pebs.filter_map(|peb| loader::list(dump, peb));
    let entries: Vec<LoaderEntry> = lists.flat_map(|list| list.entries).collect();
    for entry in entries.into_iter().take(MAX_UNLISTED) {
        if known.insert(entry.base) {
            add(entry, headers, sections_left, evidence);
        }
    }
}

/// Adds the image of an entry when the header at its base has the same size.
fn add(
    entry: LoaderEntry,
    headers: &mut HeaderReader<'_, '_>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    let Some(range) = AddressRange::new(entry.base, entry.size.into()) else { return };
    let Some(Header::Pe(header)) = headers.header(entry.base) else { return };
    if header.facts.size_of_image != entry.size {
        return;
    }
    let at = next_row(evidence);
    let detail = "the loader lists it and its header is in memory; the module list lacks it";
    let known = (Confidence::Derived, EvidenceSource::LoaderList);
    evidence.claim(image_claim(range, at, Use::Plain, known, Detail::Words(detail)));
    let mut image = Image {
        range,
        module: None,
        named_by: (!entry.path.is_empty()).then_some(EvidenceSource::LoaderList),
        path: entry.path.into(),
        mapped: true,
        sections: Vec::new(),
        has_header: true,
        header: None,
    };
    let content = Content { header: Some(Header::Pe(header)), part: range, read: true };
    let regions: Option<std::iter::Empty<Region>> = None;
    content.describe(&mut image, at, regions, sections_left, evidence);
    evidence.images.push(image);
}
