//! The NT heap, Vista and later: `_HEAP`, its segments, its large blocks and
//! the metadata of the low-fragmentation heap.

use super::context::{Context, PAGE, at, pointer_size};
use super::nt_layout::{self, NtLayout, segment_layout};
use super::recognise::{self, NT_SEGMENT, signature, signature_offset};
use super::{Handle, Heap, HeapPart, HeapType, list};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::evidence::{Confidence, EvidenceSource};
use crate::map::MemoryType;

pub(super) fn read(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let Handle { address, width, .. } = handle;
    let chosen = nt_layout::choose(context, address, width);
    let (layout, counters) = match chosen {
        Some((layout, counters)) => (layout, Some(counters)),
        None => match nt_layout::by_signature(context, address, width) {
            Some(layout) => (layout, None),
            None => {
                let words = "the header fails its check: 0xffeeffee without 0xeeffeeff; heap header, layout unknown";
                return recognise::unknown(context, handle, words.into());
            }
        },
    };
    let mut heap = Heap::new(handle);
    heap.heap_type = Some(HeapType::Nt);
    heap.flags = context.word(address, layout.flags);
    match Segment::read(context, address, address, width) {
        Ok(own) => {
            heap.confidence = Confidence::Derived;
            own.add(context, &mut heap);
        }
        Err(words) => {
            heap.problem(format!("the heap's own segment {words}"));
            let source = EvidenceSource::HeapHeader;
            context.add_allocation(&mut heap, address, "segment", source, Confidence::Heuristic);
        }
    }
    let segments = add_segments(context, &mut heap, layout);
    let blocks = add_large_blocks(context, &mut heap, layout);
    let Some(counters) = counters else {
        heap.problem("heap header, layout unknown behind its lists");
        return heap;
    };
    heap.counted = counters.spread();
    let front_end = add_front_end(context, &mut heap, layout);
    let all = u64::from(counters.segments) == segments.count;
    if !all {
        let (counted, found) = (counters.segments, segments.count);
        heap.problem(format!("the header counts {counted} segments, {found} were found"));
    }
    heap.complete = all && segments.whole && blocks && front_end;
    heap
}

/// One segment whose checks hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// BaseAddress and NumberOfPages.
    range: AddressRange,
    /// NumberOfPages less NumberOfUnCommittedPages.
    committed: u64,
}

impl Segment {
    /// `_HEAP_SEGMENT` at `address`, or why it is none of `heap`.
    pub(super) fn read(
        context: &mut Context<'_, '_>,
        address: u64,
        heap: u64,
        width: PointerWidth,
    ) -> Result<Segment, &'static str> {
        const MISSING: &str = "is not captured";
        let layout = segment_layout(width);
        match context.word(address, signature_offset(width)) {
            None => return Err(MISSING),
            Some(NT_SEGMENT) => {}
            Some(_) => return Err("has no segment signature"),
        }
        if context.pointer(address, layout.heap, width).ok_or(MISSING)? != heap {
            return Err("belongs to another heap");
        }
        let base = context.pointer(address, layout.base, width).ok_or(MISSING)?;
        let pages = u64::from(context.word(address, layout.pages).ok_or(MISSING)?);
        let uncommitted = context.word(address, layout.uncommitted_pages).ok_or(MISSING)?;
        let range = AddressRange::new(base, pages.saturating_mul(PAGE));
        let sound = base.is_multiple_of(PAGE) && u64::from(uncommitted) <= pages;
        let range = range.filter(|range| sound && range.contains(address));
        let range = range.ok_or("has a base or a size that cannot be")?;
        let committed = pages.saturating_sub(uncommitted.into()).saturating_mul(PAGE);
        Ok(Segment { range, committed })
    }

    /// Makes it a part of the heap; and the page behind it too, where the
    /// reservation has one more: nothing else can be in it.
    pub(super) fn add(self, context: &mut Context<'_, '_>, heap: &mut Heap) -> bool {
        let Some(range) = context.clip(self.range) else {
            heap.problem(format!("the map has no heap memory at the segment {}", self.range));
            return false;
        };
        if range != self.range {
            heap.problem(format!("the segment {} reaches past its allocation", self.range));
        }
        let by_map = context.committed(range);
        let part = HeapPart {
            range,
            role: "segment",
            committed: by_map.or(Some(self.committed)),
            source: EvidenceSource::HeapSegment,
            confidence: Confidence::Derived,
        };
        if !heap.add_part(context, part) {
            return false;
        }
        let region = context.map.find(range.start());
        let private = region.is_some_and(|region| region.memory_type == Some(MemoryType::Private));
        if let Some(by_map) = by_map.filter(|by_map| private && *by_map != self.committed) {
            heap.problem(format!(
                "segment {range}: {:#x} bytes committed by its header, {by_map:#x} by the map (snapshot not atomic)",
                self.committed
            ));
        }
        self.add_end(context, heap);
        true
    }

    fn add_end(self, context: &mut Context<'_, '_>, heap: &mut Heap) {
        let allocation = context.allocation(self.range.start());
        let tail = allocation
            .filter(|allocation| allocation.covers(self.range))
            .and_then(|allocation| AddressRange::between(self.range.end(), allocation.end()))
            .filter(|tail| tail.size() <= PAGE);
        if let Some(tail) = tail.filter(|tail| context.take(*tail)) {
            let source = EvidenceSource::HeapSegment;
            heap.parts.push(context.part(tail, "segment end", source, Confidence::Derived));
        }
    }
}

struct Found {
    /// Segments whose header was read and holds.
    count: u64,
    /// Whether the list was read to its end.
    whole: bool,
}

/// SegmentList: the heap's own segment, which is in it too, is there already.
fn add_segments(context: &mut Context<'_, '_>, heap: &mut Heap, layout: &NtLayout) -> Found {
    let head = at(heap.address, layout.segment_list);
    let to_segment = segment_layout(layout.width).list_entry;
    let entries = list::entries(context, head, layout.width);
    let mut found = Found { count: 0, whole: entries.closed && entries.problem.is_none() };
    if let Some(problem) = entries.problem {
        heap.problem(format!("segment list: {problem}"));
    }
    for entry in entries.read {
        let address = entry.wrapping_sub(to_segment);
        if address == heap.address {
            found.count = found.count.saturating_add(1);
            continue;
        }
        match Segment::read(context, address, heap.address, layout.width) {
            Ok(segment) if segment.add(context, heap) => {
                found.count = found.count.saturating_add(1);
            }
            Ok(_) => found.whole = false,
            Err(words) => {
                heap.problem(format!("the segment at {address:#x} {words}"));
                found.whole = false;
            }
        }
    }
    for entry in entries.unread {
        let address = entry.wrapping_sub(to_segment);
        heap.problem(format!("the segment at {address:#x} is not captured"));
        add_unread_segment(context, heap, address);
    }
    found
}

/// A segment that the list names and nothing else is known of. Segments begin
/// where their allocation does.
fn add_unread_segment(context: &mut Context<'_, '_>, heap: &mut Heap, address: u64) {
    let allocation = context.heap_allocation(address);
    if allocation.is_some_and(|allocation| allocation.start() == address) {
        let source = EvidenceSource::HeapHeader;
        context.add_allocation(heap, address, "segment", source, Confidence::Heuristic);
    }
}

/// VirtualAllocdBlocks: blocks too large for a segment, each in an allocation
/// of its own. Says whether all were found.
fn add_large_blocks(context: &mut Context<'_, '_>, heap: &mut Heap, layout: &NtLayout) -> bool {
    let head = at(heap.address, layout.virtual_blocks);
    let entries = list::entries(context, head, layout.width);
    let mut whole = entries.closed && entries.problem.is_none();
    if let Some(problem) = entries.problem {
        heap.problem(format!("list of large blocks: {problem}"));
    }
    for entry in entries.read {
        whole &= add_large_block(context, heap, entry, Confidence::Derived);
    }
    for entry in entries.unread {
        heap.problem(format!("the large block at {entry:#x} is not captured"));
        add_large_block(context, heap, entry, Confidence::Heuristic);
    }
    whole
}

/// `_HEAP_VIRTUAL_ALLOC_ENTRY`: ReserveSize is its sixth pointer.
fn add_large_block(
    context: &mut Context<'_, '_>,
    heap: &mut Heap,
    entry: u64,
    confidence: Confidence,
) -> bool {
    const ROLE: &str = "large block";
    let source = EvidenceSource::HeapLargeBlock;
    if context.map.knows_free() {
        let added = context.add_allocation(heap, entry, ROLE, source, confidence);
        if !added {
            heap.problem(format!("the map has no memory of its own at the large block {entry:#x}"));
        }
        return added;
    }
    let offset = pointer_size(heap.width).saturating_mul(5);
    let size = context.pointer(entry, offset, heap.width);
    let start = entry & !PAGE.wrapping_sub(1);
    match size.and_then(|size| AddressRange::new(start, size)) {
        Some(range) => {
            let part = HeapPart { range, role: ROLE, committed: None, source, confidence };
            heap.add_part(context, part)
        }
        None => false,
    }
}

/// FrontEndHeap and its type. `_LFH_HEAP` has an allocation of its own since
/// Windows 8; on 7 it lies in a large block. Says whether it was found.
fn add_front_end(context: &mut Context<'_, '_>, heap: &mut Heap, layout: &NtLayout) -> bool {
    let kind = context.memory.u8(at(heap.address, layout.front_end_type));
    heap.front_end = match kind {
        Some(0) => Some("none"),
        Some(1) => Some("look-aside"),
        Some(2) => Some("lfh"),
        _ => None,
    };
    let pointer = context.pointer(heap.address, layout.front_end, layout.width);
    let Some(pointer) = pointer.filter(|pointer| kind == Some(2) && *pointer != 0) else {
        return true;
    };
    if context.is_taken(pointer) {
        return true;
    }
    let source = EvidenceSource::HeapHeader;
    if !context.add_allocation(heap, pointer, "LFH metadata", source, Confidence::Derived) {
        heap.problem(format!("the map has no allocation at the LFH metadata {pointer:#x}"));
        return false;
    }
    true
}

/// Whether a header of this heap begins at `address`: a heap is its own first
/// segment.
pub(super) fn is_header(context: &mut Context<'_, '_>, address: u64, width: PointerWidth) -> bool {
    signature(context, address, width) == Some(NT_SEGMENT)
        && nt_layout::by_signature(context, address, width).is_some()
        && Segment::read(context, address, address, width).is_ok()
}

/// Whether a segment of the heap at `owner` begins at `address`.
pub(super) fn is_segment(
    context: &mut Context<'_, '_>,
    address: u64,
    owner: u64,
    width: PointerWidth,
) -> bool {
    Segment::read(context, address, owner, width).is_ok()
}
