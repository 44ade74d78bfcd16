//! What explains a piece of private memory: a structure, a rule of thumb, or
//! nothing. The answer is the winner's confidence and no more.

use crate::classify::Piece;
use crate::evidence::Confidence;
use crate::map::{MapSource, MemoryType, Protection, Region, State};

/// Why it is known what a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Explained {
    /// A stream says so, or structures in memory whose checks hold.
    Structure,
    /// A pattern that is usually right.
    Heuristic,
    /// Nobody says what it is for: memory that the program got from
    /// VirtualAlloc or mmap itself, or through something that is not known.
    Nothing,
}

impl Explained {
    /// What explains a piece.
    pub fn of(piece: &Piece) -> Explained {
        match (piece.winner, piece.confidence) {
            (None, _) | (_, Confidence::Fallback) => Explained::Nothing,
            (_, Confidence::Recorded | Confidence::Derived) => Explained::Structure,
            (_, Confidence::Heuristic) => Explained::Heuristic,
        }
    }

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Explained::Structure => "structure",
            Explained::Heuristic => "heuristic",
            Explained::Nothing => "nothing",
        }
    }
}

/// Whether a region is committed private memory, which the shares are of:
/// MEM_COMMIT and MEM_PRIVATE; on Linux anonymous, private, with any access.
#[inline]
pub fn is_committed_private(region: &Region, source: MapSource) -> bool {
    region.state == State::Commit
        && region.memory_type == Some(MemoryType::Private)
        && (source != MapSource::LinuxMaps || region.protect != Protection::NO_ACCESS)
}
