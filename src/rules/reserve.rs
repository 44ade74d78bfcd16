//! The block that a crash reporter reserves at start and releases just before
//! it writes the dump, so that it has memory to work with. In the dump it is
//! free; while the process lived it was not.

use super::Facts;
use crate::addr::AddressRange;
use crate::totals::Free;

/// What Firefox reserves on 32-bit Windows.
const FIREFOX_RESERVE: u64 = 80 << 20;

/// The free memory that the process had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Had {
    /// Bytes.
    pub(super) size: u64,
    /// The largest block.
    pub(super) largest: u64,
    /// Where it begins.
    pub(super) address: u64,
    /// The reserve that was taken out.
    pub(super) reserve: Option<Reserve>,
}

/// A released reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserve {
    range: AddressRange,
    known: Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The annotations BreakpadReserveAddress and BreakpadReserveSize.
    Annotated,
    /// A block of the size that Firefox reserves, in a Firefox.
    BySize,
}

/// The reserve, where it is in the largest free block.
pub fn released_reserve(facts: Facts<'_>, free: Free) -> Option<AddressRange> {
    Some(free_memory_had(facts, free).reserve?.range)
}

/// Takes a released reserve out of the largest free block. The blocks left
/// over of it compete with the second largest.
pub(super) fn free_memory_had(facts: Facts<'_>, free: Free) -> Had {
    let all = Had {
        size: free.size,
        largest: free.largest,
        address: free.largest_address,
        reserve: None,
    };
    let Some(block) = AddressRange::new(free.largest_address, free.largest) else { return all };
    let Some(reserve) = annotated(facts).or_else(|| by_size(facts, block)) else { return all };
    let Some(taken) = block.intersect(reserve.range) else { return all };
    let (second_size, second_address) = free.second;
    let below = (taken.start() - block.start(), block.start());
    let above = (block.last() - taken.last(), taken.last().wrapping_add(1));
    let (largest, address) =
        [(second_size, second_address), below, above].into_iter().max().unwrap_or((0, 0));
    Had {
        size: free.size.saturating_sub(taken.size()),
        largest,
        address,
        reserve: Some(Reserve { range: taken, ..reserve }),
    }
}

impl Had {
    /// What was taken out, in words.
    pub(super) fn remark(&self) -> Option<String> {
        let Reserve { range, known } = self.reserve?;
        let how = match known {
            Known::Annotated => "its annotations say so",
            Known::BySize => "by its size",
        };
        Some(format!(
            "the free block of {} at {:#x} was the crash reporter's reserve ({how}) and is not counted",
            crate::size::human(range.size()),
            range.start(),
        ))
    }
}

fn annotated(facts: Facts<'_>) -> Option<Reserve> {
    let annotations = &facts.dump.notes.annotations;
    let value = |key| {
        let text = &annotations.iter().find(|annotation| annotation.key == key)?.value;
        match text.trim().strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.trim().parse().ok(),
        }
    };
    let address = facts.map.width.mask(value("BreakpadReserveAddress")?);
    let range = AddressRange::new(address, value("BreakpadReserveSize")?)?;
    Some(Reserve { range, known: Known::Annotated })
}

fn by_size(facts: Facts<'_>, block: AddressRange) -> Option<Reserve> {
    let mut modules = facts.dump.modules.modules.iter();
    let mut is_firefox = || modules.any(|module| module.name().eq_ignore_ascii_case("xul.dll"));
    (block.size() == FIREFOX_RESERVE && is_firefox())
        .then_some(Reserve { range: block, known: Known::BySize })
}
