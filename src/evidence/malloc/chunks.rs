//! The chain of chunks of one heap, checked as it is walked.

use super::{Chunk, ChunkState, MallocHeap, MallocHeapKind, Unknown};
use crate::dump::MemoryReader;

const PREV_INUSE: u64 = 1;
const IS_MMAPPED: u64 = 2;
const NON_MAIN_ARENA: u64 = 4;
const FLAGS: u64 = 7;
/// MALLOC_ALIGNMENT.
const ALIGN: u64 = 16;
/// MINSIZE.
const LEAST: u64 = 32;
/// HEAP_MAX_SIZE.
const WINDOW: u64 = 64 << 20;
/// `size` in heap_info.
const USED: u64 = 0x10;
/// Chunks of one heap that are looked at: a heap of 2 GiB of the smallest.
const MOST: u64 = 1 << 26;

/// A malloc_state: where `top` and `fastbinsY` are in it, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    top: u64,
    pub(super) fastbins: u64,
    size: u64,
}

/// glibc 2.26 to 2.41, which has `have_fastchunks`; and 2.23 to 2.25.
const STATES: [State; 2] = [
    State { top: 0x60, fastbins: 0x10, size: 0x898 },
    State { top: 0x58, fastbins: 0x08, size: 0x890 },
];

/// A heap whose chain holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The first chunk.
    start: u64,
    end: u64,
    last: Last,
    flag: u64,
    /// Address and layout of the malloc_state; `None` for the main arena's.
    pub(super) arena: Option<(u64, State)>,
}

/// How the chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// In a top that nothing tells but the end of the heap.
    AnyTop,
    /// In the top at this address.
    Top(u64),
    /// In two small headers: the arena has gone on in another heap.
    Fence,
}

impl Frame {
    /// Gives every chunk. The chain was checked before.
    pub(super) fn walk(&self, reader: &mut MemoryReader<'_, '_>, visit: &mut dyn FnMut(Chunk)) {
        let _ = self.check(reader, visit);
    }

    /// Gives every chunk up to the first contradiction.
    fn check(
        &self,
        reader: &mut MemoryReader<'_, '_>,
        visit: &mut dyn FnMut(Chunk),
    ) -> Result<(), Unknown> {
        let wrong = |at, what| Err(Unknown::Contradiction(at, what));
        let mut at = self.start;
        let mut before: Option<(Chunk, u64)> = None;
        let mut before_free = false;
        for _ in 0..MOST {
            let field = reader.u64(at.wrapping_add(8)).ok_or(Unknown::NotCaptured(at))?;
            let (size, flags) = (field & !FLAGS, field & FLAGS);
            let free = flags & PREV_INUSE == 0;
            match before {
                None if free => return wrong(at, "a chunk before the first"),
                None => {}
                Some((chunk, own)) => {
                    if free && reader.u64(at) != Some(chunk.size) {
                        return wrong(at, "prev_size is not the size of the chunk before");
                    }
                    if free && before_free {
                        return wrong(chunk.start, "two free chunks side by side");
                    }
                    let state = if free { ChunkState::Free } else { ChunkState::InUse };
                    if !free && own & NON_MAIN_ARENA != self.flag {
                        return wrong(chunk.start, "flag of another arena");
                    }
                    visit(Chunk { state, ..chunk });
                    before_free = free;
                }
            }
            if flags & IS_MMAPPED != 0 {
                return wrong(at, "flag of a mapping");
            }
            if self.last == Last::Fence && self.is_fence(reader, at, size) {
                return Ok(());
            }
            let next = at.checked_add(size).filter(|next| *next <= self.end);
            let Some(next) = next.filter(|_| size >= LEAST && size.is_multiple_of(ALIGN)) else {
                return wrong(at, "no size of a chunk");
            };
            let chunk = Chunk { start: at, size, state: ChunkState::Top };
            let top = match self.last {
                Last::AnyTop => next == self.end,
                Last::Top(top) => top == at,
                Last::Fence => false,
            };
            match (top, next == self.end) {
                (true, true) if free => return wrong(at, "a free chunk before the top"),
                (true, true) => {
                    visit(chunk);
                    return Ok(());
                }
                (false, false) => {}
                _ => return wrong(at, "the chain does not end in the top"),
            }
            before = Some((chunk, flags));
            at = next;
        }
        wrong(at, "more chunks than are looked at")
    }

    /// A header of 16 bytes and one of none, at the very end.
    fn is_fence(&self, reader: &mut MemoryReader<'_, '_>, at: u64, size: u64) -> bool {
        let second = at.wrapping_add(ALIGN);
        size == ALIGN
            && second.wrapping_add(ALIGN) == self.end
            && reader.u64(second.wrapping_add(8)) == Some(PREV_INUSE)
    }
}

/// The malloc_state that a heap's header names.
pub(super) fn arena(reader: &mut MemoryReader<'_, '_>, heap: &MallocHeap) -> Option<u64> {
    match heap.kind {
        MallocHeapKind::Main => None,
        MallocHeapKind::Arena => reader.u64(heap.range.start()),
    }
}

/// The frame of a heap whose whole chain holds. Gives `visit` a `None` before
/// each layout that is tried, then its chunks.
pub(super) fn frame(
    reader: &mut MemoryReader<'_, '_>,
    heap: &MallocHeap,
    mut visit: impl FnMut(Option<Chunk>),
) -> Result<Frame, Unknown> {
    // Of several layouts the first is the likeliest: it says what is wrong.
    let mut why = None;
    for frame in frames(reader, heap) {
        visit(None);
        match frame.check(reader, &mut |chunk| visit(Some(chunk))) {
            Ok(()) => return Ok(frame),
            Err(found) => why = why.or(Some(found)),
        }
    }
    Err(why.unwrap_or(Unknown::NotCaptured(heap.range.start())))
}

/// The first chunk of a heap, by the likeliest layout that it has a size in.
pub(super) fn first(reader: &mut MemoryReader<'_, '_>, heap: &MallocHeap) -> Option<Chunk> {
    frames(reader, heap).into_iter().find_map(|frame| {
        let size = reader.u64(frame.start.wrapping_add(8))? & !FLAGS;
        let end = frame.start.checked_add(size)?;
        let sound = size >= LEAST && size.is_multiple_of(ALIGN) && end <= frame.end;
        sound.then_some(Chunk { start: frame.start, size, state: ChunkState::InUse })
    })
}

/// What a heap may be, by its header.
fn frames(reader: &mut MemoryReader<'_, '_>, heap: &MallocHeap) -> Vec<Frame> {
    let start = heap.range.start();
    if heap.kind == MallocHeapKind::Main {
        let frame = Frame { start, end: heap.end, last: Last::AnyTop, flag: 0, arena: None };
        return vec![frame];
    }
    let window = |address: u64| address & !WINDOW.wrapping_sub(1);
    let mut of = |state: &State| {
        let arena = reader.u64(start)?;
        let used = reader.u64(start.checked_add(USED)?)?;
        let end = start.checked_add(used).filter(|end| *end <= heap.end)?;
        let top = reader.u64(arena.checked_add(state.top)?)?;
        // The first heap of an arena has the malloc_state behind its header;
        // of others the header tells where the first chunk is.
        let header = arena.checked_sub(window(arena))?;
        let offset = match window(arena) == start {
            true => header.checked_add(state.size)?,
            false => header,
        };
        let first = start.checked_add(offset)?.checked_next_multiple_of(ALIGN)?;
        let last = if window(top) == start { Last::Top(top) } else { Last::Fence };
        let arena = Some((arena, *state));
        Some(Frame { start: first, end, last, flag: NON_MAIN_ARENA, arena })
    };
    STATES.iter().filter_map(&mut of).collect()
}
