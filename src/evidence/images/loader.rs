//! The loader's list of modules in memory. Source: PEB -> Ldr ->
//! InLoadOrderModuleList, a ring of LDR_DATA_TABLE_ENTRY.

use std::collections::HashSet;

use crate::dump::bytes::{u16_at, utf16_lossy};
use crate::dump::{Dump, MemoryReader, PointerWidth};
use crate::evidence::environment::Peb;
use crate::limits::{Depth, Limits};

/// Characters of one path that are kept.
const MAX_PATH: usize = 1_024;

/// One module of the loader's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderEntry {
    /// Where the entry itself is.
    pub address: u64,
    /// DllBase.
    pub base: u64,
    /// SizeOfImage.
    pub size: u32,
    /// FullDllName, or BaseDllName where that is not captured; empty when
    /// neither is.
    pub path: String,
    /// Flags.
    pub flags: u32,
    /// TimeDateStamp.
    pub timestamp: u32,
}

/// The loader's list of one view of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderList {
    /// In load order: the program first.
    pub entries: Vec<LoaderEntry>,
    /// Whether the ring was followed back to its head: every entry captured,
    /// none twice.
    pub complete: bool,
}

/// Where the fields are, for one pointer width.
struct Layout {
    head: u64,
    base: u64,
    size: u64,
    full_name: u64,
    base_name: u64,
    flags: u64,
    timestamp: u64,
}

impl Layout {
    fn of(width: PointerWidth) -> Layout {
        match width {
            PointerWidth::Bits32 => Layout {
                head: 0xc,
                base: 0x18,
                size: 0x20,
                full_name: 0x24,
                base_name: 0x2c,
                flags: 0x34,
                timestamp: 0x44,
            },
            PointerWidth::Bits64 => Layout {
                head: 0x10,
                base: 0x30,
                size: 0x40,
                full_name: 0x48,
                base_name: 0x58,
                flags: 0x68,
                timestamp: 0x80,
            },
        }
    }
}

/// Follows the list of one PEB; `None` when not even its head is captured, or
/// memory is not to be read.
pub fn list(dump: &Dump<'_>, peb: &Peb) -> Option<LoaderList> {
    if dump.limits.depth < Depth::Headers {
        return None;
    }
    let data = peb.loader_data.filter(|address| *address != 0)?;
    walk(&mut dump.captured.reader(), data, peb.width, &dump.limits)
}

fn walk(
    reader: &mut MemoryReader<'_, '_>,
    data: u64,
    width: PointerWidth,
    limits: &Limits,
) -> Option<LoaderList> {
    let layout = Layout::of(width);
    let head = data.checked_add(layout.head)?;
    let mut next = reader.pointer(head, width)?;
    let mut list = LoaderList { entries: Vec::new(), complete: false };
    let mut visited = HashSet::new();
    let mut text_left = limits.text_bytes;
    while next != head && visited.len() < limits.links && visited.insert(next) {
        let Some(entry) = read_entry(reader, next, width, &layout, &mut text_left) else {
            return Some(list);
        };
        list.entries.push(entry);
        let Some(following) = reader.pointer(next, width) else { return Some(list) };
        next = following;
    }
    list.complete = next == head;
    Some(list)
}

fn read_entry(
    reader: &mut MemoryReader<'_, '_>,
    address: u64,
    width: PointerWidth,
    layout: &Layout,
    text_left: &mut usize,
) -> Option<LoaderEntry> {
    let at = |offset: u64| address.checked_add(offset);
    let base = reader.pointer(at(layout.base)?, width)?;
    let size = reader.u32(at(layout.size)?)?;
    let mut path = String::new();
    for name in [layout.full_name, layout.base_name] {
        if path.is_empty() {
            let most = (*text_left).min(MAX_PATH);
            path = unicode_string(reader, at(name)?, width, most).unwrap_or_default();
        }
    }
    *text_left = text_left.saturating_sub(path.len());
    Some(LoaderEntry {
        address,
        base,
        size,
        path,
        flags: reader.u32(at(layout.flags)?).unwrap_or(0),
        timestamp: reader.u32(at(layout.timestamp)?).unwrap_or(0),
    })
}

/// A UNICODE_STRING, cut after `most` characters; `None` when it is empty or
/// its characters are not captured.
fn unicode_string(
    reader: &mut MemoryReader<'_, '_>,
    address: u64,
    width: PointerWidth,
    most: usize,
) -> Option<String> {
    let length = usize::from(u16_at(&reader.array::<2>(address)?, 0)?);
    let pointer = match width {
        PointerWidth::Bits32 => 4,
        PointerWidth::Bits64 => 8,
    };
    let text = reader.pointer(address.checked_add(pointer)?, width)?;
    let mut units = Vec::new();
    for at in 0..length.checked_div(2)?.min(most) {
        let offset = u64::try_from(at).ok()?.checked_mul(2)?;
        units.extend(reader.array::<2>(text.checked_add(offset)?)?);
    }
    (!units.is_empty()).then(|| utf16_lossy(&units))
}
