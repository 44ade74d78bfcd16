//! Sizes of busy blocks, as `!heap -stat` lists them.

use std::collections::HashMap;

use super::block::{Block, State};

/// How many busy blocks of each size there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    sizes: HashMap<u64, u64>,
    /// Blocks of sizes that came when there were too many already.
    more: u64,
}

/// One size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeCount {
    /// Bytes the program asked for; of blocks that do not say, bytes it can
    /// use.
    pub size: u64,
    /// Blocks of this size.
    pub count: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl Histogram {
    /// Sizes kept apart.
    const SIZES: usize = 1 << 20;

    /// Counts the block if the program has it.
    pub fn add(&mut self, block: &Block) {
        if block.state != State::Busy {
            return;
        }
        let usable = block.size.saturating_sub(block.address.saturating_sub(block.start));
        let size = block.user_size.unwrap_or(usable);
        if self.sizes.len() >= Self::SIZES && !self.sizes.contains_key(&size) {
            self.more = self.more.saturating_add(1);
            return;
        }
        let count = self.sizes.entry(size).or_default();
        *count = count.saturating_add(1);
    }

    /// The `limit` sizes with most bytes, most first.
    pub fn top(&self, limit: usize) -> Vec<SizeCount> {
        let mut all: Vec<SizeCount> = self.sizes.iter().map(SizeCount::of).collect();
        all.sort_unstable_by_key(|size| (std::cmp::Reverse(size.bytes), size.size));
        all.truncate(limit);
        all
    }

    /// How many blocks there are of one size.
    pub fn count(&self, size: u64) -> u64 {
        self.sizes.get(&size).copied().unwrap_or(0)
    }

    /// How many sizes there are.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether no block was counted.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Blocks that are in no size: there were more than a million sizes.
    pub fn left_out(&self) -> u64 {
        self.more
    }
}

impl SizeCount {
    fn of((size, count): (&u64, &u64)) -> SizeCount {
        SizeCount { size: *size, count: *count, bytes: size.saturating_mul(*count) }
    }
}
