//! A 32-bit process with much free memory, all of it in small blocks.

use super::address_space_exhausted::{LARGEST_FREE, PLENTY_FREE, largest_range, limit};
use super::common::{count, free_of_32_bits, percent};
use super::reserve::free_memory_had;
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::size::human;

const SCATTERED: Threshold = Threshold::new(
    "scattered",
    (80, Unit::Percent),
    "judgement: a healthy Visual Studio of 32 bits has 34 %",
);

const SCARCE: Threshold = Threshold::new(
    "scarce",
    (128 << 20, Unit::Bytes),
    "twice the block at which a process counts as out of memory",
);

pub(super) const RULE: Rule = Rule {
    id: "address-space-fragmented",
    severity: Severity::Error,
    title: "a 32-bit process has free memory enough, but no large block of it",
    manual: include_str!("address_space_fragmented.md"),
    thresholds: &[LARGEST_FREE, PLENTY_FREE, SCATTERED, SCARCE],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let Some(free) = free_of_32_bits(facts) else { return Vec::new() };
    let had = free_memory_had(facts, free);
    let scattered = percent(had.size.saturating_sub(had.largest), had.size);
    if had.size <= facts.value(&RULE, &PLENTY_FREE) {
        return Vec::new();
    }
    let severity = if had.largest < facts.value(&RULE, &LARGEST_FREE) {
        Severity::Error
    } else if had.largest < facts.value(&RULE, &SCARCE)
        && scattered >= facts.value(&RULE, &SCATTERED)
    {
        Severity::Warning
    } else {
        return Vec::new();
    };
    let unusable = facts.totals.row(crate::evidence::RegionKind::Unusable).size;
    let mut details = vec![
        format!("{scattered} % of the free memory lies outside of the largest block"),
        format!("{} of it is in blocks under 1 MiB", human(free.tiny)),
    ];
    if unusable > 0 {
        details.push(format!(
            "{} more cannot be allocated: they lie below the next 64 KiB boundary",
            human(unusable)
        ));
    }
    details.extend(had.remark());
    details.push(limit(facts).0.into());
    vec![Finding {
        severity,
        details,
        ranges: largest_range(&had),
        numbers: vec![
            ("largest_free", had.largest),
            ("free", had.size),
            ("free_blocks", free.blocks),
            ("tiny", free.tiny),
            ("fragmentation_percent", scattered),
        ],
        next: "see what lies between the free blocks: dumpmap regions DUMP".into(),
        ..RULE.finding(format!(
            "{} free in {}, but the largest is {}",
            human(had.size),
            count(free.blocks, "block"),
            human(had.largest)
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, severities, verdict};
    use crate::rules::{Severity, Verdict};
    use crate::synth::{DumpBuilder, Region};

    const ID: &str = "address-space-fragmented";

    /// 2 GiB of free blocks of a size, 64 KiB apart.
    fn dump(free: u64, blocks: u64) -> DumpBuilder {
        let step = free + 0x1_0000;
        let pairs = (0..blocks).flat_map(|at| {
            let base = at * step;
            [Region::reserve(base, 0x1_0000), Region::free(base + 0x1_0000, free)]
        });
        let end = blocks * step;
        DumpBuilder::windows_x86()
            .regions(pairs)
            .region(Region::reserve(end, 0x7fff_0000_u64.saturating_sub(end)))
    }

    #[test]
    fn much_free_memory_in_small_blocks() {
        let found = finding(ID, &dump(1 << 20, 1000));
        assert_eq!(found.severity, Severity::Error);
        assert_eq!(found.message, "1000 MiB free in 1,000 blocks, but the largest is 1 MiB");
        assert_eq!(verdict(&dump(1 << 20, 1000)).0, Verdict::Fragmented);
        assert_eq!(severities(ID, &dump(100 << 20, 10)), [Severity::Warning]);
        assert_eq!(verdict(&dump(100 << 20, 10)).0, Verdict::NearLimit);
        assert!(severities(ID, &dump(1 << 20, 200)).is_empty(), "that is exhaustion");
        assert!(severities(ID, &dump(300 << 20, 5)).is_empty());
    }
}
