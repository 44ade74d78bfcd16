//! What one dump contributes to a comparison: sums by owner, shape and type,
//! and its modules, folded in one sweep. Grows with owners and shapes, not
//! with regions, and outlives the analysis.

use std::collections::{BTreeMap, HashMap};

use super::run::RunFacts;
use super::who::{Names, Size, Who, image_name};
use crate::analysis::Analysis;
use crate::classify::Piece;
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
    /// What tells one build of it from another: debug id, else time stamp and
    /// size; `None` for images that the module list does not have.
    pub build: Option<String>,
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
    /// Images with a name, in address order.
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
        for piece in analysis.pieces() {
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
    let images = analysis.evidence.images.iter().filter(|image| !image.name().is_empty());
    let mut images: Vec<LoadedImage> = images
        .map(|image| {
            let module = image.module.and_then(|at| modules.get(at as usize));
            LoadedImage {
                name: image_name(platform, image.name()),
                base: image.range.start(),
                size: image.range.size(),
                build: module.map(|module| match &module.debug_id {
                    Some(id) => id.to_string(),
                    None => format!("{:08x}{:x}", module.timestamp, module.size),
                }),
            }
        })
        .collect();
    images.sort_by(|a, b| (a.base, &a.name).cmp(&(b.base, &b.name)));
    images
}

/// A shape: kind, size of the allocation, protection when it was allocated.
type Shape = (RegionKind, u64, u32);

#[derive(Default)]
struct Fold {
    types: [Amount; 4],
    owners: HashMap<(RegionKind, Owner), Entry>,
    shapes: HashMap<Shape, Share>,
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

impl Fold {
    fn add(&mut self, piece: &Piece, owners: &Owners<'_>) {
        let region = &piece.region;
        if region.state == State::Free {
            return;
        }
        self.types[type_index(region.memory_type)].add(piece);
        if region.allocation_base != self.open.base {
            self.close();
            self.open.base = region.allocation_base;
            self.open.protect = region.allocation_protect.0;
        }
        self.open.size = self.open.size.saturating_add(piece.range.size());
        match owners.owner(piece) {
            Owner::Kind(kind) if region.allocation_base.is_some() => {
                match self.open.plain.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, share)) => share.add(piece),
                    None => {
                        let mut share = Share::NONE;
                        share.add(piece);
                        self.open.plain.push((kind, share));
                    }
                }
            }
            Owner::Kind(kind) => self.unknown.entry(kind).or_insert(Share::NONE).add(piece),
            owner => self.owned(owner, piece),
        }
    }

    fn owned(&mut self, owner: Owner, piece: &Piece) {
        let entry = self.owners.entry((piece.kind, owner));
        let entry = entry.or_insert(Entry { share: Share::NONE, allocation: None });
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
            let known = self.shapes.entry((kind, size, self.open.protect)).or_insert(Share::NONE);
            *known = known.plus(share);
        }
    }

    fn finish(mut self, names: &Names<'_>) -> BTreeMap<(RegionKind, Who), Share> {
        self.close();
        let mut all: BTreeMap<(RegionKind, Who), Share> = BTreeMap::new();
        let mut add = |kind, who, share: Share| {
            let known = all.entry((kind, who)).or_insert(Share::NONE);
            *known = known.plus(share);
        };
        for ((kind, owner), entry) in self.owners {
            add(kind, names.who(owner).unwrap_or(Who::Unknown), entry.share);
        }
        for ((kind, size, protect), share) in self.shapes {
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
