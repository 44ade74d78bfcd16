//! `heaps`: one row a heap, from its header and segments.

use serde::Serialize;

use super::{DumpView, Hex, Input, SCHEMA_VERSION};
use crate::evidence::heaps::Heap;

/// The document of `heaps`.
#[derive(Debug, Serialize)]
pub struct HeapsReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// In the order of the PEB's list, then those that it lacks.
    pub heaps: Vec<HeapView>,
}

/// One heap.
#[derive(Clone, Debug, Serialize)]
pub struct HeapView {
    /// Its handle.
    pub address: Hex,
    /// `nt`, `segment`, `wine`, `page`; null when its header is not captured
    /// or fails its checks.
    #[serde(rename = "type")]
    pub heap_type: Option<&'static str>,
    /// 32 or 64.
    pub bits: u32,
    /// Whether it is the process' default heap.
    pub is_default: bool,
    /// Bytes of all known parts, reserved included.
    pub size: Option<u64>,
    /// Committed bytes.
    pub committed: Option<u64>,
    /// Bytes in use; null unless the heap was walked.
    pub busy_bytes: Option<u64>,
    /// Free bytes; null unless the heap was walked.
    pub free_bytes: Option<u64>,
    /// Blocks in use; null unless the heap was walked.
    pub busy_blocks: Option<u64>,
    /// Free blocks; null unless the heap was walked.
    pub free_blocks: Option<u64>,
    /// How many segments.
    pub segments: usize,
    /// HEAP_* flags.
    pub flags: Option<u32>,
    /// `none`, `look-aside` or `lfh`.
    pub front_end: Option<&'static str>,
    /// Whether every part was found.
    pub complete: bool,
    /// How it is known.
    pub confidence: &'static str,
    /// What is missing or contradicts itself.
    pub problems: Vec<String>,
    /// Segments, large blocks and other parts.
    pub parts: Vec<PartView>,
}

/// A part of a heap.
#[derive(Clone, Debug, Serialize)]
pub struct PartView {
    /// What it is.
    pub role: &'static str,
    /// Where it is.
    pub base: Hex,
    /// Bytes.
    pub size: u64,
    /// Committed bytes.
    pub committed: Option<u64>,
}

impl<'a> HeapsReport<'a> {
    /// The document for one analysis.
    pub fn of(input: &Input<'a>) -> HeapsReport<'a> {
        HeapsReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(input),
            heaps: input.analysis.evidence.heaps.iter().map(|heap| view(input, heap)).collect(),
        }
    }
}

fn view(input: &Input<'_>, heap: &Heap) -> HeapView {
    let parts = heap.parts.iter().map(|part| PartView {
        role: part.role,
        base: input.hex(part.range.start()),
        size: part.range.size(),
        committed: part.committed,
    });
    HeapView {
        address: input.hex(heap.address),
        heap_type: heap.heap_type.map(|heap_type| heap_type.as_str()),
        bits: heap.width.bits(),
        is_default: heap.is_default,
        size: heap.size,
        committed: heap.committed,
        busy_bytes: None,
        free_bytes: None,
        busy_blocks: None,
        free_blocks: None,
        segments: heap.parts.iter().filter(|part| part.role == "segment").count(),
        flags: heap.flags,
        front_end: heap.front_end,
        complete: heap.complete,
        confidence: heap.confidence.as_str(),
        problems: heap.problems.iter().map(|problem| input.owned(problem.clone())).collect(),
        parts: parts.collect(),
    }
}
