//! `regions`: pieces, regions or allocations with what is known of them, one
//! at a time in address order. Nothing is collected here.

use std::borrow::Cow;

use serde::Serialize;

use super::{Hex, Input};
use crate::addr::AddressRange;
use crate::classify::{Piece, Standing, Sweep, base_confidence, base_kind};
use crate::dump::CapturedRange;
use crate::evidence::{Claim, Confidence, EvidenceSource, RegionKind, Subject, Use};
use crate::map::{MapSource, Origin, Protection, Region, State};

/// What one row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A run of bytes with one answer.
    Piece,
    /// A VirtualQuery region.
    Region,
    /// The regions of one allocation.
    Allocation,
}

/// A piece, region or allocation with its answer.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its bytes.
    pub range: AddressRange,
    /// The region it lies in; of an allocation, what its regions share.
    pub region: Region,
    /// What it is; of several pieces, what most of it is.
    pub kind: RegionKind,
    /// How that is known.
    pub confidence: Confidence,
    /// The claims on it, the winner first; of several pieces, on the largest.
    pub standing: Standing,
    /// Bytes whose contents the dump holds.
    pub captured: u64,
    /// Committed bytes.
    pub committed: u64,
    /// VirtualQuery regions in it.
    pub blocks: u64,
    /// The pieces of an allocation, when there are several; else empty.
    pub parts: Vec<Row>,
    /// How many more there are.
    pub more_parts: u64,
}

/// The pieces of an analysis as rows.
#[derive(Debug)]
pub struct Pieces<'a> {
    sweep: Sweep<'a, 'a>,
    captured: &'a [CapturedRange],
}

impl<'a> Pieces<'a> {
    /// From the lowest address on.
    pub fn of(input: &Input<'a>) -> Pieces<'a> {
        let analysis = input.analysis;
        Pieces { sweep: analysis.pieces(), captured: analysis.dump.captured.ranges() }
    }

    /// Captured bytes in the next piece: runs that end before it are never
    /// looked at again.
    #[inline]
    fn captured_bytes(&mut self, range: AddressRange) -> u64 {
        let mut bytes = 0;
        while let Some((run, rest)) = self.captured.split_first() {
            bytes += run.range.intersect(range).map_or(0, AddressRange::size);
            if run.range.last() > range.last() {
                break;
            }
            self.captured = rest;
        }
        bytes
    }
}

impl Iterator for Pieces<'_> {
    type Item = Row;

    #[inline]
    fn next(&mut self) -> Option<Row> {
        let piece = self.sweep.next()?;
        let standing = self.sweep.standing(&piece);
        let captured = self.captured_bytes(piece.range);
        let Piece { range, region, kind, confidence, .. } = piece;
        let committed = if region.state == State::Commit { range.size() } else { 0 };
        Some(Row {
            range,
            region,
            kind,
            confidence,
            standing,
            captured,
            committed,
            blocks: 1,
            parts: Vec::new(),
            more_parts: 0,
        })
    }
}

/// The rows of an analysis.
pub fn rows<'a>(input: &Input<'a>, by: By) -> Box<dyn Iterator<Item = Row> + 'a> {
    match by {
        By::Piece => Box::new(Pieces::of(input)),
        By::Region => Box::new(grouped(Pieces::of(input), 0, |region, next| {
            region.range == next.range && region.origin == next.origin
        })),
        By::Allocation => Box::new(grouped(Pieces::of(input), PARTS, |region, next| {
            region.allocation_base.is_some() && region.allocation_base == next.allocation_base
        })),
    }
}

/// Pieces of one allocation that are kept for listing.
const PARTS: usize = 10_000;

/// Joins neighbours that belong together, keeping up to `keep` of each group.
fn grouped<'a>(
    pieces: impl Iterator<Item = Row> + 'a,
    keep: usize,
    together: fn(&Region, &Region) -> bool,
) -> impl Iterator<Item = Row> + 'a {
    let mut pieces = pieces.peekable();
    std::iter::from_fn(move || {
        let first = pieces.next()?;
        let mut last = first.region;
        let mut group = Group::of(first, keep);
        while let Some(next) = pieces.next_if(|next| together(&last, &next.region)) {
            last = next.region;
            group.add(next, keep);
        }
        group.finish()
    })
}

/// Pieces that become one row: of the facts those that all share, and of each
/// kind its largest piece.
struct Group {
    row: Row,
    /// Bytes and the largest piece.
    kinds: [(u64, Option<Row>); RegionKind::ALL.len()],
    last_region: AddressRange,
}

impl Group {
    fn of(first: Row, keep: usize) -> Group {
        let mut kinds = [const { (0, None) }; RegionKind::ALL.len()];
        kinds[first.kind.index()] = (first.range.size(), Some(first.clone()));
        let mut row = first.clone();
        row.parts.extend((keep > 0).then_some(first));
        Group { last_region: row.region.range, row, kinds }
    }

    fn add(&mut self, part: Row, keep: usize) {
        let row = &mut self.row;
        row.range =
            AddressRange::spanning(row.range.start(), part.range.last()).unwrap_or(row.range);
        row.captured = row.captured.saturating_add(part.captured);
        row.committed = row.committed.saturating_add(part.committed);
        if part.region.range != self.last_region {
            row.blocks += 1;
            self.last_region = part.region.range;
        }
        let shared = |own: Protection, other| if own == other { own } else { Protection(0) };
        row.region.protect = shared(row.region.protect, part.region.protect);
        row.region.allocation_protect =
            shared(row.region.allocation_protect, part.region.allocation_protect);
        let (bytes, largest) = &mut self.kinds[part.kind.index()];
        *bytes = bytes.saturating_add(part.range.size());
        if largest.as_ref().is_none_or(|largest| largest.range.size() < part.range.size()) {
            *largest = Some(part.clone());
        }
        if row.parts.len() < keep {
            row.parts.push(part);
        } else if keep > 0 {
            row.more_parts += 1;
        }
    }

    fn finish(self) -> Option<Row> {
        let Group { mut row, kinds, .. } = self;
        let (_, largest) = kinds.into_iter().rev().max_by_key(|(bytes, _)| *bytes)?;
        let largest = largest?;
        (row.kind, row.confidence) = (largest.kind, largest.confidence);
        row.standing = largest.standing;
        row.region.range = row.range;
        if row.committed > 0 {
            row.region.state = State::Commit;
        }
        if row.parts.len() == 1 {
            row.parts.clear();
        }
        Some(row)
    }
}

/// Finds the words for rows in the tables of an analysis.
#[derive(Debug)]
pub struct Names<'a> {
    /// What the rows come from.
    pub input: Input<'a>,
    images: Vec<Cow<'a, str>>,
}

/// The words for one row; empty where there are none.
#[derive(Clone, Debug, Default)]
pub struct Labels<'n> {
    /// What it is used for, beyond its kind.
    pub usage: Cow<'n, str>,
    /// Path of the image or file, name of the thread.
    pub name: Cow<'n, str>,
    /// Whose stack or TEB it is.
    pub thread_id: Option<u32>,
    /// Whose heap it is part of.
    pub heap: Option<u64>,
}

impl<'a> Names<'a> {
    /// For rows of this analysis.
    pub fn of(input: &Input<'a>) -> Names<'a> {
        let images = input.analysis.evidence.images.iter();
        Names { input: *input, images: images.map(|image| input.text(&image.path)).collect() }
    }

    /// The claim at an index of [`Standing::claims`].
    pub fn claim(&self, index: u32) -> Option<&'a Claim> {
        self.input.analysis.evidence.claims.get(index as usize)
    }

    /// The words for a row: of the winner, and what the other claims of its
    /// kind add.
    pub fn labels(&self, row: &Row) -> Labels<'_> {
        let mut labels = Labels::default();
        for index in &row.standing.claims {
            let Some(claim) = self.claim(*index).filter(|claim| claim.kind == Some(row.kind))
            else {
                continue;
            };
            if labels.usage.is_empty() {
                labels.usage = self.usage(&claim.usage);
            }
            self.add_subject(claim.subject, &mut labels);
        }
        labels
    }

    pub(super) fn usage(&self, usage: &Use) -> Cow<'_, str> {
        match usage.text(|line| self.linux_name(line)) {
            Cow::Borrowed(text) => self.input.text(text),
            Cow::Owned(text) => Cow::Owned(text),
        }
    }

    fn add_subject<'n>(&'n self, subject: Subject, labels: &mut Labels<'n>) {
        let evidence = &self.input.analysis.evidence;
        let mut thread = None;
        let name = match subject {
            Subject::Image(at) => self.images.get(at as usize).map(|path| Cow::Borrowed(&**path)),
            Subject::LinuxMap(line) => Some(self.input.text(self.linux_name(line))),
            Subject::Stack(at) => {
                thread = evidence.stacks.get(at as usize).and_then(|stack| stack.thread);
                None
            }
            Subject::Thread(at) => {
                thread = Some(at);
                None
            }
            Subject::Heap(at) => {
                let heap = evidence.heaps.get(at as usize).map(|heap| heap.address);
                labels.heap = labels.heap.or(heap);
                None
            }
            Subject::None | Subject::UnloadedModule(_) => None,
        };
        let thread = thread.and_then(|at| self.input.analysis.dump.threads.get(at as usize));
        labels.thread_id = labels.thread_id.or(thread.map(|thread| thread.id));
        let thread_name = thread.and_then(|thread| thread.name.as_deref());
        let name = name.or(thread_name.map(|name| self.input.text(name)));
        if let Some(name) = name.filter(|_| labels.name.is_empty()) {
            labels.name = name;
        }
    }

    fn linux_name(&self, line: u32) -> &'a str {
        let maps = self.input.analysis.dump.linux.maps.as_ref();
        maps.and_then(|maps| maps.maps.get(line as usize)).map_or("", |map| &map.name)
    }

    /// What the region's own state and type say of a row.
    pub fn base(&self, row: &Row) -> Base {
        let map = &self.input.analysis.map;
        let (source, detail) = match (row.region.origin, map.source) {
            (Origin::Record(_), _) => (EvidenceSource::MemoryInfoList, None),
            (Origin::LinuxMap(_), _) => (EvidenceSource::LinuxMaps, None),
            (Origin::Module(_), _) => (EvidenceSource::ModuleList, None),
            (Origin::Captured, _) => (EvidenceSource::MemoryList, None),
            (Origin::Gap, MapSource::LinuxMaps) => (EvidenceSource::LinuxMaps, Some(GAP)),
            (Origin::Gap, _) => (EvidenceSource::MemoryInfoList, Some(GAP)),
        };
        Base {
            source,
            kind: base_kind(&row.region),
            confidence: base_confidence(&row.region, map.gap_meaning),
            detail,
        }
    }
}

const GAP: &str = "no record";

/// The base layer: evidence that every row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    /// Which list has the region.
    pub source: EvidenceSource,
    /// What its state and type say.
    pub kind: RegionKind,
    /// How well that is known.
    pub confidence: Confidence,
    /// More about it.
    pub detail: Option<&'static str>,
}

/// A row as a JSON object. `render::region_json` writes the same bytes faster.
#[derive(Clone, Debug, Serialize)]
pub struct RegionView<'a> {
    /// The first byte.
    pub base: Hex,
    /// One past the last byte.
    pub end: Hex,
    /// Bytes.
    pub size: u64,
    /// `commit`, `reserve`, `free` or `unknown`.
    pub state: &'static str,
    /// `image`, `mapped` or `private`.
    #[serde(rename = "type")]
    pub memory_type: Option<&'static str>,
    /// PAGE_* names; null unless committed.
    pub protect: Option<String>,
    /// PAGE_GUARD.
    pub guard: bool,
    /// Start of the allocation.
    pub allocation_base: Option<Hex>,
    /// PAGE_* names when it was allocated.
    pub allocation_protect: Option<String>,
    /// What it is.
    pub kind: &'static str,
    /// What it is used for, beyond its kind.
    #[serde(rename = "use")]
    pub usage: Option<Cow<'a, str>>,
    /// Path of the image or file, name of the thread.
    pub name: Option<Cow<'a, str>>,
    /// Whose stack or TEB.
    pub thread_id: Option<u32>,
    /// Whose heap.
    pub heap: Option<Hex>,
    /// How the kind is known.
    pub confidence: &'static str,
    /// Who says what, the winner first, those who say otherwise last.
    pub evidence: Vec<EvidenceView>,
    /// Bytes whose contents the dump holds.
    pub captured: u64,
}

/// One claim on a row.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceView {
    /// Who says it.
    pub source: &'static str,
    /// How it is known.
    pub confidence: &'static str,
    /// What it is said to be; null for a remark that decides nothing.
    pub kind: Option<&'static str>,
    /// The numbers behind it.
    pub detail: Option<String>,
}

impl<'a> RegionView<'a> {
    /// The object for a row.
    pub fn of(names: &'a Names<'_>, row: &Row) -> RegionView<'a> {
        let input = &names.input;
        let (region, labels) = (&row.region, names.labels(row));
        let some = |text: Cow<'a, str>| (!text.is_empty()).then_some(text);
        let protect = |protect: Protection| (protect.0 != 0).then(|| protect.name());
        RegionView {
            base: input.hex(row.range.start()),
            end: input.hex(row.range.end()),
            size: row.range.size(),
            state: region.state.as_str(),
            memory_type: region.memory_type.map(|memory_type| memory_type.as_str()),
            protect: protect(region.protect),
            guard: region.protect.is_guard(),
            allocation_base: region.allocation_base.map(|base| input.hex(base)),
            allocation_protect: protect(region.allocation_protect),
            kind: row.kind.as_str(),
            usage: some(labels.usage),
            name: some(labels.name),
            thread_id: labels.thread_id,
            heap: labels.heap.map(|heap| input.hex(heap)),
            confidence: row.confidence.as_str(),
            evidence: evidence(names, row),
            captured: row.captured,
        }
    }
}

fn evidence(names: &Names<'_>, row: &Row) -> Vec<EvidenceView> {
    let claims = || row.standing.claims.iter().filter_map(|index| names.claim(*index));
    let view = |claim: &Claim| {
        let detail = claim.detail.to_string();
        EvidenceView {
            source: claim.source.as_str(),
            confidence: claim.confidence.as_str(),
            kind: claim.kind.map(RegionKind::as_str),
            detail: (!detail.is_empty()).then(|| names.input.owned(detail)),
        }
    };
    let base = names.base(row);
    let base = EvidenceView {
        source: base.source.as_str(),
        confidence: base.confidence.as_str(),
        kind: Some(base.kind.as_str()),
        detail: base.detail.map(str::to_owned),
    };
    let supports = |claim: &&Claim| claim.kind == Some(row.kind);
    let (for_it, rest) = (claims().filter(supports), claims().filter(|claim| !supports(claim)));
    for_it.map(view).chain([base]).chain(rest.map(view)).collect()
}
