//! The reservation around an address, and how many there are like it: memory
//! of allocators and runtimes, by the use that the map gave it; and memory
//! that is only set aside, by size and protection. From the map and the claims
//! alone, one sweep for all addresses; no contents are read.
//!
//! A count says what the members have in common, and is no label.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::evidence::malloc::{MallocHeap, MallocHeapKind};
use crate::evidence::{Claim, EvidenceSource, RegionKind, Subject, Use};
use crate::explained::{Explained, is_committed_private};
use crate::map::{MemoryType, Protection};

/// One reservation, and those like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its bytes.
    pub range: AddressRange,
    /// What it is used for; `None` for memory that nobody explains.
    pub usage: Option<Use>,
    /// Protection when it was allocated, where that is what it has in common
    /// with others.
    pub protect: Option<Protection>,
    /// Those of its use and size, itself included.
    pub alike: Sum,
    /// Those of its use, of any size; `None` without a use.
    pub same_use: Option<Sum>,
}

/// So many reservations of so many bytes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Bytes, reserved ones included.
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// For each address, given with the piece around it, its reservation. None for
/// images, files, stacks, free memory, the brk heap, heaps that `heaps` lists,
/// and committed memory that nobody explains: its families are what
/// `unexplained` is about.
pub fn around(analysis: &Analysis<'_>, asked: &[(u64, Option<Piece>)]) -> Vec<Option<Reservation>> {
    let own: Vec<Option<Own<'_>>> =
        asked.iter().map(|(address, piece)| own(analysis, *address, piece.as_ref()?)).collect();
    let uses = own.iter().flatten().any(|own| matches!(own, Own::Claimed(..)));
    let blank = own.iter().flatten().any(|own| matches!(own, Own::Blank(..)));
    let counted = if uses || blank { Counted::of(analysis, &own) } else { Counted::default() };
    own.iter().map(|own| reservation(analysis, own.as_ref()?, &counted)).collect()
}

/// What tells a reservation from others.
#[derive(Clone, Debug)]
enum Own<'a> {
    /// A window of malloc's.
    Arena(MallocHeap),
    /// An allocator's or a runtime's: the claim that won, kind and name.
    Claimed(&'a Claim, Key<'a>),
    /// Private, and nobody says what for: the allocation's first address.
    Blank(u64),
}

type Key<'a> = (RegionKind, Cow<'a, str>);

fn own<'a>(analysis: &'a Analysis<'_>, address: u64, piece: &Piece) -> Option<Own<'a>> {
    let evidence = &analysis.evidence;
    let arena =
        |heap: &&MallocHeap| heap.kind == MallocHeapKind::Arena && heap.range.contains(address);
    if piece.kind == RegionKind::Heap
        && let Some(heap) = evidence.malloc.iter().find(arena)
    {
        return Some(Own::Arena(*heap));
    }
    if Explained::of(piece) == Explained::Nothing {
        let blank = is_blank(analysis, piece);
        return piece.region.allocation_base.filter(|_| blank).map(Own::Blank);
    }
    if evidence.malloc.iter().any(|heap| heap.range.contains(address)) {
        return None;
    }
    let claim = evidence.claims.get(piece.winner? as usize)?;
    let key = key(analysis, claim)?;
    (claim.usage != Use::Plain).then_some(Own::Claimed(claim, key))
}

/// Whether a piece is private, without memory, and without an explanation.
fn is_blank(analysis: &Analysis<'_>, piece: &Piece) -> bool {
    Explained::of(piece) == Explained::Nothing
        && piece.region.memory_type == Some(MemoryType::Private)
        && !is_committed_private(piece, analysis.map.source, &analysis.evidence.claims)
}

/// Kind and name of a claim on a reservation: not of a row of another table.
fn key<'a>(analysis: &'a Analysis<'_>, claim: &Claim) -> Option<Key<'a>> {
    let kind = claim.kind.filter(|kind| {
        use RegionKind::{Heap, ManagedHeap, Mapped, Private, Shareable};
        matches!(kind, Heap | ManagedHeap | Mapped | Private | Shareable)
    })?;
    let source = matches!(
        claim.source,
        EvidenceSource::Shape
            | EvidenceSource::AllocatorHeader
            | EvidenceSource::ClrRuntime
            | EvidenceSource::LinuxMaps
    );
    let own = matches!(claim.subject, Subject::None | Subject::LinuxMap(_));
    let lines = analysis.dump.linux.maps.as_ref();
    let line = |at: u32| lines.and_then(|lines| lines.maps.get(at as usize));
    let name = match claim.usage {
        Use::Named(name) => Cow::Borrowed(name),
        Use::LinuxName(at) => Cow::Borrowed(line(at).map_or("", |line| line.name.as_str())),
        usage => Cow::Owned(usage.text(|_| "").into_owned()),
    };
    (source && own).then_some((kind, name))
}

/// Sums by what reservations have in common.
#[derive(Debug, Default)]
struct Counted<'a> {
    claimed: HashMap<(Key<'a>, u64), Sum>,
    named: HashMap<Key<'a>, Sum>,
    blank: HashMap<(u64, u32), Sum>,
    /// The allocations that were asked for, all of them blank.
    runs: HashMap<u64, Run>,
}

/// An allocation so far.
#[derive(Clone, Copy, Debug)]
struct Run {
    base: u64,
    range: AddressRange,
    protect: u32,
    blank: bool,
}

impl<'a> Counted<'a> {
    /// One sweep: claims count where they win, allocations where all of them
    /// is blank.
    fn of(analysis: &'a Analysis<'_>, own: &[Option<Own<'a>>]) -> Counted<'a> {
        let claims = &analysis.evidence.claims;
        let mut counted = Counted::default();
        let mut bases = Vec::new();
        for own in own.iter().flatten() {
            match own {
                Own::Claimed(_, key) => {
                    counted.named.insert(key.clone(), Sum::default());
                }
                Own::Blank(base) => bases.push(*base),
                Own::Arena(_) => {}
            }
        }
        let mut seen = vec![false; claims.len()];
        let mut run: Option<Run> = None;
        for piece in analysis.pieces() {
            let id = piece.winner.map(|id| id as usize);
            if let Some((claim, seen)) = id.and_then(|id| Some((claims.get(id)?, &mut seen[id])))
                && !std::mem::replace(seen, true)
            {
                counted.add_claim(analysis, claim);
            }
            if bases.is_empty() {
                continue;
            }
            let base = piece.region.allocation_base;
            if run.map(|run| run.base) != base {
                counted.end(run.take(), &bases);
                let protect = piece.region.allocation_protect.0;
                run = base.map(|base| Run { base, range: piece.range, protect, blank: true });
            }
            if let Some(run) = &mut run {
                let (start, last) = (run.range.start(), piece.range.last());
                run.range = AddressRange::spanning(start, last).unwrap_or(run.range);
                run.blank &= is_blank(analysis, &piece);
            }
        }
        counted.end(run, &bases);
        counted
    }

    fn add_claim(&mut self, analysis: &'a Analysis<'_>, claim: &Claim) {
        let Some(key) = key(analysis, claim) else { return };
        let Some(sum) = self.named.get_mut(&key) else { return };
        sum.add(claim.range.size());
        self.claimed.entry((key, claim.range.size())).or_default().add(claim.range.size());
    }

    fn end(&mut self, run: Option<Run>, bases: &[u64]) {
        let Some(run) = run.filter(|run| run.blank) else { return };
        if bases.contains(&run.base) {
            self.runs.insert(run.base, run);
        }
        // A forged map may have a size for each of a million allocations.
        let key = (run.range.size(), run.protect);
        if self.blank.len() < MOST || self.blank.contains_key(&key) {
            self.blank.entry(key).or_default().add(run.range.size());
        }
    }
}

/// Sizes of blank allocations that are told apart.
const MOST: usize = 65_536;

fn reservation(
    analysis: &Analysis<'_>,
    own: &Own<'_>,
    counted: &Counted<'_>,
) -> Option<Reservation> {
    match own {
        Own::Arena(heap) => {
            let mut alike = Sum::default();
            let arenas = analysis.evidence.malloc.iter();
            arenas
                .filter(|heap| heap.kind == MallocHeapKind::Arena)
                .for_each(|heap| alike.add(heap.range.size()));
            let usage = Some(Use::Named("malloc arena"));
            let same_use = Some(alike);
            Some(Reservation { range: heap.range, usage, protect: None, alike, same_use })
        }
        Own::Claimed(claim, key) => {
            let alike = *counted.claimed.get(&(key.clone(), claim.range.size()))?;
            Some(Reservation {
                range: claim.range,
                usage: Some(claim.usage),
                protect: None,
                alike,
                same_use: counted.named.get(key).copied(),
            })
        }
        Own::Blank(base) => {
            let run = counted.runs.get(base)?;
            let alike = *counted.blank.get(&(run.range.size(), run.protect))?;
            let protect = Some(Protection(run.protect));
            Some(Reservation { range: run.range, usage: None, protect, alike, same_use: None })
        }
    }
}
