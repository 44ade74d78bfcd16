//! Modules from folders that are neither the program's nor the system's.

use super::common::{is_windows, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::dump::{FilePath, Module};

pub(super) const RULE: Rule = Rule {
    id: "third-party-modules",
    severity: Severity::Note,
    title: "modules come from outside of the program's and the system's folders",
    manual: include_str!("third_party_modules.md"),
    thresholds: &[],
    check,
};

/// Modules that one finding names.
const NAMED: usize = 8;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) {
        return Vec::new();
    }
    let modules = &facts.dump.modules.modules;
    let Some(program) = modules.first().and_then(|module| folder(&module.path)) else {
        return Vec::new();
    };
    let mut systems: Vec<&str> =
        modules.iter().filter_map(|module| system_folder(&module.path)).collect();
    systems.dedup_by(|left, right| is_within(left, right));
    if systems.is_empty() {
        return Vec::new();
    }
    let is_other = |folder: &str| {
        !is_within(folder, program) && !systems.iter().any(|system| is_within(folder, system))
    };
    // Neighbours of the list mostly come from one folder.
    let by_folder = modules[1..].chunk_by(|left, right| folder(&left.path) == folder(&right.path));
    let other: Vec<&Module<'_>> =
        by_folder.filter(|same| folder(&same[0].path).is_some_and(is_other)).flatten().collect();
    if other.is_empty() {
        return Vec::new();
    }
    let lines = other.iter().map(|module| format!("{} at {:#x}", module.path, module.base));
    vec![Finding {
        details: some_of(lines, NAMED),
        ranges: other.iter().filter_map(|module| module.range).collect(),
        numbers: vec![("modules", other.len() as u64)],
        next: "see all modules with their versions: dumpmap images DUMP".into(),
        ..RULE.finding(match other.len() {
            1 => "1 module comes from neither the program's folder nor the system's".into(),
            more => {
                format!("{more} modules come from neither the program's folder nor the system's")
            }
        })
    }]
}

/// The folder of a path with one, without a prefix for long paths. A bare
/// file name has none: some writers leave paths out.
fn folder(path: &FilePath) -> Option<&str> {
    let before = path.strip_suffix(path.name())?;
    let prefix = [r"\\?\", r"\??\"].into_iter().find_map(|prefix| before.strip_prefix(prefix));
    let folder = prefix.unwrap_or(before).strip_suffix(['\\', '/'])?;
    (folder.len() > 2).then_some(folder)
}

/// The Windows folder, from where the system's own libraries are.
fn system_folder(path: &FilePath) -> Option<&str> {
    let name = path.name();
    let own = ["ntdll.dll", "kernel32.dll", "kernelbase.dll", "wow64.dll"];
    if !own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return None;
    }
    let (windows, _) = folder(path)?.rsplit_once(['\\', '/'])?;
    Some(windows)
}

/// Whether a folder is another or below it. Neither a letter's case nor the
/// kind of separator tells folders apart.
fn is_within(folder: &str, parent: &str) -> bool {
    let mut chars = folder.chars();
    let same = |left: char, right: char| {
        left == right
            || (is_separator(left) && is_separator(right))
            || left.to_lowercase().eq(right.to_lowercase())
    };
    parent.chars().all(|right| chars.next().is_some_and(|left| same(left, right)))
        && chars.next().is_none_or(is_separator)
}

fn is_separator(char: char) -> bool {
    matches!(char, '\\' | '/')
}

#[cfg(test)]
mod tests {
    use super::is_within;
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, Process};

    const ID: &str = "third-party-modules";

    #[test]
    fn by_the_folder_alone() {
        let dump = |path: &str| Process::x64().image(path).lay_out().dump(Capture::Small);
        let found = finding(ID, &dump(r"C:\Program Files\Virus Scanner\hook.dll"));
        assert!(found.message.starts_with("1 module comes from"), "{found:?}");
        let ours = [
            r"C:\App\plugins\a.dll",
            r"c:\windows\WinSxS\x86_comctl\comctl32.dll",
            r"\\?\C:\Windows\system32\x.dll",
            "bare.dll",
        ];
        for path in ours {
            assert!(findings(ID, &dump(path)).is_empty(), "{path}");
        }
        assert!(!is_within(r"c:\windows.old", r"c:\windows"));
        assert!(is_within(r"C:/WINDOWS\System32", r"c:\windows"));
        assert!(!is_within(r"c:\win", r"c:\windows"));
    }
}
