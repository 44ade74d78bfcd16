//! Process heaps at the level of headers and segments. Source: PEB ->
//! ProcessHeaps -> headers whose checks hold; then heaps and segments that
//! only their first bytes give away.
//!
//! Nothing here reads a heap's entries, and nothing is believed because of a
//! build number: a layout table is used when the heap itself agrees with it.

mod by_signature;
mod context;
mod list;
mod listed;
mod nt;
mod nt_layout;
mod nt_old;
mod page_heap;
mod recognise;
mod segment;
mod segment_layout;
pub mod walk;
mod wine;
mod wine_layout;

#[cfg(test)]
mod tests;

use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::addr::AddressRange;
use crate::dump::{Dump, Platform, PointerWidth};
use crate::limits::Depth;
use crate::map::RegionMap;
use context::Context;

/// Whose format a heap has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapType {
    /// The NT heap.
    Nt,
    /// The segment heap of Windows 10 and later.
    Segment,
    /// Wine's or Proton's heap.
    Wine,
    /// Page heap of Application Verifier.
    Page,
}

impl HeapType {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            HeapType::Nt => "nt",
            HeapType::Segment => "segment",
            HeapType::Wine => "wine",
            HeapType::Page => "page",
        }
    }
}

/// One heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heap {
    /// The heap's handle: the address of its header.
    pub address: u64,
    /// Its format; `None` when the header is not captured or fails its checks.
    pub heap_type: Option<HeapType>,
    /// Which view's PEB lists it.
    pub width: PointerWidth,
    /// Place in ProcessHeaps; heaps that no list names come after those that
    /// one does.
    pub index: u32,
    /// Whether it is the PEB's ProcessHeap.
    pub is_default: bool,
    /// HEAP_* flags.
    pub flags: Option<u32>,
    /// Front end: `none`, `look-aside`, `lfh`.
    pub front_end: Option<&'static str>,
    /// Reserved and committed bytes of all parts that are known.
    pub size: Option<u64>,
    /// Committed bytes; `None` when those of some part are not known.
    pub committed: Option<u64>,
    /// How its addresses are committed by its own counters.
    pub counted: Option<Spread>,
    /// Segments and other parts.
    pub parts: Vec<HeapPart>,
    /// Whether every part was found.
    pub complete: bool,
    /// What is missing or contradicts itself, in words.
    pub problems: Vec<String>,
    /// How it is known.
    pub confidence: Confidence,
}

/// How much of a heap's addresses is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Committed bytes.
    pub committed: u64,
    /// Reserved bytes without uncommitted ranges that are larger than any
    /// block: a new segment's rest is no fragmentation.
    pub addresses: u64,
}

/// A part of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapPart {
    /// Where it is.
    pub range: AddressRange,
    /// `segment`, `large block`, `LFH metadata`, `heap header` …
    pub role: &'static str,
    /// Committed bytes; `None` when not known.
    pub committed: Option<u64>,
    /// What says so.
    pub source: EvidenceSource,
    /// How it is known.
    pub confidence: Confidence,
}

impl Heap {
    /// At most this many problems are put into words.
    const PROBLEMS: usize = 32;

    /// A heap of which nothing but the handle is known yet.
    fn new(handle: Handle) -> Heap {
        Heap {
            address: handle.address,
            heap_type: None,
            width: handle.width,
            index: handle.index,
            is_default: handle.is_default,
            flags: None,
            front_end: None,
            size: None,
            committed: None,
            counted: None,
            parts: Vec::new(),
            complete: false,
            problems: Vec::new(),
            confidence: Confidence::Heuristic,
        }
    }

    fn problem(&mut self, words: impl Into<String>) {
        if self.problems.len() < Self::PROBLEMS {
            self.problems.push(words.into());
        }
    }

    /// Adds a part unless another heap or part has its bytes; says whether it
    /// did.
    fn add_part(&mut self, context: &mut Context<'_, '_>, part: HeapPart) -> bool {
        if !context.take(part.range) {
            self.problem(format!("{} at {} overlaps another part", part.role, part.range));
            return false;
        }
        self.parts.push(part);
        true
    }

    /// Adds up the parts.
    fn sum_up(&mut self) {
        if self.parts.is_empty() {
            return;
        }
        let size = |sum: u64, part: &HeapPart| sum.saturating_add(part.range.size());
        self.size = Some(self.parts.iter().fold(0, size));
        self.committed = self.parts.iter().try_fold(0, |sum: u64, part| {
            part.committed.map(|committed| sum.saturating_add(committed))
        });
    }
}

/// A heap that something names.
#[derive(Clone, Copy, Debug)]
struct Handle {
    address: u64,
    width: PointerWidth,
    index: u32,
    is_default: bool,
    /// NtGlobalFlag of its PEB says that page heap is on.
    page_heap: bool,
}

pub(super) fn gather(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &mut Evidence) {
    let windows = dump.system.platform == Platform::Windows;
    let pebs = &evidence.environment.pebs;
    if dump.limits.depth < Depth::Headers || (!windows && pebs.is_empty()) {
        return;
    }
    let mut context = Context::new(dump, map);
    let listed = listed::handles(&mut context, pebs, dump.limits.heaps);
    let mut heaps: Vec<Heap> =
        listed.handles.iter().map(|handle| recognise::read(&mut context, *handle)).collect();
    for (address, words) in listed.problems {
        if let Some(heap) = heaps.iter_mut().find(|heap| heap.address == address) {
            heap.problem(words);
        }
    }
    by_signature::find(&mut context, dump, listed.whole, &mut heaps);
    for (index, heap) in (0_u32..).zip(heaps.iter_mut()) {
        heap.sum_up();
        evidence.claims.extend(heap.parts.iter().map(|part| claim(heap, index, part)));
    }
    evidence.heaps = heaps;
}

fn claim(heap: &Heap, index: u32, part: &HeapPart) -> Claim {
    Claim {
        range: part.range,
        kind: Some(RegionKind::Heap),
        usage: Use::Named(part.role),
        subject: Subject::Heap(index),
        confidence: part.confidence,
        source: part.source,
        detail: Detail::At("of the heap at", heap.address),
    }
}
