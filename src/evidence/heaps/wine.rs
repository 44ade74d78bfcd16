//! Wine's and Proton's heap: subheaps of growing size, and large blocks in
//! allocations of their own. Its header begins like that of Windows 10 and is
//! something else behind.

use super::context::{Context, at};
use super::wine_layout::{self, WineLayout};
use super::{Handle, Heap, HeapPart, HeapType, list, recognise};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::evidence::{Confidence, EvidenceSource};

/// Subheaps begin at a multiple of this; the first one's header lies behind
/// the heap's.
const REGION: u64 = 0x1_0000;
/// Of a block's header.
const BLOCK: u64 = 8;

/// Whether `HEAP` stands in the header.
pub(super) fn has_magic(context: &mut Context<'_, '_>, heap: u64, width: PointerWidth) -> bool {
    wine_layout::choose(context, heap, width).is_some() || wine_layout::has_magic(context, heap)
}

/// The heaps of the process: the process heap, then those that link to it;
/// and whether the list was read to its end.
pub(super) fn list(
    context: &mut Context<'_, '_>,
    process_heap: u64,
    width: PointerWidth,
    limit: usize,
) -> (Vec<u64>, bool) {
    let mut heaps = vec![process_heap];
    let Some(layout) = wine_layout::choose(context, process_heap, width) else {
        return (heaps, false);
    };
    let entries = list::entries(context, at(process_heap, layout.entry), width);
    let mut whole = entries.closed && entries.problem.is_none();
    let others = entries.read.into_iter().chain(entries.unread);
    for heap in others.map(|entry| entry.wrapping_sub(layout.entry)) {
        if heaps.len() >= limit {
            whole = false;
            break;
        }
        heaps.push(heap);
    }
    (heaps, whole)
}

pub(super) fn read(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let Handle { address, width, .. } = handle;
    let Some(layout) = wine_layout::choose(context, address, width) else {
        let words = "Wine heap of another version, contents not decoded";
        let mut heap = recognise::unknown(context, handle, words.into());
        heap.heap_type = Some(HeapType::Wine);
        return heap;
    };
    let mut heap = Heap::new(handle);
    heap.heap_type = Some(HeapType::Wine);
    heap.confidence = Confidence::Derived;
    heap.flags = context.word(address, layout.flags);
    heap.front_end = match context.word(address, layout.compatibility) {
        Some(0) => Some("none"),
        Some(2) => Some("lfh"),
        _ => None,
    };
    let subheaps = add_subheaps(context, &mut heap, layout);
    let blocks = add_large_blocks(context, &mut heap, layout);
    if heap.parts.is_empty() {
        let source = EvidenceSource::HeapHeader;
        context.add_allocation(&mut heap, address, "heap header", source, Confidence::Derived);
    }
    heap.complete = subheaps && blocks;
    heap
}

/// Says whether all were found.
fn add_subheaps(context: &mut Context<'_, '_>, heap: &mut Heap, layout: &WineLayout) -> bool {
    let head = at(heap.address, layout.subheaps);
    let entries = list::entries(context, head, layout.width);
    let mut whole = entries.closed && entries.problem.is_none();
    if let Some(problem) = entries.problem {
        heap.problem(format!("list of subheaps: {problem}"));
    }
    for entry in entries.read {
        let subheap = entry.wrapping_sub(layout.subheap_entry);
        whole &= match subheap_part(context, subheap, layout) {
            Some(part) => heap.add_part(context, part),
            None => {
                heap.problem(format!("the subheap at {subheap:#x} has sizes that cannot be"));
                false
            }
        };
    }
    for entry in entries.unread {
        heap.problem(format!("the subheap at {entry:#x} is not captured"));
        let source = EvidenceSource::HeapHeader;
        context.add_allocation(heap, entry, "subheap", source, Confidence::Heuristic);
    }
    whole
}

/// From the 64 KiB granule of its header to the end of its blocks.
fn subheap_part(
    context: &mut Context<'_, '_>,
    subheap: u64,
    layout: &WineLayout,
) -> Option<HeapPart> {
    let block_size = context.pointer(subheap, layout.block_size, layout.width)?;
    let data_size = context.pointer(subheap, layout.data_size, layout.width)?;
    let base = subheap & !REGION.wrapping_sub(1);
    let blocks = at(subheap, layout.first_block);
    let whole = AddressRange::between(base, blocks.checked_add(block_size)?)?;
    let range = context.clip(whole).filter(|range| *range == whole && data_size <= block_size)?;
    let committed = blocks.wrapping_sub(base).saturating_add(data_size).saturating_add(BLOCK);
    Some(HeapPart {
        range,
        role: "subheap",
        committed: context.committed(range).or(Some(committed)),
        source: EvidenceSource::HeapSegment,
        confidence: Confidence::Derived,
    })
}

/// Says whether all were found.
fn add_large_blocks(context: &mut Context<'_, '_>, heap: &mut Heap, layout: &WineLayout) -> bool {
    const ROLE: &str = "large block";
    let head = at(heap.address, layout.large_blocks);
    let entries = list::entries(context, head, layout.width);
    let mut whole = entries.closed && entries.problem.is_none();
    if let Some(problem) = entries.problem {
        heap.problem(format!("list of large blocks: {problem}"));
    }
    let source = EvidenceSource::HeapLargeBlock;
    for entry in entries.read {
        let start = entry.wrapping_sub(layout.large_before);
        let added = if context.map.knows_free() {
            context.add_allocation(heap, start, ROLE, source, Confidence::Derived)
        } else {
            let confidence = Confidence::Derived;
            let size = context.pointer(entry, at(layout.large_data, 0), layout.width);
            let range = size.and_then(|size| AddressRange::new(start, size));
            range.is_some_and(|range| {
                let part = HeapPart { range, role: ROLE, committed: None, source, confidence };
                heap.add_part(context, part)
            })
        };
        if !added {
            heap.problem(format!("the map has no memory of its own at the large block {start:#x}"));
        }
        whole &= added;
    }
    for entry in entries.unread {
        heap.problem(format!("the large block at {entry:#x} is not captured"));
        context.add_allocation(heap, entry, ROLE, source, Confidence::Heuristic);
    }
    whole
}
