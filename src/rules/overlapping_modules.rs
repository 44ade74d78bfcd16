//! Modules of the list that claim the same addresses.

use super::common::{count, is_windows, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::addr::AddressRange;
use crate::dump::Module;

pub(super) const RULE: Rule = Rule {
    id: "overlapping-modules",
    severity: Severity::Warning,
    title: "modules of the list claim the same addresses",
    manual: include_str!("overlapping_modules.md"),
    thresholds: &[],
    check,
};

/// Pairs that one finding names.
const NAMED: usize = 10;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) {
        return Vec::new();
    }
    let modules = facts.dump.modules.modules.iter();
    let mut placed: Vec<(AddressRange, &Module<'_>)> =
        modules.filter_map(|module| Some((module.range?, module))).collect();
    placed.sort_by(|(left, one), (right, other)| {
        let place = |range: &AddressRange| (range.start(), range.last());
        place(left).cmp(&place(right)).then_with(|| one.name().cmp(other.name()))
    });
    // Each against the one that reaches highest of those before it.
    let mut found: Vec<(AddressRange, &Module<'_>, &Module<'_>)> = Vec::new();
    let mut highest: Option<(AddressRange, &Module<'_>)> = None;
    for (range, module) in placed {
        if let Some((before, other)) = highest
            && let Some(shared) = before.intersect(range)
            && !is_same(other, module)
        {
            found.push((shared, other, module));
        }
        if highest.is_none_or(|(before, _)| before.last() < range.last()) {
            highest = Some((range, module));
        }
    }
    if found.is_empty() {
        return Vec::new();
    }
    let line = |(shared, first, second): &(AddressRange, &Module<'_>, &Module<'_>)| {
        let range = format!("{:#x}-{:#x}", shared.start(), shared.end());
        format!("{} and {} both claim {range}", first.name(), second.name())
    };
    vec![Finding {
        details: some_of(found.iter().map(line), NAMED),
        ranges: found.iter().map(|(shared, ..)| *shared).collect(),
        numbers: vec![("pairs", found.len() as u64)],
        next: "see which of them the map has there: dumpmap images DUMP".into(),
        ..RULE.finding(format!(
            "{} of modules overlap in the module list",
            count(found.len() as u64, "pair")
        ))
    }]
}

/// One module that the list has twice.
fn is_same(first: &Module<'_>, second: &Module<'_>) -> bool {
    (first.base, first.size, first.timestamp) == (second.base, second.size, second.timestamp)
        && first.path.eq_ignore_ascii_case(&second.path)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::{DumpBuilder, Module};

    const ID: &str = "overlapping-modules";

    fn of(modules: &[(&str, u64, u32)]) -> DumpBuilder {
        let add = |dump: DumpBuilder, (name, base, size): &(&str, u64, u32)| {
            dump.module(Module::new(*name, *base, *size))
        };
        modules.iter().fold(DumpBuilder::windows_x64(), add)
    }

    #[test]
    fn two_at_the_same_addresses() {
        let found =
            finding(ID, &of(&[("b.dll", 0x18_0000, 0x2000), ("a.exe", 0x10_0000, 0x8_1000)]));
        assert_eq!(found.details, ["a.exe and b.dll both claim 0x180000-0x181000"]);
        // The third lies in the first, beyond the second.
        let found = finding(
            ID,
            &of(&[
                ("a.exe", 0x10_0000, 0x9_0000),
                ("b.dll", 0x11_0000, 0x1000),
                ("c.dll", 0x18_0000, 0x1000),
            ]),
        );
        assert_eq!(found.numbers, [("pairs", 2)]);
    }

    #[test]
    fn neighbours_and_doubles_do_not_overlap() {
        assert!(
            findings(ID, &of(&[("a.exe", 0x10_0000, 0x1000), ("b.dll", 0x10_1000, 1)])).is_empty()
        );
        assert!(findings(ID, &of(&[("a.exe", 0x10_0000, 0x1000); 2])).is_empty(), "listed twice");
        let linux = DumpBuilder::linux_x64()
            .module(Module::new("/app/base.apk", 0x10_0000, 0x9000))
            .module(Module::new("/app/lib.so", 0x10_2000, 0x1000));
        assert!(findings(ID, &linux).is_empty(), "libraries in an archive overlap it");
    }
}
