//! The table of managed heaps: what is known of the runtimes, their collectors
//! and their memory.

use super::{CodeRange, Family, ThreadRole, Version};
use crate::addr::AddressRange;
use crate::dump::FilePath;
use crate::evidence::Confidence;

/// What is known of the .NET runtimes in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// The runtimes, in the order of the module list.
    pub runtimes: Vec<Runtime>,
    /// Code made at run time, and the runtime's loader heaps.
    pub code: Vec<CodeRange>,
    /// The runtime's own threads.
    pub roles: Vec<ThreadRole>,
}

/// One runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Which one.
    pub family: Family,
    /// The module that holds it.
    pub module: AddressRange,
    /// Path of the module.
    pub path: FilePath,
    /// Version of the module's file.
    pub version: Option<Version>,
    /// The garbage collector; `None` when it could not be read.
    pub collector: Option<Collector>,
    /// What is missing or contradicts itself, in words.
    pub problems: Vec<String>,
}

/// How a collector keeps its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLayout {
    /// Segments of 16 MiB to 4 GiB; the youngest generations share one.
    Segments,
    /// Regions of 4 MiB, each of one generation, from one reservation.
    Regions,
}

impl MemoryLayout {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            MemoryLayout::Segments => "segments",
            MemoryLayout::Regions => "regions",
        }
    }
}

/// A garbage collector and its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Where GcDacVars is, and its version; `None` when the memory was found
    /// without it.
    pub variables: Option<(u64, (u8, u8))>,
    /// Whether it has a heap a processor; `None` when not known.
    pub server: Option<bool>,
    /// `None` when not known.
    pub layout: Option<MemoryLayout>,
    /// Heaps with their generations.
    pub heaps: Vec<ManagedHeap>,
    /// Regions that no generation has.
    pub free_regions: Vec<AddressRange>,
    /// Allocations that hold the heaps, parts that are only reserved included.
    pub reservations: Vec<AddressRange>,
    /// Card table, mark array, region table.
    pub bookkeeping: Option<AddressRange>,
    /// Committed bytes of heaps and free regions, bookkeeping left out; `None`
    /// when the structures were not read.
    pub committed: Option<u64>,
    /// How it is known.
    pub confidence: Confidence,
}

/// One heap: the only one, or that of one processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedHeap {
    /// Its number.
    pub number: u32,
    /// Memory of its generations.
    pub ranges: Vec<ObjectRange>,
    /// What is missing or contradicts itself, in words.
    pub problems: Vec<String>,
}

/// What a range of the heap holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// New objects.
    Gen0,
    /// Objects that lived through one collection.
    Gen1,
    /// Objects that lived through two.
    Gen2,
    /// Objects of 85,000 bytes or more.
    Large,
    /// Objects allocated as pinned.
    Pinned,
    /// Objects that are never collected, such as string literals.
    Frozen,
    /// Generations 0 and 1, perhaps 2: where one ends is not known.
    Ephemeral,
    /// Which generation it is, is not known.
    Unknown,
}

impl Generation {
    /// The words in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Generation::Gen0 => "gen0",
            Generation::Gen1 => "gen1",
            Generation::Gen2 => "gen2",
            Generation::Large => "large object heap",
            Generation::Pinned => "pinned object heap",
            Generation::Frozen => "frozen object heap",
            Generation::Ephemeral => "ephemeral generations",
            Generation::Unknown => "GC heap segment",
        }
    }
}

/// Memory for objects of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRange {
    /// Where it is, to the end of what is reserved.
    pub range: AddressRange,
    /// Whose objects it holds.
    pub generation: Generation,
    /// The heap_segment that describes it.
    pub segment: u64,
    /// The first object.
    pub first_object: u64,
    /// One past the last object.
    pub end_of_objects: u64,
    /// One past the last committed byte.
    pub committed_end: u64,
}

impl ObjectRange {
    /// Bytes from the first object to the end of the last, gaps between them
    /// included.
    pub fn objects(&self) -> u64 {
        self.end_of_objects.saturating_sub(self.first_object)
    }

    pub(super) fn committed(&self) -> u64 {
        self.committed_end.saturating_sub(self.range.start())
    }
}
