//! `_HEAP_USERDATA_HEADER`: the containers of the NT heap's low-fragmentation
//! heap, found in a heap's entries or by their signature.

use super::super::context::{Context, at, pointer_size};
use super::super::{Heap, HeapType, nt_layout};
use super::entry::granule;
use super::signatures::{SIGNATURE, Signatures};
use super::{Scope, keys};
use crate::addr::AddressRange;
use crate::dump::{Dump, MemoryReader, PointerWidth};
use crate::map::{MemoryType, Region, RegionMap, State};

/// One container of blocks of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserBlocks {
    /// `_HEAP_USERDATA_HEADER`.
    pub header: u64,
    /// How wide its pointers are.
    pub width: PointerWidth,
    /// `_LFH_HEAP` of its heap: that of its subsegment. `None` when the
    /// subsegment is not captured.
    pub front_end: Option<u64>,
    /// Bytes of a block, header included; `None` when neither the subsegment
    /// is captured nor the key known.
    pub block_size: Option<u64>,
    /// The first block's offset from `header`, by the key; `None` without.
    pub first: Option<u64>,
    /// Blocks.
    pub blocks: u64,
    /// Free blocks by the bits or by the blocks' headers.
    pub free: u64,
    /// Free blocks by the subsegment's Depth.
    pub depth: Option<u64>,
    /// Key ^ (FirstAllocationOffset | BlockStride << 16), once the subsegment
    /// tells the front end.
    pub(super) masked: Option<u32>,
    /// Where the bitmap is: one bit a block, set for busy. `None` where headers
    /// tell.
    pub(super) bitmap: Option<u64>,
}

/// Where the fields are, by version and width.
struct Layout {
    width: PointerWidth,
    signature: u64,
    /// Of 8 and later: the encoded offsets, the bitmap's size and the pointer
    /// to it, the bitmap.
    bitmap: Option<[u64; 4]>,
    /// Of 7 and earlier: the first block.
    first: u64,
    /// In `_HEAP_SUBSEGMENT`: UserBlocks, Depth, BlockSize, BlockCount.
    subsegment: [u64; 4],
}

static LAYOUTS: [Layout; 4] = [
    Layout {
        width: PointerWidth::Bits64,
        signature: 0x14,
        bitmap: Some([0x18, 0x20, 0x28, 0x30]),
        first: 0,
        subsegment: [8, 0x20, 0x24, 0x28],
    },
    Layout {
        width: PointerWidth::Bits32,
        signature: 0xc,
        bitmap: Some([0x10, 0x14, 0x18, 0x1c]),
        first: 0,
        subsegment: [4, 0x10, 0x14, 0x18],
    },
    Layout {
        width: PointerWidth::Bits64,
        signature: 0x18,
        bitmap: None,
        first: 0x20,
        subsegment: [8, 0x10, 0x18, 0x1c],
    },
    Layout {
        width: PointerWidth::Bits32,
        signature: 0xc,
        bitmap: None,
        first: 0x10,
        subsegment: [4, 8, 0x10, 0x14],
    },
];

/// The containers in captured private memory, in address order, whosever heap
/// they are of: for dumps that hold a few pages of a heap only. Reads all of
/// that memory.
pub fn user_blocks(scope: &Scope<'_, '_>) -> Vec<UserBlocks> {
    let mut context = Context::new(scope.dump, scope.map);
    let mut found = Vec::new();
    let limit = scope.dump.limits.links;
    'all: for part in private(scope.dump, scope.map) {
        let mut signatures = Signatures::of(part, &scope.signatures);
        while let Some(hit) = signatures.next(&mut context.memory) {
            found.extend(at_signature(&mut context, hit, None));
            if found.len() >= limit {
                break 'all;
            }
        }
    }
    let front_ends = front_ends(&mut context, scope);
    for blocks in &mut found {
        let key = scope.keys.low_fragmentation(blocks.width);
        let width = blocks.width;
        let known = front_ends.iter().filter(|(of, _)| *of == width);
        for candidate in std::iter::once(None).chain(known.map(|(_, at)| Some(*at))) {
            if blocks.first.is_none() {
                blocks.decode(key, candidate);
            }
        }
    }
    found
}

/// `_LFH_HEAP` of every heap that has one.
fn front_ends(context: &mut Context<'_, '_>, scope: &Scope<'_, '_>) -> Vec<(PointerWidth, u64)> {
    let of = |heap: &Heap| {
        let (layout, _) = nt_layout::choose(context, heap.address, heap.width)?;
        let pointer = context.pointer(heap.address, layout.front_end, heap.width)?;
        (pointer != 0).then_some((heap.width, pointer))
    };
    let nt = scope.heaps.iter().filter(|heap| heap.heap_type == Some(HeapType::Nt));
    nt.filter_map(of).collect()
}

/// Captured private memory.
fn private(dump: &Dump<'_>, map: &RegionMap<'_>) -> impl Iterator<Item = AddressRange> {
    let wanted = |region: &Region| {
        region.state == State::Commit
            && matches!(region.memory_type, Some(MemoryType::Private | MemoryType::Mapped))
    };
    dump.captured.ranges().iter().flat_map(move |run| {
        let known = map.knows_free();
        let regions = known.then(|| map.regions_in(run.range).filter(wanted));
        let parts = regions.into_iter().flatten();
        let parts = parts.filter_map(|region| region.range.intersect(run.range));
        parts.chain((!known).then_some(run.range))
    })
}

/// The container whose signature stands at `hit`, if it is one.
pub(super) fn at_signature(
    context: &mut Context<'_, '_>,
    hit: u64,
    width: Option<PointerWidth>,
) -> Option<UserBlocks> {
    LAYOUTS.iter().find_map(|layout| {
        let header = hit.checked_sub(layout.signature)?;
        let fits = width.is_none_or(|width| width == layout.width);
        let aligned = header.is_multiple_of(granule(layout.width));
        (fits && aligned).then(|| read(context, layout, header)).flatten()
    })
}

/// The container at `header`, if there is one.
pub(super) fn at_header(
    context: &mut Context<'_, '_>,
    header: u64,
    width: PointerWidth,
    bitmap: bool,
) -> Option<UserBlocks> {
    let mut layouts = LAYOUTS.iter();
    let layout =
        layouts.find(|layout| layout.width == width && layout.bitmap.is_some() == bitmap)?;
    (context.word(header, layout.signature)? == SIGNATURE).then_some(())?;
    read(context, layout, header)
}

/// Blocks by the bitmap and by the subsegment, where a container has both and
/// they differ.
pub(super) fn contradiction(
    context: &mut Context<'_, '_>,
    header: u64,
    width: PointerWidth,
) -> Option<(u64, u64)> {
    let mut layouts = LAYOUTS.iter();
    let layout = layouts.find(|layout| layout.width == width && layout.bitmap.is_some())?;
    let [_, count, buffer, data] = layout.bitmap?;
    (context.word(header, layout.signature)? == SIGNATURE).then_some(())?;
    (context.pointer(header, buffer, width)? == at(header, data)).then_some(())?;
    let by_bitmap = u64::from(context.word(header, count)?);
    let by_subsegment = subsegment(context, layout, header)?.blocks;
    (by_bitmap != by_subsegment).then_some((by_bitmap, by_subsegment))
}

fn read(context: &mut Context<'_, '_>, layout: &Layout, header: u64) -> Option<UserBlocks> {
    let subsegment = subsegment(context, layout, header);
    let mut found = UserBlocks {
        header,
        width: layout.width,
        front_end: subsegment.as_ref().map(|subsegment| subsegment.front_end),
        block_size: subsegment.as_ref().map(|subsegment| subsegment.block_size),
        first: None,
        blocks: 0,
        free: 0,
        depth: subsegment.as_ref().map(|subsegment| subsegment.depth),
        masked: None,
        bitmap: None,
    };
    let Some([offsets, count, buffer, data]) = layout.bitmap else {
        let subsegment = subsegment?;
        found.blocks = subsegment.blocks;
        found.first = Some(layout.first);
        found.free = subsegment.depth;
        return Some(found);
    };
    let pointer = context.pointer(header, buffer, layout.width)?;
    let blocks = u64::from(context.word(header, count)?);
    let sound = pointer == at(header, data) && (1..=0x1_0000).contains(&blocks);
    if !sound || subsegment.as_ref().is_some_and(|subsegment| subsegment.blocks != blocks) {
        return None;
    }
    let bitmap = at(header, data);
    found.blocks = blocks;
    found.free = blocks.saturating_sub(ones(&mut context.memory, bitmap, blocks)?);
    found.bitmap = Some(bitmap);
    let stored = context.word(header, offsets)?;
    found.masked = Some(stored ^ keys::low(header));
    Some(found)
}

/// How many of so many bits are set; `None` unless all are captured.
fn ones(memory: &mut MemoryReader<'_, '_>, start: u64, bits: u64) -> Option<u64> {
    (0..bits.div_ceil(8)).try_fold(0_u64, |ones, index| {
        let byte = memory.u8(at(start, index))?;
        let left = bits.saturating_sub(index.saturating_mul(8));
        let beyond = 8_u64.saturating_sub(left);
        let used = u8::MAX.checked_shr(u32::try_from(beyond).ok()?)?;
        Some(ones.saturating_add((byte & used).count_ones().into()))
    })
}

struct Subsegment {
    front_end: u64,
    block_size: u64,
    blocks: u64,
    depth: u64,
}

/// `_HEAP_SUBSEGMENT`, which points back to its user blocks.
fn subsegment(context: &mut Context<'_, '_>, layout: &Layout, header: u64) -> Option<Subsegment> {
    let address = context.pointer(header, 0, layout.width)?;
    let [user_blocks, depth, block_size, blocks] = layout.subsegment;
    let back = context.pointer(address, user_blocks, layout.width)?;
    (back == header && address != 0).then_some(())?;
    let front_end = context.pointer(address, 0, layout.width)?;
    let block_size = u64::from(context.memory.u16(at(address, block_size))?);
    let blocks = u64::from(context.memory.u16(at(address, blocks))?);
    let depth = u64::from(context.memory.u16(at(address, depth))?);
    (block_size > 0 && blocks > 0).then_some(Subsegment {
        front_end: front_end & !0xffff,
        block_size: block_size.saturating_mul(granule(layout.width)),
        blocks,
        depth,
    })
}

impl UserBlocks {
    /// The key that this stride and a first block at `first` would mean.
    pub(super) fn key_for(&self, first: u64) -> Option<u32> {
        let stride = u32::try_from(self.block_size?).ok().filter(|stride| *stride <= 0xffff)?;
        let first = u32::try_from(first).ok().filter(|first| *first <= 0xffff)?;
        Some(self.masked? ^ keys::low(self.front_end?) ^ (first | stride.checked_shl(16)?))
    }

    /// Where the first block is by the size of header and bitmap: most are
    /// there, the rest one granule further.
    pub(super) fn first_by_size(&self) -> u64 {
        let granule = granule(self.width);
        let data: u64 = match self.width {
            PointerWidth::Bits64 => 0x30,
            PointerWidth::Bits32 => 0x1c,
        };
        let word = pointer_size(self.width).saturating_mul(8);
        let words = self.blocks.div_ceil(word).saturating_mul(pointer_size(self.width));
        data.saturating_add(words).next_multiple_of(granule)
    }

    /// Reads FirstAllocationOffset and BlockStride with the key. `front_end`
    /// is that of the heap, where the subsegment is not captured.
    pub(super) fn decode(&mut self, key: Option<u32>, front_end: Option<u64>) {
        let (Some(masked), Some(key)) = (self.masked, key) else { return };
        let Some(front_end) = self.front_end.or(front_end) else { return };
        let word = masked ^ keys::low(front_end) ^ key;
        let (first, stride) = (u64::from(word & 0xffff), u64::from(word >> 16));
        let granule = granule(self.width);
        // Without the subsegment, that the first block is where it can be is
        // the only sign that key and heap are the right ones.
        let behind = first.wrapping_sub(self.first_by_size());
        let fits = matches!(behind, 0 | 8 | 0x10)
            && first.is_multiple_of(granule)
            && stride > 0
            && stride.is_multiple_of(granule)
            && self.block_size.is_none_or(|size| size == stride);
        if fits {
            (self.first, self.block_size) = (Some(first), Some(stride));
            self.front_end = Some(front_end);
        }
    }

    /// Its bytes, the entry's header before it not among them.
    pub fn range(&self) -> Option<AddressRange> {
        let size = self.blocks.checked_mul(self.block_size?)?.checked_add(self.first?)?;
        AddressRange::new(self.header, size)
    }
}
