//! Page heap of Application Verifier: a handle page filled with 0xEE, the
//! root of its bookkeeping (`_DPH_HEAP_ROOT`) in the page behind it, and every
//! block in pages of its own. Where the blocks are is not read here.

use super::context::{Context, PAGE, at};
use super::{Handle, Heap, HeapType, recognise};
use crate::evidence::{Confidence, EvidenceSource};
use crate::map::{MemoryType, Protection, State};

/// `_DPH_HEAP_ROOT.Signature`.
const ROOT: u32 = 0xffee_ddcc;
const ROLE: &str = "page heap root";

/// A page heap whose handle page is captured.
pub(super) fn read(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let root = at(handle.address, PAGE);
    match context.word(root, 0) {
        Some(ROOT) => root_found(context, handle, Confidence::Derived, EvidenceSource::HeapHeader),
        None if handle.page_heap => by_shape(context, handle),
        None => {
            let words = "the handle page is that of a page heap, its root is not captured";
            let mut heap = recognise::unknown(context, handle, words.into());
            heap.heap_type = Some(HeapType::Page);
            heap
        }
        Some(other) => {
            let words = format!("the page heap's root fails its check: signature {other:#x}");
            recognise::unknown(context, handle, words)
        }
    }
}

/// A heap of a process for which NtGlobalFlag has page heap on, and whose
/// header is not captured: its handle page is read-only, in an allocation
/// that was reserved without access.
pub(super) fn by_shape(context: &mut Context<'_, '_>, handle: Handle) -> Heap {
    let region = context.map.find(handle.address).filter(|region| {
        region.state == State::Commit
            && region.memory_type == Some(MemoryType::Private)
            && region.allocation_base == Some(handle.address)
            && region.range.start() == handle.address
            && region.range.size() == PAGE
            && region.protect == Protection::READ_ONLY
            && region.allocation_protect == Protection::NO_ACCESS
    });
    if region.is_none() {
        return recognise::unknown(context, handle, "the header is not captured".into());
    }
    let mut heap = root_found(context, handle, Confidence::Heuristic, EvidenceSource::Shape);
    heap.problem("the page heap's root is not captured; recognised by NtGlobalFlag and shape");
    heap
}

fn root_found(
    context: &mut Context<'_, '_>,
    handle: Handle,
    confidence: Confidence,
    source: EvidenceSource,
) -> Heap {
    let mut heap = Heap::new(handle);
    heap.heap_type = Some(HeapType::Page);
    heap.confidence = confidence;
    context.add_allocation(&mut heap, handle.address, ROLE, source, confidence);
    heap.problem("page heap: the ranges of its blocks are not read");
    heap
}
