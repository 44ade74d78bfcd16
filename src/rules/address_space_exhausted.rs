//! A 32-bit process whose largest free block is under 64 MiB.

use super::common::{count, free_of_32_bits, range_size};
use super::failed_allocation::failed_allocation;
use super::reserve::{Had, free_memory_had};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::addr::AddressRange;
use crate::evidence::RegionKind;
use crate::size::human;

pub(super) const LARGEST_FREE: Threshold = Threshold::new(
    "largest-free",
    (64 << 20, Unit::Bytes),
    "field experience: under 64 MB out-of-memory errors are to be expected (Ian Voyce, 2009); Mozilla's crash studies take 50 MiB",
);

pub(super) const PLENTY_FREE: Threshold = Threshold::new(
    "plenty-free",
    (256 << 20, Unit::Bytes),
    "four of the blocks above: with more in total, fragmentation is to blame",
);

pub(super) const RULE: Rule = Rule {
    id: "address-space-exhausted",
    severity: Severity::Error,
    title: "a 32-bit process has no free block of 64 MiB left",
    manual: include_str!("address_space_exhausted.md"),
    thresholds: &[LARGEST_FREE, PLENTY_FREE],
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let Some(free) = free_of_32_bits(facts) else { return Vec::new() };
    let had = free_memory_had(facts, free);
    let largest_free = facts.value(&RULE, &LARGEST_FREE);
    if had.largest >= largest_free || had.size > facts.value(&RULE, &PLENTY_FREE) {
        return Vec::new();
    }
    let mut details = vec![format!("{} free in {}", human(had.size), count(free.blocks, "block"))];
    details.extend(what_fills_it(facts));
    details.extend(had.remark());
    details.extend(failed_allocation(facts).map(|failed| format!("it died of {}", failed.what)));
    details.push(limit(facts).0.into());
    vec![Finding {
        details,
        ranges: largest_range(&had),
        numbers: vec![
            ("largest_free", had.largest),
            ("threshold", largest_free),
            ("free", had.size),
            ("free_blocks", free.blocks),
        ],
        next: format!(
            "list what fills the space: dumpmap regions DUMP --sort size; {}",
            limit(facts).1
        ),
        ..RULE.finding(format!(
            "largest free block is {}, under {}",
            human(had.largest),
            human(largest_free)
        ))
    }]
}

/// The largest free block that the process had.
pub(super) fn largest_range(had: &Had) -> Vec<AddressRange> {
    AddressRange::new(had.address, had.largest).into_iter().collect()
}

/// The kind that takes most of the space.
pub(super) fn what_fills_it(facts: Facts<'_>) -> Option<String> {
    let kinds = [
        RegionKind::Private,
        RegionKind::Heap,
        RegionKind::ManagedHeap,
        RegionKind::Stack,
        RegionKind::Image,
        RegionKind::Mapped,
    ];
    let kind = kinds.into_iter().max_by_key(|kind| facts.totals.row(*kind).size)?;
    let row = facts.totals.row(kind);
    Some(format!(
        "most of the space is {}: {} in {}, {} of it reserved only",
        kind.title(),
        human(row.size),
        count(row.allocations.unwrap_or(0), "allocation"),
        human(row.reserved.unwrap_or(0)),
    ))
}

/// How far the program's address space could reach, and the advice that
/// follows.
pub(super) fn limit(facts: Facts<'_>) -> (&'static str, &'static str) {
    const BUILD: &str = "build it for 64 bits";
    match (large_address_aware(facts), range_size(facts) > 0xc000_0000) {
        (Some(false), _) => (
            "the program is not large-address-aware: it has 2 GiB at most",
            "link with /LARGEADDRESSAWARE for 4 GiB on 64-bit Windows, or build for 64 bits",
        ),
        (_, true) => ("the process had nearly 4 GiB, all that 32 bits can address", BUILD),
        (Some(true), false) => (
            "the program is large-address-aware, but this Windows gave it less than 4 GiB",
            "run it on 64-bit Windows, or build for 64 bits",
        ),
        (None, false) => (
            "whether the program is large-address-aware is not captured",
            "see whether it is linked with /LARGEADDRESSAWARE, or build for 64 bits",
        ),
    }
}

/// IMAGE_FILE_LARGE_ADDRESS_AWARE of the program's header, where captured.
fn large_address_aware(facts: Facts<'_>) -> Option<bool> {
    let image = facts.evidence.images.iter().find(|image| image.module == Some(0))?;
    Some(image.header?.characteristics & 0x20 != 0)
}

#[cfg(test)]
mod tests {
    use crate::rules::Verdict;
    use crate::rules::testing::{finding, findings, verdict};
    use crate::synth::{CrashpadInfo, DumpBuilder, Module, Region};

    const ID: &str = "address-space-exhausted";
    const MIB: u64 = 1 << 20;

    /// 2 GiB with free blocks of these sizes, far from each other.
    fn dump(free: &[u64]) -> DumpBuilder {
        let mut regions = Vec::new();
        let mut at = 0x1_0000;
        for size in free {
            regions.push(Region::reserve(at, 0x10_0000));
            regions.push(Region::free(at + 0x10_0000, *size));
            at += 0x10_0000 + size;
        }
        regions.push(Region::reserve(at, 0x7fff_0000 - at));
        DumpBuilder::windows_x86().regions(regions)
    }

    #[test]
    fn the_largest_block_decides() {
        let found = finding(ID, &dump(&[63 * MIB, 40 * MIB]));
        assert_eq!(found.message, "largest free block is 63 MiB, under 64 MiB");
        assert_eq!(found.numbers[0], ("largest_free", 63 * MIB));
        assert_eq!(verdict(&dump(&[63 * MIB])).0, Verdict::Exhausted);
        assert!(findings(ID, &dump(&[64 * MIB])).is_empty());
        assert!(findings(ID, &dump(&[60 * MIB; 5])).is_empty(), "that is fragmentation");
        let wide = DumpBuilder::windows_x64().regions(dump(&[MIB]).regions.unwrap());
        assert!(findings(ID, &wide).is_empty(), "64-bit processes have room above");
    }

    #[test]
    fn a_released_reserve_does_not_count() {
        let firefox =
            dump(&[80 * MIB, 30 * MIB]).module(Module::new("C:\\xul.dll", 0x1_0000, 0x1000));
        let found = finding(ID, &firefox);
        assert_eq!(found.numbers[0], ("largest_free", 30 * MIB));
        assert!(found.details.iter().any(|line| line.contains("reserve (by its size)")));
        assert!(findings(ID, &dump(&[80 * MIB, 30 * MIB])).is_empty(), "no Firefox");

        let note = |key: &str, value: u64| (key.to_owned(), value.to_string());
        let annotated = dump(&[90 * MIB, 30 * MIB]).crashpad(CrashpadInfo {
            annotations: vec![
                note("BreakpadReserveAddress", 0x11_0000),
                note("BreakpadReserveSize", 50 * MIB),
            ],
            ..CrashpadInfo::default()
        });
        let found = finding(ID, &annotated);
        assert_eq!(found.numbers[0], ("largest_free", 40 * MIB));
        assert_eq!(found.ranges[0].start(), 0x11_0000 + 50 * MIB);
    }
}
