//! Bytes that no record describes, or that several do.

use super::common::count;
use super::{Facts, Finding, Rule, Severity};
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "audit-remainder",
    severity: Severity::Note,
    title: "the region list has gaps or overlaps",
    manual: include_str!("audit_remainder.md"),
    thresholds: &[],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let audit = facts.totals.audit;
    if !facts.map.knows_free() {
        return Vec::new();
    }
    let remainder = audit.range_size.abs_diff(audit.accounted);
    let mut what = Vec::new();
    if remainder > 0 {
        what.push(format!("the rows differ from the range by {}", human(remainder)));
    }
    if audit.gap_bytes > 0 {
        what.push(format!(
            "{} in {} are in no record",
            human(audit.gap_bytes),
            count(audit.gaps, "gap")
        ));
    }
    if audit.overlaps > 0 {
        what.push(format!("{} overlapped others", count(audit.overlaps, "region")));
    }
    if facts.map.dropped > 0 {
        what.push(format!("{} could not be used", count(facts.map.dropped, "record")));
    }
    if what.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        details: vec![
            "sizes of kinds may be too small by as much; the largest free block is a lower bound"
                .into(),
        ],
        numbers: vec![
            ("remainder", remainder),
            ("gap_bytes", audit.gap_bytes),
            ("gaps", audit.gaps),
            ("overlaps", audit.overlaps),
            ("dropped", facts.map.dropped),
        ],
        next: "see the issues of the region list: dumpmap streams DUMP".into(),
        ..RULE.finding(what.join(", "))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::{DumpBuilder, Region};

    const ID: &str = "audit-remainder";

    #[test]
    fn gaps_and_overlaps() {
        let dump = |regions: &[Region]| DumpBuilder::windows_x64().regions(regions.to_vec());
        let whole = [Region::free(0, 0x1_0000), Region::commit(0x1_0000, 0x1000, 4)];
        assert!(findings(ID, &dump(&whole)).is_empty());
        let gap = [Region::free(0, 0x1_0000), Region::commit(0x1_1000, 0x1000, 4)];
        assert_eq!(finding(ID, &dump(&gap)).message, "4 KiB in 1 gap are in no record");
        let overlap = [Region::commit(0, 0x3000, 4), Region::commit(0x1000, 0x1000, 4)];
        assert!(finding(ID, &dump(&overlap)).message.contains("1 region overlapped others"));
    }
}
