//! Large blocks of malloc, 128 KiB and more: each is a chunk in a mapping of
//! its own, which the kernel may join with its neighbours. The header is two
//! words: nothing before it, and its size with one flag. It counts when its
//! chunk ends where the mapping ends, or where the next such header is, up to
//! the end. Wrong when a program wrote the same at the start of a page.

use super::{Chunk, ChunkState};
use crate::addr::AddressRange;
use crate::dump::{Dump, LinuxMap, MemoryReader, PointerWidth};
use crate::limits::Depth;
use crate::map::{MapSource, MemoryType, Origin, Protection, RegionMap};

const PAGE: u64 = 4096;
const IS_MMAPPED: u64 = 2;
const FLAGS: u64 = 7;
/// The smallest block that has a mapping: DEFAULT_MMAP_THRESHOLD_MIN.
const LEAST: u64 = 128 << 10;
/// Pages before the address that are looked at: a block of 256 MiB.
const PAGES: u64 = 65_536;
/// Blocks behind it that are followed.
const BEHIND: u64 = 4_096;

/// The large block around an address, in a process with glibc.
pub fn mapped(dump: &Dump<'_>, map: &RegionMap<'_>, address: u64) -> Option<Chunk> {
    let reads = dump.limits.depth >= Depth::Headers && map.source == MapSource::LinuxMaps;
    let lines = &dump.linux.maps.as_ref()?.maps;
    if !reads || dump.system.width != PointerWidth::Bits64 || !lines.iter().any(is_glibc) {
        return None;
    }
    let region = map.find(address)?;
    let Origin::LinuxMap(line) = region.origin else { return None };
    let line = lines.get(usize::try_from(line).ok()?)?;
    let anonymous = line.name.is_empty() && line.inode == 0;
    let private = region.memory_type == Some(MemoryType::Private);
    if !anonymous || !private || region.protect != Protection::READ_WRITE {
        return None;
    }
    let mut reader = dump.captured.reader();
    let own = address & !PAGE.wrapping_sub(1);
    let first = region.range.start();
    let starts = (0..PAGES).map_while(|back| own.checked_sub(back.checked_mul(PAGE)?));
    let starts = starts.take_while(|start| *start >= first);
    let mut found = std::iter::once(first).chain(starts);
    found.find_map(|start| chunk(&mut reader, region.range, start, address))
}

fn chunk(
    reader: &mut MemoryReader<'_, '_>,
    mapping: AddressRange,
    start: u64,
    address: u64,
) -> Option<Chunk> {
    let size = header(reader, start)?;
    let chunk = Chunk { start, size, state: ChunkState::Mapped };
    let mut end = start.checked_add(size).filter(|end| chunk.holds(address) && *end > start)?;
    for _ in 0..BEHIND {
        if end >= mapping.end() {
            break;
        }
        end = end.checked_add(header(reader, end)?)?;
    }
    (end == mapping.end()).then_some(chunk)
}

/// The size of a chunk whose header is here.
fn header(reader: &mut MemoryReader<'_, '_>, start: u64) -> Option<u64> {
    let (before, field) = (reader.u64(start)?, reader.u64(start.checked_add(8)?)?);
    let size = field & !FLAGS;
    let fits = before == 0 && field & FLAGS == IS_MMAPPED;
    (fits && size >= LEAST && size.is_multiple_of(PAGE)).then_some(size)
}

/// `libc.so.6`, and `libc-2.31.so` before glibc 2.34.
pub(in crate::evidence) fn is_glibc(line: &LinuxMap) -> bool {
    let file = line.name.rsplit('/').next().unwrap_or("");
    file == "libc.so.6" || file.starts_with("libc-2.")
}
