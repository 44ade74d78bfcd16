//! Code of an image whose pages can be written, though its header asks for
//! read and execute.

use super::common::{count, is_windows, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::addr::AddressRange;
use crate::evidence::images::{Image, Section};
use crate::map::{MapSource, MemoryType, Region, State};
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "written-code-pages",
    severity: Severity::Warning,
    title: "code pages of an image were made writable",
    manual: include_str!("written_code_pages.md"),
    thresholds: &[],
    check,
};

/// Images that one finding names.
const NAMED: usize = 5;
/// Regions looked at, all images together. Real images have some ten each.
const REGIONS: usize = 1_000_000;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || facts.map.source != MapSource::MemoryInfo {
        return Vec::new();
    }
    let mut left = REGIONS;
    let mut found: Vec<(&Image, Vec<AddressRange>)> = Vec::new();
    for image in facts.evidence.images.iter().filter(|image| image.mapped && image.has_header) {
        let code = image.sections.iter().filter(|section| is_code(section));
        let pages: Vec<AddressRange> =
            code.flat_map(|section| writable_pages(facts, section, &mut left)).collect();
        if !pages.is_empty() {
            found.push((image, pages));
        }
    }
    if found.is_empty() {
        return Vec::new();
    }
    let size_of = |pages: &[AddressRange]| {
        pages.iter().fold(0_u64, |sum, page| sum.saturating_add(page.size()))
    };
    let size = found.iter().fold(0_u64, |sum, (_, pages)| sum.saturating_add(size_of(pages)));
    let lines = found.iter().map(|(image, pages)| {
        let first = pages.first().map_or(0, |page| page.start());
        format!("{}: {} from {first:#x} on", image.name(), human(size_of(pages)))
    });
    vec![Finding {
        details: some_of(lines, NAMED),
        ranges: found.iter().flat_map(|(_, pages)| pages.iter().copied()).collect(),
        numbers: vec![("images", found.len() as u64), ("size", size)],
        next: "compare the bytes with the file: dumpmap explain DUMP ADDRESS; in WinDbg: !chkimg"
            .into(),
        ..RULE.finding(format!(
            "{} of code can be written, in {}",
            human(size),
            count(found.len() as u64, "image")
        ))
    }]
}

/// Executable, and not meant to be written.
fn is_code(section: &Section) -> bool {
    section.protect.is_executable() && !section.protect.is_writable()
}

fn writable_pages<'f>(facts: Facts<'f>, section: &Section, left: &mut usize) -> Vec<AddressRange> {
    let range = section.range;
    let is_writable = |region: &Region| {
        region.state == State::Commit
            && region.memory_type == Some(MemoryType::Image)
            && region.protect.is_writable()
    };
    let looked_at = facts.map.regions_in(range).take_while(|_| {
        let more = *left > 0;
        *left = left.saturating_sub(1);
        more
    });
    looked_at.filter(is_writable).filter_map(|region| region.range.intersect(range)).collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, Process};
    use crate::synth::{DumpBuilder, PAGE_EXECUTE_READWRITE, PAGE_READWRITE, Region};

    const ID: &str = "written-code-pages";

    /// The second page of the program's code with another protection.
    fn dump(protect: Option<u32>) -> (DumpBuilder, u64) {
        let layout = Process::x64().lay_out();
        let base = layout.images[0].module.base;
        let page = base + 0x2000;
        let mut dump = layout.dump(Capture::Small);
        let regions = dump.regions.take().unwrap();
        let cut = |region: Region| match protect {
            Some(protect) if region.base <= page && page < region.end() => vec![
                Region { size: page - region.base, ..region },
                Region { base: page, size: 0x1000, protect, ..region },
                Region { base: page + 0x1000, size: region.end() - page - 0x1000, ..region },
            ],
            _ => vec![region],
        };
        let regions = regions.into_iter().flat_map(cut).filter(|region| region.size > 0).collect();
        dump.regions = Some(regions);
        (dump, page)
    }

    #[test]
    fn a_code_page_that_can_be_written() {
        for protect in [PAGE_EXECUTE_READWRITE, PAGE_READWRITE, 0x80] {
            let (dump, page) = dump(Some(protect));
            let found = finding(ID, &dump);
            assert_eq!(found.details, [format!("app.exe: 4 KiB from {page:#x} on")]);
        }
        assert!(findings(ID, &dump(None).0).is_empty());
    }
}
