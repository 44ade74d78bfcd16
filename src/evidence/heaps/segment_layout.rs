//! Offsets of ntdll's `_SEGMENT_HEAP`, and which of them a heap agrees with.
//! ARM64 is as x64. The kernel's type of the same name differs.

use super::context::{Context, at};
use crate::dump::PointerWidth::{self, Bits32, Bits64};

/// Where the fields of `_SEGMENT_HEAP` are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SegmentHeapLayout {
    /// The versions of Windows that have it.
    pub(super) name: &'static str,
    pub(super) width: PointerWidth,
    /// MemStats: reserved and committed pages are its first two pointers.
    pub(super) statistics: u64,
    /// LargeAllocMetadata, an RTL_RB_TREE.
    pub(super) large_blocks: u64,
    /// SegContexts: the first, how many, and how far apart.
    pub(super) contexts: u64,
    pub(super) context_count: u64,
    pub(super) context_stride: u64,
    /// In a context: SegmentMask, if it has one; SegmentListHead; the pointer
    /// back to the heap, where it is known.
    pub(super) mask: Option<u64>,
    pub(super) segment_list: u64,
    pub(super) owner: Option<u64>,
    /// In a context: UnitShift, and FirstDescriptorIndex two bytes behind it;
    /// where it is known.
    pub(super) unit_shift: Option<u64>,
}

/// `_SEGMENT_HEAP`: that of 18362 to 19045 was seen in dumps; the others come
/// from public listings of types.
pub(super) static LAYOUTS: [SegmentHeapLayout; 6] = [
    SegmentHeapLayout {
        name: "Windows 10 1809 to 22H2, x64",
        width: Bits64,
        statistics: 0x80,
        large_blocks: 0x48,
        contexts: 0x100,
        context_count: 2,
        context_stride: 0xc0,
        mask: Some(0),
        segment_list: 0x48,
        owner: Some(0x38),
        unit_shift: Some(8),
    },
    SegmentHeapLayout {
        name: "Windows 11, x64",
        width: Bits64,
        statistics: 0x80,
        large_blocks: 0x48,
        contexts: 0x140,
        context_count: 2,
        context_stride: 0xc0,
        mask: Some(0),
        segment_list: 0x48,
        owner: Some(0x38),
        unit_shift: Some(8),
    },
    SegmentHeapLayout {
        name: "Windows 10 1809 and later, x86",
        width: Bits32,
        statistics: 0x80,
        large_blocks: 0x44,
        contexts: 0x100,
        context_count: 2,
        context_stride: 0x80,
        mask: Some(0),
        segment_list: 0x44,
        owner: Some(0x24),
        unit_shift: Some(4),
    },
    SegmentHeapLayout {
        name: "Windows 10 1803, x64",
        width: Bits64,
        statistics: 0x18,
        large_blocks: 0x50,
        contexts: 0x70,
        context_count: 2,
        context_stride: 0x78,
        mask: Some(0),
        segment_list: 0x20,
        owner: None,
        unit_shift: None,
    },
    SegmentHeapLayout {
        name: "Windows 10 1709, x64",
        width: Bits64,
        statistics: 0x18,
        large_blocks: 0x50,
        contexts: 0x70,
        context_count: 2,
        context_stride: 0x68,
        mask: Some(0),
        segment_list: 0x20,
        owner: None,
        unit_shift: None,
    },
    SegmentHeapLayout {
        name: "Windows 10 1507 to 1703, x64",
        width: Bits64,
        statistics: 0,
        large_blocks: 0x38,
        contexts: 0x60,
        context_count: 1,
        context_stride: 0,
        mask: None,
        segment_list: 0,
        owner: None,
        unit_shift: None,
    },
];

/// A layout's `index`-th context in a heap.
pub(super) fn context_at(layout: &SegmentHeapLayout, heap: u64, index: u64) -> u64 {
    at(heap, at(layout.contexts, layout.context_stride.saturating_mul(index)))
}

/// Bytes of a segment of this context: 1 MiB or 16 MiB.
pub(super) fn segment_size(
    context: &mut Context<'_, '_>,
    layout: &SegmentHeapLayout,
    seg_context: u64,
) -> Option<u64> {
    const SIZES: [u64; 2] = [0x10_0000, 0x100_0000];
    let Some(mask) = layout.mask else { return Some(SIZES[0]) };
    let mask = context.pointer(seg_context, mask, layout.width)?;
    let size = layout.width.mask(mask.wrapping_neg());
    SIZES.contains(&size).then_some(size)
}

/// The layout all of whose contexts make sense in this heap.
pub(super) fn choose(
    context: &mut Context<'_, '_>,
    heap: u64,
    width: PointerWidth,
) -> Option<&'static SegmentHeapLayout> {
    LAYOUTS.iter().find(|layout| {
        let mut seen_segment = false;
        layout.width == width
            && (0..layout.context_count).all(|index| {
                let seg_context = context_at(layout, heap, index);
                let sound = is_context(context, layout, heap, seg_context);
                seen_segment |= sound == Some(true);
                sound.is_some()
            })
            && (layout.owner.is_some() || seen_segment)
    })
}

/// `None` when there is no context there; else whether it has a segment whose
/// links lead back to it.
fn is_context(
    context: &mut Context<'_, '_>,
    layout: &SegmentHeapLayout,
    heap: u64,
    seg_context: u64,
) -> Option<bool> {
    let size = segment_size(context, layout, seg_context)?;
    if let Some(owner) = layout.owner {
        context.pointer(seg_context, owner, layout.width).filter(|owner| *owner == heap)?;
    }
    let head = at(seg_context, layout.segment_list);
    let (first, last) = context.links_at(head, layout.width)?;
    if first == head && last == head {
        return Some(false);
    }
    let aligned = first != 0 && first.is_multiple_of(size) && last.is_multiple_of(size);
    let back = context.links_at(first, layout.width).map(|(_, back)| back == head);
    (aligned && back != Some(false)).then_some(back == Some(true))
}
