//! What one dump contributes to a comparison: sums by owner, shape and type,
//! and its modules, folded in one sweep. Grows with owners and shapes, not
//! with regions, and outlives the analysis.

use std::collections::{BTreeMap, HashMap};

use super::run::RunFacts;
use super::who::{Names, Size, Who, image_name};
use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::dump::{DebugId, RawRegion};
use crate::evidence::images::Image;
use crate::evidence::{Confidence, RegionKind};
use crate::map::{GapMeaning, MapSource, MemoryType, State};
use crate::owner::{Owner, Owners};
use crate::totals::{Free, Row};

/// Bytes and things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes, reserved included.
    pub size: u64,
    /// Bytes committed; on Linux all that is mapped.
    pub committed: u64,
    /// Images, stacks, heaps or allocations.
    pub count: u64,
}

impl Amount {
    pub(super) fn plus(self, other: Amount) -> Amount {
        Amount {
            size: self.size.saturating_add(other.size),
            committed: self.committed.saturating_add(other.committed),
            count: self.count.saturating_add(other.count),
        }
    }

    fn add(&mut self, piece: &Piece) {
        let size = piece.range.size();
        let committed = if piece.region.state == State::Commit { size } else { 0 };
        *self = self.plus(Amount { size, committed, count: 0 });
    }
}

/// What one owner has of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How much.
    pub amount: Amount,
    /// How well the least known part of it is known.
    pub confidence: Confidence,
}

impl Share {
    const NONE: Share = Share {
        amount: Amount { size: 0, committed: 0, count: 0 },
        confidence: Confidence::Recorded,
    };

    pub(super) fn plus(self, other: Share) -> Share {
        Share {
            amount: self.amount.plus(other.amount),
            confidence: self.confidence.max(other.confidence),
        }
    }

    fn add(&mut self, piece: &Piece) {
        self.amount.add(piece);
        self.confidence = self.confidence.max(piece.confidence);
    }
}

/// One loaded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedImage {
    /// File name, in lower case on Windows.
    pub name: String,
    /// Where it begins.
    pub base: u64,
    /// Bytes that it spans.
    pub size: u64,
    /// What tells one build of it from another.
    pub build: Build,
}

/// What tells one build of an image from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Build {
    /// The debug id.
    Id(DebugId),
    /// Time stamp and size, where there is none.
    Stamp(u32, u32),
}

/// One dump, as far as it is compared.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which run it is of.
    pub run: RunFacts,
    /// Where the map comes from.
    pub source: MapSource,
    /// Whether the map has regions, and all of them.
    pub whole: bool,
    /// Records of the list of regions that could not be used.
    pub dropped: u64,
    /// By [`RegionKind::index`].
    pub kinds: [Option<Row>; RegionKind::ALL.len()],
    /// All kinds but free memory.
    pub total: Row,
    /// `None` when the map does not know what is free.
    pub free: Option<Free>,
    /// Private, mapped, image memory and that of no known type.
    pub types: [Amount; 4],
    /// Sums by kind and owner; free memory is nobody's.
    pub owners: BTreeMap<(RegionKind, Who), Share>,
    /// Images of the module list, in address order: others are known in one
    /// dump and not in the next by what was captured of them.
    pub images: Vec<LoadedImage>,
    /// Threads of the list.
    pub threads: u64,
    /// Handles; `None` when the dump does not list them.
    pub handles: Option<u64>,
    /// Kinds whose owners do not add up to the totals: none, or it is a fault
    /// of dumpmap.
    pub unsound: Vec<RegionKind>,
}

impl Snapshot {
    /// Of one analysis.
    pub fn of(analysis: &Analysis<'_>, owners: &Owners<'_>) -> Snapshot {
        let mut fold = Fold::default();
        let mut sweep = analysis.pieces();
        loop {
            sweep.plain_records(|record| fold.add_record(record));
            let Some(piece) = sweep.next() else { break };
            fold.add(&piece, owners);
        }
        let types = fold.types;
        let by_owner = fold.finish(&Names::of(analysis, owners));
        let dump = &analysis.dump;
        Snapshot {
            run: RunFacts::of(analysis),
            source: analysis.map.source,
            whole: whole(analysis),
            dropped: analysis.map.dropped,
            kinds: analysis.totals.kinds,
            total: analysis.totals.total,
            free: analysis.totals.free,
            types,
            unsound: unsound(analysis, &by_owner),
            owners: by_owner,
            images: images(analysis),
            threads: dump.threads.len() as u64,
            handles: dump.handles.present.then_some(dump.handles.handles.len() as u64),
        }
    }
}

fn whole(analysis: &Analysis<'_>) -> bool {
    let map = &analysis.map;
    let cut = match map.source {
        MapSource::MemoryInfo => analysis.dump.memory_info.as_ref().is_some_and(|list| list.cut),
        MapSource::LinuxMaps => map.gap_meaning == GapMeaning::Unknown,
        MapSource::Rebuilt => false,
    };
    !map.is_empty() && !cut
}

/// The kinds of which the owners have more or less than the totals.
fn unsound(
    analysis: &Analysis<'_>,
    owners: &BTreeMap<(RegionKind, Who), Share>,
) -> Vec<RegionKind> {
    let mut sums = [(0_u64, 0_u64); RegionKind::ALL.len()];
    for ((kind, _), share) in owners {
        let (size, committed) = &mut sums[kind.index()];
        *size = size.wrapping_add(share.amount.size);
        *committed = committed.wrapping_add(share.amount.committed);
    }
    let differs = |kind: &RegionKind| {
        let row = analysis.totals.row(*kind);
        let (size, committed) = sums[kind.index()];
        size != row.size || row.committed.is_some_and(|known| known != committed)
    };
    let free = [RegionKind::Free, RegionKind::Unusable];
    RegionKind::ALL.into_iter().filter(|kind| !free.contains(kind) && differs(kind)).collect()
}

fn images(analysis: &Analysis<'_>) -> Vec<LoadedImage> {
    let modules = &analysis.dump.modules.modules;
    let platform = analysis.dump.system.platform;
    let listed = |image: &&Image| image.module.is_some() && !image.name().is_empty();
    let images = analysis.evidence.images.iter().filter(listed);
    let mut images: Vec<LoadedImage> = images
        .map(|image| {
            let module = image.module.and_then(|at| modules.get(at as usize));
            let stamp = module.map_or((0, 0), |module| (module.timestamp, module.size));
            let id = module.and_then(|module| module.debug_id.clone());
            LoadedImage {
                name: image_name(platform, image.name()),
                base: image.range.start(),
                size: image.range.size(),
                build: id.map_or(Build::Stamp(stamp.0, stamp.1), Build::Id),
            }
        })
        .collect();
    images.sort_by(|a, b| (a.base, &a.name).cmp(&(b.base, &b.name)));
    images
}

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
struct Fold {
    types: [Amount; 4],
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
    fn add(&mut self, piece: &Piece, owners: &Owners<'_>) {
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
    fn add_record(&mut self, record: &RawRegion) {
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

    fn finish(mut self, names: &Names<'_>) -> BTreeMap<(RegionKind, Who), Share> {
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
