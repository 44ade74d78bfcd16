//! Reservations set aside: the reserved bytes of giant allocations of a 64-bit
//! process. They cost the process next to nothing, and every size beside them
//! reads as nothing: so a reader gets them in a table of their own.

use super::records::kind_of;
use super::{KINDS, Totals};
use crate::classify::sweep_kinds;
use crate::dump::PointerWidth;
use crate::evidence::{Claim, Confidence, RegionKind, Use};
use crate::explained::is_without_memory;
use crate::map::{RegionMap, State};

/// Reserved bytes of one allocation from which on it is giant. Engines and
/// collectors set aside 256 MiB and more to place things in; stacks, heap
/// segments and views are smaller.
pub const GIANT: u64 = 256 << 20;

/// From how many bytes on an allocation may have something to set aside: in
/// 32 bits every byte counts, and a rebuilt map knows of no reservation.
pub(super) fn giant(map: &RegionMap<'_>) -> u64 {
    match map.width {
        PointerWidth::Bits64 if map.knows_free() => GIANT,
        _ => u64::MAX,
    }
}

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

/// What is set aside, by kind and by use.
#[derive(Default)]
pub(super) struct Aside {
    rows: Vec<SetAside>,
    kinds: [u64; KINDS],
    /// The largest giant allocation of each kind without what is set aside of
    /// it.
    largest: [u64; KINDS],
}

impl Aside {
    /// One more sweep, which stops only at the allocations at the bases
    /// `giants`, in address order.
    pub(super) fn of(map: &RegionMap<'_>, claims: &[Claim], mut giants: &[u64]) -> Aside {
        let mut aside = Aside::default();
        let mut is_giant = |base: Option<u64>| {
            let found = giants.first().is_some_and(|first| Some(*first) == base);
            giants = if found { &giants[1..] } else { giants };
            found
        };
        let mut run = Run::default();
        let mut pieces = sweep_kinds(map, claims);
        loop {
            pieces.plain_records(|record| {
                let base = (!record.is_free()).then_some(record.allocation_base);
                if run.base != base || base.is_none() {
                    if run.base.is_some() {
                        aside.end(&mut run, claims);
                    }
                    if !is_giant(base) {
                        return;
                    }
                    run.base = base;
                }
                run.add(kind_of(record), record.size, !record.is_committed(), None);
            });
            let Some(piece) = pieces.next() else { break };
            let base = piece.region.allocation_base;
            if run.base != base || base.is_none() {
                if run.base.is_some() {
                    aside.end(&mut run, claims);
                }
                if !is_giant(base) {
                    continue;
                }
                run.base = base;
            }
            let without = is_without_memory(&piece.region, piece.winner, map.source, claims);
            let reserved = piece.region.state == State::Reserve || without;
            run.add(piece.kind.index(), piece.range.size(), reserved, piece.winner);
        }
        aside.end(&mut run, claims);
        aside
    }

    fn end(&mut self, run: &mut Run, claims: &[Claim]) {
        let run = std::mem::take(run);
        let Some(base) = run.base else { return };
        let reserved: u64 = run.reserved.iter().sum();
        let all: u64 = run.all.iter().sum();
        let most = (0..KINDS).rev().max_by_key(|kind| run.all[*kind]).unwrap_or(0);
        let mut kept = all;
        if reserved >= GIANT {
            kept -= reserved;
            let claim = run.named.1.and_then(|id| claims.get(id as usize));
            add(&mut self.rows, RegionKind::ALL[most], claim, (reserved, base));
            for (sum, bytes) in self.kinds.iter_mut().zip(run.reserved) {
                *sum += bytes;
            }
        }
        self.largest[most] = self.largest[most].max(kept);
    }

    /// Puts it where it belongs.
    pub(super) fn put(self, totals: &mut Totals) {
        for kind in RegionKind::ALL {
            let place = kind.index();
            let Some(row) = totals.kinds[place].as_mut() else { continue };
            row.set_aside = self.kinds[place];
            if !matches!(kind, RegionKind::Free | RegionKind::Unusable) {
                row.largest_kept = row.largest_kept.map(|kept| kept.max(self.largest[place]));
            }
        }
        totals.total.set_aside = self.kinds.iter().sum();
        let largest = self.largest.into_iter().max().unwrap_or(0);
        totals.total.largest_kept = totals.total.largest_kept.map(|kept| kept.max(largest));
        totals.set_aside = self.rows;
    }
}

/// One allocation: its bytes and the reserved ones by kind.
#[derive(Default)]
struct Run {
    base: Option<u64>,
    all: [u64; KINDS],
    reserved: [u64; KINDS],
    /// The largest reserved piece that a claim is about.
    named: (u64, Option<u32>),
}

impl Run {
    #[inline]
    fn add(&mut self, kind: usize, size: u64, reserved: bool, winner: Option<u32>) {
        if self.base.is_none() {
            return;
        }
        self.all[kind] += size;
        if reserved {
            self.reserved[kind] += size;
            if winner.is_some() && size > self.named.0 {
                self.named = (size, winner);
            }
        }
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
const ROWS: usize = 64;
const OTHERS: &str = "others";
