//! Where a walk puts what it finds: sums it up, and passes every block on.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::block::{Block, Internal, Place, State};
use super::outcome::{Bucket, Corruption, Missing, MissingWhy, Reason, Torn, Walk};
use crate::addr::AddressRange;
use crate::dump::Dump;

/// What is told of every block; it may end the walk.
pub(super) type Visit<'v> = dyn FnMut(&Block) -> ControlFlow<()> + 'v;

/// Blocks of one size that follow each other in a container.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Where the container begins, and where the first block.
    pub(super) container: u64,
    pub(super) first: u64,
    pub(super) size: u64,
    pub(super) count: u32,
    /// Bytes of a block before what the program has.
    pub(super) header: u64,
}

pub(super) struct Sink<'v> {
    visit: &'v mut Visit<'v>,
    walk: Walk,
    buckets: BTreeMap<u64, Bucket>,
    /// The visitor has seen enough.
    pub(super) stopped: bool,
    scrubbed: bool,
}

impl<'v> Sink<'v> {
    /// The more buckets there can be, the less they say: block sizes of the
    /// real ones are a few hundred.
    const BUCKETS: usize = 4_096;

    pub(super) fn new(dump: &Dump<'_>, visit: &'v mut Visit<'v>) -> Sink<'v> {
        /// MiniDumpFilterMemory and MiniDumpFilterTriage.
        const FILTERED: u64 = 0x8 | 0x10_0000;
        Sink {
            visit,
            walk: Walk { complete: true, ..Walk::default() },
            buckets: BTreeMap::new(),
            stopped: false,
            scrubbed: dump.header.flags & FILTERED != 0,
        }
    }

    /// A block. Those in a container come after it.
    pub(super) fn block(&mut self, block: Block) {
        let walk = &mut self.walk;
        let in_container = block.place.container().is_some();
        match block.state {
            State::Busy => {
                add(&mut walk.busy_blocks, 1);
                add(&mut walk.busy_bytes, block.size);
                let behind = block.address.saturating_sub(block.start);
                let usable = block.size.saturating_sub(behind);
                add(&mut walk.user_bytes, block.user_size.unwrap_or(usable));
            }
            State::Free => {
                add(&mut walk.free_blocks, 1);
                add(&mut walk.free_bytes, block.size);
                walk.largest_free = walk.largest_free.max(block.size);
            }
            State::Internal(_) => add(&mut walk.internal_bytes, block.size),
        }
        match block.state {
            _ if in_container => {
                walk.internal_bytes = walk.internal_bytes.saturating_sub(block.size);
            }
            _ if block.place == Place::Large => {}
            State::Free => {
                let entries = &mut walk.entries;
                add(&mut entries.free, 1);
                if matches!(block.place, Place::Segment(_)) {
                    add(&mut entries.free_bytes, block.size);
                    entries.largest_free = entries.largest_free.max(block.size);
                }
            }
            State::Busy | State::Internal(_) => add(&mut walk.entries.busy, 1),
        }
        if block.state == State::Internal(Internal::Container) {
            add(&mut walk.entries.containers, 1);
        }
        self.stopped |= (self.visit)(&block).is_break();
    }

    /// The blocks of a container, and the container itself for the sums by
    /// size. `tell` says of the block at an address whether it is busy, and its
    /// user size. Answers how many are busy; `None` when the visitor has seen
    /// enough.
    pub(super) fn row(
        &mut self,
        row: Row,
        mut tell: impl FnMut(u32, u64) -> (bool, Option<u64>),
    ) -> Option<u64> {
        let Row { container, size, header, .. } = row;
        let usable = size.saturating_sub(header);
        let (mut seen, mut busy, mut user_bytes) = (0_u32, 0_u32, 0_u64);
        let mut start = row.first;
        while seen < row.count {
            let (is_busy, user_size) = tell(seen, start);
            let state = if is_busy { State::Busy } else { State::Free };
            let (address, index) = (start.wrapping_add(header), seen);
            let place = Place::LowFragmentation { container, index };
            let block = Block { start, size, address, user_size, state, place };
            seen = seen.wrapping_add(1);
            if is_busy {
                busy = busy.wrapping_add(1);
                add(&mut user_bytes, user_size.unwrap_or(usable));
            }
            if (self.visit)(&block).is_break() {
                self.stopped = true;
                break;
            }
            start = start.wrapping_add(size);
        }
        let (seen, busy) = (u64::from(seen), u64::from(busy));
        let (walk, free) = (&mut self.walk, seen.saturating_sub(busy));
        add(&mut walk.busy_blocks, busy);
        add(&mut walk.busy_bytes, busy.saturating_mul(size));
        add(&mut walk.user_bytes, user_bytes);
        add(&mut walk.free_blocks, free);
        add(&mut walk.free_bytes, free.saturating_mul(size));
        if free > 0 {
            walk.largest_free = walk.largest_free.max(size);
        }
        walk.internal_bytes = walk.internal_bytes.saturating_sub(seen.saturating_mul(size));
        if self.stopped {
            return None;
        }
        self.bucket(size, seen, busy);
        Some(busy)
    }

    /// A container of the low-fragmentation heap, for the sums by size.
    pub(super) fn bucket(&mut self, block_size: u64, blocks: u64, busy: u64) {
        if self.buckets.len() >= Self::BUCKETS && !self.buckets.contains_key(&block_size) {
            return;
        }
        let bucket = self.buckets.entry(block_size).or_default();
        bucket.block_size = block_size;
        add(&mut bucket.containers, 1);
        add(&mut bucket.blocks, blocks);
        add(&mut bucket.busy, busy);
    }

    pub(super) fn missing(&mut self, range: Option<AddressRange>, why: MissingWhy) {
        self.walk.complete = false;
        if let Some(last) = self.walk.missing.last_mut()
            && last.why == why
            && let (Some(before), Some(range)) = (last.range, range)
            && before.last().checked_add(1) == Some(range.start())
            && let Some(both) = AddressRange::spanning(before.start(), range.last())
        {
            last.range = Some(both);
            return;
        }
        let missing = Missing { range, why };
        if self.walk.missing.len() < Walk::LISTED {
            if !self.walk.missing.contains(&missing) || range.is_some() {
                self.walk.missing.push(missing);
            }
        } else {
            add(&mut self.walk.more_missing, 1);
        }
    }

    /// A contradiction; nothing at all where the writer blanked the memory.
    pub(super) fn corrupt(
        &mut self,
        address: u64,
        reason: Reason,
        detail: impl FnOnce() -> String,
    ) {
        if self.scrubbed {
            if !self.walk.missing.iter().any(|known| known.why == MissingWhy::Scrubbed) {
                self.missing(None, MissingWhy::Scrubbed);
            }
        } else if self.walk.problems.len() < Walk::LISTED {
            self.walk.problems.push(Corruption { address, reason, detail: detail() });
        } else {
            add(&mut self.walk.more_problems, 1);
        }
    }

    pub(super) fn torn(&mut self, address: u64, reason: Reason, detail: impl FnOnce() -> String) {
        if !self.scrubbed && self.walk.torn.len() < Walk::LISTED {
            self.walk.torn.push(Torn { address, reason, detail: detail() });
        }
    }

    pub(super) fn so_far(&self) -> &Walk {
        &self.walk
    }

    pub(super) fn finish(mut self) -> Walk {
        self.walk.buckets = self.buckets.into_values().collect();
        self.walk.complete &= !self.stopped;
        self.walk
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
