//! A 32-bit process whose largest free block is under 64 MiB.

use super::{Facts, Finding, Rule, Severity};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::evidence::RegionKind;
use crate::map::MapSource;
use crate::size::human;

/// Largest free block, in bytes, under which a 32-bit process is called
/// exhausted. Source: Ian Voyce, 2009: "less than 64MB you'll probably have
/// out of memory issues".
const LARGEST_FREE: u64 = 64 << 20;

/// Total free memory, in bytes, over which the trouble is fragmentation more
/// than exhaustion.
const PLENTY_FREE: u64 = 256 << 20;

pub(super) const RULE: Rule = Rule {
    id: "address-space-exhausted",
    severity: Severity::Error,
    title: "a 32-bit process has no free block of 64 MiB left",
    manual: include_str!("address_space_exhausted.md"),
    check,
};

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let totals = facts.totals;
    let windows = facts.map.source == MapSource::MemoryInfo;
    let Some(free) = totals.free.filter(|_| windows && facts.map.width == PointerWidth::Bits32)
    else {
        return Vec::new();
    };
    if free.largest >= LARGEST_FREE || facts.map.range.is_none() {
        return Vec::new();
    }
    let mut details = vec![format!("{} free in {} blocks", human(free.size), free.blocks)];
    if free.size > PLENTY_FREE {
        details.push("free memory is there, but cut into small blocks".into());
    }
    let biggest = [
        RegionKind::Private,
        RegionKind::Heap,
        RegionKind::Stack,
        RegionKind::Image,
        RegionKind::Mapped,
    ]
    .into_iter()
    .max_by_key(|kind| totals.row(*kind).size);
    if let Some(kind) = biggest {
        let row = totals.row(kind);
        details.push(format!(
            "most of the space is {}: {} in {} allocations, {} of it reserved only",
            kind.title(),
            human(row.size),
            row.allocations.unwrap_or(0),
            human(row.reserved.unwrap_or(0)),
        ));
    }
    if let Some(aware) = large_address_aware(facts) {
        details.push(if aware {
            "the program is large-address-aware".into()
        } else {
            "the program is not large-address-aware: it has 2 GiB at most".into()
        });
    }
    vec![Finding {
        rule: RULE.id,
        severity: RULE.severity,
        message: format!(
            "largest free block is {}, under {}",
            human(free.largest),
            human(LARGEST_FREE)
        ),
        details,
        ranges: AddressRange::new(free.largest_address, free.largest).into_iter().collect(),
        numbers: vec![
            ("largest_free", free.largest),
            ("threshold", LARGEST_FREE),
            ("free", free.size),
            ("free_blocks", free.blocks),
        ],
        next: "list what fills the space: dumpmap regions DUMP --sort size".into(),
    }]
}

/// IMAGE_FILE_LARGE_ADDRESS_AWARE of the program's header, where captured.
fn large_address_aware(facts: Facts<'_>) -> Option<bool> {
    let image = facts.evidence.images.iter().find(|image| image.module == Some(0))?;
    Some(image.header?.characteristics & 0x20 != 0)
}
