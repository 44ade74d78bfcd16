//! The sweep of a snapshot: adds up by type of memory, by owner, and where
//! nobody is known to own it by the shape of the allocation.

use std::collections::{BTreeMap, HashMap};

use super::snapshot::{Amount, Share};
use super::who::{Names, Size, Who};
use crate::classify::Piece;
use crate::dump::RawRegion;
use crate::evidence::{Confidence, RegionKind};
use crate::map::{MemoryType, State};
use crate::owner::{Owner, Owners};

/// A shape: kind, size of the allocation, protection when it was allocated.
type Shape = (RegionKind, u64, u32);

/// Sums by shape. Few shapes make most allocations: the last that fell into
/// each slot are found without hashing.
struct Shapes {
    recent: Vec<Option<(Shape, Share)>>,
    all: HashMap<Shape, Share>,
}

impl Default for Shapes {
    fn default() -> Shapes {
        Shapes { recent: vec![None; Shapes::SLOTS], all: HashMap::new() }
    }
}

impl Shapes {
    const SLOTS: usize = 1024;

    fn add(&mut self, shape: Shape, share: Share) {
        let (kind, size, protect) = shape;
        let mixed = (size >> 12) ^ (u64::from(protect) << 7) ^ ((kind.index() as u64) << 4);
        let slot = &mut self.recent[(mixed % Shapes::SLOTS as u64) as usize];
        match slot {
            Some((known, sum)) if *known == shape => *sum = sum.plus(share),
            _ => {
                if let Some((left, sum)) = slot.replace((shape, share)) {
                    let known = self.all.entry(left).or_insert(Share::NONE);
                    *known = known.plus(sum);
                }
            }
        }
    }

    fn finish(mut self) -> HashMap<Shape, Share> {
        for (shape, sum) in self.recent.into_iter().flatten() {
            let known = self.all.entry(shape).or_insert(Share::NONE);
            *known = known.plus(sum);
        }
        self.all
    }
}

#[derive(Default)]
pub(super) struct Fold {
    pub(super) types: [Amount; 4],
    owners: HashMap<(RegionKind, Owner), Entry>,
    /// The owner that the sweep saw last, not yet among the others.
    last: Option<((RegionKind, Owner), Entry)>,
    shapes: Shapes,
    unknown: HashMap<RegionKind, Share>,
    open: Open,
}

struct Entry {
    share: Share,
    allocation: Option<u64>,
}

/// The allocation that the sweep is in.
#[derive(Default)]
struct Open {
    base: Option<u64>,
    size: u64,
    protect: u32,
    /// What only its kind is known of.
    plain: Vec<(RegionKind, Share)>,
}

impl Open {
    /// Adds bytes that only their kind is known of.
    fn add(&mut self, kind: RegionKind, share: Share, size: u64) {
        self.size = self.size.saturating_add(size);
        match self.plain.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = known.plus(share),
            None => self.plain.push((kind, share)),
        }
    }
}

impl Fold {
    pub(super) fn add(&mut self, piece: &Piece, owners: &Owners<'_>) {
        let region = &piece.region;
        if region.state == State::Free {
            return;
        }
        self.types[type_index(region.memory_type)].add(piece);
        self.open(region.allocation_base, region.allocation_protect.0);
        let mut share = Share::NONE;
        share.add(piece);
        match owners.owner(piece) {
            Owner::Kind(kind) if region.allocation_base.is_some() => {
                self.open.add(kind, share, piece.range.size());
            }
            owner => {
                self.open.size = self.open.size.saturating_add(piece.range.size());
                match owner {
                    Owner::Kind(kind) => {
                        let known = self.unknown.entry(kind).or_insert(Share::NONE);
                        *known = known.plus(share);
                    }
                    owner => self.owned(owner, piece),
                }
            }
        }
    }

    /// As [`add`](Self::add), for a record that is one piece by its own state
    /// and type, and belongs to nobody.
    pub(super) fn add_record(&mut self, record: &RawRegion) {
        if record.is_free() {
            return;
        }
        let (at, kind) = match (record.is_image(), record.is_mapped()) {
            (true, _) => (2, RegionKind::Image),
            (_, true) => (1, RegionKind::Mapped),
            _ => (0, RegionKind::Private),
        };
        let committed = if record.is_committed() { record.size } else { 0 };
        let amount = Amount { size: record.size, committed, count: 0 };
        self.types[at] = self.types[at].plus(amount);
        self.open(Some(record.allocation_base), record.allocation_protect);
        self.open.add(kind, Share { amount, confidence: Confidence::Recorded }, record.size);
    }

    /// Begins another allocation, unless it is the same.
    fn open(&mut self, base: Option<u64>, protect: u32) {
        if base != self.open.base {
            self.close();
            (self.open.base, self.open.protect) = (base, protect);
        }
    }

    fn owned(&mut self, owner: Owner, piece: &Piece) {
        let key = (piece.kind, owner);
        if self.last.as_ref().is_none_or(|(known, _)| *known != key) {
            let known = self.owners.remove(&key);
            let entry = known.unwrap_or(Entry { share: Share::NONE, allocation: None });
            let left = self.last.replace((key, entry));
            self.owners.extend(left);
        }
        let Some((_, entry)) = &mut self.last else { return };
        entry.share.add(piece);
        let count = &mut entry.share.amount.count;
        match owner {
            Owner::Image(_) | Owner::Stack(_) | Owner::Thread(_) | Owner::Heap(_) => *count = 1,
            _ if *count == 0 || entry.allocation != piece.region.allocation_base => *count += 1,
            _ => {}
        }
        entry.allocation = piece.region.allocation_base;
    }

    /// Counts what the allocation has that nobody is known to own.
    fn close(&mut self) {
        let size = std::mem::take(&mut self.open.size);
        for (kind, mut share) in self.open.plain.drain(..) {
            share.amount.count = 1;
            self.shapes.add((kind, size, self.open.protect), share);
        }
    }

    pub(super) fn finish(mut self, names: &Names<'_>) -> BTreeMap<(RegionKind, Who), Share> {
        self.close();
        let mut all: BTreeMap<(RegionKind, Who), Share> = BTreeMap::new();
        let mut add = |kind, who, share: Share| {
            let known = all.entry((kind, who)).or_insert(Share::NONE);
            *known = known.plus(share);
        };
        self.owners.extend(self.last.take());
        for ((kind, owner), entry) in self.owners {
            add(kind, names.who(owner).unwrap_or(Who::Unknown), entry.share);
        }
        for ((kind, size, protect), share) in self.shapes.finish() {
            add(kind, Who::Allocations { size: Size::Exactly(size), protect }, share);
        }
        for (kind, share) in self.unknown {
            add(kind, Who::Unknown, share);
        }
        all
    }
}

fn type_index(memory_type: Option<MemoryType>) -> usize {
    match memory_type {
        Some(MemoryType::Private) => 0,
        Some(MemoryType::Mapped) => 1,
        Some(MemoryType::Image) => 2,
        None => 3,
    }
}
