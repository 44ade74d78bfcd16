//! Programs and libraries that are mapped as files, not as images.

use std::collections::HashSet;

use super::common::{count, is_windows, some_of};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::evidence::images::DataImage;
use crate::map::MemoryType;
use crate::size::human;

const SIZE: Threshold = Threshold::new(
    "size",
    (16 << 20, Unit::Bytes),
    "judgement: language files (.mui) alone come to a few MiB in any process with windows",
);

pub(super) const RULE: Rule = Rule {
    id: "pe-mapped-as-data",
    severity: Severity::Note,
    title: "PE files are mapped as data",
    manual: include_str!("pe_mapped_as_data.md"),
    thresholds: &[SIZE],
    check,
};

/// Files that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let mapped = |image: &&DataImage| image.memory_type == MemoryType::Mapped;
    let mut files: Vec<&DataImage> = facts.evidence.data_images.iter().filter(mapped).collect();
    let size = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.range.size()));
    if !is_windows(facts) || files.is_empty() || size < facts.value(&RULE, &SIZE) {
        return Vec::new();
    }
    let images: HashSet<(u32, u32)> = facts
        .evidence
        .images
        .iter()
        .filter_map(|image| image.header)
        .map(|header| (header.timestamp, header.size_of_image))
        .collect();
    let is_both =
        |file: &&&DataImage| images.contains(&(file.header.timestamp, file.header.size_of_image));
    let both = files.iter().filter(is_both).count() as u64;
    files.sort_by_key(|file| (std::cmp::Reverse(file.range.size()), file.range.start()));
    let lines = files.iter().map(|file| {
        let name = if file.name.is_empty() { "without a name" } else { &file.name };
        format!("{} at {:#x}, {name}", human(file.range.size()), file.range.start())
    });
    let mut details = some_of(lines, NAMED);
    if both > 0 {
        details.push(format!("{} of them mapped as an image too", count(both, "file")));
    }
    vec![Finding {
        details,
        ranges: files.iter().map(|file| file.range).collect(),
        numbers: vec![("files", files.len() as u64), ("size", size), ("images_too", both)],
        next: "see what one is: dumpmap explain DUMP ADDRESS".into(),
        ..RULE.finding(format!(
            "{} mapped as data, {} in all",
            match files.len() {
                1 => "1 PE file is".into(),
                more => format!("{} are", count(more as u64, "PE file")),
            },
            human(size)
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Allocation, Capture, ImagePlan, Process};
    use crate::synth::{DumpBuilder, PAGE_READONLY};

    const ID: &str = "pe-mapped-as-data";

    fn dump(size: u64) -> DumpBuilder {
        let header = ImagePlan::x64(r"C:\x.dll").headers(0x10_0000);
        let view = Allocation::mapped().commit(size, PAGE_READONLY).bytes(0, header);
        Process::x64().allocate(view).lay_out().dump(Capture::Small)
    }

    #[test]
    fn large_files_only() {
        let found = finding(ID, &dump(20 << 20));
        assert_eq!(found.message, "1 PE file is mapped as data, 20 MiB in all");
        assert!(found.details[1].starts_with("1 file of them mapped as an image"), "{found:?}");
        assert!(findings(ID, &dump(2 << 20)).is_empty());
    }
}
