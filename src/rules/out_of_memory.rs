//! The process died of an allocation that failed; how much it asked for is
//! not known, or little.

use super::failed_allocation::failed_allocation;
use super::large_request::large_request;
use super::{Facts, Finding, Rule, Severity};
use crate::size::human;

pub(super) const RULE: Rule = Rule {
    id: "out-of-memory",
    severity: Severity::Error,
    title: "the process died because an allocation failed",
    manual: include_str!("out_of_memory.md"),
    thresholds: &[],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let Some(failed) = failed_allocation(facts) else { return Vec::new() };
    if large_request(facts).is_some() {
        return Vec::new();
    }
    let message = match failed.size {
        Some(size) => format!("an allocation of only {} failed: {}", human(size), failed.what),
        None => format!("an allocation failed: {}", failed.what),
    };
    vec![Finding {
        details: vec!["the verdict says what was short, as far as the dump knows".into()],
        numbers: failed.size.map(|size| ("requested", size)).into_iter().collect(),
        next: "see who called for it: dumpmap crash DUMP".into(),
        ..RULE.finding(message)
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::Verdict;
    use crate::rules::testing::{finding, findings, verdict};
    use crate::synth::{DumpBuilder, Exception, Region};

    const ID: &str = "out-of-memory";

    fn dump(code: u32, parameters: &[u64]) -> DumpBuilder {
        DumpBuilder::windows_x64()
            .region(Region::reserve(0x1_0000, 0x1_0000))
            .region(Region::free(0x2_0000, 0x7fff_fffd_0000))
            .exception(Exception {
                parameters: parameters.to_vec(),
                ..Exception::new(1, code, 0x1000)
            })
    }

    #[test]
    fn small_or_unknown_sizes() {
        let small = dump(0xe000_0008, &[4096]);
        assert!(finding(ID, &small).message.starts_with("an allocation of only 4 KiB failed"));
        let (word, signals) = verdict(&small);
        assert_eq!(word, Verdict::Unknown);
        assert!(signals[0].starts_with("out-of-memory"), "{signals:?}");
        let net = finding(ID, &dump(0xe043_4352, &[0xffff_ffff_8007_000e]));
        assert!(net.message.contains("OutOfMemoryException"));
        assert!(findings(ID, &dump(0xe043_4352, &[0x8013_1509])).is_empty());
        assert!(findings(ID, &dump(0xe000_0008, &[1 << 30])).is_empty(), "large");
        assert!(findings(ID, &dump(0xc000_0005, &[1, 0])).is_empty());
    }

    /// ThrowInfo at base+0x10, one catchable type, its descriptor.
    #[test]
    fn a_cpp_exception_by_its_type() {
        let base = 0x7ff6_0000_0000_u64;
        let dump_of = |name: &[u8]| {
            let mut bytes = vec![0; 0x200];
            let mut put = |at: usize, value: u32| {
                bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            };
            put(0x1c, 0x40); // ThrowInfo.pCatchableTypeArray
            put(0x40, 1); // nCatchableTypes
            put(0x44, 0x80); // the CatchableType
            put(0x84, 0x100); // its TypeDescriptor
            bytes[0x110..0x110 + name.len()].copy_from_slice(name);
            dump(0xe06d_7363, &[0x1993_0520, 0x2000, base + 0x10, base]).memory(base, bytes)
        };
        assert!(finding(ID, &dump_of(b".?AVbad_alloc@std@@")).message.contains("bad_alloc"));
        assert!(findings(ID, &dump_of(b".?AVruntime_error@std@@")).is_empty());
    }
}
