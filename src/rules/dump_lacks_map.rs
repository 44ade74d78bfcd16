//! The dump says nothing of free and reserved memory.

use super::common::is_windows;
use super::{Facts, Finding, Rule, Severity};
use crate::dump::Platform;

pub(super) const RULE: Rule = Rule {
    id: "dump-lacks-map",
    severity: Severity::Note,
    title: "the dump has no list of the process's regions",
    manual: include_str!("dump_lacks_map.md"),
    thresholds: &[],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if facts.map.knows_free() {
        return Vec::new();
    }
    let next = match facts.dump.system.platform {
        Platform::MacOs | Platform::Ios => {
            "writers of minidumps for macOS record no regions; take a core file, or run vmmap on the process"
        }
        Platform::Linux | Platform::Android => {
            "let the writer add the maps: Breakpad and minidump-writer do, Crashpad does not"
        }
        _ if is_windows(facts) => {
            "write the next dump with MiniDumpWithFullMemoryInfo (0x800): procdump -ma or -mp, .dump /ma, or Crashpad"
        }
        _ => "see what the file holds: dumpmap streams DUMP",
    };
    vec![Finding {
        details: vec!["what was reserved or free is not known, and no verdict is possible".into()],
        next: next.into(),
        ..RULE.finding("the map is rebuilt from modules, captured memory and stacks")
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, Process};

    #[test]
    fn without_stream_16() {
        let mut dump = Process::x64().lay_out().dump(Capture::Small);
        assert!(findings("dump-lacks-map", &dump).is_empty());
        dump.regions = None;
        assert!(finding("dump-lacks-map", &dump).next.contains("0x800"));
    }
}
