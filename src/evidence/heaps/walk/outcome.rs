//! What a walk of one heap found: sums, what is missing, and what contradicts
//! itself.

use crate::addr::AddressRange;

/// The sums of one heap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Blocks that the program has.
    pub busy_blocks: u64,
    /// Bytes of them, headers and padding included.
    pub busy_bytes: u64,
    /// Bytes the program asked for; where the heap does not keep that number,
    /// bytes it can use.
    pub user_bytes: u64,
    /// Blocks that nobody has.
    pub free_blocks: u64,
    /// Bytes of them, headers included; what is not committed left out.
    pub free_bytes: u64,
    /// Bytes of the largest of them.
    pub largest_free: u64,
    /// Bytes that the heap uses itself: headers, descriptors, and what
    /// containers have beside their blocks.
    pub internal_bytes: u64,
    /// Entries of the segments, busy and free: containers are one busy entry
    /// each, the blocks in them are none, and neither are large blocks.
    pub entries: Entries,
    /// The low-fragmentation heap by block size.
    pub buckets: Vec<Bucket>,
    /// Whether every byte of the heap was accounted for.
    pub complete: bool,
    /// What could not be read, the first [`LISTED`](Walk::LISTED).
    pub missing: Vec<Missing>,
    /// How many were left out of `missing`.
    pub more_missing: u64,
    /// What contradicts itself, the first [`LISTED`](Walk::LISTED).
    pub problems: Vec<Corruption>,
    /// How many were left out of `problems`.
    pub more_problems: u64,
    /// Differences so small that the process may have been in the middle of
    /// an operation: "snapshot not atomic".
    pub torn: Vec<Torn>,
}

impl Walk {
    /// At most this many of each list are kept.
    pub const LISTED: usize = 1_000;

    /// External fragmentation as `!heap -s` has it: 1 − largest free / all
    /// free, in hundredths of a percent, of what is in the lists of free
    /// blocks: those of the low-fragmentation heap are not. A segment heap's
    /// chunks and blocks all count. `None` without free bytes.
    pub fn external_fragmentation(&self) -> Option<u64> {
        let Entries { free_bytes, largest_free, .. } = self.entries;
        match free_bytes {
            0 => hundredths_missing(self.largest_free, self.free_bytes),
            listed => hundredths_missing(largest_free, listed),
        }
    }
}

/// Fragmentation of a heap's addresses as `!heap -s` has it: 1 − commit /
/// virtual, in hundredths of a percent. Virtual bytes are the reserved ones
/// without the large uncommitted ranges ([`Spread`](super::super::Spread)).
pub fn virtual_fragmentation(committed: u64, reserved: u64) -> Option<u64> {
    hundredths_missing(committed, reserved)
}

/// 1 − part / whole, in hundredths of a percent.
fn hundredths_missing(part: u64, whole: u64) -> Option<u64> {
    let rest = u128::from(whole.saturating_sub(part));
    let share = rest.saturating_mul(10_000).checked_div(whole.into())?;
    u64::try_from(share).ok()
}

/// Entries of the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Busy ones, the heap's own included.
    pub busy: u64,
    /// Free ones.
    pub free: u64,
    /// Bytes of the free ones in segments; a segment heap has no such.
    pub free_bytes: u64,
    /// Bytes of the largest free one.
    pub largest_free: u64,
    /// Containers of the low-fragmentation heap, which are busy too.
    pub containers: u64,
}

/// Blocks of one size in the low-fragmentation heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Bytes of a block, header included.
    pub block_size: u64,
    /// Containers of such blocks.
    pub containers: u64,
    /// Blocks.
    pub blocks: u64,
    /// Of them busy.
    pub busy: u64,
}

/// Something that the walk could not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Where it is, as far as that is known.
    pub range: Option<AddressRange>,
    /// Why.
    pub why: MissingWhy,
}

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingWhy {
    /// The dump does not hold it.
    NotCaptured,
    /// The heap agrees with no known layout.
    LayoutUnknown,
    /// The writer blanked the contents of memory (MiniDumpFilterMemory,
    /// MiniDumpFilterTriage).
    Scrubbed,
    /// Bytes between a damaged header and the next sound one.
    BehindDamage,
    /// There is more of it than [`Limits`](crate::limits::Limits) allow.
    TooMuch,
}

impl MissingWhy {
    /// The words in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            MissingWhy::NotCaptured => "not captured",
            MissingWhy::LayoutUnknown => "layout unknown",
            MissingWhy::Scrubbed => "contents blanked by the dump's writer",
            MissingWhy::BehindDamage => "behind a damaged header",
            MissingWhy::TooMuch => "beyond the limits",
        }
    }
}

/// A contradiction inside a heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The structure that contradicts: a block's start, a list's entry.
    pub address: u64,
    /// What is wrong.
    pub reason: Reason,
    /// The numbers; never contents of memory.
    pub detail: String,
}

/// What is wrong in a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A header's checksum does not hold.
    Checksum,
    /// A header does not know the size of the block before it.
    PreviousSize,
    /// A block of no size.
    ZeroSize,
    /// A block that reaches past the end of its segment.
    Overrun,
    /// A header with values that no block has.
    Header,
    /// Links of a list that do not lead back.
    Links,
    /// The free blocks do not add up to the header's total.
    FreeTotal,
    /// The list of free blocks has another length than there are free blocks.
    FreeList,
    /// The header counts other segments than there are.
    SegmentCount,
    /// A segment's bounds contradict its size.
    SegmentBounds,
    /// An uncommitted range outside its segment, or of committed memory.
    UncommittedRange,
    /// A container of the low-fragmentation heap contradicts its subsegment.
    LowFragmentation,
    /// The stamps around a page heap block are wrong.
    Stamp,
}

impl Reason {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Checksum => "checksum",
            Reason::PreviousSize => "previous-size",
            Reason::ZeroSize => "zero-size",
            Reason::Overrun => "overrun",
            Reason::Header => "header",
            Reason::Links => "links",
            Reason::FreeTotal => "free-total",
            Reason::FreeList => "free-list",
            Reason::SegmentCount => "segment-count",
            Reason::SegmentBounds => "segment-bounds",
            Reason::UncommittedRange => "uncommitted-range",
            Reason::LowFragmentation => "lfh",
            Reason::Stamp => "stamp",
        }
    }
}

/// A difference that an interrupted operation explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The structure that differs.
    pub address: u64,
    /// What would be wrong if the process had been at rest.
    pub reason: Reason,
    /// The numbers.
    pub detail: String,
}
