//! A 32-bit process that is close to the end of its address space.

use super::address_space_exhausted::{LARGEST_FREE, largest_range, limit, what_fills_it};
use super::common::{free_of_32_bits, percent, range_size};
use super::reserve::free_memory_had;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::size::human;

const SCARCE: Threshold = Threshold::new(
    "scarce",
    (128 << 20, Unit::Bytes),
    "twice the block at which a process counts as out of memory",
);

const USED: Threshold =
    Threshold::new("used", (90, Unit::Percent), "judgement: one leak away from the end");

pub(super) const RULE: Rule = Rule {
    id: "near-limit",
    severity: Severity::Warning,
    title: "a 32-bit process is close to the end of its address space",
    manual: include_str!("near_limit.md"),
    thresholds: &[LARGEST_FREE, SCARCE, USED],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let Some(free) = free_of_32_bits(facts) else { return Vec::new() };
    let had = free_memory_had(facts, free);
    if had.largest < facts.value(&RULE, &LARGEST_FREE) {
        return Vec::new();
    }
    let range = range_size(facts);
    let used = percent(range.saturating_sub(had.size), range);
    let message = if had.largest < facts.value(&RULE, &SCARCE) {
        format!(
            "largest free block is {}; {used} % of the address space is in use",
            human(had.largest)
        )
    } else if used >= facts.value(&RULE, &USED) {
        format!(
            "{used} % of the address space is in use; largest free block is {}",
            human(had.largest)
        )
    } else {
        return Vec::new();
    };
    let mut details: Vec<String> = what_fills_it(facts).into_iter().collect();
    details.extend(had.remark());
    details.push(limit(facts).0.into());
    vec![Finding {
        details,
        ranges: largest_range(&had),
        numbers: vec![
            ("largest_free", had.largest),
            ("free", had.size),
            ("used_percent", used),
            ("range", range),
        ],
        next: "list what fills the space: dumpmap regions DUMP --sort size".into(),
        ..RULE.finding(message)
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::Verdict;
    use crate::rules::testing::{findings, verdict};
    use crate::synth::{DumpBuilder, Region};

    fn dump(free: u64) -> DumpBuilder {
        DumpBuilder::windows_x86()
            .region(Region::reserve(0x1_0000, 0x7ffe_0000 - free))
            .region(Region::free(0x7fff_0000 - free, free))
    }

    #[test]
    fn between_out_of_memory_and_at_ease() {
        for (free, fires) in [(63, false), (65, true), (127, true), (190, true), (300, false)] {
            let found = findings("near-limit", &dump(free << 20));
            assert_eq!(!found.is_empty(), fires, "{free} MiB");
        }
        assert_eq!(verdict(&dump(190 << 20)).0, Verdict::NearLimit);
        assert_eq!(verdict(&dump(300 << 20)).0, Verdict::None);
    }
}
