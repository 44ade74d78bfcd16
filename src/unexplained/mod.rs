//! Private memory that nobody explains, described instead of left blank: in
//! families of allocations that look alike, by the map alone; and, only when
//! that is asked for, by their contents and by the pointers that lead to them.
//!
//! Nothing here is a label: a family says what its members have in common and
//! not what they are.

pub mod contents;
mod families;
pub mod pointers;

use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::explained::{Explained, is_committed_private};
use crate::limits::Depth;
use crate::map::{MemoryType, Protection};
use crate::totals::Shares;
use contents::Contents;
use families::Families;
use pointers::Pointers;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How many families are kept.
    pub top: usize,
    /// Whether the pointers to them are counted.
    pub pointers: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Unexplained {
    /// All committed private memory; `None` where the map does not know it.
    pub shares: Option<Shares>,
    /// Allocations with memory that nobody explains.
    pub allocations: u64,
    /// Families, those not kept included; 65,536 at most are told apart.
    pub family_count: u64,
    /// Those with most bytes, most first.
    pub families: Vec<Family>,
    /// The scan for pointers, when one was asked for.
    pub scan: Option<Scan>,
}

/// Allocations that look alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Bytes of one allocation, reserved and explained ones included.
    pub size: u64,
    /// Protection of the committed memory that nobody explains; `None` where
    /// it has several.
    pub protect: Option<Protection>,
    /// How many allocations.
    pub allocations: u64,
    /// Committed bytes that nobody explains.
    pub bytes: u64,
    /// Where the largest such piece of the lowest allocation begins.
    pub lowest: u64,
    /// What they hold; `None` where nothing is captured or was to be read.
    pub contents: Option<Contents>,
    /// Pointers to them by where they lie; `None` when they were not counted.
    pub pointers: Option<Pointers>,
}

/// How far a scan for pointers went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Captured bytes of the modules' writable data and of stacks.
    pub bytes: u64,
    /// Whether that is all of them.
    pub complete: bool,
}

/// The part of an allocation that is looked at: its largest piece that nobody
/// explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its bytes.
    pub range: AddressRange,
    /// Place of its family in the answer.
    pub family: usize,
}

/// Whether a piece is committed private memory that nobody explains.
pub fn is_unexplained(analysis: &Analysis<'_>, piece: &Piece) -> bool {
    Explained::of(piece) == Explained::Nothing
        && is_committed_private(piece, analysis.map.source, &analysis.evidence.claims)
}

/// Whether an allocation with memory that nobody explains may have this piece:
/// such memory itself, or what is reserved beside it.
pub fn may_be_kin(piece: &Piece) -> bool {
    Explained::of(piece) == Explained::Nothing
        && piece.region.memory_type == Some(MemoryType::Private)
}

/// Blocks of one family whose contents are looked at.
const BLOCKS: usize = 64;

/// Describes what nobody explains. Contents are read at depth `headers` and
/// above; a sweep over the pieces, one more for contents or pointers.
pub fn describe(analysis: &Analysis<'_>, request: Request) -> Unexplained {
    let all = Families::of(analysis);
    let mut families = all.top(request.top);
    let mut scan = None;
    let reads = analysis.dump.limits.depth >= Depth::Headers && analysis.dump.captured.bytes > 0;
    if reads && !families.is_empty() {
        let most = if request.pointers { usize::MAX } else { BLOCKS };
        let blocks = families::blocks(analysis, &families, most);
        let mut own = vec![Vec::new(); families.len()];
        for block in &blocks {
            let own: &mut Vec<AddressRange> = &mut own[block.family];
            if own.len() < BLOCKS {
                own.push(block.range);
            }
        }
        for (family, own) in families.iter_mut().zip(own) {
            family.contents = contents::of(analysis, &own);
        }
        if request.pointers {
            let (found, how_far) = pointers::scan(analysis, &blocks, families.len());
            for (family, pointers) in families.iter_mut().zip(found) {
                family.pointers = Some(pointers);
            }
            scan = Some(how_far);
        }
    }
    Unexplained {
        shares: analysis.totals.total.shares,
        allocations: all.allocations,
        family_count: all.count(),
        families,
        scan,
    }
}

/// Memory that is worth a word, and a family that is worth one.
const WORTH: u64 = 1 << 20;
const MEMBERS: u64 = 4;

/// The family that has at least half of what nobody explains, without its
/// contents. Maps of more than 4,096 regions are looked at only where a
/// sample of 512 regions makes one likely.
pub fn dominant(analysis: &Analysis<'_>) -> Option<Family> {
    let shares = analysis.totals.total.shares?;
    let blank = shares.unexplained;
    if blank < WORTH || !families::may_dominate(analysis, blank, shares.sum()) {
        return None;
    }
    let first = Families::of(analysis).top(1).pop()?;
    (first.allocations >= MEMBERS && first.bytes >= blank / 2).then_some(first)
}

/// The families of the allocations around some addresses.
#[derive(Debug)]
pub struct Kin {
    families: Families,
}

impl Kin {
    /// One sweep over the pieces.
    pub fn of(analysis: &Analysis<'_>, addresses: &[u64]) -> Kin {
        Kin { families: Families::around(analysis, addresses) }
    }

    /// The family of the allocation around one of the addresses, when nobody
    /// explains all of it.
    pub fn family(&self, address: u64) -> Option<Family> {
        self.families.family_around(address)
    }
}
