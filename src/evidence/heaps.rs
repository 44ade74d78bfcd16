//! Process heaps at the level of headers and segments. Source: PEB ->
//! ProcessHeaps -> headers whose checks hold.

use super::{Confidence, Evidence};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::map::RegionMap;

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
    /// Place in ProcessHeaps.
    pub index: u32,
    /// Whether it is the PEB's ProcessHeap.
    pub is_default: bool,
    /// HEAP_* flags.
    pub flags: Option<u32>,
    /// Front end: `none`, `look-aside`, `lfh`.
    pub front_end: Option<&'static str>,
    /// Reserved and committed bytes of all parts that are known.
    pub size: Option<u64>,
    /// Committed bytes.
    pub committed: Option<u64>,
    /// Segments and other parts.
    pub parts: Vec<HeapPart>,
    /// Whether every part was found.
    pub complete: bool,
    /// What is missing or contradicts itself, in words.
    pub problems: Vec<String>,
    /// How it is known.
    pub confidence: Confidence,
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
}

pub(super) fn gather(_dump: &Dump<'_>, _map: &RegionMap<'_>, _evidence: &mut Evidence) {}
