//! What explains a piece of private memory: a structure, a rule of thumb, or
//! nothing. The answer is the winner's confidence and no more.

use crate::classify::Piece;
use crate::evidence::{Claim, Confidence, SANITIZER_SHADOW, Use};
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

/// Whether a piece is committed private memory, which the shares are of:
/// MEM_COMMIT and MEM_PRIVATE; on Linux anonymous, private, and not without
/// memory.
#[inline]
pub fn is_committed_private(piece: &Piece, source: MapSource, claims: &[Claim]) -> bool {
    is_private_commit(&piece.region)
        && !is_without_memory(&piece.region, piece.winner, source, claims)
}

/// Whether a region says MEM_COMMIT and MEM_PRIVATE, with or
/// [without memory](is_without_memory).
#[inline]
pub fn is_private_commit(region: &Region) -> bool {
    region.state == State::Commit && region.memory_type == Some(MemoryType::Private)
}

/// Whether a private mapping of Linux has no memory that counts: without
/// access the kernel charges nothing for it, and of a sanitizer's shadow
/// nobody knows how much was touched.
#[inline]
pub fn is_without_memory(
    region: &Region,
    winner: Option<u32>,
    source: MapSource,
    claims: &[Claim],
) -> bool {
    if source != MapSource::LinuxMaps || region.memory_type != Some(MemoryType::Private) {
        return false;
    }
    let claim = winner.and_then(|id| claims.get(id as usize));
    region.protect == Protection::NO_ACCESS
        || claim.is_some_and(|claim| claim.usage == Use::Named(SANITIZER_SHADOW))
}
