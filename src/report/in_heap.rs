//! Where in a heap an address is: heap, part, block, and what a debug heap
//! wrote into the block.

use std::cell::OnceCell;

use serde::Serialize;

use super::entries::BlockView;
use super::{Hex, Input};
use crate::evidence::heaps::walk::{
    Block, BlockAt, CrtBlock, PageHeapBlock, Scope, block_at, crt_block, page_heap_block,
};
use crate::evidence::heaps::{Heap, HeapType};
use crate::limits::Depth;

/// Where in a heap.
#[derive(Clone, Debug, Serialize)]
pub struct InHeap {
    /// The heap's handle.
    pub address: Hex,
    /// Its format.
    #[serde(rename = "type")]
    pub heap_type: Option<&'static str>,
    /// Which part: `segment`, `large block` …
    pub part: Option<&'static str>,
    /// The part's first byte.
    pub part_base: Option<Hex>,
    /// Bytes from the part's start.
    pub offset: Option<u64>,
    /// The block that holds the address; null where the entries do not tell.
    pub block: Option<InBlock>,
}

/// The block of a heap around an address.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InBlock {
    /// The block.
    #[serde(flatten)]
    pub block: BlockView,
    /// Bytes from what the program got; negative in the block's header.
    pub offset: i128,
    /// The block before it.
    pub previous: Option<BlockView>,
    /// The block behind it.
    pub next: Option<BlockView>,
    /// The debug C runtime's header in it.
    pub crt: Option<CrtView>,
    /// Page heap's information on it.
    pub page_heap: Option<PageHeapView>,
}

/// The header of a block of the debug C runtime.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CrtView {
    /// What the program has: behind header and gap.
    pub address: Hex,
    /// Bytes the program asked for.
    pub size: u64,
    /// `freed`, `normal`, `crt`, `ignored`, `client`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// How many allocations came before: the number `_crtBreakAlloc` takes.
    pub request: u64,
    /// The line that allocated; null when the header names no file.
    pub line: Option<u32>,
    /// Whether the gaps before and behind are intact; null when not captured.
    pub intact: Option<bool>,
}

/// What page heap keeps of a block.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PageHeapView {
    /// `full`: every block has pages of its own; `light`: stamps only.
    pub mode: &'static str,
    /// What the program has.
    pub address: Hex,
    /// Bytes the program asked for.
    pub size: u64,
    /// Whether the program has it still.
    pub busy: bool,
    /// Whether the fill behind the block is as page heap wrote it; null when
    /// there is none or it is not captured.
    pub fence_intact: Option<bool>,
    /// Where the stack trace of the allocation is; null without one.
    pub stack_trace: Option<Hex>,
}

/// The keys of the heaps are looked for once, and only for an address that may
/// be in one.
pub(super) fn in_heap<'a>(
    input: &Input<'a>,
    address: u64,
    scope: &OnceCell<Scope<'a, 'a>>,
) -> Option<InHeap> {
    let heaps = &input.analysis.evidence.heaps;
    let in_part = |heap: &&Heap| heap.parts.iter().any(|part| part.range.contains(address));
    let heap = heaps.iter().find(in_part);
    // Blocks of a page heap are in no part of it.
    let in_pages = || heaps.iter().any(|heap| heap.heap_type == Some(HeapType::Page));
    let wanted = heap.is_some() || in_pages();
    let found = wanted.then(|| find(input, address, scope)).flatten();
    let heap = match &found {
        Some((_, found)) => heaps.get(found.heap),
        None => heap,
    }?;
    let inside = heap.parts.iter().filter(|part| part.range.contains(address));
    let part = inside.min_by_key(|part| part.range.size());
    Some(InHeap {
        address: input.hex(heap.address),
        heap_type: heap.heap_type.map(|heap_type| heap_type.as_str()),
        part: part.map(|part| part.role),
        part_base: part.map(|part| input.hex(part.range.start())),
        offset: part.map(|part| address - part.range.start()),
        block: found.map(|(scope, found)| in_block(input, address, heap, scope, &found)),
    })
}

fn find<'c, 'a>(
    input: &Input<'a>,
    address: u64,
    scope: &'c OnceCell<Scope<'a, 'a>>,
) -> Option<(&'c Scope<'a, 'a>, BlockAt)> {
    let analysis = input.analysis;
    if analysis.dump.limits.depth < Depth::Headers {
        return None;
    }
    let heaps = &analysis.evidence.heaps;
    let scope = scope.get_or_init(|| Scope::of(&analysis.dump, &analysis.map, heaps));
    Some((scope, block_at(scope, address)?))
}

fn in_block(
    input: &Input<'_>,
    address: u64,
    heap: &Heap,
    scope: &Scope<'_, '_>,
    found: &BlockAt,
) -> InBlock {
    let view = |block: Block| BlockView::of(input, heap.address, &block);
    let crt = crt_block(scope, &found.block);
    let page_heap = page_heap_block(scope, &found.block);
    InBlock {
        block: view(found.block),
        offset: i128::from(address) - i128::from(found.block.address),
        previous: found.previous.map(view),
        next: found.next.map(view),
        crt: crt.map(|crt| crt_view(input, &crt)),
        page_heap: page_heap.map(|page_heap| page_heap_view(input, &page_heap)),
    }
}

fn crt_view(input: &Input<'_>, crt: &CrtBlock) -> CrtView {
    CrtView {
        address: input.hex(crt.address),
        size: crt.size,
        usage: crt.usage.as_str(),
        request: crt.request,
        line: crt.line,
        intact: crt.intact,
    }
}

fn page_heap_view(input: &Input<'_>, page_heap: &PageHeapBlock) -> PageHeapView {
    PageHeapView {
        mode: if page_heap.full { "full" } else { "light" },
        address: input.hex(page_heap.address),
        size: page_heap.size,
        busy: page_heap.busy,
        fence_intact: page_heap.fence_intact,
        stack_trace: page_heap.stack_trace.map(|trace| input.hex(trace)),
    }
}
