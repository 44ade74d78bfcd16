//! Every block of a heap. Nothing that runs for every dump calls this: a walk
//! reads all of a heap's pages, once, a page at a time.
//!
//! ```text
//! Scope::of     which keys the process XORs its heaps' structures with
//! walk          one heap: every block to a visitor, sums, contradictions
//! block_at      what an address is in
//! Histogram     sizes of blocks, as `!heap -stat` has them
//! ```
//!
//! A walk keeps what is sound and names what is missing. A contradiction is
//! reported where it is seen; behind it the walk goes on at the next place
//! that is sure. Nothing is repaired.

mod block;
mod crt;
mod entry;
mod find;
mod histogram;
mod keys;
mod lfh;
mod nt;
mod nt_old;
mod outcome;
mod page;
mod page_segment;
mod position;
mod segment;
mod segment_lfh;
mod signatures;
mod sink;
mod uncommitted;
mod user_blocks;
mod vs;
mod wine;

use std::ops::ControlFlow;

pub use block::{Block, Internal, Place, State};
pub use crt::{CrtBlock, CrtUse, crt_block};
pub use find::{BlockAt, block_at};
pub use histogram::{Histogram, SizeCount};
pub use keys::Keys;
pub use outcome::{
    Bucket, Corruption, Entries, Missing, MissingWhy, Reason, Torn, Walk, virtual_fragmentation,
};
pub use page::{PageHeapBlock, page_heap_block};
pub use user_blocks::{UserBlocks, user_blocks};

use super::context::Context;
use super::{Heap, HeapPart, HeapType, recognise};
use crate::addr::AddressRange;
use crate::dump::Dump;
use crate::map::RegionMap;
use sink::{Sink, Visit};

/// The heaps of one process, and what all walks of them share.
#[derive(Debug)]
pub struct Scope<'a, 's> {
    /// The process.
    pub dump: &'a Dump<'s>,
    /// Its address space.
    pub map: &'a RegionMap<'s>,
    /// Its heaps.
    pub heaps: &'a [Heap],
    /// What their structures are XORed with.
    pub keys: Keys,
    /// The signatures of containers that the search for the keys has found.
    signatures: signatures::Known,
}

impl<'a, 's> Scope<'a, 's> {
    /// Finds the keys: reads user blocks of the low-fragmentation heap until
    /// enough of them agree.
    pub fn of(dump: &'a Dump<'s>, map: &'a RegionMap<'s>, heaps: &'a [Heap]) -> Scope<'a, 's> {
        let (keys, signatures) = keys::find(dump, map, heaps);
        Scope { dump, map, heaps, keys, signatures }
    }
}

/// Gives every block of the heap at `index` in the scope's list to `visit`:
/// part by part, upwards in each, blocks of a container behind it.
pub fn walk(scope: &Scope<'_, '_>, index: usize, visit: &mut impl FnMut(&Block)) -> Walk {
    let mut all = |block: &Block| {
        visit(block);
        ControlFlow::Continue(())
    };
    walk_until(scope, index, None, &mut all)
}

/// As [`walk`], until the visitor breaks off; only the parts around `only`
/// where that is given.
fn walk_until(
    scope: &Scope<'_, '_>,
    index: usize,
    only: Option<u64>,
    visit: &mut Visit<'_>,
) -> Walk {
    let mut sink = Sink::new(scope.dump, visit);
    let Some(heap) = scope.heaps.get(index) else {
        sink.missing(None, MissingWhy::LayoutUnknown);
        return sink.finish();
    };
    let context = Context::new(scope.dump, scope.map);
    let mut parts: Vec<AddressRange> = heap.parts.iter().map(|part| part.range).collect();
    parts.sort_unstable_by_key(|part| part.start());
    let mut walker = Walker { context, heap, parts, scope, only, sink };
    match heap.heap_type {
        Some(HeapType::Nt) => {
            match recognise::signature(&mut walker.context, heap.address, heap.width) {
                Some(recognise::NT_HEAP) => nt_old::walk(&mut walker),
                _ => nt::walk(&mut walker),
            }
        }

        Some(HeapType::Segment) => segment::walk(&mut walker),
        Some(HeapType::Page) => page::walk(&mut walker),
        Some(HeapType::Wine) => wine::walk(&mut walker),

        None => {
            let captured = scope.dump.captured.find(heap.address).is_some();
            let why = if captured { MissingWhy::LayoutUnknown } else { MissingWhy::NotCaptured };
            walker.sink.missing(None, why);
        }
    }
    walker.sink.finish()
}

/// One walk under way.
struct Walker<'w, 'a, 's> {
    context: Context<'a, 's>,
    heap: &'a Heap,
    /// Its parts in address order.
    parts: Vec<AddressRange>,
    scope: &'w Scope<'a, 's>,
    only: Option<u64>,
    sink: Sink<'w>,
}

impl Walker<'_, '_, '_> {
    /// The parts of a role that the walk is to enter.
    fn parts(&self, role: &str) -> Vec<HeapPart> {
        let wanted = |part: &&HeapPart| {
            part.role == role && self.only.is_none_or(|only| part.range.contains(only))
        };
        self.heap.parts.iter().filter(wanted).copied().collect()
    }

    /// The part of the heap that has all of these bytes.
    fn part_around(&self, bytes: AddressRange) -> Option<AddressRange> {
        let after = self.parts.partition_point(|part| part.start() <= bytes.start());
        let part = self.parts.get(after.checked_sub(1)?)?;
        part.covers(bytes).then_some(*part)
    }

    /// Whether the heap has all of these bytes in one part.
    fn has(&self, bytes: Option<AddressRange>) -> bool {
        bytes.is_some_and(|bytes| self.part_around(bytes).is_some())
    }

    /// Whether the walk is to enter the part that begins there and has these
    /// bytes.
    fn wants(&self, start: u64, size: u64) -> bool {
        self.only.is_none_or(|only| only.wrapping_sub(start) < size)
    }

    /// The first captured byte from `address` on, below `end`.
    fn captured_from(&mut self, address: u64, end: u64) -> Option<u64> {
        self.context.memory.captured_from(address, end)
    }
}
