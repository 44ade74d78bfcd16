//! The segment heap: `_SEGMENT_HEAP`, its page segments of 1 and 16 MiB, and
//! its large blocks.

use std::collections::HashSet;

use super::context::{Context, PAGE, at, pointer_size};
use super::segment_layout::{self, SegmentHeapLayout, context_at, segment_size};
use super::{Handle, Heap, HeapPart, HeapType, list, recognise};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::evidence::{Confidence, EvidenceSource};

pub(super) fn read(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let Handle { address, width, .. } = handle;
    let Some(layout) = segment_layout::choose(context, address, width) else {
        let words = "heap header, layout unknown";
        let mut heap = recognise::unknown(context, handle, words.into());
        heap.heap_type = Some(HeapType::Segment);
        return heap;
    };
    let mut heap = Heap::new(handle);
    heap.heap_type = Some(HeapType::Segment);
    heap.confidence = Confidence::Derived;
    // The segment heap has no separate front end: its LFH is part of it.
    let source = EvidenceSource::HeapHeader;
    let role = "segment heap header";
    if !context.add_allocation(&mut heap, address, role, source, Confidence::Derived) {
        heap.problem(format!("the map has no memory of its own at the header {address:#x}"));
    }
    let mut whole = true;
    for index in 0..layout.context_count {
        whole &= add_segments(context, &mut heap, layout, context_at(layout, address, index));
    }
    whole &= add_large_blocks(context, &mut heap, layout);
    heap.complete = whole && context.map.knows_free();
    heap.sum_up();
    compare(context, &mut heap, layout);
    heap
}

/// The segments of one context. Says whether all were found.
fn add_segments(
    context: &mut Context<'_, '_>,
    heap: &mut Heap,
    layout: &SegmentHeapLayout,
    seg_context: u64,
) -> bool {
    let Some(size) = segment_size(context, layout, seg_context) else { return false };
    let entries = list::entries(context, at(seg_context, layout.segment_list), layout.width);
    let mut whole = entries.closed && entries.problem.is_none();
    if let Some(problem) = entries.problem {
        heap.problem(format!("segment list: {problem}"));
    }
    for segment in entries.read {
        whole &= add_segment(context, heap, segment, size, Confidence::Derived);
    }
    for segment in entries.unread {
        heap.problem(format!("the segment at {segment:#x} is not captured"));
        add_segment(context, heap, segment, size, Confidence::Heuristic);
    }
    whole
}

/// A segment begins with its links, at a multiple of its size.
fn add_segment(
    context: &mut Context<'_, '_>,
    heap: &mut Heap,
    segment: u64,
    size: u64,
    confidence: Confidence,
) -> bool {
    let range = AddressRange::new(segment, size).filter(|_| segment.is_multiple_of(size));
    let Some(range) = range.and_then(|range| context.clip(range)) else {
        heap.problem(format!("the segment list leads to {segment:#x}, where no segment can be"));
        return false;
    };
    let part = HeapPart {
        range,
        role: "segment",
        committed: context.committed(range),
        source: EvidenceSource::HeapSegment,
        confidence,
    };
    heap.add_part(context, part)
}

/// The nodes of a heap's LargeAllocMetadata.
#[derive(Default)]
pub(super) struct LargeNodes {
    /// Those that are captured: node and VirtualAddress.
    pub(super) read: Vec<(u64, u64)>,
    /// Those that are not.
    pub(super) unread: Vec<u64>,
    /// What is wrong with the tree.
    pub(super) problem: Option<String>,
}

/// LargeAllocMetadata: `_HEAP_LARGE_ALLOC_DATA`, with VirtualAddress behind the
/// three pointers of the tree.
pub(super) fn large_nodes(
    context: &mut Context<'_, '_>,
    heap: u64,
    layout: &SegmentHeapLayout,
) -> LargeNodes {
    let width = layout.width;
    let tree = at(heap, layout.large_blocks);
    let mut nodes = LargeNodes::default();
    let Some((root, lowest)) = context.links_at(tree, width) else {
        nodes.problem = Some("the tree of large blocks is not captured".into());
        return nodes;
    };
    // Bit 0 of the lowest node's pointer says that pointers are stored XORed
    // with the place they are stored at.
    let encoded = lowest & 1 != 0;
    let decode =
        |stored: u64, place: u64| if encoded && stored != 0 { stored ^ place } else { stored };
    let mut visited = HashSet::new();
    let mut open = vec![decode(root, tree)];
    while let Some(node) = open.pop() {
        if node == 0 {
            continue;
        }
        if !visited.insert(node) || !context.follow() {
            nodes.problem = Some(format!("the tree of large blocks turns back to {node:#x}"));
            return nodes;
        }
        let address = context.pointer(node, pointer_size(width).saturating_mul(3), width);
        let (Some((left, right)), Some(address)) = (context.links_at(node, width), address) else {
            nodes.unread.push(node);
            continue;
        };
        nodes.read.push((node, address));
        open.push(decode(left, node));
        open.push(decode(right, at(node, pointer_size(width))));
    }
    nodes
}

/// Says whether all were found.
fn add_large_blocks(
    context: &mut Context<'_, '_>,
    heap: &mut Heap,
    layout: &SegmentHeapLayout,
) -> bool {
    let nodes = large_nodes(context, heap.address, layout);
    let mut whole = nodes.problem.is_none() && nodes.unread.is_empty();
    for node in nodes.unread {
        heap.problem(format!("the node {node:#x} of a large block is not captured"));
    }
    for (node, address) in nodes.read {
        whole &= add_large_block(context, heap, address & !0xffff, node, layout.width);
    }
    if let Some(problem) = nodes.problem {
        heap.problem(problem);
    }
    whole
}

/// AllocatedPages stands above the low 12 bits of the field behind the
/// address.
fn add_large_block(
    context: &mut Context<'_, '_>,
    heap: &mut Heap,
    address: u64,
    node: u64,
    width: PointerWidth,
) -> bool {
    const ROLE: &str = "large block";
    let source = EvidenceSource::HeapLargeBlock;
    let confidence = Confidence::Derived;
    if context.map.knows_free() {
        let added = context.add_allocation(heap, address, ROLE, source, confidence);
        if !added {
            heap.problem(format!(
                "the map has no memory of its own at the large block {address:#x}"
            ));
        }
        return added;
    }
    let pages = context.pointer(node, pointer_size(width).saturating_mul(4), width);
    let range = pages.and_then(|pages| AddressRange::new(address, pages & !PAGE.wrapping_sub(1)));
    range.is_some_and(|range| {
        let part = HeapPart { range, role: ROLE, committed: None, source, confidence };
        heap.add_part(context, part)
    })
}

/// MemStats against the parts that were found.
fn compare(context: &mut Context<'_, '_>, heap: &mut Heap, layout: &SegmentHeapLayout) {
    let statistics = at(heap.address, layout.statistics);
    let Some((reserved, committed)) = context.links_at(statistics, layout.width) else { return };
    let (reserved, committed) = (reserved.saturating_mul(PAGE), committed.saturating_mul(PAGE));
    if let Some(size) = heap.size.filter(|size| *size != reserved) {
        heap.problem(format!(
            "the header counts {reserved:#x} reserved bytes, the parts found have {size:#x}"
        ));
        heap.complete &= size > reserved;
    } else if let Some(by_map) = heap.committed.filter(|by_map| *by_map != committed) {
        heap.problem(format!(
            "{committed:#x} bytes committed by the header, {by_map:#x} by the map (snapshot not atomic)"
        ));
    }
}
