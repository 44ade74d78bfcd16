//! `diff`: what grew between dumps, in numbers and in a sentence.

mod words;

use serde::Serialize;

use super::{DumpView, Hex, Input, SCHEMA_VERSION};
use crate::diff::{
    Amount, Diff, ImageChanges, KindRows, LoadedImage, OwnerRow, RegionRow, Series, Side, Snapshot,
    What,
};
use crate::evidence::RegionKind;
use crate::map::{MapSource, Protection, State};
use crate::owner::{Owner, Owners};
use crate::totals::Row;

/// The document of `diff`.
#[derive(Debug, Serialize)]
pub struct DiffReport {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dumps, in the order given.
    pub dumps: Vec<DumpView<'static>>,
    /// Whether they are of one run.
    pub run: RunView,
    /// Why sizes cannot be compared; then only images, threads and handles
    /// are.
    pub incomparable: Option<&'static str>,
    /// Whether anything differs.
    pub difference: bool,
    /// What grew most, in sentences.
    pub conclusion: Vec<String>,
    /// What to bear in mind.
    pub notes: Vec<String>,
    /// The unit of slopes; null with two dumps.
    pub slope_per: Option<&'static str>,
    /// Threads, handles, images.
    pub counts: Vec<CountView>,
    /// All kinds but free memory; null when sizes cannot be compared.
    pub total: Option<GrowthView>,
    /// By type of memory; as all below it empty when sizes cannot be compared.
    pub types: Vec<TypeGrowthView>,
    /// By kind of memory.
    pub kinds: Vec<KindGrowthView>,
    /// How many owners changed.
    pub owner_count: u64,
    /// By owner: those that grew, most first, then those that shrank.
    pub owners: Vec<OwnerGrowthView>,
    /// What became of the images.
    pub images: ImageChangesView,
    /// What became of the regions, by change.
    pub changes: Vec<TallyView>,
    /// The regions: those that grew, most first, those that shrank, others.
    pub regions: Vec<ChangeView>,
    /// The proof that all of it adds up.
    pub audit: AuditView,
}

/// Whether the dumps are of one run.
#[derive(Clone, Debug, Serialize)]
pub struct RunView {
    /// Whether they were compared as such.
    pub same: bool,
    /// `evidence`, or `option` when it was asked for.
    pub decided_by: &'static str,
    /// What the dumps say.
    pub evidence: Vec<ClueView>,
}

/// One fact of both dumps.
#[derive(Clone, Debug, Serialize)]
pub struct ClueView {
    /// What it is about.
    pub what: &'static str,
    /// The fact.
    pub text: String,
    /// `same`, `other` or `either` run.
    pub says: &'static str,
}

/// A number of things in each dump.
#[derive(Clone, Debug, Serialize)]
pub struct CountView {
    /// Of what.
    pub what: &'static str,
    /// How many; null where the dump does not tell.
    pub values: Vec<Option<u64>>,
}

/// Bytes and things in one dump.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AmountView {
    /// Bytes, reserved included.
    pub size: u64,
    /// Committed bytes; null where there is no such thing.
    pub committed: Option<u64>,
    /// Images, stacks, heaps or allocations.
    pub count: Option<u64>,
}

/// An amount in each dump, and its growth.
#[derive(Clone, Debug, Serialize)]
pub struct GrowthView {
    /// One a dump.
    pub values: Vec<AmountView>,
    /// Growth of the size from the first dump to the last.
    pub size: i64,
    /// Growth of committed bytes.
    pub committed: Option<i64>,
    /// Growth of the count.
    pub count: Option<i64>,
    /// Committed bytes by `slope_per`: the line with the least squares.
    pub slope: Option<f64>,
    /// Whether committed bytes grew and never shrank from dump to dump; null
    /// with two dumps.
    pub only_grew: Option<bool>,
}

/// One type of memory.
#[derive(Clone, Debug, Serialize)]
pub struct TypeGrowthView {
    /// `private`, `mapped`, `image` or `unknown`.
    #[serde(rename = "type")]
    pub memory_type: &'static str,
    /// How much.
    #[serde(flatten)]
    pub growth: GrowthView,
}

/// One kind of memory.
#[derive(Clone, Debug, Serialize)]
pub struct KindGrowthView {
    /// Which.
    pub kind: &'static str,
    /// How much.
    #[serde(flatten)]
    pub growth: GrowthView,
    /// The largest allocation or free block in each dump.
    pub largest: Vec<Option<u64>>,
    /// Its title in tables.
    #[serde(skip)]
    pub title: &'static str,
}

/// One owner.
#[derive(Clone, Debug, Serialize)]
pub struct OwnerGrowthView {
    /// What kind of memory.
    pub kind: &'static str,
    /// Whose.
    pub owner: String,
    /// How much.
    #[serde(flatten)]
    pub growth: GrowthView,
    /// How well the least known part of it is known.
    pub confidence: &'static str,
}

/// What became of the images.
#[derive(Clone, Debug, Serialize)]
pub struct ImageChangesView {
    /// In the last dump only.
    pub loaded: Vec<ImageAt>,
    /// In the first dump only.
    pub unloaded: Vec<ImageAt>,
    /// In both, at two addresses; of one run only.
    pub moved: Vec<ImagePair>,
    /// In both under one name, of two builds.
    pub rebuilt: Vec<ImagePair>,
}

/// One image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageAt {
    /// File name.
    pub name: String,
    /// Where it begins.
    pub base: Hex,
    /// Bytes.
    pub size: u64,
}

/// One image in the first and the last dump.
#[derive(Clone, Debug, Serialize)]
pub struct ImagePair {
    /// File name.
    pub name: String,
    /// Where it began.
    pub base_before: Hex,
    /// Where it begins.
    pub base_after: Hex,
    /// Bytes then.
    pub size_before: u64,
    /// Bytes now.
    pub size_after: u64,
}

/// How many changes of one sort there are.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TallyView {
    /// What became of the bytes.
    pub change: &'static str,
    /// How many runs of bytes.
    pub count: u64,
    /// How many bytes.
    pub size: u64,
    /// Growth of committed bytes.
    pub committed: i64,
}

/// One run of bytes that changed.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeView {
    /// The image whose offsets `base` and `end` are; null for addresses.
    pub image: Option<String>,
    /// The first byte.
    pub base: Hex,
    /// One past the last byte.
    pub end: Hex,
    /// Bytes.
    pub size: u64,
    /// What became of them.
    pub change: &'static str,
    /// Growth of committed bytes.
    pub committed: i64,
    /// What they were; null for free memory, as below.
    pub kind_before: Option<&'static str>,
    /// What they are.
    pub kind_after: Option<&'static str>,
    /// Whose they were; null when nobody is known to own them.
    pub owner_before: Option<String>,
    /// Whose they are.
    pub owner_after: Option<String>,
    /// State of most of them.
    pub state_before: Option<&'static str>,
    /// State of most of them.
    pub state_after: Option<&'static str>,
    /// Protection of most of them.
    pub protect_before: Option<String>,
    /// Protection of most of them.
    pub protect_after: Option<String>,
    /// Allocation base.
    pub allocation_before: Option<Hex>,
    /// Allocation base.
    pub allocation_after: Option<Hex>,
    /// How the label is known: of what is there now, else of what was.
    pub confidence: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// Short forms of both protections.
    #[serde(skip)]
    pub short: (String, String),
    /// How many changes the row stands for; the addresses are the first one's.
    #[serde(skip)]
    pub count: u64,
}

/// The proof.
#[derive(Clone, Debug, Serialize)]
pub struct AuditView {
    /// Kinds whose owners do not add up to the totals: a fault of dumpmap.
    pub owners: Vec<&'static str>,
    /// Kinds whose changes of regions do not add up to the difference of the
    /// totals; null when regions are not compared by address.
    pub regions: Option<Vec<&'static str>>,
}

/// The first and the last dump, as reports are made from them.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// The first.
    pub first: Input<'a>,
    /// Its owners.
    pub first_owners: &'a Owners<'a>,
    /// The last.
    pub last: Input<'a>,
    /// Its owners.
    pub last_owners: &'a Owners<'a>,
}

impl DiffReport {
    /// The document for dumps whose heads and snapshots stand in one order.
    pub fn of(
        ends: &Ends<'_>,
        dumps: Vec<DumpView<'static>>,
        snapshots: &[Snapshot],
        diff: &Diff,
    ) -> DiffReport {
        let view = Views { ends, diff };
        let sizes = diff.incomparable.is_none();
        let clues = diff.run.clues.iter().map(|clue| ClueView {
            what: clue.what,
            text: ends.first.owned(clue.text.clone()),
            says: clue.says.as_str(),
        });
        DiffReport {
            schema_version: SCHEMA_VERSION,
            conclusion: words::conclusion(&view, snapshots),
            notes: words::notes(&dumps, snapshots),
            dumps,
            run: RunView {
                same: diff.run.same,
                decided_by: if diff.run.asked { "option" } else { "evidence" },
                evidence: clues.collect(),
            },
            incomparable: diff.incomparable,
            difference: diff.difference,
            slope_per: diff.axis.as_ref().map(|axis| axis.per.as_str()),
            counts: counts(snapshots),
            total: sizes.then(|| view.growth(&diff.total, Count::Known)),
            types: view.types(),
            kinds: diff.kinds.iter().filter(|_| sizes).map(|kind| view.kind(kind)).collect(),
            owner_count: diff.owner_count,
            owners: diff.owners.iter().map(|row| view.owner(row)).collect(),
            images: view.images(&diff.images),
            changes: view.tallies(),
            regions: diff.regions.rows.iter().map(|row| view.region(row)).collect(),
            audit: AuditView {
                owners: names(&diff.audit.owners),
                regions: diff.audit.regions.as_deref().map(names),
            },
        }
    }
}

fn names(kinds: &[RegionKind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.as_str()).collect()
}

fn counts(snapshots: &[Snapshot]) -> Vec<CountView> {
    let count = |what, of: fn(&Snapshot) -> Option<u64>| CountView {
        what,
        values: snapshots.iter().map(of).collect(),
    };
    vec![
        count("threads", |of| Some(of.threads)),
        count("handles", |of| of.handles),
        count("images", |of| Some(of.images.len() as u64)),
        count("largest free block", |of| of.free.map(|free| free.largest)),
    ]
}

/// Whether a count is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    Known,
    Unknown,
}

struct Views<'v, 'a> {
    ends: &'v Ends<'a>,
    diff: &'v Diff,
}

impl Views<'_, '_> {
    fn growth(&self, series: &Series, count: Count) -> GrowthView {
        let value = |amount: &Amount| AmountView {
            size: amount.size,
            committed: Some(amount.committed),
            count: (count == Count::Known).then_some(amount.count),
        };
        let axis = self.diff.axis.as_ref();
        GrowthView {
            values: series.0.iter().map(value).collect(),
            size: narrow(series.size()),
            committed: Some(narrow(series.committed())),
            count: (count == Count::Known).then(|| narrow(series.count())),
            slope: axis.and_then(|axis| series.slope(axis)).map(rounded),
            only_grew: axis.map(|_| series.only_grew()),
        }
    }

    fn types(&self) -> Vec<TypeGrowthView> {
        let types = self.diff.types.iter().filter(|_| self.diff.incomparable.is_none());
        let view = |(name, series): &(&'static str, Series)| TypeGrowthView {
            memory_type: name,
            growth: self.growth(series, Count::Unknown),
        };
        types.map(view).collect()
    }

    fn kind(&self, kind: &KindRows) -> KindGrowthView {
        let mut growth = self.growth(&kind.series, Count::Known);
        let free = matches!(kind.kind, RegionKind::Free | RegionKind::Unusable);
        for (value, row) in growth.values.iter_mut().zip(&kind.rows) {
            let of = |get: fn(&Row) -> Option<u64>| match row {
                Some(row) => get(row),
                None => Some(0),
            };
            value.committed = value.committed.and(of(|row| row.committed)).filter(|_| !free);
            value.count = of(|row| row.allocations).filter(|_| !free);
        }
        if free {
            (growth.committed, growth.count) = (None, None);
            (growth.slope, growth.only_grew) = (None, None);
        }
        KindGrowthView {
            kind: kind.kind.as_str(),
            growth,
            largest: kind.rows.iter().map(|row| row.and_then(|row| row.largest)).collect(),
            title: kind.kind.title(),
        }
    }

    fn owner(&self, row: &OwnerRow) -> OwnerGrowthView {
        OwnerGrowthView {
            kind: row.kind.as_str(),
            owner: self.ends.last.owned(row.who.title()),
            growth: self.growth(&row.series, Count::Known),
            confidence: row.confidence.as_str(),
        }
    }

    fn tallies(&self) -> Vec<TallyView> {
        let tallies = What::ALL.iter().zip(&self.diff.regions.tallies);
        let tallies = tallies.filter(|(_, tally)| tally.count > 0).map(|(what, tally)| TallyView {
            change: what.as_str(),
            count: tally.count,
            size: tally.size,
            committed: narrow(tally.committed),
        });
        tallies.collect()
    }

    fn images(&self, changes: &ImageChanges) -> ImageChangesView {
        let Ends { first, last, .. } = self.ends;
        let one = |input: &Input<'_>, image: &LoadedImage| ImageAt {
            name: input.owned(image.name.clone()),
            base: input.hex(image.base),
            size: image.size,
        };
        let pair = |(before, after): &(LoadedImage, LoadedImage)| ImagePair {
            name: last.owned(after.name.clone()),
            base_before: first.hex(before.base),
            base_after: last.hex(after.base),
            size_before: before.size,
            size_after: after.size,
        };
        ImageChangesView {
            loaded: changes.loaded.iter().map(|image| one(last, image)).collect(),
            unloaded: changes.unloaded.iter().map(|image| one(first, image)).collect(),
            moved: changes.moved.iter().map(pair).collect(),
            rebuilt: changes.rebuilt.iter().map(pair).collect(),
        }
    }

    fn region(&self, row: &RegionRow) -> ChangeView {
        let Ends { first, first_owners, last, last_owners } = self.ends;
        let change = &row.change;
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        let image = row.image.and_then(|at| first.analysis.evidence.images.get(at as usize));
        let (side, input) = match after {
            Some(after) => (Some(after), last),
            None => (before, first),
        };
        let protect = |side: Option<&Side>| {
            side.map(shown_protection).filter(|protect| protect.0 != 0).map(Protection::name)
        };
        let short = |side: Option<&Side>| side.map_or_else(|| "free".into(), short);
        let allocation = |side: Option<&Side>, input: &Input<'_>| {
            side.and_then(|side| side.allocation).map(|base| input.hex(base))
        };
        let family = |at: usize| row.families.as_ref().and_then(|of| of[at].as_ref());
        ChangeView {
            image: image.map(|image| first.owned(image.name().to_owned())),
            base: first.hex(change.range.start()),
            end: first.hex(change.range.end()),
            size: change.range.size(),
            change: change.what.as_str(),
            committed: narrow(change.committed()),
            kind_before: before.map(|side| side.kind.as_str()),
            kind_after: after.map(|side| side.kind.as_str()),
            owner_before: before.and_then(|side| match row.count {
                1 => title(first, first_owners, side),
                _ => family(0).map(|who| first.owned(who.title())),
            }),
            owner_after: after.and_then(|side| match row.count {
                1 => title(last, last_owners, side),
                _ => family(1).map(|who| last.owned(who.title())),
            }),
            state_before: before.map(|side| side.state.as_str()),
            state_after: after.map(|side| side.state.as_str()),
            protect_before: protect(before),
            protect_after: protect(after),
            allocation_before: allocation(before, first),
            allocation_after: allocation(after, last),
            confidence: side.map_or("", |side| side.confidence.as_str()),
            source: side.map_or("", |side| source(input, side)),
            short: (short(before), short(after)),
            count: row.count,
        }
    }
}

/// The protection now; of reserved memory the one that it was reserved with.
fn shown_protection(side: &Side) -> Protection {
    if side.state == State::Commit { side.protect } else { side.allocation_protect }
}

fn short(side: &Side) -> String {
    match side.state {
        State::Commit => super::ProtectionIs::short(side.protect),
        other => other.as_str().to_owned(),
    }
}

fn title(input: &Input<'_>, owners: &Owners<'_>, side: &Side) -> Option<String> {
    let known = !matches!(side.owner, Owner::Kind(_));
    known.then(|| input.owned(owners.title(side.owner)))
}

fn source(input: &Input<'_>, side: &Side) -> &'static str {
    let claim = side.winner.and_then(|at| input.analysis.evidence.claims.get(at as usize));
    match (claim, input.analysis.map.source) {
        (Some(claim), _) => claim.source.as_str(),
        (None, MapSource::MemoryInfo) => "memory-info-list",
        (None, MapSource::LinuxMaps) => "linux-maps",
        (None, MapSource::Rebuilt) => "memory-list",
    }
}

/// Growth as it is written; only forged maps have more than fits.
fn narrow(bytes: i128) -> i64 {
    i64::try_from(bytes).unwrap_or(if bytes < 0 { i64::MIN } else { i64::MAX })
}

/// To a thousandth of a byte: the rest is noise of the arithmetic.
fn rounded(slope: f64) -> f64 {
    (slope * 1000.0).round() / 1000.0
}
