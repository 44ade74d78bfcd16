//! Private memory that can run.

use super::common::{count, is_windows, some_of};
use super::engines::{RegisteredCode, engine};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::evidence::executable::Executable;
use crate::map::MemoryType;
use crate::size::human;

const UNEXPLAINED: Threshold = Threshold::new(
    "unexplained",
    (64 << 10, Unit::Bytes),
    "one allocation granule: the trampolines of a hooking library fit it",
);

pub(super) const RULE: Rule = Rule {
    id: "executable-private-memory",
    severity: Severity::Warning,
    title: "private memory is executable",
    manual: include_str!("executable_private_memory.md"),
    thresholds: &[UNEXPLAINED],
    check,
};

/// Allocations that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) {
        return Vec::new();
    }
    let executable = facts.evidence.executable.iter();
    let private: Vec<&Executable> =
        executable.filter(|one| one.memory_type == MemoryType::Private).collect();
    if private.is_empty() {
        return Vec::new();
    }
    let engine = engine(facts);
    // With an engine the answer is a note whatever the tables say.
    let registered = RegisteredCode::of(facts);
    let unexplained = |one: &&&Executable| engine.is_none() && !registered.overlaps(one.range);
    let sum = |sum: u64, size: u64| sum.saturating_add(size);
    let size = private.iter().map(|one| one.executable).fold(0, sum);
    let writable = private.iter().map(|one| one.writable).fold(0, sum);
    let unknown = private.iter().filter(unexplained).map(|one| one.writable).fold(0, sum);
    let severity = match unknown >= facts.value(&RULE, &UNEXPLAINED) {
        true => Severity::Warning,
        false => Severity::Note,
    };
    let mut largest = private.clone();
    largest.sort_by_key(|one| (std::cmp::Reverse(one.executable), one.range.start()));
    let lines = largest.iter().map(|one| {
        let place = format!("{} at {:#x}", human(one.executable), one.range.start());
        match one.writable {
            0 => place,
            writable => format!("{place}, {} of it writable", human(writable)),
        }
    });
    let mut details = some_of(lines, NAMED);
    details.push(match engine {
        Some(name) => format!("{name} makes code at run time"),
        None if unknown == 0 && writable > 0 => {
            "function tables name it as code made at run time".into()
        }
        None => "no module of a known run-time that makes code is loaded".into(),
    });
    let places = count(private.len() as u64, "allocation");
    let message = match writable {
        0 => format!("{} of private memory can run, in {places}", human(size)),
        writable => format!(
            "{} of private memory can run, in {places}; {} of it can be written too",
            human(size),
            human(writable)
        ),
    };
    vec![Finding {
        severity,
        details,
        ranges: largest.iter().take(super::RANGES).map(|one| one.range).collect(),
        numbers: vec![
            ("allocations", private.len() as u64),
            ("executable", size),
            ("writable", writable),
        ],
        next: "see what an allocation begins with: dumpmap explain DUMP ADDRESS".into(),
        ..RULE.finding(message)
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::Severity;
    use crate::rules::testing::{finding, severities};
    use crate::synth::windows::{Allocation, Capture, Process};
    use crate::synth::{
        DumpBuilder, FunctionTable, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_READWRITE,
    };

    const ID: &str = "executable-private-memory";

    fn dump(process: Process, size: u64, protect: u32) -> (DumpBuilder, u64) {
        let layout = process
            .allocate(Allocation::private().commit(size, protect).commit(0x1000, PAGE_READWRITE))
            .lay_out();
        (layout.dump(Capture::Small), layout.allocations[0])
    }

    #[test]
    fn code_without_a_known_maker() {
        let (rwx, base) = dump(Process::x64(), 0x2_0000, PAGE_EXECUTE_READWRITE);
        let found = finding(ID, &rwx);
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(found.details[0], format!("128 KiB at {base:#x}, 128 KiB of it writable"));
        let none = dump(Process::x64(), 0x2_0000, PAGE_READWRITE).0;
        assert!(severities(ID, &none).is_empty());
        let small = dump(Process::x64(), 0x1000, PAGE_EXECUTE_READWRITE).0;
        assert_eq!(severities(ID, &small), [Severity::Note]);
        let read_only = dump(Process::x64(), 0x2_0000, PAGE_EXECUTE_READ).0;
        assert_eq!(severities(ID, &read_only), [Severity::Note]);
    }

    #[test]
    fn a_run_time_that_compiles_is_a_note() {
        let process = Process::x64().image(r"C:\dotnet\coreclr.dll");
        let net = dump(process, 0x2_0000, PAGE_EXECUTE_READWRITE).0;
        assert_eq!(severities(ID, &net), [Severity::Note]);
        let (rwx, base) = dump(Process::x64(), 0x2_0000, PAGE_EXECUTE_READWRITE);
        let table =
            FunctionTable { minimum: base, maximum: base + 0x1000, base, entries: Vec::new() };
        assert_eq!(severities(ID, &rwx.function_table(table)), [Severity::Note]);
    }
}
