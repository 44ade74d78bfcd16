//! Variable-size subsegments of the segment heap: chunks whose header is XORed
//! with its address and HeapKey.

use super::super::context::{Context, at, pointer_size};
use super::Walker;
use super::block::{Block, Place, State};
use super::outcome::{MissingWhy, Reason};
use crate::addr::AddressRange;
use crate::dump::{MemoryReader, PointerWidth};

/// A subsegment whose own check holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subsegment {
    pub(super) start: u64,
    first: u64,
    end: u64,
    width: PointerWidth,
}

/// `_HEAP_VS_SUBSEGMENT` at the start of a range.
pub(super) fn subsegment(
    context: &mut Context<'_, '_>,
    range: AddressRange,
    width: PointerWidth,
) -> Result<Subsegment, MissingWhy> {
    const CHECK: u16 = 0x2bed;
    let start = range.start();
    let (size, first): (u64, u64) = match width {
        PointerWidth::Bits64 => (0x20, 0x30),
        PointerWidth::Bits32 => (0x14, 0x18),
    };
    let signature = context.memory.u16(at(start, size.saturating_add(2)));
    let size = context.memory.u16(at(start, size));
    let (Some(size), Some(signature)) = (size, signature) else {
        return Err(MissingWhy::NotCaptured);
    };
    let first = start.saturating_add(first);
    let end = first.saturating_add(u64::from(size).saturating_mul(unit(width)));
    let sound = size ^ (signature & 0x7fff) == CHECK && end <= range.end();
    if sound { Ok(Subsegment { start, first, end, width }) } else { Err(MissingWhy::BehindDamage) }
}

/// Bytes that sizes count in, and of a chunk's header.
fn unit(width: PointerWidth) -> u64 {
    pointer_size(width).saturating_mul(2)
}

/// `_HEAP_VS_CHUNK_HEADER`, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    size: u64,
    previous: u64,
    busy: bool,
}

impl Chunk {
    fn read(
        context: &mut Context<'_, '_>,
        start: u64,
        key: u64,
        width: PointerWidth,
    ) -> Option<Chunk> {
        let stored = context.memory.pointer(start, width)?;
        let word = width.mask(stored ^ start ^ key);
        let (size, previous, busy) = match width {
            PointerWidth::Bits64 => (word >> 16 & 0xffff, word >> 32 & 0xffff, word >> 48 & 0xff),
            PointerWidth::Bits32 => (word >> 1 & 0x7fff, word >> 16 & 0x7fff, word >> 31 & 1),
        };
        let unit = unit(width);
        let (size, previous) = (size.saturating_mul(unit), previous.saturating_mul(unit));
        Some(Chunk { size, previous, busy: busy != 0 })
    }
}

/// Whether the first chunks of a subsegment know each other by this key: no
/// chunk is before the first. The two keys in question differ in those bits.
pub(super) fn fits(context: &mut Context<'_, '_>, subsegment: Subsegment, key: u64) -> bool {
    let (mut at, mut previous) = (subsegment.first, 0);
    for seen in 0..2 {
        if at == subsegment.end {
            return true;
        }
        let Some(chunk) = Chunk::read(context, at, key, subsegment.width) else {
            return seen > 0;
        };
        let end = at.saturating_add(chunk.size);
        if chunk.previous != previous || chunk.size == 0 || end > subsegment.end {
            return false;
        }
        (previous, at) = (chunk.size, end);
    }
    true
}

/// Gives the chunks of a subsegment.
pub(super) fn chunks(walker: &mut Walker<'_, '_, '_>, subsegment: Subsegment, key: u64) {
    let mut cursor = subsegment.first;
    let mut previous = 0;
    while cursor < subsegment.end && !walker.sink.stopped {
        let rest = AddressRange::between(cursor, subsegment.end);
        let Some(chunk) = Chunk::read(&mut walker.context, cursor, key, subsegment.width) else {
            walker.sink.missing(rest, MissingWhy::NotCaptured);
            return;
        };
        let end = cursor.saturating_add(chunk.size);
        let wrong = match chunk {
            Chunk { size: 0, .. } => Some(Reason::ZeroSize),
            _ if end > subsegment.end => Some(Reason::Overrun),
            Chunk { previous: said, .. } if said != previous => Some(Reason::PreviousSize),
            _ => None,
        };
        if let Some(reason) = wrong {
            walker.sink.corrupt(cursor, reason, || {
                format!("chunk of {:#x} bytes behind one of {previous:#x}", chunk.size)
            });
            walker.sink.missing(rest, MissingWhy::BehindDamage);
            return;
        }
        report(walker, subsegment, cursor, chunk);
        (previous, cursor) = (chunk.size, end);
    }
}

fn report(walker: &mut Walker<'_, '_, '_>, subsegment: Subsegment, start: u64, chunk: Chunk) {
    /// Of the word behind the sizes: the chunk's last bytes say how many bytes
    /// are unused.
    const UNUSED: u32 = 0x100;
    let header = unit(subsegment.width);
    let word = context_word(walker, start, header);
    let size = chunk.size.saturating_sub(header);
    let user_size = match (chunk.busy, word) {
        (false, _) => Some(size),
        (true, Some(word)) if word & UNUSED == 0 => Some(size),
        (true, Some(_)) => unused(&mut walker.context.memory, start.saturating_add(chunk.size))
            .and_then(|unused| size.checked_sub(unused)),
        (true, None) => None,
    };
    walker.sink.block(Block {
        start,
        size: chunk.size,
        address: start.saturating_add(header),
        user_size,
        state: if chunk.busy { State::Busy } else { State::Free },
        place: Place::VariableSize(subsegment.start),
    });
}

fn context_word(walker: &mut Walker<'_, '_, '_>, start: u64, header: u64) -> Option<u32> {
    walker.context.word(start, header >> 1)
}

/// `_HEAP_LFH_UNUSED_BYTES_INFO`: the last two bytes of a block.
pub(super) fn unused(memory: &mut MemoryReader<'_, '_>, end: u64) -> Option<u64> {
    let word = memory.u16(end.wrapping_sub(2))?;
    Some(if word & 0x8000 != 0 { 1 } else { u64::from(word & 0x3fff) })
}
