//! The contract descriptor (.NET 9 and later): the runtime describes its own
//! structures, in JSON, for debuggers without symbols. Source: datacontracts
//! of dotnet/runtime. Its header lies in writable data; text and pointers lie
//! in read-only data, which only full dumps hold.

use serde_json::Value;

use super::target::Target;
use crate::addr::AddressRange;
use crate::dump::bytes::{array_at, index, length};
use crate::dump::{CapturedMemory, PointerWidth};

const MAGIC: [u8; 8] = *b"DNCCDAC\0";
/// The text of .NET 10 has 10,826 bytes.
const MOST_TEXT: u32 = 0x4_0000;
const MOST_POINTERS: u32 = 0x1000;

/// The runtime's description of itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Contract {
    text: Value,
    /// What globals with an index refer to.
    pointers: Vec<u64>,
}

/// Where the magic number is in `bytes`, which lie at `base`.
pub(super) fn find(bytes: &[u8], base: u64) -> impl Iterator<Item = u64> {
    let first = index(base.wrapping_neg() & 7);
    let offsets = (first..bytes.len()).step_by(8);
    let offsets = offsets.filter(|offset| array_at(bytes, *offset) == Some(MAGIC));
    offsets.filter_map(move |offset| base.checked_add(length(offset)))
}

impl Contract {
    /// The descriptor at `address`; `None` when text or pointers are not
    /// captured, or are not what they should be.
    pub(super) fn read(target: &mut Target<'_, '_>, address: u64) -> Option<Contract> {
        let at = |offset: u64| address.checked_add(offset);
        let flags = target.u32(at(8)?)?;
        let narrow = flags & 2 != 0;
        let expected = if narrow { PointerWidth::Bits32 } else { PointerWidth::Bits64 };
        if flags & 1 == 0 || target.width != expected {
            return None;
        }
        let (count_at, table_at) = if narrow { (0x14, 0x1c) } else { (0x18, 0x20) };
        let size = target.u32(at(0xc)?)?;
        let text_at = target.pointer(at(0x10)?)?;
        let count = target.u32(at(count_at)?)?;
        let table = target.pointer(at(table_at)?)?;
        if size > MOST_TEXT || count > MOST_POINTERS {
            return None;
        }
        let text = text(target.captured, text_at, size)?;
        let pointers = (0..u64::from(count)).map(|nth| target.slot(table, nth));
        Some(Contract { text, pointers: pointers.collect::<Option<_>>()? })
    }

    /// Offset of a field: a number, or a list that begins with one.
    fn offset(&self, structure: &str, field: &str) -> Option<u64> {
        let value = self.text.get("types")?.get(structure)?.get(field)?;
        value.as_u64().or_else(|| value.get(0)?.as_u64())
    }

    /// A global that is a pointer: `[[index], type]` or `[index]`.
    fn pointer(&self, name: &str) -> Option<u64> {
        let value = self.text.get("globals")?.get(name)?.get(0)?;
        let nth = value.as_u64().or_else(|| value.get(0)?.as_u64())?;
        self.pointers.get(index(nth)).copied()
    }
}

fn text(memory: &CapturedMemory<'_>, address: u64, size: u32) -> Option<Value> {
    let size = index(size);
    let bytes = memory.bytes_at(address, size);
    let value: Value = serde_json::from_slice(bytes.get(..size)?).ok()?;
    value.is_object().then_some(value)
}

/// What a range of the map of code ranges is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownCode {
    pub(super) range: AddressRange,
    pub(super) usage: &'static str,
}

/// Pointers in one table of the map, and levels of tables.
const FANOUT: u64 = 256;
const MOST_TABLES: usize = 4_096;
const MOST_FRAGMENTS: usize = 0x1_0000;
/// Bits of RangeSection.Flags.
const COLLECTIBLE: u32 = 1;
const CODE_HEAP: u32 = 2;
const STUBS: u32 = 4;

/// Where the fields of the map's structures are.
struct MapLayout {
    next: u64,
    section: u64,
    begin: u64,
    end: u64,
    flags: u64,
}

/// The ranges of code that the runtime made, from its own map of them:
/// ExecutionManager's RangeSectionMap.
pub(super) fn code_ranges(target: &mut Target<'_, '_>, contract: &Contract) -> Vec<KnownCode> {
    let layout = || {
        Some(MapLayout {
            next: contract.offset("RangeSectionFragment", "Next")?,
            section: contract.offset("RangeSectionFragment", "RangeSection")?,
            begin: contract.offset("RangeSection", "RangeBegin")?,
            end: contract.offset("RangeSection", "RangeEndOpen")?,
            flags: contract.offset("RangeSection", "Flags")?,
        })
    };
    let top = contract.pointer("ExecutionManagerCodeRangeMapAddress").and_then(|map| {
        map.checked_add(contract.offset("RangeSectionMap", "TopLevelData").unwrap_or(0))
    });
    let (Some(layout), Some(top)) = (layout(), top) else { return Vec::new() };
    let mut found = Vec::new();
    for section in sections(target, &layout, top) {
        found.extend(known_code(target, &layout, section));
    }
    found
}

fn known_code(target: &mut Target<'_, '_>, layout: &MapLayout, section: u64) -> Option<KnownCode> {
    let begin = target.pointer(section.checked_add(layout.begin)?)?;
    let end = target.pointer(section.checked_add(layout.end)?)?;
    let flags = target.u32(section.checked_add(layout.flags)?)?;
    let usage = match flags {
        flags if flags & STUBS != 0 => "CLR stubs",
        flags if flags & CODE_HEAP != 0 && flags & COLLECTIBLE != 0 => "JIT code, collectible",
        flags if flags & CODE_HEAP != 0 => "JIT code",
        // Precompiled code lies in images.
        _ => return None,
    };
    Some(KnownCode { range: AddressRange::between(begin, end)?, usage })
}

/// The RangeSections that the fragments in the last level point to, each
/// once.
fn sections(target: &mut Target<'_, '_>, layout: &MapLayout, top: u64) -> Vec<u64> {
    let levels = match target.width {
        PointerWidth::Bits32 => 2,
        PointerWidth::Bits64 => 5,
    };
    let mut tables = vec![top];
    let mut visited = std::collections::HashSet::from([top]);
    for level in 1..=levels {
        let mut below = Vec::new();
        for table in tables {
            for entry in entries(target, table) {
                let most = if level == levels { MOST_FRAGMENTS } else { MOST_TABLES };
                if below.len() < most && visited.insert(entry) {
                    below.push(entry);
                }
            }
        }
        tables = below;
    }
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for first in tables {
        let mut fragment = first;
        while fragment != 0 && found.len() < MOST_FRAGMENTS && target.follow() {
            let Some((section, next)) = fragment_at(target, layout, fragment) else { break };
            if seen.insert(section) {
                found.push(section);
            }
            if next != 0 && !visited.insert(next) {
                break;
            }
            fragment = next;
        }
    }
    found
}

fn fragment_at(
    target: &mut Target<'_, '_>,
    layout: &MapLayout,
    fragment: u64,
) -> Option<(u64, u64)> {
    let section = target.pointer(fragment.checked_add(layout.section)?)?;
    let next = target.pointer(fragment.checked_add(layout.next)?)?;
    Some((section, next & !1))
}

/// The pointers of a table that are set. Bit 0 marks those of collectible
/// code.
fn entries(target: &mut Target<'_, '_>, table: u64) -> Vec<u64> {
    let slots = (0..FANOUT).filter_map(|nth| target.slot(table, nth));
    slots.map(|entry| entry & !1).filter(|entry| *entry != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globals_and_offsets_in_both_spellings() {
        let text = r#"{"types":{"T":{"A":8,"B":[16,"pointer"],"C":"x"}},
            "globals":{"P":[[1],"pointer"],"Q":[0],"R":["0x5","uint8"]}}"#;
        let contract =
            Contract { text: serde_json::from_str(text).unwrap(), pointers: vec![0x1000, 0x2000] };
        let offsets = ["A", "B", "C", "D"].map(|field| contract.offset("T", field));
        assert_eq!(offsets, [Some(8), Some(16), None, None]);
        let pointers = ["P", "Q", "R", "S"].map(|name| contract.pointer(name));
        assert_eq!(pointers, [Some(0x2000), Some(0x1000), None, None]);
    }

    #[test]
    fn the_magic_number_is_aligned() {
        let mut bytes = vec![0; 64];
        bytes[12..20].copy_from_slice(&MAGIC);
        bytes[40..48].copy_from_slice(&MAGIC);
        assert_eq!(find(&bytes, 0x1000).collect::<Vec<_>>(), [0x1028]);
        assert_eq!(find(&bytes, 0x1004).collect::<Vec<_>>(), [0x1010]);
    }
}
