//! One image file mapped as an image at two addresses.

use std::collections::HashMap;

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

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let mut by_identity: HashMap<(String, u32, u32), Vec<&Image>> = HashMap::new();
    let modules = &facts.dump.modules.modules;
    for image in facts.evidence.images.iter().filter(|image| image.mapped) {
        let module = image.module.and_then(|at| modules.get(at as usize));
        let (timestamp, size) = match (image.header, module) {
            (Some(header), _) => (header.timestamp, header.size_of_image),
            (None, Some(module)) => (module.timestamp, module.size),
            (None, None) => continue,
        };
        if !image.path.is_empty() && timestamp != 0 {
            let path = image.path.to_lowercase();
            by_identity.entry((path, timestamp, size)).or_default().push(image);
        }
    }
    let mut doubles: Vec<Vec<&Image>> =
        by_identity.into_values().filter(|images| images.len() > 1).collect();
    if doubles.is_empty() {
        return Vec::new();
    }
    doubles.sort_by_key(|images| images.first().map(|image| image.range.start()));
    let wasted: u64 = doubles
        .iter()
        .flat_map(|images| images.iter().skip(1))
        .map(|image| image.range.size())
        .sum();
    let mut details: Vec<String> = doubles.iter().take(NAMED).map(|images| line(images)).collect();
    if doubles.len() > NAMED {
        details.push(format!("and {} more", doubles.len() - NAMED));
    }
    vec![Finding {
        rule: RULE.id,
        severity: RULE.severity,
        message: format!(
            "{} mapped more than once as an image, {} of address space in the copies",
            if doubles.len() == 1 {
                "1 file is".into()
            } else {
                format!("{} files are", doubles.len())
            },
            human(wasted)
        ),
        details,
        ranges: doubles.iter().flatten().map(|image| image.range).collect(),
        numbers: vec![("files", doubles.len() as u64), ("wasted", wasted)],
        next: "see who loads the copies: dumpmap explain DUMP ADDRESS".into(),
    }]
}

fn line(images: &[&Image]) -> String {
    let name =
        images.first().map_or("", |image| image.path.rsplit(['\\', '/']).next().unwrap_or(""));
    let places: Vec<String> =
        images.iter().map(|image| format!("{:#x}", image.range.start())).collect();
    format!("{name} at {}", places.join(" and "))
}
