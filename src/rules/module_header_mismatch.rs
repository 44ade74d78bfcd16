//! Modules whose header in memory is of another file than the module list
//! says.

use super::common::{count, is_filtered, is_windows, some_of};
use super::{Facts, Finding, Rule, Severity};
use crate::dump::{Module, PointerWidth};
use crate::evidence::images::{Image, PeFacts};

pub(super) const RULE: Rule = Rule {
    id: "module-header-mismatch",
    severity: Severity::Warning,
    title: "a module's header in memory contradicts the module list",
    manual: include_str!("module_header_mismatch.md"),
    thresholds: &[],
    check,
};

/// Modules that one finding names.
const NAMED: usize = 5;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    if !is_windows(facts) || is_filtered(facts) {
        return Vec::new();
    }
    let modules = &facts.dump.modules.modules;
    let mismatch = |image: &Image| {
        let module = modules.get(image.module? as usize)?;
        let header = image.header.filter(|header| is_of_width(facts, header))?;
        let fields = differing(module, &header);
        (!fields.is_empty())
            .then(|| (image.range, format!("{}: {}", image.name(), fields.join(", "))))
    };
    let found: Vec<_> = facts.evidence.images.iter().filter_map(mismatch).collect();
    if found.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        details: some_of(found.iter().map(|(_, line)| line.clone()), NAMED),
        ranges: found.iter().map(|(range, _)| *range).collect(),
        numbers: vec![("modules", found.len() as u64)],
        next: "compare list and header: dumpmap images DUMP".into(),
        ..RULE.finding(match found.len() {
            1 => "the header of 1 module is not the one that the list describes".into(),
            more => format!(
                "the headers of {} are not those that the list describes",
                count(more as u64, "module")
            ),
        })
    }]
}

/// Not the 32-bit modules of a 64-bit dump: a 64-bit dbghelp reads the file
/// on disk, and gets the one of the same name in System32. Seen in a dump of
/// Windows 7 with api-ms-win-core-synch-l1-2-0.dll.
fn is_of_width(facts: Facts<'_>, header: &PeFacts) -> bool {
    const I386: u16 = 0x14c;
    const ARM_NT: u16 = 0x1c4;
    let narrow = matches!(header.machine, I386 | ARM_NT);
    narrow == (facts.map.width == PointerWidth::Bits32)
}

/// The fields that both have and that differ. 0 is a field that a writer did
/// not fill in.
fn differing(module: &Module<'_>, header: &PeFacts) -> Vec<String> {
    let fields = [
        ("time stamp", module.timestamp, header.timestamp),
        ("size", module.size, header.size_of_image),
        ("checksum", module.checksum, header.checksum),
    ];
    let differs =
        |(_, list, header): &(&str, u32, u32)| *list != 0 && *header != 0 && list != header;
    let words = |(name, list, header)| format!("{name} {header:#x}, listed as {list:#x}");
    fields.into_iter().filter(differs).map(words).collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::DumpBuilder;
    use crate::synth::windows::{Capture, Process};

    const ID: &str = "module-header-mismatch";

    fn dump(timestamp: u32) -> DumpBuilder {
        let mut dump = Process::x64().lay_out().dump(Capture::Small);
        dump.modules.as_mut().unwrap()[1].timestamp = timestamp;
        dump
    }

    #[test]
    fn fields_that_differ() {
        let found = finding(ID, &dump(0x1234_5678));
        assert_eq!(found.details, ["ntdll.dll: time stamp 0x60000000, listed as 0x12345678"]);
        assert!(findings(ID, &dump(0x6000_0000)).is_empty());
        assert!(findings(ID, &dump(0)).is_empty(), "not filled in");
        assert!(findings(ID, &dump(0x1234_5678).flags(0x10_0000)).is_empty());
    }
}
