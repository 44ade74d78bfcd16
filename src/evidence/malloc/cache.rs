//! Chunks that were freed but look used: those in a thread's cache and in the
//! fast bins of an arena. A list counts only when all of it fits: lengths,
//! sizes and ends. `next` pointers are mixed with their own address from glibc
//! 2.32 on (safe linking).

use super::chunks::State;
use super::{Chunk, ChunkState};
use crate::dump::MemoryReader;

/// Bins of a thread's cache, and of fast bins: one a size from 32 bytes on.
const TCACHE_BINS: u64 = 64;
const FAST_BINS: u64 = 10;
const LEAST: u64 = 32;
const STEP: u64 = 16;
/// NON_MAIN_ARENA, PREV_INUSE and so on.
const FLAGS: u64 = 7;

/// A tcache_perthread_struct.
struct Layout {
    /// Of the chunk it lies in.
    chunk: u64,
    /// Bytes of one count.
    count: u64,
}

/// glibc 2.30 to 2.41, and 2.26 to 2.29.
const LAYOUTS: [Layout; 2] = [Layout { chunk: 0x290, count: 2 }, Layout { chunk: 0x250, count: 1 }];

/// Whether a chunk has the size of a thread's cache.
pub(super) fn may_be(size: u64) -> bool {
    LAYOUTS.iter().any(|layout| layout.chunk == size)
}

/// The chunks that a thread's cache has, if `chunk` is one. `room` is how many
/// chunks may still be collected.
pub(super) fn tcache(
    reader: &mut MemoryReader<'_, '_>,
    chunk: &Chunk,
    room: &mut usize,
) -> Vec<u64> {
    let layout = LAYOUTS.iter().find(|layout| layout.chunk == chunk.size);
    let fits = |layout| bins(reader, chunk.address(), layout, *room).unwrap_or_default();
    let found = layout.filter(|_| chunk.state == ChunkState::InUse).map(fits).unwrap_or_default();
    *room = room.saturating_sub(found.len());
    found
}

fn bins(
    reader: &mut MemoryReader<'_, '_>,
    at: u64,
    layout: &Layout,
    room: usize,
) -> Option<Vec<u64>> {
    let entries = at.checked_add(TCACHE_BINS.checked_mul(layout.count)?)?;
    let mut found = Vec::new();
    for bin in 0..TCACHE_BINS {
        let count = at.checked_add(bin.checked_mul(layout.count)?)?;
        let count = match layout.count {
            1 => u64::from(reader.u8(count)?),
            _ => u64::from(reader.u16(count)?),
        };
        let mut next = reader.u64(entries.checked_add(bin.checked_mul(8)?)?)?;
        let mut mixed = None;
        for _ in 0..count {
            let start = next.checked_sub(Chunk::HEADER).filter(|_| next.is_multiple_of(STEP))?;
            if size(reader, start)? != size_of(bin)? || found.len() >= room {
                return None;
            }
            found.push(start);
            next = follow(reader, next, &mut mixed)?;
        }
        if next != 0 {
            return None;
        }
    }
    Some(found)
}

/// The chunks in the fast bins of an arena.
pub(super) fn fastbins(
    reader: &mut MemoryReader<'_, '_>,
    (arena, state): (u64, State),
    room: &mut usize,
) -> Vec<u64> {
    let mut found = Vec::new();
    for bin in 0..FAST_BINS {
        let Some(list) = fastbin(reader, (arena, state), bin, *room) else { continue };
        *room = room.saturating_sub(list.len());
        found.extend(list);
    }
    found
}

fn fastbin(
    reader: &mut MemoryReader<'_, '_>,
    (arena, state): (u64, State),
    bin: u64,
    room: usize,
) -> Option<Vec<u64>> {
    let head = arena.checked_add(state.fastbins)?.checked_add(bin.checked_mul(8)?)?;
    let mut next = reader.u64(head)?;
    let mut found = Vec::new();
    let mut mixed = None;
    while next != 0 {
        // A list in a circle is longer than there is room for.
        let fits = next.is_multiple_of(STEP) && found.len() < room;
        if !fits || size(reader, next)? != size_of(bin)? {
            return None;
        }
        found.push(next);
        next = follow(reader, next.checked_add(Chunk::HEADER)?, &mut mixed)?;
    }
    Some(found)
}

fn size_of(bin: u64) -> Option<u64> {
    bin.checked_mul(STEP)?.checked_add(LEAST)
}

fn size(reader: &mut MemoryReader<'_, '_>, start: u64) -> Option<u64> {
    Some(reader.u64(start.checked_add(8)?)? & !FLAGS)
}

/// The pointer at `at`, mixed with its address or not: the first one of a list
/// decides for all.
fn follow(reader: &mut MemoryReader<'_, '_>, at: u64, mixed: &mut Option<bool>) -> Option<u64> {
    let raw = reader.u64(at)?;
    let revealed = raw ^ (at >> 12);
    let leads = |reader: &mut MemoryReader<'_, '_>| {
        revealed == 0 || (revealed.is_multiple_of(STEP) && reader.u64(revealed).is_some())
    };
    let is_mixed = match *mixed {
        Some(known) => known,
        None => leads(reader),
    };
    *mixed = Some(is_mixed);
    Some(if is_mixed { revealed } else { raw })
}
