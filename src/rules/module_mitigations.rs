//! Modules that were linked without the mitigations of their time.

use super::common::{count, is_filtered, is_windows, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::dump::PointerWidth;
use crate::evidence::images::{Image, PeFacts};

pub(super) const RULE: Rule = Rule {
    id: "module-mitigations",
    severity: Severity::Note,
    title: "modules were linked without ASLR, DEP or, in a program with it, CFG",
    manual: include_str!("module_mitigations.md"),
    thresholds: &[],
    check,
};

/// Modules that one line names.
const NAMED: usize = 4;
/// IMAGE_DLLCHARACTERISTICS_*.
const DYNAMIC_BASE: u16 = 0x40;
const NX_COMPATIBLE: u16 = 0x100;
const GUARD_CF: u16 = 0x4000;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || is_filtered(facts) {
        return Vec::new();
    }
    let known: Vec<(&Image, PeFacts)> = facts
        .evidence
        .images
        .iter()
        .filter(|image| image.module.is_some())
        .filter_map(|image| Some((image, image.header?)))
        .collect();
    let without = |bit: u16| -> Vec<&Image> {
        let lacks = |header: &PeFacts| header.dll_characteristics & bit == 0;
        known.iter().filter(|(_, header)| lacks(header)).map(|(image, _)| *image).collect()
    };
    let program = known.iter().find(|(image, _)| image.module == Some(0));
    let with_cfg = program.is_some_and(|(_, header)| header.dll_characteristics & GUARD_CF != 0);
    let narrow = facts.map.width == PointerWidth::Bits32;
    let mut checks = vec![("aslr", "ASLR (/DYNAMICBASE)", without(DYNAMIC_BASE))];
    // 64-bit processes have DEP whatever the header says.
    if narrow {
        checks.push(("dep", "DEP (/NXCOMPAT)", without(NX_COMPATIBLE)));
    }
    if with_cfg {
        checks.push(("cfg", "CFG (/guard:cf), which the program has", without(GUARD_CF)));
    }
    checks.retain(|(_, _, images)| !images.is_empty());
    if checks.is_empty() {
        return Vec::new();
    }
    let line = |(_, what, images): &(&str, &str, Vec<&Image>)| {
        let names = some_of(images.iter().map(|image| image.name().to_owned()), NAMED);
        format!("without {what}: {}", names.join(", "))
    };
    let total: usize = checks.iter().map(|(_, _, images)| images.len()).max().unwrap_or(0);
    vec![Finding {
        details: checks.iter().map(line).collect(),
        numbers: checks.iter().map(|(name, _, images)| (*name, images.len() as u64)).collect(),
        next: "link them again with the option, or look for a newer version: dumpmap images DUMP"
            .into(),
        ..RULE.finding(format!(
            "{} of {} with a header were linked without a mitigation",
            total,
            count(known.len() as u64, "module")
        ))
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::DumpBuilder;
    use crate::synth::windows::{Capture, Process};

    const ID: &str = "module-mitigations";

    /// Sets DllCharacteristics in the captured headers of program and ntdll.
    fn dump(process: Process, values: [u16; 2]) -> DumpBuilder {
        let mut layout = process.lay_out();
        for (image, value) in layout.images.clone().iter().zip(values) {
            let base = image.module.base;
            let header = layout.contents.iter_mut().find(|memory| memory.base == base).unwrap();
            let at = 0x80 + 24 + 70;
            header.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        layout.dump(Capture::Small)
    }

    #[test]
    fn what_a_header_lacks() {
        let found = finding(ID, &dump(Process::x86(), [0x4140, 0x40]));
        assert_eq!(found.numbers, [("dep", 1), ("cfg", 1)]);
        assert_eq!(found.details[0], "without DEP (/NXCOMPAT): ntdll.dll");
        assert!(findings(ID, &dump(Process::x86(), [0x4140, 0x4140])).is_empty());
        assert!(findings(ID, &dump(Process::x64(), [0x40, 0x40])).is_empty(), "64 bits have DEP");
        assert_eq!(finding(ID, &dump(Process::x64(), [0x40, 0])).numbers, [("aslr", 1)]);
    }
}
