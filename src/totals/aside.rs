//! Reservations set aside: the reserved bytes of giant allocations of a 64-bit
//! process. They cost the process next to nothing, and every size beside them
//! reads as nothing: so a reader gets them in a table of their own.

use crate::dump::PointerWidth;
use crate::evidence::{Claim, Confidence, RegionKind, Use};

/// Reserved bytes of one allocation from which on it is giant. Engines and
/// collectors set aside 256 MiB and more to place things in; stacks, heap
/// segments and views are smaller.
pub const GIANT: u64 = 256 << 20;

/// Giant reservations of one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// What its bytes are.
    pub kind: RegionKind,
    /// What they are used for; `None` where nobody says it.
    pub usage: Option<Use>,
    /// Reserved bytes; on Linux those of mappings without memory.
    pub size: u64,
    /// Allocations.
    pub allocations: u64,
    /// The most reserved bytes of one of them, and its base.
    pub largest: (u64, u64),
}

/// The reserved bytes of the allocation that the fold is in.
#[derive(Debug)]
pub(super) struct Reserve {
    /// All of them.
    pub(super) bytes: u64,
    /// From how many bytes on they are giant.
    pub(super) giant: u64,
    /// The largest reserved piece that a claim is about: the base of its
    /// allocation, its bytes and the claim.
    named: Option<(u64, u64, u32)>,
}

impl Reserve {
    /// In 32 bits every reserved byte counts: nothing is set aside.
    pub(super) fn new(width: PointerWidth) -> Reserve {
        let giant = match width {
            PointerWidth::Bits32 => u64::MAX,
            PointerWidth::Bits64 => GIANT,
        };
        Reserve { bytes: 0, giant, named: None }
    }

    /// Remembers the claim that won on reserved bytes.
    pub(super) fn name(&mut self, base: u64, bytes: u64, winner: Option<u32>) {
        let before = self.named.filter(|(of, ..)| *of == base).map_or(0, |(_, most, _)| most);
        if let Some(winner) = winner.filter(|_| bytes > before) {
            self.named = Some((base, bytes, winner));
        }
    }

    /// The claim on most reserved bytes of the allocation at `base`.
    pub(super) fn named(&self, base: u64) -> Option<u32> {
        self.named.filter(|(of, ..)| *of == base).map(|(_, _, winner)| winner)
    }
}

/// Adds one giant allocation to the rows. Few processes have more than twenty.
pub(super) fn add(
    rows: &mut Vec<SetAside>,
    kind: RegionKind,
    claim: Option<&Claim>,
    (size, base): (u64, u64),
) {
    let says = claim.filter(|claim| claim.confidence != Confidence::Fallback);
    let usage = says.map(|claim| claim.usage).filter(|usage| *usage != Use::Plain);
    let same = |row: &SetAside| row.kind == kind && row.usage == usage;
    let known = rows.iter().position(same);
    // The last row takes what has no room.
    let place = known.or((rows.len() > ROWS).then_some(ROWS));
    if let Some(row) = place.and_then(|at| rows.get_mut(at)) {
        row.size = row.size.saturating_add(size);
        row.allocations += 1;
        row.largest = row.largest.max((size, base));
        return;
    }
    let usage = if rows.len() < ROWS { usage } else { Some(Use::Named(OTHERS)) };
    rows.push(SetAside { kind, usage, size, allocations: 1, largest: (size, base) });
}

/// Rows that are kept apart: far more than there are known uses, but a forged
/// map may give each mapping a name of its own.
const ROWS: usize = 256;
const OTHERS: &str = "others";
