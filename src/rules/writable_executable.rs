//! Pages of views, images or Linux mappings that are writable and executable
//! at once.

use super::common::{count, is_linux, is_windows, some_of};
use super::engines::engine;
use super::{Facts, Finding, Rule, Severity};
use crate::addr::AddressRange;
use crate::evidence::executable::Executable;
use crate::map::MemoryType;
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "writable-executable",
    severity: Severity::Warning,
    title: "pages are writable and executable at once",
    manual: include_str!("writable_executable.md"),
    thresholds: &[],
    check,
};

/// Places that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let places = if is_windows(facts) {
        windows(facts)
    } else if is_linux(facts) {
        linux(facts)
    } else {
        Vec::new()
    };
    if places.is_empty() {
        return Vec::new();
    }
    let engine = engine(facts);
    let images_only = places.iter().all(|place| place.is_image);
    let size = places.iter().fold(0_u64, |sum, place| sum.saturating_add(place.size));
    let lines = places.iter().map(|place| {
        format!("{} at {:#x}, {}", human(place.size), place.range.start(), place.what)
    });
    let mut details = some_of(lines, NAMED);
    details.extend(engine.map(|name| format!("{name} makes code at run time")));
    vec![Finding {
        severity: match engine.is_some() || images_only {
            true => Severity::Note,
            false => Severity::Warning,
        },
        details,
        ranges: places.iter().map(|place| place.range).collect(),
        numbers: vec![("places", places.len() as u64), ("size", size)],
        next: "see what one is: dumpmap explain DUMP ADDRESS".into(),
        ..RULE.finding(format!(
            "{} can be written and run, in {}",
            human(size),
            count(places.len() as u64, "place")
        ))
    }]
}

struct Place {
    range: AddressRange,
    size: u64,
    what: String,
    is_image: bool,
}

/// Views and images; private memory is executable-private-memory's.
fn windows(facts: Facts<'_>) -> Vec<Place> {
    // Made once: images are looked up for each place.
    let mut names: Vec<(u64, &str)> =
        facts.evidence.images.iter().map(|image| (image.range.start(), image.name())).collect();
    names.sort_unstable();
    let name_at = |base: u64| {
        let at = names.binary_search_by_key(&base, |(base, _)| *base).ok()?;
        names.get(at).map(|(_, name)| *name).filter(|name| !name.is_empty())
    };
    let place = |one: &Executable| {
        let is_image = one.memory_type == MemoryType::Image;
        let what = match (is_image, name_at(one.range.start())) {
            (true, Some(name)) => format!("of the image {name}"),
            (true, None) => "of an image".into(),
            (false, _) => "a view of a section".into(),
        };
        Place { range: one.range, size: one.writable, what, is_image }
    };
    let views_and_images =
        |one: &&Executable| one.writable > 0 && one.memory_type != MemoryType::Private;
    facts.evidence.executable.iter().filter(views_and_images).map(place).collect()
}

fn linux(facts: Facts<'_>) -> Vec<Place> {
    let lines = facts.dump.linux.maps.iter().flat_map(|maps| &maps.maps);
    let both = lines.filter(|line| line.write && line.execute);
    both.map(|line| Place {
        range: line.range,
        size: line.range.size(),
        what: match line.name.as_str() {
            "" => "anonymous".into(),
            name => name.into(),
        },
        is_image: false,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::Severity;
    use crate::rules::testing::{finding, severities};
    use crate::synth::windows::{Allocation, Capture, Process};
    use crate::synth::{
        DumpBuilder, Mapping, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_READONLY, maps_text,
        stream,
    };

    const ID: &str = "writable-executable";

    #[test]
    fn views_and_images() {
        let dump = |allocation: Allocation| {
            Process::x64().allocate(allocation).lay_out().dump(Capture::MapOnly)
        };
        let view = Allocation::mapped().commit(0x2000, PAGE_EXECUTE_READWRITE);
        let found = finding(ID, &dump(view));
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.message.starts_with("8 KiB can be written and run, in 1 place"));
        let image = Allocation::image().commit(0x1000, PAGE_READONLY).commit(0x1000, 0x80);
        assert_eq!(severities(ID, &dump(image)), [Severity::Note]);
        let healthy = Allocation::mapped().commit(0x2000, PAGE_EXECUTE_READ);
        assert!(severities(ID, &dump(healthy)).is_empty());
        let private = Allocation::private().commit(0x2000, PAGE_EXECUTE_READWRITE);
        assert!(severities(ID, &dump(private)).is_empty(), "another rule's");
    }

    #[test]
    fn linux_mappings() {
        let dump = |permissions: &'static str| {
            let mut dump = DumpBuilder::linux_x64();
            let maps = [Mapping::new(0x1000, 0x3000, permissions, "[stack]")];
            dump.raw.push((stream::LINUX_MAPS, maps_text(&maps).into_bytes()));
            dump
        };
        assert_eq!(finding(ID, &dump("rwxp")).details, ["8 KiB at 0x1000, [stack]"]);
        assert!(severities(ID, &dump("rw-p")).is_empty());
    }
}
