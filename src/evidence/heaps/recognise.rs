//! Whose format a heap has, from the 32-bit number at +0x10 (64-bit) or +8
//! (32-bit) of its header and a second check each.

use super::context::Context;
use super::{Handle, Heap, nt, nt_layout, nt_old, page_heap, segment, wine};
use crate::dump::PointerWidth;
use crate::evidence::{Confidence, EvidenceSource};
use crate::map::State;

/// `_HEAP_SEGMENT.SegmentSignature`, Vista and later, and Wine's `ffeeffee`.
pub(super) const NT_SEGMENT: u32 = 0xffee_ffee;
/// `_HEAP.Signature`; up to 2003 at the place of the segment's.
pub(super) const NT_HEAP: u32 = 0xeeff_eeff;
/// `_SEGMENT_HEAP.Signature`.
pub(super) const SEGMENT_HEAP: u32 = 0xddee_ddee;
/// What the handle page of a page heap is filled with.
pub(super) const PAGE_HEAP: u32 = 0xeeee_eeee;

/// Where that number is.
pub(super) fn signature_offset(width: PointerWidth) -> u64 {
    match width {
        PointerWidth::Bits32 => 8,
        PointerWidth::Bits64 => 0x10,
    }
}

/// The number that tells the formats apart.
pub(super) fn signature(
    context: &mut Context<'_, '_>,
    address: u64,
    width: PointerWidth,
) -> Option<u32> {
    context.word(address, signature_offset(width))
}

/// Whether the header is Wine's: its first signature is Windows', the second
/// is not, and `HEAP` stands at a known place.
pub(super) fn is_wine(context: &mut Context<'_, '_>, address: u64, width: PointerWidth) -> bool {
    signature(context, address, width) == Some(NT_SEGMENT)
        && nt_layout::by_signature(context, address, width).is_none()
        && wine::has_magic(context, address, width)
}

/// Reads the heap, in whatever format it is.
pub(super) fn read(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let Handle { address, width, .. } = handle;
    match signature(context, address, width) {
        None if handle.page_heap => page_heap::by_shape(context, handle),
        None => not_captured(context, handle),
        Some(NT_SEGMENT) if is_wine(context, address, width) => wine::read(context, handle),
        Some(NT_SEGMENT) => nt::read(context, handle),
        Some(NT_HEAP) => nt_old::read(context, handle),
        Some(SEGMENT_HEAP) => segment::read(context, handle),
        Some(PAGE_HEAP) => page_heap::read(context, handle),
        Some(other) => {
            let words = format!("the header fails its check: signature {other:#x}");
            unknown(context, handle, words)
        }
    }
}

fn not_captured(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let region = context.map.find(handle.address);
    let words = match region.map(|region| region.state) {
        Some(State::Free) => "the handle points to free memory",
        Some(State::Reserve) => "the handle points to memory that is only reserved",
        _ => "the header is not captured",
    };
    unknown(context, handle, words.into())
}

/// A heap that the PEB names and that cannot be read. A handle is where its
/// allocation begins; the allocation is then said to be the heap's on the
/// PEB's word.
pub(super) fn unknown(context: &mut Context<'_, '_>, handle: Handle, problem: String) -> Heap {
    let mut heap = Heap::new(handle);
    heap.problem(problem);
    let allocation = context.heap_allocation(handle.address);
    if allocation.is_some_and(|range| range.start() == handle.address) {
        context.add_allocation(
            &mut heap,
            handle.address,
            "heap, not read",
            EvidenceSource::Peb,
            Confidence::Heuristic,
        );
    }
    heap
}
