//! Modules that do not lie where they were linked for.

use super::common::{count, is_filtered, is_windows, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::addr::AddressRange;
use crate::evidence::images::Image;
use crate::map::{Origin, State};
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "relocated-modules",
    severity: Severity::Note,
    title: "modules were moved, because their place was taken",
    manual: include_str!("relocated_modules.md"),
    thresholds: &[],
    check,
};

/// Modules that one finding names.
const NAMED: usize = 10;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || is_filtered(facts) {
        return Vec::new();
    }
    let found: Vec<(&Image, AddressRange)> =
        facts.evidence.images.iter().filter_map(|image| Some((image, wanted(image)?))).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let line = |(image, wanted): &(&Image, AddressRange)| {
        let (base, wanted_base) = (image.range.start(), wanted.start());
        let who = who_is_there(facts, image, *wanted);
        format!("{} at {base:#x}, its header says {wanted_base:#x}: {who}", image.name())
    };
    let size = found.iter().fold(0_u64, |sum, (_, wanted)| sum.saturating_add(wanted.size()));
    vec![Finding {
        details: some_of(found.iter().map(line), NAMED),
        ranges: found.iter().map(|(image, _)| image.range).collect(),
        numbers: vec![("modules", found.len() as u64), ("bytes", size)],
        next: "link them for other addresses (/BASE), or with /DYNAMICBASE: dumpmap images DUMP"
            .into(),
        ..RULE.finding(format!(
            "{} of {} {} not at the base in the header",
            count(found.len() as u64, "module"),
            human(size),
            if found.len() == 1 { "is" } else { "are" }
        ))
    }]
}

/// Where a listed module of native code was to be, when it is not there.
fn wanted(image: &Image) -> Option<AddressRange> {
    image.module?;
    let header = image.header.filter(|header| !header.is_managed)?;
    let is_moved = header.image_base != image.range.start() && header.image_base != 0;
    AddressRange::new(header.image_base, header.size_of_image.into()).filter(|_| is_moved)
}

/// What is at the place that it wanted.
fn who_is_there(facts: Facts<'_>, image: &Image, wanted: AddressRange) -> String {
    let mut others = facts.evidence.images.iter();
    let overlaps = |other: &&Image| {
        other.mapped && other.range != image.range && other.range.intersect(wanted).is_some()
    };
    if let Some(other) = others.find(overlaps) {
        let name = if other.name().is_empty() { "an image without a name" } else { other.name() };
        return format!("{name} is there");
    }
    match facts.map.find(wanted.start()) {
        Some(region) if region.origin == Origin::Gap => "what is there is not known".into(),
        Some(region) if region.state == State::Free => "free now".into(),
        Some(_) => "other memory is there".into(),
        None => "what is there is not known".into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::DumpBuilder;
    use crate::synth::windows::{Capture, Layout, Process};

    const ID: &str = "relocated-modules";

    /// Writes `bytes` into the captured header of the second module.
    fn put(layout: &mut Layout, at: usize, bytes: &[u8]) {
        let base = layout.images[1].module.base;
        let header = layout.contents.iter_mut().find(|memory| memory.base == base).unwrap();
        header.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// ImageBase of a 64-bit header.
    const IMAGE_BASE: usize = 0x80 + 24 + 24;

    fn based_at(base: u64) -> Layout {
        let mut layout = Process::x64().lay_out();
        put(&mut layout, IMAGE_BASE, &base.to_le_bytes());
        layout
    }

    fn dump(base: u64) -> DumpBuilder {
        based_at(base).dump(Capture::Small)
    }

    #[test]
    fn a_module_whose_place_was_taken() {
        let layout = Process::x64().lay_out();
        let (program, own) = (layout.images[0].module.base, layout.images[1].module.base);
        let found = finding(ID, &dump(program));
        let expected =
            format!("ntdll.dll at {own:#x}, its header says {program:#x}: app.exe is there");
        assert_eq!(found.details, [expected]);
        assert_eq!(found.numbers[0], ("modules", 1));
        assert!(finding(ID, &dump(0x1000_0000)).details[0].ends_with(": free now"));
        let stack = layout.threads[0].stack.allocation_base;
        assert!(finding(ID, &dump(stack)).details[0].ends_with(": other memory is there"));
        assert!(findings(ID, &dump(own)).is_empty(), "where it wants to be");
        assert!(findings(ID, &dump(0)).is_empty(), "no base");
        assert!(findings(ID, &dump(program).flags(0x8)).is_empty(), "scrubbed memory");
    }

    /// Only intermediate language: nothing in it depends on the base.
    #[test]
    fn managed_modules_need_no_relocation() {
        let mut layout = based_at(0x1000_0000);
        assert_eq!(findings(ID, &layout.dump(Capture::Small)).len(), 1);
        put(&mut layout, 0x80 + 24 + 112 + 14 * 8, &[0, 0x20, 0, 0, 0x48, 0, 0, 0]);
        assert!(findings(ID, &layout.dump(Capture::Small)).is_empty());
    }
}
