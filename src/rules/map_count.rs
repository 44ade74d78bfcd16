//! A Linux process near the number of mappings that the kernel allows.

use super::common::{is_linux, percent};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};

const LIMIT: Threshold =
    Threshold::new("limit", (65_530, Unit::Count), "the kernel's default of vm.max_map_count");

const NEAR: Threshold = Threshold::new("near", (90, Unit::Percent), "judgement: of the limit");

pub(super) const RULE: Rule = Rule {
    id: "map-count",
    severity: Severity::Error,
    title: "a Linux process has nearly as many mappings as the kernel allows",
    manual: include_str!("map_count.md"),
    thresholds: &[LIMIT, NEAR],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let maps = facts.map.len() as u64;
    let limit = facts.value(&RULE, &LIMIT);
    let share = percent(maps, limit);
    if !is_linux(facts) || !facts.map.knows_free() || share < facts.value(&RULE, &NEAR) {
        return Vec::new();
    }
    vec![Finding {
        severity: if maps >= limit { Severity::Error } else { Severity::Warning },
        details: vec!["at the limit, mmap, mprotect and thread creation fail with ENOMEM".into()],
        numbers: vec![("mappings", maps), ("limit", limit)],
        next: "see what is mapped: dumpmap regions DUMP; on the machine: sysctl vm.max_map_count"
            .into(),
        ..RULE.finding(format!("{maps} mappings, {share} % of the default limit of {limit}"))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::Severity;
    use crate::rules::testing::{finding, severities};
    use crate::synth::{DumpBuilder, Mapping, maps_text, stream};

    #[test]
    fn nine_tenths_of_the_limit() {
        let dump = |count: u64| {
            let mut dump = DumpBuilder::linux_x64();
            let map =
                |at: u64| Mapping::new(0x1_0000 + at * 0x2000, 0x1_1000 + at * 0x2000, "rw-p", "");
            let maps: Vec<Mapping> = (0..count).map(map).collect();
            dump.raw.push((stream::LINUX_MAPS, maps_text(&maps).into_bytes()));
            dump
        };
        assert_eq!(finding("map-count", &dump(60_000)).severity, Severity::Warning);
        assert_eq!(severities("map-count", &dump(65_530)), [Severity::Error]);
        assert!(severities("map-count", &dump(1_000)).is_empty());
    }
}
