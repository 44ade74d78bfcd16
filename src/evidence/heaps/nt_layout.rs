//! Offsets of `_HEAP` and `_HEAP_SEGMENT`, Vista and later, and which of them
//! a heap agrees with. ARM64 is as x64.

use super::Spread;
use super::context::{Context, PAGE, at, pointer_size};
use super::recognise::{NT_HEAP, signature_offset};
use crate::dump::PointerWidth::{self, Bits32, Bits64};

/// Where the fields of `_HEAP` are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NtLayout {
    /// The versions of Windows that have it.
    pub(super) name: &'static str,
    pub(super) width: PointerWidth,
    pub(super) flags: u64,
    /// EncodeFlagMask, and the 8 bytes of Encoding that headers are XORed with.
    pub(super) encode_mask: u64,
    pub(super) encoding: u64,
    pub(super) signature: u64,
    /// TotalFreeSize, in granules.
    pub(super) total_free: u64,
    pub(super) free_lists: u64,
    pub(super) virtual_blocks: u64,
    pub(super) segment_list: u64,
    pub(super) front_end: u64,
    pub(super) front_end_type: u64,
    pub(super) counters: u64,
    pub(super) low_fragmentation: LowFragmentation,
}

/// How the low-fragmentation heap of a version keeps its user blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LowFragmentation {
    /// Free blocks are those whose header says so.
    Headers,
    /// A bitmap says which blocks are busy: Windows 8 and later.
    Bitmap,
}

/// `_HEAP`: 7601 and 17763 to 26200 were seen in dumps of both widths; the
/// others come from public symbols.
pub(super) static LAYOUTS: [NtLayout; 8] = [
    NtLayout {
        name: "Windows 10 1809 to 11, x64",
        width: Bits64,
        flags: 0x70,
        encode_mask: 0x7c,
        encoding: 0x88,
        signature: 0x98,
        total_free: 0xc0,
        free_lists: 0x150,
        virtual_blocks: 0x110,
        segment_list: 0x120,
        front_end: 0x198,
        front_end_type: 0x1a2,
        counters: 0x238,
        low_fragmentation: LowFragmentation::Bitmap,
    },
    NtLayout {
        name: "Windows 10 1607 to 1803, x64",
        width: Bits64,
        flags: 0x70,
        encode_mask: 0x7c,
        encoding: 0x88,
        signature: 0x98,
        total_free: 0xc0,
        free_lists: 0x150,
        virtual_blocks: 0x110,
        segment_list: 0x120,
        front_end: 0x178,
        front_end_type: 0x182,
        counters: 0x218,
        low_fragmentation: LowFragmentation::Bitmap,
    },
    NtLayout {
        name: "Windows 8 to 10 1511, x64",
        width: Bits64,
        flags: 0x70,
        encode_mask: 0x7c,
        encoding: 0x88,
        signature: 0x98,
        total_free: 0xc0,
        free_lists: 0x150,
        virtual_blocks: 0x110,
        segment_list: 0x120,
        front_end: 0x170,
        front_end_type: 0x17a,
        counters: 0x210,
        low_fragmentation: LowFragmentation::Bitmap,
    },
    NtLayout {
        name: "Windows Vista and 7, x64",
        width: Bits64,
        flags: 0x70,
        encode_mask: 0x7c,
        encoding: 0x88,
        signature: 0xa0,
        total_free: 0xc8,
        free_lists: 0x158,
        virtual_blocks: 0x118,
        segment_list: 0x128,
        front_end: 0x178,
        front_end_type: 0x182,
        counters: 0x188,
        low_fragmentation: LowFragmentation::Headers,
    },
    NtLayout {
        name: "Windows 10 1809 to 11, x86",
        width: Bits32,
        flags: 0x40,
        encode_mask: 0x4c,
        encoding: 0x50,
        signature: 0x60,
        total_free: 0x74,
        free_lists: 0xc0,
        virtual_blocks: 0x9c,
        segment_list: 0xa4,
        front_end: 0xe4,
        front_end_type: 0xea,
        counters: 0x1f4,
        low_fragmentation: LowFragmentation::Bitmap,
    },
    NtLayout {
        name: "Windows 10 1607 to 1803, x86",
        width: Bits32,
        flags: 0x40,
        encode_mask: 0x4c,
        encoding: 0x50,
        signature: 0x60,
        total_free: 0x74,
        free_lists: 0xc0,
        virtual_blocks: 0x9c,
        segment_list: 0xa4,
        front_end: 0xd4,
        front_end_type: 0xda,
        counters: 0x1e4,
        low_fragmentation: LowFragmentation::Bitmap,
    },
    NtLayout {
        name: "Windows 8 to 10 1511, x86",
        width: Bits32,
        flags: 0x40,
        encode_mask: 0x4c,
        encoding: 0x50,
        signature: 0x60,
        total_free: 0x74,
        free_lists: 0xc0,
        virtual_blocks: 0x9c,
        segment_list: 0xa4,
        front_end: 0xd0,
        front_end_type: 0xd6,
        counters: 0x1e0,
        low_fragmentation: LowFragmentation::Bitmap,
    },
    NtLayout {
        name: "Windows Vista and 7, x86",
        width: Bits32,
        flags: 0x40,
        encode_mask: 0x4c,
        encoding: 0x50,
        signature: 0x64,
        total_free: 0x78,
        free_lists: 0xc4,
        virtual_blocks: 0xa0,
        segment_list: 0xa8,
        front_end: 0xd4,
        front_end_type: 0xda,
        counters: 0xdc,
        low_fragmentation: LowFragmentation::Headers,
    },
];

/// Where the fields of `_HEAP_SEGMENT` are: the same from Vista to 11.
pub(super) struct SegmentLayout {
    /// SegmentListEntry.
    pub(super) list_entry: u64,
    pub(super) heap: u64,
    pub(super) base: u64,
    pub(super) pages: u64,
    pub(super) last_valid_entry: u64,
    pub(super) uncommitted_pages: u64,
    /// UCRSegmentList.
    pub(super) uncommitted_list: u64,
}

pub(super) fn segment_layout(width: PointerWidth) -> SegmentLayout {
    match width {
        Bits32 => SegmentLayout {
            list_entry: 0x10,
            heap: 0x18,
            base: 0x1c,
            pages: 0x20,
            last_valid_entry: 0x28,
            uncommitted_pages: 0x2c,
            uncommitted_list: 0x38,
        },
        Bits64 => SegmentLayout {
            list_entry: 0x18,
            heap: 0x28,
            base: 0x30,
            pages: 0x38,
            last_valid_entry: 0x48,
            uncommitted_pages: 0x50,
            uncommitted_list: 0x60,
        },
    }
}

/// What `_HEAP.Counters` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) reserved: u64,
    pub(super) committed: u64,
    /// Bytes of uncommitted ranges that are larger than any block:
    /// TotalMemoryLargeUCR.
    pub(super) large_uncommitted: u64,
    pub(super) segments: u32,
}

impl Counters {
    /// Committed bytes and addresses as `!heap -s` has them: "virtual bytes
    /// (correction for large UCR)".
    pub(super) fn spread(self) -> Option<Spread> {
        let addresses = self.reserved.checked_sub(self.large_uncommitted)?;
        let committed = self.committed;
        (committed <= addresses).then_some(Spread { committed, addresses })
    }
}

/// The first layout that has 0xEEFFEEFF where the heap has it. The lists are
/// where it says; what lies behind them still has to be checked.
pub(super) fn by_signature(
    context: &mut Context<'_, '_>,
    heap: u64,
    width: PointerWidth,
) -> Option<&'static NtLayout> {
    LAYOUTS.iter().find(|layout| {
        layout.width == width && context.word(heap, layout.signature) == Some(NT_HEAP)
    })
}

/// The layout whose counters and front end make sense in this heap.
pub(super) fn choose(
    context: &mut Context<'_, '_>,
    heap: u64,
    width: PointerWidth,
) -> Option<(&'static NtLayout, Counters)> {
    let own = u64::from(context.word(heap, segment_layout(width).pages)?).saturating_mul(PAGE);
    let same_signature = |context: &mut Context<'_, '_>, layout: &NtLayout| {
        layout.width == width && context.word(heap, layout.signature) == Some(NT_HEAP)
    };
    LAYOUTS.iter().find_map(|layout| {
        if !same_signature(context, layout) {
            return None;
        }
        Some((layout, counters(context, heap, layout, own)?))
    })
}

/// TotalMemoryReserved, TotalMemoryCommitted and TotalSegments, when they can
/// be that: whole pages, no less than the heap's own segment, and a front end
/// pointer exactly when there is a front end.
fn counters(
    context: &mut Context<'_, '_>,
    heap: u64,
    layout: &NtLayout,
    own: u64,
) -> Option<Counters> {
    let pointer = pointer_size(layout.width);
    let reserved = context.pointer(heap, layout.counters, layout.width)?;
    let committed = context.pointer(heap, at(layout.counters, pointer), layout.width)?;
    let large = at(layout.counters, pointer.saturating_mul(2));
    let large_uncommitted = context.pointer(heap, large, layout.width)?;
    let segments = context.word(heap, at(layout.counters, pointer.saturating_mul(4)))?;
    let front_end = context.pointer(heap, layout.front_end, layout.width)?;
    let front_end_type = context.memory.u8(at(heap, layout.front_end_type))?;
    let pages = reserved.is_multiple_of(PAGE) && committed.is_multiple_of(PAGE);
    let sizes = reserved >= own && committed > 0 && committed <= reserved && segments > 0;
    let front = front_end_type <= 2 && (front_end == 0) == (front_end_type == 0);
    (pages && sizes && front).then_some(Counters {
        reserved,
        committed,
        large_uncommitted,
        segments,
    })
}

/// Whether `address` begins an NT segment, and of which heap.
pub(super) fn segment_owner(
    context: &mut Context<'_, '_>,
    address: u64,
    width: PointerWidth,
) -> Option<u64> {
    let signature = context.word(address, signature_offset(width))?;
    if signature != super::recognise::NT_SEGMENT {
        return None;
    }
    context.pointer(address, segment_layout(width).heap, width)
}
