//! A PE image that somebody loaded by hand, past the system's loader.

use super::common::{count, is_filtered, is_windows, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::evidence::images::DataImage;
use crate::map::MemoryType;
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "pe-in-private-memory",
    severity: Severity::Warning,
    title: "executable private memory begins with a PE header",
    manual: include_str!("pe_in_private_memory.md"),
    thresholds: &[],
    check,
};

/// Images that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || is_filtered(facts) {
        return Vec::new();
    }
    let private = |image: &&DataImage| image.memory_type == MemoryType::Private;
    let images: Vec<&DataImage> = facts.evidence.data_images.iter().filter(private).collect();
    if images.is_empty() {
        return Vec::new();
    }
    let lines = images.iter().map(|image| {
        let name = if image.name.is_empty() { "without a name" } else { &image.name };
        format!("{} at {:#x}, {name}", human(image.range.size()), image.range.start())
    });
    vec![Finding {
        details: some_of(lines, NAMED),
        ranges: images.iter().map(|image| image.range).collect(),
        numbers: vec![("images", images.len() as u64)],
        next: "see what it is: dumpmap explain DUMP ADDRESS".into(),
        ..RULE.finding(format!(
            "{} loaded by hand into private memory",
            match images.len() {
                1 => "1 PE image was".into(),
                more => format!("{} were", count(more as u64, "PE image")),
            }
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Allocation, Capture, ImagePlan, Process};
    use crate::synth::{DumpBuilder, PAGE_EXECUTE_READWRITE, PAGE_READWRITE};

    const ID: &str = "pe-in-private-memory";

    fn dump(protect: u32) -> DumpBuilder {
        let header = ImagePlan::x64(r"C:\x.dll").headers(0x10_0000);
        let copy = Allocation::private().commit(0x8000, protect).bytes(0, header);
        Process::x64().allocate(copy).lay_out().dump(Capture::Small)
    }

    #[test]
    fn a_header_in_executable_private_memory() {
        let found = finding(ID, &dump(PAGE_EXECUTE_READWRITE));
        assert!(found.message.starts_with("1 PE image was loaded by hand"), "{found:?}");
        assert!(findings(ID, &dump(PAGE_READWRITE)).is_empty(), "a file that was read");
        assert!(findings(ID, &dump(PAGE_EXECUTE_READWRITE).flags(0x8)).is_empty());
    }
}
