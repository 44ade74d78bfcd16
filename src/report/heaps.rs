//! `heaps`: one row a heap, from its header and segments, and from its entries
//! when those were counted.

use serde::Serialize;

use super::entries::{BucketView, CorruptionView, SizesView, UnreadView, sizes};
use super::managed::{RuntimeView, runtimes};
use super::{DumpView, Hex, Input, SCHEMA_VERSION};
use crate::evidence::heaps::Heap;
use crate::evidence::heaps::walk::{Block, Histogram, Scope, Walk, virtual_fragmentation, walk};

/// The document of `heaps`.
#[derive(Debug, Serialize)]
pub struct HeapsReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// Whether entries were counted.
    pub walked: bool,
    /// Captured bytes of the heaps: what a walk reads.
    pub captured: u64,
    /// In the order of the PEB's list, then those that it lacks.
    pub heaps: Vec<HeapView>,
    /// The .NET runtimes and their heaps.
    pub managed: Vec<RuntimeView<'a>>,
}

/// What `heaps` is asked for.
#[derive(Clone, Copy, Debug)]
pub struct HeapsQuery {
    /// Only the heap with this handle, or with this address in it.
    pub heap: Option<u64>,
    /// Whether entries are counted.
    pub entries: Entries,
    /// What is told of the sizes of blocks.
    pub sizes: Sizes,
}

/// Whether entries are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// Where no more than [`Entries::READ`] bytes have to be read.
    IfSmall,
    /// In every heap.
    All,
    /// In none.
    None,
}

impl Entries {
    /// Captured bytes of heaps that are read without being asked to.
    pub const READ: u64 = 16 << 20;

    fn are_counted(self, captured: u64) -> bool {
        match self {
            Entries::All => true,
            Entries::IfSmall => captured <= Entries::READ,
            Entries::None => false,
        }
    }
}

/// Bytes that a walk of the heaps asked for has to read.
///
/// # Errors
/// There is no heap at the address asked for.
pub fn bytes_to_walk(
    input: &Input<'_>,
    heap: Option<u64>,
    entries: Entries,
) -> Result<u64, String> {
    let captured = captured(input, &chosen(input, heap)?);
    Ok(if entries.are_counted(captured) { captured } else { 0 })
}

/// Tells how far a walk is: not of every block.
pub(super) struct Told<'t> {
    read: &'t mut dyn FnMut(u64),
    bytes: u64,
}

impl<'t> Told<'t> {
    /// Bytes between two tellings.
    const STEP: u64 = 4 << 20;

    pub(super) fn new(read: &'t mut dyn FnMut(u64)) -> Told<'t> {
        Told { read, bytes: 0 }
    }

    /// Blocks of a container are among its bytes.
    pub(super) fn block(&mut self, block: &Block) {
        if block.place.container().is_none() {
            self.bytes = self.bytes.saturating_add(block.size);
            if self.bytes >= Self::STEP {
                (self.read)(std::mem::take(&mut self.bytes));
            }
        }
    }
}

/// What is told of the sizes of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Nothing.
    No,
    /// How many there are of each.
    Histogram,
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
    /// Of them what the program asked for.
    pub user_bytes: Option<u64>,
    /// Free bytes that are committed; null unless the heap was walked.
    pub free_bytes: Option<u64>,
    /// Bytes of the largest free block.
    pub largest_free: Option<u64>,
    /// Blocks in use; null unless the heap was walked.
    pub busy_blocks: Option<u64>,
    /// Free blocks; null unless the heap was walked.
    pub free_blocks: Option<u64>,
    /// Bytes of headers, descriptors and containers.
    pub internal_bytes: Option<u64>,
    /// Percent of the free bytes that are not in the largest free block.
    pub external_fragmentation: Option<f64>,
    /// Percent of the heap's addresses that are not committed, as `!heap -s`
    /// has it: an NT heap's own counters, without uncommitted ranges that are
    /// larger than any block; of other heaps all parts.
    pub virtual_fragmentation: Option<f64>,
    /// Whether every byte was accounted for; null unless the heap was walked.
    pub all_read: Option<bool>,
    /// How many segments, or subheaps of Wine.
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
    /// The low-fragmentation heap by block size.
    pub buckets: Vec<BucketView>,
    /// What contradicts itself in the entries.
    pub corruption: Vec<CorruptionView>,
    /// How many more contradictions there are.
    pub more_corruption: u64,
    /// Differences that an operation under way explains.
    pub torn: Vec<CorruptionView>,
    /// What could not be read of the entries.
    pub unread: Vec<UnreadView>,
    /// How many more places could not be read.
    pub more_unread: u64,
    /// Sizes of busy blocks; null unless asked for.
    pub sizes: Option<SizesView>,
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
    /// The document for one analysis. `read` is told of the bytes that a walk
    /// has behind it, now and then.
    ///
    /// # Errors
    /// There is no heap at the address asked for.
    pub fn of(
        input: &Input<'a>,
        query: &HeapsQuery,
        read: &mut dyn FnMut(u64),
    ) -> Result<HeapsReport<'a>, String> {
        let chosen = chosen(input, query.heap)?;
        let captured = captured(input, &chosen);
        let walked = query.entries.are_counted(captured);
        let mut told = Told::new(read);
        let heaps = &input.analysis.evidence.heaps;
        let all: &[Heap] = if walked { heaps } else { &[] };
        let scope = Scope::of(&input.analysis.dump, &input.analysis.map, all);
        let views = chosen.iter().filter_map(|index| {
            let heap = heaps.get(*index)?;
            let mut view = view(input, heap);
            if walked {
                let mut histogram = Histogram::default();
                let sums = walk(&scope, *index, &mut |block| {
                    told.block(block);
                    if query.sizes == Sizes::Histogram {
                        histogram.add(block);
                    }
                });
                view.sizes = (query.sizes == Sizes::Histogram).then(|| sizes(&histogram));
                count(input, &mut view, sums);
            }
            Some(view)
        });
        Ok(HeapsReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(input),
            walked: walked && !chosen.is_empty(),
            captured,
            heaps: views.collect(),
            managed: if query.heap.is_none() { runtimes(input) } else { Vec::new() },
        })
    }
}

/// Places in the list of heaps.
pub(super) fn chosen(input: &Input<'_>, address: Option<u64>) -> Result<Vec<usize>, String> {
    let heaps = &input.analysis.evidence.heaps;
    let Some(address) = address else { return Ok((0..heaps.len()).collect()) };
    let inside = |heap: &Heap| heap.parts.iter().any(|part| part.range.contains(address));
    let found = heaps.iter().position(|heap| heap.address == address);
    let found = found.or_else(|| heaps.iter().position(inside));
    found.map(|index| vec![index]).ok_or_else(|| format!("no heap is known at {address:#x}"))
}

fn captured(input: &Input<'_>, chosen: &[usize]) -> u64 {
    let analysis = input.analysis;
    let heaps = chosen.iter().filter_map(|index| analysis.evidence.heaps.get(*index));
    let parts = heaps.flat_map(|heap| &heap.parts);
    parts.map(|part| analysis.dump.captured.captured_in(part.range)).sum()
}

fn view(input: &Input<'_>, heap: &Heap) -> HeapView {
    let parts = heap.parts.iter().map(|part| PartView {
        role: part.role,
        base: input.hex(part.range.start()),
        size: part.range.size(),
        committed: part.committed,
    });
    let counted = heap.counted.map(|counted| (counted.committed, counted.addresses));
    let spread = counted.or(heap.committed.zip(heap.size));
    HeapView {
        address: input.hex(heap.address),
        heap_type: heap.heap_type.map(|heap_type| heap_type.as_str()),
        bits: heap.width.bits(),
        is_default: heap.is_default,
        size: heap.size,
        committed: heap.committed,
        busy_bytes: None,
        user_bytes: None,
        free_bytes: None,
        largest_free: None,
        busy_blocks: None,
        free_blocks: None,
        internal_bytes: None,
        external_fragmentation: None,
        virtual_fragmentation: spread
            .and_then(|(committed, size)| virtual_fragmentation(committed, size))
            .map(percent),
        all_read: None,
        segments: heap.parts.iter().filter(|part| is_segment(part.role)).count(),
        flags: heap.flags,
        front_end: heap.front_end,
        complete: heap.complete,
        confidence: heap.confidence.as_str(),
        problems: heap.problems.iter().map(|problem| input.owned(problem.clone())).collect(),
        parts: parts.collect(),
        buckets: Vec::new(),
        corruption: Vec::new(),
        more_corruption: 0,
        torn: Vec::new(),
        unread: Vec::new(),
        more_unread: 0,
        sizes: None,
    }
}

/// Wine calls its segments subheaps.
fn is_segment(role: &str) -> bool {
    matches!(role, "segment" | "subheap")
}

/// Adds what the entries say. A heap of which nothing could be read has no
/// sums: they would read as an empty heap.
fn count(input: &Input<'_>, view: &mut HeapView, walk: Walk) {
    let nothing = walk.busy_blocks + walk.free_blocks == 0 && walk.internal_bytes == 0;
    if !nothing || walk.complete {
        view.busy_bytes = Some(walk.busy_bytes);
        view.user_bytes = Some(walk.user_bytes);
        view.free_bytes = Some(walk.free_bytes);
        view.largest_free = Some(walk.largest_free);
        view.busy_blocks = Some(walk.busy_blocks);
        view.free_blocks = Some(walk.free_blocks);
        view.internal_bytes = Some(walk.internal_bytes);
        view.external_fragmentation = walk.external_fragmentation().map(percent);
    }
    view.all_read = Some(walk.complete);
    view.buckets = walk.buckets.iter().map(BucketView::of).collect();
    let wrong = walk.problems.iter().map(|wrong| CorruptionView {
        address: input.hex(wrong.address),
        reason: wrong.reason.as_str(),
        detail: wrong.detail.clone(),
    });
    view.corruption = wrong.collect();
    view.more_corruption = walk.more_problems;
    let torn = walk.torn.into_iter().map(|torn| CorruptionView {
        address: input.hex(torn.address),
        reason: torn.reason.as_str(),
        detail: torn.detail,
    });
    view.torn = torn.collect();
    view.unread = walk.missing.iter().map(|missing| UnreadView::of(input, missing)).collect();
    view.more_unread = walk.more_missing;
    view.problems.extend(view.corruption.iter().map(CorruptionView::words));
}

/// Percent of hundredths of a percent.
fn percent(hundredths: u64) -> f64 {
    hundredths as f64 / 100.0
}
