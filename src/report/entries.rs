//! What the entries of a heap say: buckets, sizes, contradictions, blocks.

use std::collections::BTreeMap;

use serde::Serialize;

use super::heaps::{Told, chosen};
use super::{Hex, Input, RangeView};
use crate::evidence::heaps::walk::{
    Block, Bucket, Histogram, Missing, Place, Scope, SizeCount, walk,
};

/// Blocks of one size in the low-fragmentation heap.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BucketView {
    /// Bytes of a block, header included.
    pub block_size: u64,
    /// Containers of such blocks.
    pub containers: u64,
    /// Blocks.
    pub blocks: u64,
    /// Of them busy.
    pub busy: u64,
}

impl BucketView {
    pub(super) fn of(bucket: &Bucket) -> BucketView {
        let Bucket { block_size, containers, blocks, busy } = *bucket;
        BucketView { block_size, containers, blocks, busy }
    }
}

/// A contradiction in the entries.
#[derive(Clone, Debug, Serialize)]
pub struct CorruptionView {
    /// The structure that contradicts.
    pub address: Hex,
    /// `checksum`, `previous-size`, `links` …
    pub reason: &'static str,
    /// The numbers.
    pub detail: String,
}

impl CorruptionView {
    /// As a sentence.
    pub(super) fn words(&self) -> String {
        format!("{} at {}: {}", self.reason, self.address, self.detail)
    }
}

/// Entries that could not be read.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UnreadView {
    /// Where, as far as that is known.
    pub range: Option<RangeView>,
    /// Why.
    pub why: &'static str,
}

impl UnreadView {
    pub(super) fn of(input: &Input<'_>, missing: &Missing) -> UnreadView {
        UnreadView {
            range: missing.range.map(|range| RangeView::of(input, range)),
            why: missing.why.as_str(),
        }
    }
}

/// Sizes of busy blocks, as the program asked for them.
#[derive(Clone, Debug, Serialize)]
pub struct SizesView {
    /// How many different sizes there are.
    pub distinct: u64,
    /// Those with most bytes, most first.
    pub top: Vec<SizeView>,
    /// All, by powers of two: up to `size`, more than half of it.
    pub histogram: Vec<SizeView>,
    /// Blocks that are in neither: there were too many sizes.
    pub left_out: u64,
}

/// Blocks of one size.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SizeView {
    /// Bytes of a block.
    pub size: u64,
    /// Blocks.
    pub count: u64,
    /// Bytes of them together.
    pub bytes: u64,
}

/// How many sizes are listed one by one.
const TOP: usize = 20;

pub(super) fn sizes(histogram: &Histogram) -> SizesView {
    let all = histogram.top(usize::MAX);
    let mut powers: BTreeMap<u64, SizeView> = BTreeMap::new();
    for SizeCount { size, count, bytes } in &all {
        let power = size.checked_next_power_of_two().unwrap_or(u64::MAX);
        let sum = powers.entry(power).or_default();
        sum.size = power;
        sum.count = sum.count.saturating_add(*count);
        sum.bytes = sum.bytes.saturating_add(*bytes);
    }
    let view = |of: &SizeCount| SizeView { size: of.size, count: of.count, bytes: of.bytes };
    SizesView {
        distinct: histogram.len() as u64,
        top: all.iter().take(TOP).map(view).collect(),
        histogram: powers.into_values().collect(),
        left_out: histogram.left_out(),
    }
}

/// One block, for listings.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BlockView {
    /// Its heap's handle.
    pub heap: Hex,
    /// What the program got, or would get.
    pub address: Hex,
    /// Its first byte, that of its header where it has one.
    pub start: Hex,
    /// Bytes from `start` to the next block.
    pub size: u64,
    /// Bytes the program asked for; null when the heap does not keep that.
    pub user_size: Option<u64>,
    /// `busy`, `free`, or what the heap uses it for.
    pub state: &'static str,
    /// `segment`, `lfh`, `vs`, `pages`, `large block`, `page heap`.
    pub place: &'static str,
    /// The container it is in.
    pub container: Option<Hex>,
    /// Its place in the container.
    pub index: Option<u32>,
}

impl BlockView {
    pub(super) fn of(input: &Input<'_>, heap: u64, block: &Block) -> BlockView {
        BlockView {
            heap: input.hex(heap),
            address: input.hex(block.address),
            start: input.hex(block.start),
            size: block.size,
            user_size: block.user_size,
            state: block.state.as_str(),
            place: block.place.as_str(),
            container: block.place.container().map(|container| input.hex(container)),
            index: match block.place {
                Place::LowFragmentation { index, .. } => Some(index),
                _ => None,
            },
        }
    }
}

/// Every block of the heaps, one after the other; nothing is kept. `read` is
/// told of the bytes that the walk has behind it, now and then.
///
/// # Errors
/// There is no heap at the address asked for, before the first block.
pub fn blocks(
    input: &Input<'_>,
    heap: Option<u64>,
    read: &mut dyn FnMut(u64),
    mut each: impl FnMut(&BlockView),
) -> Result<(), String> {
    let analysis = input.analysis;
    let heaps = &analysis.evidence.heaps;
    let chosen = chosen(input, heap)?;
    let scope = Scope::of(&analysis.dump, &analysis.map, heaps);
    let mut told = Told::new(read);
    for index in chosen {
        let address = heaps.get(index).map_or(0, |heap| heap.address);
        walk(&scope, index, &mut |block| {
            told.block(block);
            each(&BlockView::of(input, address, block));
        });
    }
    Ok(())
}
