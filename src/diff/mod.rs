//! What grew between dumps of one process, or of two runs of one program.
//!
//! [`Snapshot::of`] folds one dump into sums by kind, owner and shape;
//! [`diff`] sets snapshots side by side and, where the dumps are of one run,
//! merges the maps of the first and the last by address. Other runs have other
//! addresses: there only the insides of images are compared byte by byte.
//!
//! Holds the sums, the changes that are asked for, and one piece of each map.

mod alike;
mod inside;
mod keep;
mod merge;
mod modules;
mod run;
mod series;
mod snapshot;
mod who;

pub use alike::Rows;
pub use keep::Sort;
pub use merge::{Change, Moved, Side, What};
pub use modules::ImageChanges;
pub use run::{Clue, Decision, RunChoice, RunFacts, Says};
pub use series::{Axis, Per, Series};
pub use snapshot::{Amount, Build, LoadedImage, Share, Snapshot};
pub use who::{HeapClass, REPEATED, Size, Who};

use std::collections::{BTreeMap, HashSet};

use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::evidence::{Confidence, RegionKind};
use crate::map::MapSource;
use crate::owner::{Owner, Owners};
use crate::totals::Row;
use alike::Alike;
use keep::{Keep, Measured};
use merge::Whose;
use who::image_name;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whether the dumps are of one run.
    pub run: RunChoice,
    /// How many rows of owners and regions that grew are kept, how many that
    /// shrank, and how many of regions that did neither.
    pub top: usize,
    /// Rows that changed by fewer bytes are left out.
    pub min: u64,
    /// Which growth counts.
    pub sort: Sort,
    /// Whether changes of regions that are alike are one row.
    pub rows: Rows,
}

/// What changed from the first dump to the last.
#[derive(Clone, Debug)]
pub struct Diff {
    /// Whether it is one run.
    pub run: Decision,
    /// What slopes are by; `None` with two dumps.
    pub axis: Option<Axis>,
    /// Why sizes cannot be compared; then only images, threads and handles
    /// are.
    pub incomparable: Option<&'static str>,
    /// Whether anything differs.
    pub difference: bool,
    /// Each kind that a dump has, with its row in each dump.
    pub kinds: Vec<KindRows>,
    /// All kinds but free memory.
    pub total: Series,
    /// By type of memory: private, mapped, image, and of no known type.
    pub types: Vec<(&'static str, Series)>,
    /// Owners that changed: grown ones first, most first, then shrunk ones.
    pub owners: Vec<OwnerRow>,
    /// How many owners changed.
    pub owner_count: u64,
    /// The owners behind most of the growth; of the shrinking, when memory
    /// shrank.
    pub drivers: Vec<OwnerRow>,
    /// What became of the images.
    pub images: ImageChanges,
    /// What became of the bytes of one run; of two runs, of the bytes of
    /// images that both have.
    pub regions: Regions,
    /// The proof.
    pub audit: Audit,
}

/// One kind in each dump; `None` where a dump has no byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindRows {
    /// Which.
    pub kind: RegionKind,
    /// A row a dump.
    pub rows: Vec<Option<Row>>,
    /// Size, committed bytes and allocations.
    pub series: Series,
}

/// One owner of memory of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRow {
    /// What kind of memory.
    pub kind: RegionKind,
    /// Whose.
    pub who: Who,
    /// How much in each dump.
    pub series: Series,
    /// How well the least known part of it is known.
    pub confidence: Confidence,
}

/// Changes of regions.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    /// How many there are, by [`What::ALL`].
    pub tallies: [Tally; What::ALL.len()],
    /// Those asked for: grown ones first, then shrunk ones, then others.
    pub rows: Vec<RegionRow>,
}

/// How much became of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Changes.
    pub count: u64,
    /// Bytes that they are about.
    pub size: u64,
    /// Growth of committed bytes.
    pub committed: i128,
}

/// One change, or several that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionRow {
    /// The image whose offsets the range has, by its place among the images
    /// of the first dump; `None` for addresses.
    pub image: Option<u32>,
    /// The change; the first of several.
    pub change: Change,
    /// How many there are.
    pub count: u64,
    /// Whose they were and are, as far as several have that in common.
    pub families: Option<Box<[Option<Who>; 2]>>,
}

/// The proof that rows add up. A kind in it is a fault of dumpmap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Kinds whose owners are more or less than the totals of a dump.
    pub owners: Vec<RegionKind>,
    /// Kinds whose changes of regions are not the difference of the totals;
    /// `None` where maps cannot be compared by address.
    pub regions: Option<Vec<RegionKind>>,
}

/// Compares dumps. `first` and `last` are the analyses of the first and the
/// last of `snapshots`, which stand in the order of time.
pub fn diff(
    first: (&Analysis<'_>, &Owners<'_>),
    last: (&Analysis<'_>, &Owners<'_>),
    snapshots: &[Snapshot],
    question: &Question,
) -> Diff {
    let runs: Vec<&RunFacts> = snapshots.iter().map(|snapshot| &snapshot.run).collect();
    let run = run::decide(&runs, question.run);
    let times: Vec<Option<u32>> = runs.iter().map(|run| run.written).collect();
    let incomparable = incomparable(snapshots);
    let kinds = kinds(snapshots);
    let all = if incomparable.is_none() { owners(snapshots, run.same) } else { Vec::new() };
    let total = Series(snapshots.iter().map(|of| amount(Some(of.total))).collect());
    let (regions, moved) = match incomparable {
        Some(_) => (Regions::default(), None),
        None => regions(first, last, run.same, question),
    };
    let ends = snapshots.first().zip(snapshots.last());
    let images = ends.map_or_else(ImageChanges::default, |(first, last)| {
        modules::changes(&first.images, &last.images, run.same)
    });
    let differs = |of: fn(&Snapshot) -> Option<u64>| {
        snapshots.windows(2).any(|two| of(&two[0]) != of(&two[1]))
    };
    let difference = !all.is_empty()
        || !images.is_empty()
        || regions.tallies.iter().any(|tally| tally.count > 0)
        || differs(|of| Some(of.threads))
        || differs(|of| of.handles)
        || (incomparable.is_none() && kinds.iter().any(|kind| !same_rows(&kind.rows)));
    let audit = Audit {
        owners: unsound(snapshots),
        regions: moved.map(|moved| unreconciled(&kinds, &moved)),
    };
    let drivers = drivers(&all, &total);
    let owner_count = all.len() as u64;
    let mut keep = Keep::new(question);
    all.into_iter().for_each(|row| keep.push(row));
    Diff {
        axis: Axis::of(&times),
        run,
        incomparable,
        difference,
        kinds,
        types: types(snapshots),
        total,
        owners: keep.finish(),
        owner_count,
        drivers,
        images,
        regions,
        audit,
    }
}

fn same_rows(rows: &[Option<Row>]) -> bool {
    // What the dump holds of the contents, and what explains a row, is no part
    // of the process.
    let of = |row: &Option<Row>| row.map(|row| Row { captured: 0, shares: None, ..row });
    rows.windows(2).all(|two| of(&two[0]) == of(&two[1]))
}

fn incomparable(snapshots: &[Snapshot]) -> Option<&'static str> {
    let any = |test: fn(&Snapshot) -> bool| snapshots.iter().any(test);
    if any(|of| of.source == MapSource::Rebuilt) {
        return Some(
            "a dump without a list of regions shows what it captured, not what the process had",
        );
    }
    if any(|of| !of.whole) {
        return Some("the list of regions of a dump is empty or was cut");
    }
    let mixed = snapshots.windows(2).any(|two| two[0].source != two[1].source);
    mixed.then_some("the maps come from different streams, which do not count alike")
}

fn amount(row: Option<Row>) -> Amount {
    row.map_or_else(Amount::default, |row| Amount {
        size: row.size,
        committed: row.committed.unwrap_or(0),
        count: row.allocations.unwrap_or(0),
    })
}

fn kinds(snapshots: &[Snapshot]) -> Vec<KindRows> {
    RegionKind::ALL
        .into_iter()
        .map(|kind| {
            let rows = snapshots.iter().map(|of| of.kinds[kind.index()]);
            let series = Series(rows.clone().map(amount).collect());
            KindRows { kind, rows: rows.collect(), series }
        })
        .filter(|kind| kind.rows.iter().any(Option::is_some))
        .collect()
}

fn types(snapshots: &[Snapshot]) -> Vec<(&'static str, Series)> {
    ["private", "mapped", "image", "unknown"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| (name, Series(snapshots.iter().map(|of| of.types[at]).collect())))
        .filter(|(_, series)| series.0.iter().any(|amount| amount.size > 0))
        .collect()
}

/// The owners that differ between any two dumps.
fn owners(snapshots: &[Snapshot], same_run: bool) -> Vec<OwnerRow> {
    let mut repeated: HashSet<(RegionKind, &Who)> = HashSet::new();
    for ((kind, who), share) in snapshots.iter().flat_map(|of| &of.owners) {
        if share.amount.count >= REPEATED {
            repeated.insert((*kind, who));
        }
    }
    let mut rows: BTreeMap<(RegionKind, Who), (Vec<Amount>, Confidence)> = BTreeMap::new();
    for (at, ((kind, who), share)) in snapshots
        .iter()
        .enumerate()
        .flat_map(|(at, of)| of.owners.iter().map(move |owner| (at, owner)))
    {
        let who = match who {
            Who::Allocations { size, protect } if !repeated.contains(&(*kind, who)) => {
                Who::Allocations { size: size.rounded(), protect: *protect }
            }
            who if same_run => who.clone(),
            who => who.clone().across_runs(),
        };
        let row = rows.entry((*kind, who));
        let (amounts, confidence) =
            row.or_insert_with(|| (vec![Amount::default(); snapshots.len()], share.confidence));
        amounts[at] = amounts[at].plus(share.amount);
        *confidence = share.confidence.max(*confidence);
    }
    let differs = |amounts: &[Amount]| amounts.windows(2).any(|two| two[0] != two[1]);
    rows.into_iter()
        .filter(|(_, (amounts, _))| differs(amounts))
        .map(|((kind, who), (amounts, confidence))| OwnerRow {
            kind,
            who,
            series: Series(amounts),
            confidence,
        })
        .collect()
}

/// At most this many owners are named as the cause.
const DRIVERS: usize = 3;

/// Those that moved most in the direction of all: of committed memory, or of
/// address space when as much is committed as before. Each of them has at
/// least a tenth of what the first has.
fn drivers(rows: &[OwnerRow], total: &Series) -> Vec<OwnerRow> {
    let by_size = total.committed() == 0;
    let growth = |series: &Series| if by_size { series.size() } else { series.committed() };
    let sign = growth(total).signum();
    let mut moved: Vec<(i128, &OwnerRow)> = rows
        .iter()
        .map(|row| (growth(&row.series) * sign, row))
        .filter(|(growth, _)| *growth > 0)
        .collect();
    moved.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| (x.kind, &x.who).cmp(&(y.kind, &y.who))));
    let most = moved.first().map_or(0, |(growth, _)| *growth);
    moved.truncate(DRIVERS);
    moved
        .into_iter()
        .filter(|(growth, _)| growth * 10 >= most)
        .map(|(_, row)| row.clone())
        .collect()
}

fn regions(
    first: (&Analysis<'_>, &Owners<'_>),
    last: (&Analysis<'_>, &Owners<'_>),
    same_run: bool,
    question: &Question,
) -> (Regions, Option<Moved>) {
    let pair = Pair { analyses: [first.0, last.0], owners: [first.1, last.1] };
    let mut tallies = [Tally::default(); What::ALL.len()];
    let mut keep = Keep::new(question);
    let mut alike = match question.rows {
        Rows::Alike => Some(Alike::of(&pair)),
        Rows::Each => None,
    };
    let mut found = |image: Option<u32>, change: Change| {
        let place = What::ALL.iter().position(|what| *what == change.what).unwrap_or(0);
        let tally = &mut tallies[place];
        tally.count += 1;
        tally.size = tally.size.saturating_add(change.range.size());
        tally.committed += change.committed();
        let row = match &mut alike {
            Some(alike) => alike.push(image, change),
            None => Some(RegionRow { image, change, count: 1, families: None }),
        };
        row.into_iter().for_each(|row| keep.push(row));
    };
    let moved = if same_run {
        let (before, after) = (first.0.pieces(), last.0.pieces());
        Some(merge::merge(before, after, &pair, |change| found(None, change)))
    } else {
        inside::changes(pair.analyses, pair.owners, &pair, |image, change| {
            found(Some(image), change);
        });
        None
    };
    for row in alike.map(Alike::finish).into_iter().flatten() {
        keep.push(row);
    }
    (Regions { tallies, rows: keep.finish() }, moved)
}

fn unsound(snapshots: &[Snapshot]) -> Vec<RegionKind> {
    let broken = |kind: &RegionKind| snapshots.iter().any(|of| of.unsound.contains(kind));
    RegionKind::ALL.into_iter().filter(broken).collect()
}

/// The kinds of which the changes move more or less than the totals differ.
fn unreconciled(kinds: &[KindRows], moved: &Moved) -> Vec<RegionKind> {
    RegionKind::ALL
        .into_iter()
        .filter(|kind| {
            let series = kinds.iter().find(|of| of.kind == *kind).map(|of| &of.series);
            let (size, committed) = series.map_or((0, 0), |of| (of.size(), of.committed()));
            moved.size[kind.index()] != size || moved.committed[kind.index()] != committed
        })
        .collect()
}

impl Measured for RegionRow {
    fn committed(&self) -> i128 {
        self.change.committed() * i128::from(self.count)
    }
    fn size(&self) -> i128 {
        self.change.size() * i128::from(self.count)
    }
    fn touched(&self) -> u64 {
        self.change.range.size().saturating_mul(self.count)
    }
}

impl Measured for OwnerRow {
    fn committed(&self) -> i128 {
        self.series.committed()
    }
    fn size(&self) -> i128 {
        self.series.size()
    }
    fn touched(&self) -> u64 {
        self.series.0.iter().map(|amount| amount.size).max().unwrap_or(0)
    }
}

/// The two dumps whose maps are merged.
struct Pair<'a> {
    analyses: [&'a Analysis<'a>; 2],
    owners: [&'a Owners<'a>; 2],
}

impl Pair<'_> {
    fn image(&self, dump: usize, at: u32) -> Option<String> {
        let analysis = self.analyses[dump];
        let image = analysis.evidence.images.get(at as usize)?;
        Some(image_name(analysis.dump.system.platform, image.name()))
    }

    fn thread(&self, dump: usize, at: u32) -> Option<u32> {
        self.analyses[dump].dump.threads.get(at as usize).map(|thread| thread.id)
    }

    fn stack(&self, dump: usize, at: u32) -> Option<u32> {
        let stack = self.analyses[dump].evidence.stacks.get(at as usize)?;
        self.thread(dump, stack.thread?)
    }

    fn heap(&self, dump: usize, at: u32) -> Option<u64> {
        self.analyses[dump].evidence.heaps.get(at as usize).map(|heap| heap.address)
    }
}

impl Whose for Pair<'_> {
    fn before(&self, piece: &Piece) -> Owner {
        self.owners[0].owner(piece)
    }

    fn after(&self, piece: &Piece) -> Owner {
        self.owners[1].owner(piece)
    }

    fn same(&self, before: Owner, after: Owner) -> bool {
        match (before, after) {
            (Owner::Image(a), Owner::Image(b)) => self.image(0, a) == self.image(1, b),
            (Owner::Stack(a), Owner::Stack(b)) => self.stack(0, a) == self.stack(1, b),
            (Owner::Thread(a), Owner::Thread(b)) => self.thread(0, a) == self.thread(1, b),
            (Owner::Heap(a), Owner::Heap(b)) => self.heap(0, a) == self.heap(1, b),
            (Owner::LinuxMap(_), Owner::LinuxMap(_)) => {
                self.owners[0].title(before) == self.owners[1].title(after)
            }
            (before, after) => before == after,
        }
    }

    fn has_bases(&self) -> bool {
        self.analyses.iter().all(|of| of.map.source == MapSource::MemoryInfo)
    }
}
