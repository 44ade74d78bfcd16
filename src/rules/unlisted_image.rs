//! Images that the module list does not name.

use super::common::{count, is_windows, some_of, thread_title};
use super::{Facts, Finding, Rule, Severity};
use crate::evidence::images::Image;
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "unlisted-image",
    severity: Severity::Warning,
    title: "images are mapped that the module list does not name",
    manual: include_str!("unlisted_image.md"),
    thresholds: &[],
    check,
};

/// Images that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || !facts.dump.modules.present {
        return Vec::new();
    }
    let images = facts.evidence.images.iter();
    let mut unlisted: Vec<&Image> =
        images.filter(|image| image.module.is_none() && image.mapped).collect();
    if unlisted.is_empty() {
        return Vec::new();
    }
    unlisted.sort_by_key(|image| image.range.start());
    let size = unlisted.iter().fold(0_u64, |sum, image| sum.saturating_add(image.range.size()));
    let running = threads_in(facts, &unlisted);
    let lines = unlisted.iter().map(|image| {
        let name = if image.path.is_empty() { "without a name" } else { image.name() };
        format!("{} at {:#x}, {name}", human(image.range.size()), image.range.start())
    });
    let mut details = some_of(lines, NAMED);
    details.extend(some_of(running.iter().cloned(), NAMED));
    vec![Finding {
        severity: if running.is_empty() { Severity::Note } else { Severity::Warning },
        details,
        ranges: unlisted.iter().map(|image| image.range).collect(),
        numbers: vec![("images", unlisted.len() as u64), ("size", size)],
        next: "see which they are: dumpmap images DUMP".into(),
        ..RULE.finding(format!(
            "{}, {} in all, not in the module list",
            count(unlisted.len() as u64, "image"),
            human(size)
        ))
    }]
}

/// Threads that began or run in one of these images, sorted by address. In a
/// 32-bit process on 64-bit Windows the system's own 64-bit images run so.
fn threads_in(facts: Facts<'_>, images: &[&Image]) -> Vec<String> {
    if facts.evidence.environment.wow64 {
        return Vec::new();
    }
    let inside = |address: u64| {
        let after = images.partition_point(|image| image.range.start() <= address);
        let image = images.get(after.checked_sub(1)?)?;
        image.range.contains(address).then_some(*image)
    };
    let threads = facts.dump.threads.iter().zip(0_u32..);
    threads
        .filter_map(|(thread, at)| {
            let start = thread.info.as_deref().map(|info| info.start_address);
            let instruction =
                facts.dump.registers(thread).map(|registers| registers.instruction_pointer);
            let (how, image) = match (start.and_then(inside), instruction.and_then(inside)) {
                (Some(image), _) => ("began", image),
                (None, Some(image)) => ("runs", image),
                (None, None) => return None,
            };
            let base = image.range.start();
            Some(format!("thread {} {how} in the one at {base:#x}", thread_title(facts, at)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::Severity;
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, ImagePlan, Layout, Listing, Process};

    const ID: &str = "unlisted-image";

    fn layout(listing: Listing) -> Layout {
        let mut process = Process::x64();
        // Threads run in the last image.
        process.images.insert(1, ImagePlan { listing, ..ImagePlan::x64(r"C:\hidden.dll") });
        process.lay_out()
    }

    #[test]
    fn an_image_that_no_list_names() {
        let found = finding(ID, &layout(Listing::Unlisted).dump(Capture::Small));
        assert_eq!(found.severity, Severity::Note);
        assert!(found.message.starts_with("1 image, "), "{found:?}");
        assert!(findings(ID, &layout(Listing::Listed).dump(Capture::Small)).is_empty());
    }

    #[test]
    fn code_that_runs_in_it_is_a_warning() {
        let layout = layout(Listing::Unlisted);
        let base = layout.images[1].module.base;
        let mut dump = layout.dump(Capture::Small);
        for info in dump.thread_infos.as_mut().unwrap() {
            info.start_address = base + 0x1000;
        }
        let found = finding(ID, &dump);
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.details[1].ends_with(&format!("began in the one at {base:#x}")));
    }
}
