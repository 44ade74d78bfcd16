//! Chunks of glibc's malloc, where its heaps are captured: what an address is
//! in, and how many chunks of that size its heap has. Nothing that runs for
//! every dump calls this: it reads every page of the heaps that are asked for.
//!
//! ```text
//! MallocHeap   where a heap is: the brk heap, or a window of an arena
//! places       for addresses: heap, chunk, its neighbours, its size family
//! mapped       the large block around an address, which has its own mapping
//! ```
//!
//! A heap is a chain of chunks without a gap, and that is what is checked:
//! sizes are multiples of 16 in the heap, a chunk that the next one calls free
//! has its size repeated there, two free chunks never follow each other, flags
//! fit the kind of heap, and the chain ends exactly where the heap's memory
//! ends, in the chunk that the arena calls its top. A chain that breaks one of
//! these says nothing of any chunk.
//!
//! Sources: malloc/malloc.c and malloc/arena.c of glibc 2.23 to 2.41. Only
//! 64-bit processes. Other libraries' `[heap]` fails the checks.

mod cache;
mod chunks;
mod mapped;

pub(super) use mapped::is_glibc;
pub use mapped::mapped;

use std::collections::HashSet;

use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::limits::Depth;
use chunks::Frame;

/// One heap of malloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MallocHeap {
    /// All of it, memory without access included.
    pub range: AddressRange,
    /// One past the memory that can be used.
    pub end: u64,
    /// Whose it is.
    pub kind: MallocHeapKind,
}

/// Whose a heap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MallocHeapKind {
    /// The main arena's: the brk heap.
    Main,
    /// Another arena's.
    Arena,
}

/// What a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// In use, as its neighbour says. A thread's cache that is not captured
    /// may have it nevertheless.
    InUse,
    /// In use, in a mapping of its own.
    Mapped,
    /// Free, as its neighbour says.
    Free,
    /// Free, in a thread's cache.
    Tcache,
    /// Free, in a fast bin.
    Fastbin,
    /// The rest of the heap, which nothing was cut from yet.
    Top,
}

impl ChunkState {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            ChunkState::InUse | ChunkState::Mapped => "in-use",
            ChunkState::Free => "free",
            ChunkState::Tcache => "tcache",
            ChunkState::Fastbin => "fastbin",
            ChunkState::Top => "top",
        }
    }
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its header.
    pub start: u64,
    /// Bytes, the header included.
    pub size: u64,
    /// What it is.
    pub state: ChunkState,
}

impl Chunk {
    /// Size of the header before what the program gets.
    pub const HEADER: u64 = 16;

    /// What malloc returned, or would return.
    pub fn address(&self) -> u64 {
        self.start.wrapping_add(Self::HEADER)
    }

    /// Bytes that the program can use: `malloc_usable_size`. In a heap they end
    /// in the first word of the next chunk's header.
    pub fn usable(&self) -> u64 {
        self.size.saturating_sub(if self.state == ChunkState::Mapped { 16 } else { 8 })
    }

    fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.start) < self.size
    }
}

/// Where an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The heap.
    pub heap: MallocHeap,
    /// The arena's malloc_state; `None` for the main one, and where the
    /// heap's header is not captured.
    pub arena: Option<u64>,
    /// The chunk, or why none is known.
    pub chunk: Result<InChunk, Unknown>,
}

/// The chunk around an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// The one before it in the heap.
    pub previous: Option<Chunk>,
    /// The one behind it.
    pub next: Option<Chunk>,
    /// Chunks of its size in the heap, itself included; without the top.
    pub alike: u64,
    /// How many of them are in use.
    pub alike_in_use: u64,
}

/// Why no chunk is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Memory contents were not to be read.
    NotRead,
    /// Not all of the heap is captured: the first address that is missing.
    NotCaptured(u64),
    /// The layout for 32-bit pointers is not known.
    Bits32,
    /// The heap's header has no known layout, or its chunks contradict each
    /// other: where, and what.
    Contradiction(u64, &'static str),
    /// In front of the first chunk.
    BeforeFirst,
    /// Behind the last chunk.
    BehindLast,
}

/// For each address, where in the heaps it is. Each heap that an address is in
/// is walked twice, however many addresses are in it.
pub fn places(dump: &Dump<'_>, heaps: &[MallocHeap], addresses: &[u64]) -> Vec<Option<Place>> {
    let mut places = vec![None; addresses.len()];
    for heap in heaps {
        let inside = |address: &u64| heap.range.contains(*address);
        let mut asked: Vec<(u64, usize)> = addresses
            .iter()
            .zip(0..)
            .filter(|(address, _)| inside(address))
            .map(|(address, at)| (*address, at))
            .collect();
        if asked.is_empty() {
            continue;
        }
        asked.sort_unstable();
        let only: Vec<u64> = asked.iter().map(|(address, _)| *address).collect();
        let (arena, chunks) = in_heap(dump, heaps, heap, &only);
        for ((_, at), chunk) in asked.into_iter().zip(chunks) {
            if let Some(place) = places.get_mut(at) {
                *place = Some(Place { heap: *heap, arena, chunk });
            }
        }
    }
    places
}

/// The arena of a heap, and for each of some sorted addresses its chunk.
fn in_heap(
    dump: &Dump<'_>,
    heaps: &[MallocHeap],
    heap: &MallocHeap,
    addresses: &[u64],
) -> (Option<u64>, Vec<Result<InChunk, Unknown>>) {
    let unknown = |arena, why| (arena, vec![Err(why); addresses.len()]);
    if dump.limits.depth < Depth::Headers {
        return unknown(None, Unknown::NotRead);
    }
    if dump.system.width != PointerWidth::Bits64 {
        return unknown(None, Unknown::Bits32);
    }
    let mut reader = dump.captured.reader();
    let arena = chunks::arena(&mut reader, heap);
    let mut finder = Finder::of(addresses);
    let frame = match chunks::frame(&mut reader, heap, |chunk| finder.see(chunk)) {
        Ok(frame) => frame,
        Err(why) => return unknown(arena, why),
    };
    let mut found = finder.finish();
    let cached = Cached::of(dump, heaps, &frame);
    cached.mark(&mut found);
    count(&mut reader, &frame, &cached, &mut found);
    (arena, found)
}

/// Finds the chunks around sorted addresses while a heap is walked, as often
/// as it begins anew.
struct Finder<'a> {
    addresses: &'a [u64],
    at: usize,
    last: Option<Chunk>,
    found: Vec<Result<InChunk, Unknown>>,
}

impl<'a> Finder<'a> {
    fn of(addresses: &'a [u64]) -> Finder<'a> {
        Finder { addresses, at: 0, last: None, found: Vec::new() }
    }

    /// Takes the next chunk; `None` for the begin of a walk.
    fn see(&mut self, chunk: Option<Chunk>) {
        let Some(chunk) = chunk else {
            *self = Finder::of(self.addresses);
            return;
        };
        for inside in self.found.iter_mut().rev().map_while(|found| found.as_mut().ok()) {
            if inside.next.is_some() {
                break;
            }
            inside.next = Some(chunk);
        }
        while let Some(address) = self.addresses.get(self.at) {
            if *address >= chunk.start && !chunk.holds(*address) {
                break;
            }
            self.at = self.at.saturating_add(1);
            let inside =
                InChunk { chunk, previous: self.last, next: None, alike: 0, alike_in_use: 0 };
            self.found.push(if chunk.holds(*address) {
                Ok(inside)
            } else {
                Err(Unknown::BeforeFirst)
            });
        }
        self.last = Some(chunk);
    }

    fn finish(mut self) -> Vec<Result<InChunk, Unknown>> {
        self.found.resize(self.addresses.len(), Err(Unknown::BehindLast));
        self.found
    }
}

/// Chunks that look used and are not.
#[derive(Default)]
struct Cached {
    tcache: HashSet<u64>,
    fastbin: HashSet<u64>,
}

impl Cached {
    /// The caches that lie in the heap, and those at the start of others: the
    /// first thing that a thread takes from its arena is its cache.
    fn of(dump: &Dump<'_>, heaps: &[MallocHeap], frame: &Frame) -> Cached {
        let mut reader = dump.captured.reader();
        let mut room = dump.limits.links;
        let mut cached = Cached::default();
        let mut candidates = Vec::new();
        let mut other = dump.captured.reader();
        for heap in heaps {
            candidates.extend(chunks::first(&mut other, heap));
        }
        frame.walk(&mut other, &mut |chunk| {
            if cache::may_be(chunk.size) && candidates.len() < dump.limits.links {
                candidates.push(chunk);
            }
        });
        candidates.sort_unstable_by_key(|chunk| chunk.start);
        candidates.dedup_by_key(|chunk| chunk.start);
        for chunk in candidates {
            cached.tcache.extend(cache::tcache(&mut reader, &chunk, &mut room));
        }
        if let Some(arena) = frame.arena {
            cached.fastbin.extend(cache::fastbins(&mut reader, arena, &mut room));
        }
        cached
    }

    fn state(&self, chunk: &Chunk) -> ChunkState {
        match chunk.state {
            ChunkState::InUse if self.tcache.contains(&chunk.start) => ChunkState::Tcache,
            ChunkState::InUse if self.fastbin.contains(&chunk.start) => ChunkState::Fastbin,
            state => state,
        }
    }

    fn mark(&self, found: &mut [Result<InChunk, Unknown>]) {
        for inside in found.iter_mut().filter_map(|found| found.as_mut().ok()) {
            let InChunk { chunk, previous, next, .. } = inside;
            for chunk in [Some(chunk), previous.as_mut(), next.as_mut()].into_iter().flatten() {
                chunk.state = self.state(chunk);
            }
        }
    }
}

/// Counts the chunks of the sizes that were found.
fn count(
    reader: &mut crate::dump::MemoryReader<'_, '_>,
    frame: &Frame,
    cached: &Cached,
    found: &mut [Result<InChunk, Unknown>],
) {
    let mut sums: Vec<(u64, u64, u64)> = Vec::new();
    for inside in found.iter().flatten() {
        sums.push((inside.chunk.size, 0, 0));
    }
    sums.sort_unstable();
    sums.dedup();
    frame.walk(reader, &mut |chunk| {
        if chunk.state == ChunkState::Top {
            return;
        }
        let Ok(at) = sums.binary_search_by_key(&chunk.size, |(size, ..)| *size) else { return };
        if let Some((_, all, in_use)) = sums.get_mut(at) {
            *all = all.saturating_add(1);
            let used = cached.state(&chunk) == ChunkState::InUse;
            *in_use = in_use.saturating_add(u64::from(used));
        }
    });
    for inside in found.iter_mut().flatten() {
        let at = sums.binary_search_by_key(&inside.chunk.size, |(size, ..)| *size);
        if let Some((_, all, in_use)) = at.ok().and_then(|at| sums.get(at)) {
            (inside.alike, inside.alike_in_use) = (*all, *in_use);
        }
    }
}
