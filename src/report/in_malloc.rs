//! Where in a heap of malloc, or in another allocator's reservation, an
//! address is.

use std::borrow::Cow;

use serde::Serialize;

use super::regions::Names;
use super::{Hex, Input};
use crate::evidence::malloc::{Chunk, InChunk, MallocHeapKind, Place, Unknown, mapped, places};
use crate::reservation::{self, Reservation};

/// Where in a heap of glibc's malloc.
#[derive(Clone, Debug, Serialize)]
pub struct InMalloc {
    /// `main` for the brk heap, `arena` for a heap of another arena, `mapping`
    /// for a large block that has one of its own: a heuristic.
    pub heap: &'static str,
    /// The heap's first byte; of a mapping, the chunk's.
    pub base: Hex,
    /// The arena's malloc_state; null for the main one and where the heap's
    /// header is not captured.
    pub arena: Option<Hex>,
    /// The chunk that holds the address.
    pub chunk: Option<InChunkView>,
    /// Why no chunk is known.
    pub problem: Option<String>,
}

/// The chunk around an address.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InChunkView {
    /// The chunk.
    #[serde(flatten)]
    pub chunk: ChunkView,
    /// Bytes from what malloc returned; negative in the header.
    pub offset: i128,
    /// The chunk before it.
    pub previous: Option<ChunkView>,
    /// The chunk behind it.
    pub next: Option<ChunkView>,
    /// Chunks of its size in the heap, itself included; 0 for the top and for
    /// a mapping.
    pub alike: u64,
    /// How many of them are in use.
    pub alike_in_use: u64,
}

/// One chunk.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ChunkView {
    /// Its header.
    pub start: Hex,
    /// What malloc returned.
    pub address: Hex,
    /// Bytes, the header included.
    pub size: u64,
    /// Bytes that the program can use.
    pub usable: u64,
    /// `in-use`, `free`, `tcache`, `fastbin` or `top`.
    pub state: &'static str,
}

/// The reservation around an address.
#[derive(Clone, Debug, Serialize)]
pub struct ReservationView<'a> {
    /// The first byte.
    pub base: Hex,
    /// Bytes, without memory or not.
    pub size: u64,
    /// Bytes from its start to the address.
    pub offset: u64,
    /// What it is used for; null for memory that nobody explains.
    #[serde(rename = "use")]
    pub usage: Option<Cow<'a, str>>,
    /// PAGE_* names when it was allocated, where nothing else tells it from
    /// others.
    pub protect: Option<String>,
    /// Reservations of its use and size, itself included.
    pub alike: SumView,
    /// Those of its use, of any size; null without a use.
    pub same_use: Option<SumView>,
}

/// So many reservations of so many bytes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SumView {
    /// How many.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// For each address, where in the heaps of malloc it is.
pub(super) fn in_malloc(input: &Input<'_>, addresses: &[u64]) -> Vec<Option<InMalloc>> {
    let analysis = input.analysis;
    let found = places(&analysis.dump, &analysis.evidence.malloc, addresses);
    let view = |(place, address): (Option<Place>, &u64)| match place {
        Some(place) => Some(malloc_view(input, place, *address)),
        None => mapped_view(input, *address),
    };
    found.into_iter().zip(addresses).map(view).collect()
}

fn mapped_view(input: &Input<'_>, address: u64) -> Option<InMalloc> {
    let analysis = input.analysis;
    let chunk = mapped(&analysis.dump, &analysis.map, address)?;
    let inside = InChunk { chunk, previous: None, next: None, alike: 0, alike_in_use: 0 };
    Some(InMalloc {
        heap: "mapping",
        base: input.hex(chunk.start),
        arena: None,
        chunk: Some(chunk_view(input, &inside, address)),
        problem: None,
    })
}

fn malloc_view(input: &Input<'_>, place: Place, address: u64) -> InMalloc {
    InMalloc {
        heap: match place.heap.kind {
            MallocHeapKind::Main => "main",
            MallocHeapKind::Arena => "arena",
        },
        base: input.hex(place.heap.range.start()),
        arena: place.arena.map(|arena| input.hex(arena)),
        chunk: place.chunk.as_ref().ok().map(|inside| chunk_view(input, inside, address)),
        problem: place.chunk.err().map(problem),
    }
}

fn chunk_view(input: &Input<'_>, inside: &InChunk, address: u64) -> InChunkView {
    let view = |chunk: Chunk| ChunkView {
        start: input.hex(chunk.start),
        address: input.hex(chunk.address()),
        size: chunk.size,
        usable: chunk.usable(),
        state: chunk.state.as_str(),
    };
    InChunkView {
        chunk: view(inside.chunk),
        offset: i128::from(address) - i128::from(inside.chunk.address()),
        previous: inside.previous.map(view),
        next: inside.next.map(view),
        alike: inside.alike,
        alike_in_use: inside.alike_in_use,
    }
}

fn problem(why: Unknown) -> String {
    match why {
        Unknown::NotRead => "memory contents were not to be read".into(),
        Unknown::NotCaptured(at) => format!("not all of them are captured: {at:#x} is not"),
        Unknown::Bits32 => "the layout for 32-bit pointers is not known".into(),
        Unknown::Contradiction(at, what) => format!("not a chain of malloc's: {at:#x}: {what}"),
        Unknown::BeforeFirst => "in front of the first: the arena's own structures".into(),
        Unknown::BehindLast => "behind the last: memory that the heap has not used".into(),
    }
}

/// The view of a reservation around an address.
pub(super) fn reservation_view<'a>(
    names: &'a Names<'_>,
    found: &Reservation,
    address: u64,
) -> ReservationView<'a> {
    let sum = |sum: reservation::Sum| SumView { count: sum.count, bytes: sum.bytes };
    ReservationView {
        base: names.input.hex(found.range.start()),
        size: found.range.size(),
        offset: address.wrapping_sub(found.range.start()),
        usage: found.usage.map(|usage| names.usage(&usage)),
        protect: found.protect.map(|protect| protect.name()).filter(|name| !name.is_empty()),
        alike: sum(found.alike),
        same_use: found.same_use.map(sum),
    }
}
