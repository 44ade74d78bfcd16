//! The registry: every rule has a manual that says the same as its code.

pub(super) mod testing;

use std::collections::HashSet;

use super::*;

const HEADINGS: [&str; 7] = [
    "What it means",
    "Why it matters",
    "How it is known",
    "Thresholds",
    "When it is wrong",
    "What to do next",
    "The same in other tools",
];

#[test]
fn ids_are_unique_and_words_with_hyphens() {
    let ids: HashSet<&str> = ALL.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), ALL.len());
    for id in ids {
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    }
}

#[test]
fn every_rule_has_a_whole_manual() {
    for rule in ALL {
        let lines: Vec<&str> = rule.manual.lines().collect();
        assert_eq!(lines[0], format!("# {}", rule.id));
        let headings: Vec<&str> =
            lines.iter().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{}", rule.id);
        for tool in ["WinDbg", "VMMap"] {
            let linux = ["map-count", "deleted-files-mapped"].contains(&rule.id);
            assert!(linux || rule.manual.contains(tool), "{}: no word on {tool}", rule.id);
        }
    }
}

/// The table of the manual, row by row, is the code's list.
#[test]
fn manuals_and_code_have_the_same_thresholds() {
    for rule in ALL {
        let rows: Vec<&str> = rule.manual.lines().filter(|line| line.starts_with("| `")).collect();
        let row = |threshold: &Threshold| {
            let value = threshold.unit.text(threshold.default);
            format!("| `{}` | {value} | {} |", threshold.name, threshold.source)
        };
        let expected: Vec<String> = rule.thresholds.iter().map(row).collect();
        assert_eq!(rows, expected, "{}", rule.id);
        let names: HashSet<&str> = rule.thresholds.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), rule.thresholds.len(), "{}", rule.id);
    }
}

#[test]
fn a_policy_sets_other_values() {
    let mut thresholds = Thresholds::default();
    let largest = find_threshold("address-space-exhausted", "largest-free").unwrap();
    assert_eq!(thresholds.value("address-space-exhausted", largest), 64 << 20);
    thresholds.set("address-space-exhausted", "largest-free", 1);
    thresholds.set("address-space-exhausted", "largest-free", 2);
    assert_eq!(thresholds.value("address-space-exhausted", largest), 2);
    assert_eq!(thresholds.value("near-limit", largest), 64 << 20);
    assert_eq!(find_threshold("address-space-exhausted", "nothing"), None);
    assert_eq!(find_threshold("nothing", "largest-free"), None);
}

#[test]
fn other_values_change_the_findings() {
    let dump = crate::synth::DumpBuilder::windows_x86()
        .region(crate::synth::Region::free(0x1_0000, 0x7ffe_0000))
        .region(crate::synth::Region::reserve(0x7fff_0000, 0x1000));
    let mut thresholds = Thresholds::default();
    assert!(testing::all(&dump, &thresholds).0.is_empty());
    thresholds.set("address-space-fragmented", "largest-free", u64::MAX);
    assert_eq!(testing::all(&dump, &thresholds).1, Verdict::Fragmented);
}
