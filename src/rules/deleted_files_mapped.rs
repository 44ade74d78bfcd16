//! Files that were deleted or replaced while the process has them mapped.

use super::common::{is_linux, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::dump::LinuxMap;

pub(super) const RULE: Rule = Rule {
    id: "deleted-files-mapped",
    severity: Severity::Note,
    title: "files are mapped that were deleted or replaced",
    manual: include_str!("deleted_files_mapped.md"),
    thresholds: &[],
    check,
};

/// Files that one finding names.
const NAMED: usize = 8;

/// Names that are deleted from birth: shared memory, and files that were
/// never in a folder.
const ANONYMOUS: [&str; 6] = ["/memfd:", "/SYSV", "/dev/", "/run/", "/tmp/", "/[aio]"];

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_linux(facts) {
        return Vec::new();
    }
    let lines = facts.dump.linux.maps.iter().flat_map(|maps| &maps.maps);
    let is_replaced = |line: &&LinuxMap| {
        line.deleted && !ANONYMOUS.iter().any(|prefix| line.name.starts_with(prefix))
    };
    let mapped: Vec<&LinuxMap> = lines.filter(is_replaced).collect();
    let mut names: Vec<&str> = mapped.iter().map(|line| line.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Vec::new();
    }
    let code = mapped.iter().any(|line| line.execute);
    let mut details = some_of(names.iter().map(|name| (*name).to_owned()), NAMED);
    if code {
        details
            .push("there is code among them: the package was updated while the process ran".into());
    }
    vec![Finding {
        details,
        ranges: mapped.iter().map(|line| line.range).collect(),
        numbers: vec![("files", names.len() as u64), ("mappings", mapped.len() as u64)],
        next: "restart what was updated; symbols must be of the old build".into(),
        ..RULE.finding(match names.len() {
            1 => "1 file is mapped that was deleted or replaced".into(),
            more => format!("{more} files are mapped that were deleted or replaced"),
        })
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::{DumpBuilder, Mapping, maps_text, stream};

    const ID: &str = "deleted-files-mapped";

    #[test]
    fn files_but_not_shared_memory() {
        let dump = |name: &str| {
            let mut dump = DumpBuilder::linux_x64();
            let maps = [Mapping::new(0x1000, 0x2000, "r-xp", name)];
            dump.raw.push((stream::LINUX_MAPS, maps_text(&maps).into_bytes()));
            dump
        };
        let found = finding(ID, &dump("/usr/lib/libx.so.1 (deleted)"));
        assert_eq!(found.details[0], "/usr/lib/libx.so.1");
        assert!(found.details[1].contains("updated"));
        for name in ["/usr/lib/libx.so.1", "/memfd:x (deleted)", "/dev/shm/y (deleted)"] {
            assert!(findings(ID, &dump(name)).is_empty(), "{name}");
        }
    }
}
