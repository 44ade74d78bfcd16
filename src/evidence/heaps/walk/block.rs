//! One block of a heap, as a walk gives it.

use crate::addr::AddressRange;

/// A piece of a heap's memory with a header or a bit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its first byte: that of its header, or of the block itself where the
    /// heap keeps its headers elsewhere.
    pub start: u64,
    /// Bytes from `start` to the next block.
    pub size: u64,
    /// What the program got, or would get; what is behind the header of
    /// internal ones.
    pub address: u64,
    /// Bytes the program asked for; of a free block, bytes it could have.
    /// `None` when the heap does not keep the number.
    pub user_size: Option<u64>,
    /// Who has it.
    pub state: State,
    /// Which part of the heap it is from.
    pub place: Place,
}

/// Who has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The program.
    Busy,
    /// Nobody.
    Free,
    /// The heap itself.
    Internal(Internal),
}

impl State {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Busy => "busy",
            State::Free => "free",
            State::Internal(internal) => internal.as_str(),
        }
    }
}

/// What a heap uses a block for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Internal {
    /// The heap's header.
    Header,
    /// The header of a segment or subheap.
    SegmentHeader,
    /// The block that describes uncommitted ranges.
    Ranges,
    /// Holds blocks of the low-fragmentation heap, which follow it.
    Container,
    /// Bookkeeping of the low-fragmentation heap.
    Metadata,
    /// Something else.
    Other,
}

impl Internal {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Internal::Header => "heap header",
            Internal::SegmentHeader => "segment header",
            Internal::Ranges => "uncommitted ranges",
            Internal::Container => "container",
            Internal::Metadata => "metadata",
            Internal::Other => "internal",
        }
    }
}

/// Which part of a heap a block is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A segment or subheap: the address of its first byte.
    Segment(u64),
    /// A bucket of the low-fragmentation heap: the address of the container
    /// and the block's place in it.
    LowFragmentation {
        /// Where the container begins.
        container: u64,
        /// Its place in the container, from 0.
        index: u32,
    },
    /// Variable-size chunks of a segment heap: the address of the subsegment.
    VariableSize(u64),
    /// Whole pages of a segment heap's segment.
    Pages(u64),
    /// An allocation of its own.
    Large,
    /// Pages of its own with a guard page behind: page heap.
    PageHeap,
}

impl Place {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Segment(_) => "segment",
            Place::LowFragmentation { .. } => "lfh",
            Place::VariableSize(_) => "vs",
            Place::Pages(_) => "pages",
            Place::Large => "large block",
            Place::PageHeap => "page heap",
        }
    }
}

impl Place {
    /// Where the container begins that the block is in.
    pub fn container(self) -> Option<u64> {
        match self {
            Place::LowFragmentation { container, .. } => Some(container),
            Place::VariableSize(container) => Some(container),
            _ => None,
        }
    }

    /// Whether blocks of the two places follow each other.
    pub(super) fn same_list(self, other: Place) -> bool {
        match self.container() {
            Some(container) => other.container() == Some(container),
            None => self == other,
        }
    }
}

impl Block {
    /// Its bytes, header included; `None` only for nonsense.
    pub fn range(&self) -> Option<AddressRange> {
        AddressRange::new(self.start, self.size)
    }

    /// Bytes that the program did not ask for: header, padding, what is left
    /// over. `None` when the heap does not keep the size asked for.
    pub fn overhead(&self) -> Option<u64> {
        self.size.checked_sub(self.user_size?)
    }

    /// Whether it is a container of other blocks.
    pub fn is_container(&self) -> bool {
        self.state == State::Internal(Internal::Container)
    }
}
