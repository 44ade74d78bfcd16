//! One image file mapped as an image at two addresses.

use std::collections::BTreeMap;

use super::{Facts, Finding, Rule, Severity};
use crate::evidence::images::Image;
use crate::size::human;

/// How many doubles one finding names.
const NAMED: usize = 10;

pub(super) const RULE: Rule = Rule {
    id: "image-mapped-twice",
    severity: Severity::Warning,
    title: "one image is mapped at two addresses",
    manual: include_str!("image_mapped_twice.md"),
    thresholds: &[],
    check,
};

/// Time stamp, SizeOfImage and machine.
type Stamp = (u32, u32, u16);

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let modules = &facts.dump.modules.modules;
    let mut stamped: Vec<(Stamp, &Image)> = Vec::new();
    for image in facts.evidence.images.iter().filter(|image| image.mapped) {
        let module = image.module.and_then(|at| modules.get(at as usize));
        let (timestamp, size) = match (image.header, module) {
            (Some(header), _) => (header.timestamp, header.size_of_image),
            (None, Some(module)) => (module.timestamp, module.size),
            (None, None) => continue,
        };
        if !image.name().is_empty() && timestamp != 0 {
            // A WOW64 process has both ntdll.dll.
            let machine = image.header.map_or(0, |header| header.machine);
            stamped.push(((timestamp, size, machine), image));
        }
    }
    stamped.sort_by_key(|(stamp, image)| (*stamp, image.range.start()));
    let same_stamp = stamped.chunk_by(|(left, _), (right, _)| left == right);
    let mut doubles: Vec<Vec<&Image>> =
        same_stamp.filter(|images| images.len() > 1).flat_map(same_name).collect();
    if doubles.is_empty() {
        return Vec::new();
    }
    doubles.sort_by_key(|images| images.first().map(|image| image.range.start()));
    let wasted: u64 = doubles
        .iter()
        .flat_map(|images| images.iter().skip(1))
        .fold(0, |sum, image| sum.saturating_add(image.range.size()));
    let mut details: Vec<String> = doubles.iter().take(NAMED).map(|images| line(images)).collect();
    if doubles.len() > NAMED {
        details.push(format!("and {} more", doubles.len() - NAMED));
    }
    vec![Finding {
        details,
        ranges: doubles.iter().flatten().map(|image| image.range).collect(),
        numbers: vec![("files", doubles.len() as u64), ("wasted", wasted)],
        next: "see who loads the copies: dumpmap explain DUMP ADDRESS".into(),
        ..RULE.finding(format!(
            "{} mapped more than once as an image, {} of address space in the copies",
            if doubles.len() == 1 {
                "1 file is".into()
            } else {
                format!("{} files are", doubles.len())
            },
            human(wasted)
        ))
    }]
}

/// Those of images with one stamp that have one name, in groups of two and
/// more.
fn same_name<'a>(images: &[(Stamp, &'a Image)]) -> Vec<Vec<&'a Image>> {
    let mut by_name: BTreeMap<String, Vec<&Image>> = BTreeMap::new();
    for (_, image) in images {
        by_name.entry(image.name().to_lowercase()).or_default().push(image);
    }
    by_name.into_values().filter(|images| images.len() > 1).collect()
}

fn line(images: &[&Image]) -> String {
    let name = images.first().map_or("", |image| image.name());
    let places: Vec<String> =
        images.iter().map(|image| format!("{:#x}", image.range.start())).collect();
    let mut folders: Vec<String> = images
        .iter()
        .filter_map(|image| image.path.strip_suffix(image.name()))
        .filter(|folder| !folder.is_empty())
        .map(str::to_lowercase)
        .collect();
    folders.sort();
    folders.dedup();
    let from = if folders.len() > 1 { ", from different folders" } else { "" };
    format!("{name} at {}{from}", places.join(" and "))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, ImagePlan, Process};

    const ID: &str = "image-mapped-twice";

    #[test]
    fn the_same_file_from_one_or_two_folders() {
        let dump = |paths: [&str; 2]| {
            let [first, second] = paths;
            Process::x64().image(first).image(second).lay_out().dump(Capture::Small)
        };
        let found = finding(ID, &dump([r"C:\a\x.dll", r"C:\a\X.DLL"]));
        assert!(found.details[0].starts_with("x.dll at 0x"), "{found:?}");
        assert!(!found.details[0].contains("folders"));
        let found = finding(ID, &dump([r"C:\a\x.dll", r"C:\b\x.dll"]));
        assert!(found.details[0].ends_with("from different folders"));
        assert!(findings(ID, &dump([r"C:\a\x.dll", r"C:\a\y.dll"])).is_empty());
    }

    #[test]
    fn another_build_is_another_file() {
        let mut process = Process::x64().image(r"C:\a\x.dll");
        process.images.push(ImagePlan { timestamp: 7, ..ImagePlan::x64(r"C:\b\x.dll") });
        assert!(findings(ID, &process.lay_out().dump(Capture::Small)).is_empty());
    }
}
