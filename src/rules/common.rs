//! What several rules ask.

use super::Facts;
use crate::dump::{Platform, PointerWidth};
use crate::map::MapSource;
use crate::totals::Free;

pub(super) use crate::size::count;

/// MINIDUMP_TYPE: FilterMemory, FilterTriage.
const FILTERED: u64 = 0x8 | 0x10_0000;

/// Whether the writer overwrote memory contents: then no finding may rest on
/// them.
pub(super) fn is_filtered(facts: Facts<'_>) -> bool {
    facts.dump.header.flags & FILTERED != 0
}

/// Whether the dump is of a Windows process.
pub(super) fn is_windows(facts: Facts<'_>) -> bool {
    facts.dump.system.platform == Platform::Windows
}

/// Whether the dump is of Linux or Android.
pub(super) fn is_linux(facts: Facts<'_>) -> bool {
    matches!(facts.dump.system.platform, Platform::Linux | Platform::Android)
}

/// The lowest end of a user address space: 2 GiB less 64 KiB.
const LOWEST_END: u64 = 0x7fff_0000;
/// With more bytes in no record, what is free is not known.
const LOST: u64 = 64 << 20;

/// The free memory of a Windows process whose map knows all of it.
pub(super) fn windows_free(facts: Facts<'_>) -> Option<Free> {
    let last = facts.map.range.map_or(0, |range| range.last());
    let whole = last >= LOWEST_END - 1
        && facts.totals.audit.gap_bytes < LOST
        && !facts.dump.memory_info.is_some_and(|list| list.cut);
    let known = is_windows(facts) && facts.map.source == MapSource::MemoryInfo && whole;
    facts.totals.free.filter(|_| known)
}

/// As [`windows_free`], of a 32-bit process.
pub(super) fn free_of_32_bits(facts: Facts<'_>) -> Option<Free> {
    windows_free(facts).filter(|_| facts.map.width == PointerWidth::Bits32)
}

/// Bytes of the address range, 0 without one.
pub(super) fn range_size(facts: Facts<'_>) -> u64 {
    facts.map.range.map_or(0, |range| range.size())
}

/// `part` of `whole` in percent, rounded down; 0 of nothing.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    let hundredfold = u128::from(part) * 100;
    let percent = hundredfold.checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(percent).unwrap_or(u64::MAX)
}

/// The first lines, and how many more there are.
pub(super) fn some_of(lines: impl ExactSizeIterator<Item = String>, most: usize) -> Vec<String> {
    let more = lines.len().saturating_sub(most);
    let mut kept: Vec<String> = lines.take(most).collect();
    if more > 0 {
        kept.push(format!("and {more} more"));
    }
    kept
}

/// `app.exe+0x1234` for an address in an image, `0x1234` for others. Looks at
/// every image: ask it for a few addresses only.
pub(super) fn place(facts: Facts<'_>, address: u64) -> String {
    let mut images = facts.evidence.images.iter();
    match images.find(|image| image.range.contains(address) && !image.path.is_empty()) {
        Some(image) => {
            format!("{}+{:#x}", image.name(), address.wrapping_sub(image.range.start()))
        }
        None => format!("{address:#x}"),
    }
}

/// `0x1f4`, with the thread's name where it has one.
pub(super) fn thread_title(facts: Facts<'_>, thread: u32) -> String {
    let Some(thread) = facts.dump.threads.get(thread as usize) else { return "unknown".into() };
    match &thread.name {
        Some(name) => format!("{:#x} ({name})", thread.id),
        None => format!("{:#x}", thread.id),
    }
}
