//! The file ends before what it promises.

use super::common::{count, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::dump::stream_name;
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "dump-truncated",
    severity: Severity::Warning,
    title: "the dump ends before what it promises",
    manual: include_str!("dump_truncated.md"),
    thresholds: &[],
    check,
};

/// Streams that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let dump = facts.dump;
    let end = dump.source.len();
    let cut: Vec<u32> = dump
        .directory
        .streams
        .iter()
        .filter(|stream| stream.size > 0 && u64::from(stream.offset) + u64::from(stream.size) > end)
        .map(|stream| stream.kind)
        .collect();
    let missing = dump.captured.missing;
    let promised = u64::from(dump.header.stream_count);
    let entries = (dump.directory.streams.len() + dump.directory.unused) as u64;
    let lost = promised.saturating_sub(entries);
    let regions = dump.memory_info.is_some_and(|list| list.cut);
    if cut.is_empty() && missing == 0 && lost == 0 && !regions {
        return Vec::new();
    }
    let mut what = Vec::new();
    if missing > 0 {
        what.push(format!("{} of memory contents", human(missing)));
    }
    if !cut.is_empty() {
        what.push(format!("the end of {}", count(cut.len() as u64, "stream")));
    }
    if lost > 0 {
        what.push(format!("{lost} directory entries"));
    }
    if regions {
        what.push("part of the region list".into());
    }
    let name = |kind: &u32| stream_name(*kind).map_or_else(|| format!("{kind:#x}"), Into::into);
    let mut details = some_of(cut.iter().map(name), NAMED);
    if !details.is_empty() {
        details = vec![format!("cut: {}", details.join(", "))];
    }
    vec![Finding {
        details,
        numbers: vec![
            ("file_size", end),
            ("missing_memory", missing),
            ("cut_streams", cut.len() as u64),
        ],
        next: "get the file again, or look for a full disk or a size limit where it was written: dumpmap streams DUMP".into(),
        ..RULE.finding(format!("the file lacks {}", what.join(", ")))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, Process};

    const ID: &str = "dump-truncated";

    #[test]
    fn memory_that_is_not_there() {
        let mut dump = Process::x64().lay_out().dump(Capture::Full);
        let size = dump.build().len();
        assert!(findings(ID, &dump).is_empty());
        dump.end_of_file = Some(size - 0x1800);
        assert_eq!(finding(ID, &dump).message, "the file lacks 6 KiB of memory contents");
        dump.end_of_file = Some(0x400);
        assert!(finding(ID, &dump).message.contains("stream"));
    }
}
