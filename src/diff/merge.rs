//! Two maps of one address space, byte by byte in one pass: what is new, gone
//! or otherwise now. Holds one piece of each map; cost grows with both.

use crate::addr::AddressRange;
use crate::classify::{Piece, Sweep};
use crate::evidence::{Confidence, RegionKind};
use crate::map::{Protection, State};
use crate::owner::Owner;

/// What became of a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Was free.
    New,
    /// Is free.
    Gone,
    /// Belongs to another allocation, which came at the place of the first.
    Replaced,
    /// Was reserved, is committed.
    Committed,
    /// Was committed, is reserved.
    Decommitted,
    /// Another state changed.
    State,
    /// Another protection.
    Protection,
    /// Known as something else: another kind or owner of the same allocation.
    Relabelled,
}

impl What {
    /// All of them, in the order of reports.
    pub const ALL: [What; 8] = [
        What::New,
        What::Gone,
        What::Replaced,
        What::Committed,
        What::Decommitted,
        What::State,
        What::Protection,
        What::Relabelled,
    ];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            What::New => "new",
            What::Gone => "gone",
            What::Replaced => "replaced",
            What::Committed => "committed",
            What::Decommitted => "decommitted",
            What::State => "state",
            What::Protection => "protection",
            What::Relabelled => "relabelled",
        }
    }
}

/// A run of bytes in one of two dumps: what most of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// What it is.
    pub kind: RegionKind,
    /// Whose.
    pub owner: Owner,
    /// Its allocation.
    pub allocation: Option<u64>,
    /// State.
    pub state: State,
    /// Protection; 0 unless committed.
    pub protect: Protection,
    /// Protection when it was allocated.
    pub allocation_protect: Protection,
    /// The claim that says what it is.
    pub winner: Option<u32>,
    /// How it is known.
    pub confidence: Confidence,
    /// Committed bytes.
    pub committed: u64,
}

/// What became of one run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which bytes: addresses, or offsets in an image.
    pub range: AddressRange,
    /// What became of them.
    pub what: What,
    /// As they were; `None` for free memory.
    pub before: Option<Side>,
    /// As they are; `None` for free memory.
    pub after: Option<Side>,
    /// Bytes of the part that both sides describe.
    described: u64,
}

impl Change {
    /// By how much committed memory grew.
    pub fn committed(&self) -> i128 {
        let of = |side: Option<Side>| side.map_or(0, |side| i128::from(side.committed));
        of(self.after) - of(self.before)
    }

    /// By how much memory that is not free grew.
    pub fn size(&self) -> i128 {
        let size = i128::from(self.range.size());
        match (self.before, self.after) {
            (None, Some(_)) => size,
            (Some(_), None) => -size,
            _ => 0,
        }
    }
}

/// Bytes by kind that a list of changes moves; [`RegionKind::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Size of each kind: after less before.
    pub size: [i128; RegionKind::ALL.len()],
    /// Committed bytes of each kind: after less before.
    pub committed: [i128; RegionKind::ALL.len()],
}

impl Moved {
    fn add(&mut self, piece: Option<&Piece>, bytes: u64, sign: i128) {
        let Some(piece) = piece else { return };
        let bytes = sign * i128::from(bytes);
        self.size[piece.kind.index()] += bytes;
        if piece.region.state == State::Commit {
            self.committed[piece.kind.index()] += bytes;
        }
    }
}

/// Who pieces of both dumps belong to, and whether that is the same one.
pub(super) trait Whose {
    fn before(&self, piece: &Piece) -> Owner;
    fn after(&self, piece: &Piece) -> Owner;
    fn same(&self, before: Owner, after: Owner) -> bool;
    /// Whether allocations keep their base for as long as they live.
    fn has_bases(&self) -> bool;
}

/// Pieces in the order of addresses.
pub(super) trait Pieces: Iterator<Item = Piece> + Sized {
    /// Passes over what begins both lists and is the same in both.
    fn skip_equal(&mut self, _other: &mut Self) {}
}

impl Pieces for std::vec::IntoIter<Piece> {}

impl Pieces for Sweep<'_, '_> {
    /// Records that no claim touches, nearly all of a large map: compared as
    /// they stand in the files, no piece is made of them.
    fn skip_equal(&mut self, other: &mut Self) {
        self.plain_records_while(|record| other.take_equal(record));
    }
}

/// Calls `found` for each change, in the order of addresses, and answers what
/// they move. Both lists are disjoint and sorted.
pub(super) fn merge<P: Pieces>(
    before: P,
    after: P,
    whose: &impl Whose,
    mut found: impl FnMut(Change),
) -> Moved {
    let mut moved = Moved::default();
    let mut open: Option<Change> = None;
    each_run(before, after, |range, before, after| {
        let Some(what) = what(before, after, whose) else { return };
        moved.add(before, range.size(), -1);
        moved.add(after, range.size(), 1);
        let Some(what) = what else { return };
        let change = change(range, what, before, after, whose);
        match &mut open {
            Some(known) if known.continues(&change) => known.take(&change),
            _ => {
                if let Some(done) = open.replace(change) {
                    found(done);
                }
            }
        }
    });
    if let Some(done) = open {
        found(done);
    }
    moved
}

/// Cuts both lists where either has an edge.
fn each_run<P: Pieces>(
    mut before: P,
    mut after: P,
    mut call: impl FnMut(AddressRange, Option<&Piece>, Option<&Piece>),
) {
    before.skip_equal(&mut after);
    let (mut a, mut b) = (before.next(), after.next());
    let mut at = 0;
    loop {
        let start = |piece: &Option<Piece>| piece.as_ref().map(|piece| piece.range.start().max(at));
        let Some(first) = [start(&a), start(&b)].into_iter().flatten().min() else { return };
        let last_of = |piece: &Option<Piece>| match piece {
            Some(piece) if piece.range.start() <= first => piece.range.last(),
            Some(piece) => piece.range.start() - 1,
            None => u64::MAX,
        };
        let last = last_of(&a).min(last_of(&b));
        let is_inside = |piece: &&Piece| piece.range.start() <= first;
        if let Some(range) = AddressRange::spanning(first, last) {
            call(range, a.as_ref().filter(is_inside), b.as_ref().filter(is_inside));
        }
        let over =
            |piece: &Option<Piece>| piece.as_ref().is_some_and(|piece| piece.range.last() <= last);
        match (over(&a), over(&b)) {
            (true, true) => {
                before.skip_equal(&mut after);
                (a, b) = (before.next(), after.next());
            }
            (true, false) => a = before.next(),
            (false, true) => b = after.next(),
            (false, false) => {}
        }
        let Some(next) = last.checked_add(1) else { return };
        at = next;
    }
}

/// `None` when nothing changed; `Some(None)` when only the kind of free memory
/// did, which is no row of its own.
fn what(before: Option<&Piece>, after: Option<&Piece>, whose: &impl Whose) -> Option<Option<What>> {
    let taken = |piece: Option<&Piece>| piece.is_some_and(|of| of.region.state != State::Free);
    let (old, new) = match (before, after) {
        (Some(old), Some(new)) if taken(before) && taken(after) => (old, new),
        _ if taken(after) => return Some(Some(What::New)),
        _ if taken(before) => return Some(Some(What::Gone)),
        _ => {
            let kind = |piece: Option<&Piece>| piece.map(|piece| piece.kind);
            return (kind(before) != kind(after)).then_some(None);
        }
    };
    let (was, is) = (&old.region, &new.region);
    let moved = whose.has_bases() && was.allocation_base != is.allocation_base;
    let what = if moved || was.memory_type != is.memory_type {
        What::Replaced
    } else if was.state != is.state {
        match (was.state, is.state) {
            (State::Reserve, State::Commit) => What::Committed,
            (State::Commit, State::Reserve) => What::Decommitted,
            _ => What::State,
        }
    } else if was.protect != is.protect {
        What::Protection
    } else if old.kind != new.kind || !same_owner(old, new, whose) {
        What::Relabelled
    } else {
        return None;
    };
    Some(Some(what))
}

fn same_owner(old: &Piece, new: &Piece, whose: &impl Whose) -> bool {
    let plain = old.winner.is_none() && new.winner.is_none();
    plain || whose.same(whose.before(old), whose.after(new))
}

fn change(
    range: AddressRange,
    what: What,
    before: Option<&Piece>,
    after: Option<&Piece>,
    whose: &impl Whose,
) -> Change {
    let taken = |piece: &&Piece| piece.region.state != State::Free;
    let side = |piece: &Piece, owner: Owner| Side {
        kind: piece.kind,
        owner,
        allocation: piece.region.allocation_base,
        state: piece.region.state,
        protect: piece.region.protect,
        allocation_protect: piece.region.allocation_protect,
        winner: piece.winner,
        confidence: piece.confidence,
        committed: if piece.region.state == State::Commit { range.size() } else { 0 },
    };
    Change {
        range,
        what,
        before: before.filter(taken).map(|piece| side(piece, whose.before(piece))),
        after: after.filter(taken).map(|piece| side(piece, whose.after(piece))),
        described: range.size(),
    }
}

impl Change {
    /// Whether `next` is more of the same: the rest of one allocation of one
    /// owner, or the next bytes with the same step of protections.
    fn continues(&self, next: &Change) -> bool {
        let key = |side: &Side| (side.kind, side.owner, side.allocation);
        let same = |a: &Option<Side>, b: &Option<Side>| a.as_ref().map(key) == b.as_ref().map(key);
        let protect = |change: &Change| {
            let of = |side: Option<Side>| side.map(|side| side.protect);
            (of(change.before), of(change.after))
        };
        self.what == next.what
            && self.range.last().checked_add(1) == Some(next.range.start())
            && same(&self.before, &next.before)
            && same(&self.after, &next.after)
            && (self.what != What::Protection || protect(self) == protect(next))
    }

    /// Adds `next`; what most of the bytes are describes all.
    fn take(&mut self, next: &Change) {
        let add = |known: Option<Side>, more: Option<Side>, described: Option<Side>| {
            let committed = known?.committed.saturating_add(more?.committed);
            Some(Side { committed, ..described? })
        };
        let larger = next.range.size() > self.described;
        let (before, after) =
            if larger { (next.before, next.after) } else { (self.before, self.after) };
        self.before = add(self.before, next.before, before);
        self.after = add(self.after, next.after, after);
        self.described = self.described.max(next.range.size());
        self.range =
            AddressRange::spanning(self.range.start(), next.range.last()).unwrap_or(self.range);
    }
}
