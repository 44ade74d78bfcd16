//! The NT heap of XP and 2003: `_HEAP` with up to 64 segments in an array.
//! From public symbols; no full dump of such a process was at hand, so every
//! segment is checked and the heap is never called complete unless all hold.

use super::context::{Context, PAGE, at, pointer_size};
use super::recognise::{self, NT_SEGMENT};
use super::{Handle, Heap, HeapPart, HeapType, list};
use crate::addr::AddressRange;
use crate::dump::PointerWidth::{self, Bits32, Bits64};
use crate::evidence::{Confidence, EvidenceSource};

/// `_HEAP` and `_HEAP_SEGMENT` of 5.1 and 5.2.
pub(super) struct Layout {
    flags: u64,
    pub(super) virtual_blocks: u64,
    pub(super) segments: u64,
    front_end_type: u64,
    segment_signature: u64,
    segment_heap: u64,
    pub(super) segment_base: u64,
    pub(super) segment_pages: u64,
    segment_uncommitted: u64,
    /// LastValidEntry, and UnCommittedRanges: a chain of Next, Address, Size.
    pub(super) segment_last: u64,
    pub(super) segment_ranges: u64,
}

pub(super) fn layout(width: PointerWidth) -> Layout {
    match width {
        Bits32 => Layout {
            flags: 0xc,
            virtual_blocks: 0x50,
            segments: 0x58,
            front_end_type: 0x586,
            segment_signature: 8,
            segment_heap: 0x10,
            segment_base: 0x18,
            segment_pages: 0x1c,
            segment_uncommitted: 0x28,
            segment_last: 0x24,
            segment_ranges: 0x30,
        },
        Bits64 => Layout {
            flags: 0x14,
            virtual_blocks: 0x90,
            segments: 0xa0,
            front_end_type: 0xae2,
            segment_signature: 0x10,
            segment_heap: 0x18,
            segment_base: 0x28,
            segment_pages: 0x30,
            segment_uncommitted: 0x48,
            segment_last: 0x40,
            segment_ranges: 0x50,
        },
    }
}

pub(super) const SEGMENTS: u64 = 64;

pub(super) fn read(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let Handle { address, width, .. } = handle;
    let layout = layout(width);
    let first = context.pointer(address, layout.segments, width);
    let Some(first) = first.and_then(|first| segment(context, first, address, &layout, width))
    else {
        let words = "the header fails its check: no first segment; heap header, layout unknown";
        return recognise::unknown(context, handle, words.into());
    };
    let mut heap = Heap::new(handle);
    heap.heap_type = Some(HeapType::Nt);
    heap.confidence = Confidence::Derived;
    heap.flags = context.word(address, layout.flags);
    heap.front_end = match context.memory.u8(at(address, layout.front_end_type)) {
        Some(0) => Some("none"),
        Some(1) => Some("look-aside"),
        Some(2) => Some("lfh"),
        _ => None,
    };
    heap.complete = add(context, &mut heap, first);
    for place in 1..SEGMENTS {
        let offset = at(layout.segments, place.saturating_mul(pointer_size(width)));
        let Some(pointer) = context.pointer(address, offset, width) else {
            heap.complete = false;
            heap.problem("the array of segments is not captured");
            break;
        };
        if pointer == 0 {
            continue;
        }
        match segment(context, pointer, address, &layout, width) {
            Some(found) => heap.complete &= add(context, &mut heap, found),
            None => {
                heap.complete = false;
                heap.problem(format!("the segment at {pointer:#x} is not captured or is none"));
            }
        }
    }
    add_large_blocks(context, &mut heap, &layout);
    heap
}

/// Range and committed bytes of a segment of `heap`.
fn segment(
    context: &mut Context<'_, '_>,
    address: u64,
    heap: u64,
    layout: &Layout,
    width: PointerWidth,
) -> Option<(AddressRange, u64)> {
    let signature = context.word(address, layout.segment_signature)?;
    let owner = context.pointer(address, layout.segment_heap, width)?;
    let base = context.pointer(address, layout.segment_base, width)?;
    let pages = context.word(address, layout.segment_pages)?;
    let uncommitted = context.word(address, layout.segment_uncommitted)?;
    let committed = u64::from(pages.checked_sub(uncommitted)?).saturating_mul(PAGE);
    let range = AddressRange::new(base, u64::from(pages).saturating_mul(PAGE))?;
    let sound = signature == NT_SEGMENT && owner == heap && base.is_multiple_of(PAGE);
    (sound && range.contains(address)).then_some((range, committed))
}

fn add(
    context: &mut Context<'_, '_>,
    heap: &mut Heap,
    (range, committed): (AddressRange, u64),
) -> bool {
    let Some(clipped) = context.clip(range) else {
        heap.problem(format!("the map has no heap memory at the segment {range}"));
        return false;
    };
    let part = HeapPart {
        range: clipped,
        role: "segment",
        committed: context.committed(clipped).or(Some(committed)),
        source: EvidenceSource::HeapSegment,
        confidence: Confidence::Derived,
    };
    heap.add_part(context, part)
}

fn add_large_blocks(context: &mut Context<'_, '_>, heap: &mut Heap, layout: &Layout) {
    let head = at(heap.address, layout.virtual_blocks);
    let entries = list::entries(context, head, heap.width);
    heap.complete &= entries.closed && entries.problem.is_none();
    if let Some(problem) = entries.problem {
        heap.problem(format!("list of large blocks: {problem}"));
    }
    let source = EvidenceSource::HeapLargeBlock;
    for entry in entries.read.into_iter().chain(entries.unread) {
        heap.complete &=
            context.add_allocation(heap, entry, "large block", source, Confidence::Derived);
    }
}

/// Whether a header begins at `address`: its first segment points back.
pub(super) fn is_header(context: &mut Context<'_, '_>, address: u64, width: PointerWidth) -> bool {
    let layout = layout(width);
    let first = context.pointer(address, layout.segments, width);
    first.is_some_and(|first| segment(context, first, address, &layout, width).is_some())
}
