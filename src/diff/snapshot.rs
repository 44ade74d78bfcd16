//! What one dump contributes to a comparison: sums by owner, shape and type,
//! and its modules, folded in one sweep. Grows with owners and shapes, not
//! with regions, and outlives the analysis.

use std::collections::BTreeMap;

use super::fold::Fold;
use super::run::RunFacts;
use super::who::{Names, Who, image_name};
use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::dump::DebugId;
use crate::evidence::images::Image;
use crate::evidence::{Confidence, RegionKind};
use crate::map::{GapMeaning, MapSource, State};
use crate::owner::Owners;
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

    pub(super) fn add(&mut self, piece: &Piece) {
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
    pub(super) const NONE: Share = Share {
        amount: Amount { size: 0, committed: 0, count: 0 },
        confidence: Confidence::Recorded,
    };

    pub(super) fn plus(self, other: Share) -> Share {
        Share {
            amount: self.amount.plus(other.amount),
            confidence: self.confidence.max(other.confidence),
        }
    }

    pub(super) fn add(&mut self, piece: &Piece) {
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
