//! Heaps of arenas that no shape tells, by their captured headers: those that
//! have grown to their full size, and those that the kernel joined with other
//! memory at both ends.

use super::arenas::{HeapInfo, Window, field, heap_info, window_size};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::map::{MemoryType, Protection, RegionMap};

/// Words of a heap_info.
const ARENA: u64 = 0;
const USED: u64 = 2;

/// The windows whose first words are captured and are a heap_info: it and the
/// first heap of the arena name the same arena, and as much of the window is
/// read-write as it says.
pub(super) fn windows(dump: &Dump<'_>, map: &RegionMap<'_>, width: PointerWidth) -> Vec<Window> {
    let size = window_size(width);
    let mut reader = dump.captured.reader();
    let starts = dump.captured.ranges().iter().flat_map(|run| starts(run.range, size));
    let window = |start: u64| {
        let end = start.checked_add(size)?;
        let arena = field(&mut reader, start, ARENA, width)?;
        let used = field(&mut reader, start, USED, width).filter(|used| *used <= size)?;
        // What the heap gave back may stay read-write.
        let tail = read_write(map, start).min(end);
        let window = Window { start, tail, end };
        let first = arena & !size.wrapping_sub(1);
        let sound = start.checked_add(used)? <= tail
            && heap_info(&mut reader, window, width) == HeapInfo::Arena
            && field(&mut reader, first, ARENA, width) == Some(arena);
        sound.then_some(window)
    };
    starts.filter_map(window).collect()
}

/// The multiples of `size` in a range.
fn starts(range: AddressRange, size: u64) -> impl Iterator<Item = u64> {
    let first = range.start().checked_next_multiple_of(size);
    std::iter::successors(first, move |start| start.checked_add(size))
        .take_while(move |start| *start <= range.last())
}

/// Parts of a heap that are looked at: the kernel joins neighbours, so one is
/// enough for all of it.
const PARTS: usize = 16;

/// Up to where private memory from `start` on is read-write.
fn read_write(map: &RegionMap<'_>, start: u64) -> u64 {
    let mut at = start;
    for _ in 0..PARTS {
        let next = map.find(at).filter(|region| {
            region.memory_type == Some(MemoryType::Private)
                && region.protect == Protection::READ_WRITE
                && region.range.end() > at
        });
        let Some(region) = next else { break };
        at = region.range.end();
    }
    at
}
