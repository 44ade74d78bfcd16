//! `explain`: everything that is known of single addresses.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde::Serialize;

use super::in_heap::{InHeap, in_heap};
use super::in_malloc::{InMalloc, ReservationView, in_malloc, reservation_view};
use super::managed::{InManaged, in_managed};
use super::regions::{Names, Pieces, RegionView, Row};
use super::unexplained::{Details, InUnexplained, PointersView, in_unexplained, pointers_into};
use super::{DumpView, Hex, Input, RangeView, SCHEMA_VERSION};
use crate::addr::AddressRange;
use crate::classify::{Piece, can_hold};
use crate::dump::PointerWidth;
use crate::evidence::heaps::walk::Scope;
use crate::evidence::{Claim, RegionKind};
use crate::map::State;
use crate::reservation::{self, Reservation};
use crate::unexplained::{Kin, may_be_kin};

/// The document of `explain`.
#[derive(Debug, Serialize)]
pub struct ExplainReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// In the order they were asked for.
    pub addresses: Vec<AddressView<'a>>,
}

/// What is known of one address.
#[derive(Clone, Debug, Serialize)]
pub struct AddressView<'a> {
    /// As it was asked for.
    pub query: String,
    /// The address.
    pub address: Hex,
    /// What is odd about the address itself.
    pub note: Option<&'static str>,
    /// The piece that holds it.
    pub piece: Option<RegionView<'a>>,
    /// The VirtualQuery region around the piece.
    pub region: Option<RangeView>,
    /// The allocation around the region.
    pub allocation: Option<AllocationView>,
    /// Where in an image.
    pub image: Option<InImage<'a>>,
    /// Where in a stack.
    pub stack: Option<InStack<'a>>,
    /// Where in a heap.
    pub heap: Option<InHeap>,
    /// Where in a heap of glibc's malloc.
    pub malloc: Option<InMalloc>,
    /// Where in a managed heap.
    pub managed: Option<InManaged>,
    /// Where in an allocator's or runtime's reservation, or in private memory
    /// that is only set aside, and how many are like it.
    pub reservation: Option<ReservationView<'a>>,
    /// What is known of private memory that nobody explains.
    pub unexplained: Option<InUnexplained>,
    /// Pointers into the piece by where they lie; null when not counted.
    pub pointers: Option<Vec<PointersView>>,
    /// Captured bytes from the address on, without a gap.
    pub available: u64,
    /// Every claim on the piece, the winner first.
    pub claims: Vec<ClaimView<'a>>,
    /// How many more claims there are.
    pub more_claims: u64,
    /// Modules that were here before.
    pub unloaded: Vec<InUnloaded<'a>>,
    /// The piece below.
    pub before: Option<Neighbour<'a>>,
    /// The piece above.
    pub after: Option<Neighbour<'a>>,
}

/// The allocation around an address.
#[derive(Clone, Debug, Serialize)]
pub struct AllocationView {
    /// The first byte.
    pub base: Hex,
    /// Bytes from its first region to its last.
    pub size: u64,
    /// PAGE_* names when it was allocated.
    pub protect: Option<String>,
    /// How many regions it has.
    pub regions: u64,
}

/// Where in an image.
#[derive(Clone, Debug, Serialize)]
pub struct InImage<'a> {
    /// Path; null when nothing names it.
    pub path: Option<Cow<'a, str>>,
    /// Bytes from its base.
    pub offset: u64,
    /// The section.
    pub section: Option<String>,
    /// Bytes from the section's start.
    pub section_offset: Option<u64>,
}

/// Where in a stack.
#[derive(Clone, Debug, Serialize)]
pub struct InStack<'a> {
    /// Its thread.
    pub thread_id: Option<u32>,
    /// The thread's name.
    pub name: Option<Cow<'a, str>>,
    /// Bytes above the stack pointer; negative below it, where nothing lives.
    pub from_stack_pointer: Option<i128>,
    /// Bytes below the stack's base.
    pub from_base: u64,
}

/// A claim and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimView<'a> {
    /// `winner`, `agrees`, `lost` or `remark`.
    pub verdict: &'static str,
    /// Why it lost.
    pub why: Option<String>,
    /// What it says the bytes are.
    pub kind: Option<&'static str>,
    /// What for.
    #[serde(rename = "use")]
    pub usage: Option<Cow<'a, str>>,
    /// Who says so.
    pub source: &'static str,
    /// How it is known.
    pub confidence: &'static str,
    /// The numbers behind it.
    pub detail: Option<String>,
    /// The bytes it is about.
    pub range: RangeView,
}

/// A module that was here before.
#[derive(Clone, Debug, Serialize)]
pub struct InUnloaded<'a> {
    /// Its file name.
    pub path: Cow<'a, str>,
    /// Where it was.
    pub base: Hex,
    /// Bytes from its base.
    pub offset: u64,
}

/// The piece next to an address.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbour<'a> {
    /// The first byte.
    pub base: Hex,
    /// Bytes.
    pub size: u64,
    /// `commit`, `reserve`, `free` or `unknown`.
    pub state: &'static str,
    /// What it is.
    pub kind: &'static str,
    /// What for.
    #[serde(rename = "use")]
    pub usage: Option<Cow<'a, str>>,
    /// Path of the image or file, name of the thread.
    pub name: Option<Cow<'a, str>>,
}

impl<'a> ExplainReport<'a> {
    /// The document for addresses and the words they were asked with.
    pub fn of(
        names: &'a Names<'a>,
        queries: &[(String, u64)],
        details: Details,
    ) -> ExplainReport<'a> {
        let around = around(&names.input, queries);
        let scope = OnceCell::new();
        let unexplained = unexplained(&names.input, queries, &around, details);
        let addresses: Vec<u64> = queries.iter().map(|(_, address)| *address).collect();
        let malloc = in_malloc(&names.input, &addresses);
        let reservations = reservations(&names.input, &addresses, &around);
        let pieces = || around.iter().map(|around| around.piece.as_ref().map(|row| row.range));
        let pointers = match details.pointers {
            true => pointers_into(&names.input, &pieces().collect::<Vec<_>>()),
            false => vec![None; queries.len()],
        };
        ExplainReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(&names.input),
            addresses: queries
                .iter()
                .zip(&around)
                .map(|((query, address), around)| view(names, query, *address, around, &scope))
                .zip(unexplained.into_iter().zip(pointers))
                .map(|(view, (unexplained, pointers))| AddressView {
                    unexplained,
                    pointers,
                    ..view
                })
                .zip(malloc.into_iter().zip(reservations))
                .zip(addresses)
                .map(|((view, (malloc, found)), address)| AddressView {
                    malloc,
                    reservation: found.map(|found| reservation_view(names, &found, address)),
                    ..view
                })
                .collect(),
        }
    }
}

/// The piece that holds an address, and its neighbours.
#[derive(Clone, Debug, Default)]
struct Around {
    before: Option<Row>,
    piece: Option<Row>,
    after: Option<Row>,
}

/// One pass over the pieces for all addresses.
fn around(input: &Input<'_>, queries: &[(String, u64)]) -> Vec<Around> {
    let mut found = vec![Around::default(); queries.len()];
    let mut order: Vec<usize> = (0..queries.len()).collect();
    order.sort_by_key(|at| queries[*at].1);
    let mut waiting = order.into_iter().peekable();
    let mut last: Option<Row> = None;
    let mut open: Vec<usize> = Vec::new();
    for row in Pieces::of(input) {
        for at in open.drain(..) {
            found[at].after = Some(row.clone());
        }
        while let Some(at) = waiting.next_if(|at| queries[*at].1 <= row.range.last()) {
            found[at].before.clone_from(&last);
            if row.range.contains(queries[at].1) {
                found[at].piece = Some(row.clone());
                open.push(at);
            } else {
                found[at].after = Some(row.clone());
            }
        }
        if waiting.peek().is_none() && open.is_empty() {
            break;
        }
        last = Some(row);
    }
    for at in waiting {
        found[at].before.clone_from(&last);
    }
    found
}

fn view<'a>(
    names: &'a Names<'a>,
    query: &str,
    address: u64,
    around: &Around,
    scope: &OnceCell<Scope<'a, 'a>>,
) -> AddressView<'a> {
    let input = &names.input;
    let piece = around.piece.as_ref();
    let map = &input.analysis.map;
    AddressView {
        query: query.to_owned(),
        address: input.hex(address),
        note: note(input, address, piece),
        piece: piece.map(|row| RegionView::of(names, row)),
        region: piece.map(|row| RangeView::of(input, row.region.range)),
        allocation: map.allocation(address).map(|allocation| AllocationView {
            base: input.hex(allocation.range.start()),
            size: allocation.range.size(),
            protect: (allocation.protect.0 != 0).then(|| allocation.protect.name()),
            regions: allocation.regions,
        }),
        image: in_image(input, address),
        stack: in_stack(input, address),
        heap: in_heap(input, address, scope),
        malloc: None,
        managed: in_managed(input, address),
        reservation: None,
        unexplained: None,
        pointers: None,
        available: input.analysis.dump.captured.contiguous(address, u64::MAX),
        claims: piece.map(|row| claims(names, row)).unwrap_or_default(),
        more_claims: piece.map_or(0, |row| row.standing.more),
        unloaded: in_unloaded(input, address),
        before: around.before.as_ref().map(|row| neighbour(names, row)),
        after: around.after.as_ref().map(|row| neighbour(names, row)),
    }
}

/// For each address, what is known of a piece that nobody explains.
fn unexplained(
    input: &Input<'_>,
    queries: &[(String, u64)],
    around: &[Around],
    details: Details,
) -> Vec<Option<InUnexplained>> {
    let analysis = input.analysis;
    let piece = |around: &Around| {
        let piece = piece_of(input, around)?;
        may_be_kin(&piece).then_some(piece.range)
    };
    let pieces: Vec<Option<AddressRange>> = around.iter().map(piece).collect();
    let asked = queries.iter().zip(&pieces).filter(|(_, piece)| piece.is_some());
    let addresses: Vec<u64> = asked.map(|((_, address), _)| *address).collect();
    if addresses.is_empty() {
        return vec![None; queries.len()];
    }
    let kin = Kin::of(analysis, &addresses);
    let view = |((_, address), piece): (&(String, u64), &Option<AddressRange>)| {
        in_unexplained(input, &kin, (*address, (*piece)?), details.first_bytes)
    };
    queries.iter().zip(&pieces).map(view).collect()
}

/// For each address, the reservation around it.
fn reservations(
    input: &Input<'_>,
    addresses: &[u64],
    around: &[Around],
) -> Vec<Option<Reservation>> {
    let pieces = around.iter().map(|around| piece_of(input, around));
    let asked: Vec<(u64, Option<Piece>)> = addresses.iter().copied().zip(pieces).collect();
    reservation::around(input.analysis, &asked)
}

/// The piece around an address.
fn piece_of(input: &Input<'_>, around: &Around) -> Option<Piece> {
    let row = around.piece.as_ref()?;
    let says = |id: &u32| {
        let claim = input.analysis.evidence.claims.get(*id as usize);
        claim.is_some_and(|claim| claim.kind == Some(row.kind))
    };
    Some(Piece {
        range: row.range,
        region: row.region,
        kind: row.kind,
        winner: row.standing.claims.first().copied().filter(says),
        confidence: row.confidence,
    })
}

/// What is odd about an address, whatever lies there.
fn note(input: &Input<'_>, address: u64, piece: Option<&Row>) -> Option<&'static str> {
    let bits32 = input.analysis.dump.system.width == PointerWidth::Bits32;
    let canonical = ((address as i64) << 16 >> 16) as u64 == address;
    if bits32 && address >> 32 != 0 {
        Some("wider than the 32-bit pointers of this process")
    } else if !bits32 && !canonical {
        Some("not canonical: no 64-bit processor with 48-bit addresses can hold anything there")
    } else if address < 0x1_0000 {
        Some("in the first 64 KiB, which are never mapped: a null pointer and an offset")
    } else if !bits32 && address >> 47 != 0 {
        Some("in the kernel's half of the address space")
    } else if piece.is_none() {
        Some("outside the range that the map covers")
    } else {
        None
    }
}

fn in_image<'a>(input: &Input<'a>, address: u64) -> Option<InImage<'a>> {
    let images = &input.analysis.evidence.images;
    let image = images.iter().find(|image| image.range.contains(address))?;
    let section = image.sections.iter().find(|section| section.range.contains(address));
    Some(InImage {
        path: (!image.path.is_empty()).then(|| input.text(&image.path)),
        offset: address - image.range.start(),
        section: section.map(|section| {
            let name = section.usage.text(|_| "");
            name.strip_prefix("section ").unwrap_or(&name).to_owned()
        }),
        section_offset: section.map(|section| address - section.range.start()),
    })
}

fn in_stack<'a>(input: &Input<'a>, address: u64) -> Option<InStack<'a>> {
    let stacks = &input.analysis.evidence.stacks;
    let stack = stacks.iter().find(|stack| stack.range.contains(address))?;
    let thread = stack.thread.and_then(|at| input.analysis.dump.threads.get(at as usize));
    Some(InStack {
        thread_id: thread.map(|thread| thread.id),
        name: thread.and_then(|thread| thread.name.as_deref()).map(|name| input.text(name)),
        from_stack_pointer: stack
            .stack_pointer
            .map(|pointer| i128::from(address) - i128::from(pointer)),
        from_base: stack.base.saturating_sub(address),
    })
}

fn in_unloaded<'a>(input: &Input<'a>, address: u64) -> Vec<InUnloaded<'a>> {
    let modules = &input.analysis.dump.unloaded_modules;
    let here =
        modules.iter().filter(|module| module.range.is_some_and(|range| range.contains(address)));
    here.map(|module| InUnloaded {
        path: input.text(&module.path),
        base: input.hex(module.base),
        offset: address - module.base,
    })
    .collect()
}

fn neighbour<'a>(names: &'a Names<'_>, row: &Row) -> Neighbour<'a> {
    let labels = names.labels(row);
    let some = |text: Cow<'a, str>| (!text.is_empty()).then_some(text);
    Neighbour {
        base: names.input.hex(row.range.start()),
        size: row.range.size(),
        state: row.region.state.as_str(),
        kind: row.kind.as_str(),
        usage: some(labels.usage),
        name: some(labels.name),
    }
}

fn claims<'a>(names: &'a Names<'_>, row: &Row) -> Vec<ClaimView<'a>> {
    let all: Vec<&Claim> =
        row.standing.claims.iter().filter_map(|index| names.claim(*index)).collect();
    // Without a winner the region's own type stands, and all the claims lost.
    let winner = all.first().copied().filter(|claim| claim.kind == Some(row.kind));
    all.iter()
        .enumerate()
        .map(|(at, claim)| {
            let detail = claim.detail.to_string();
            let usage = names.usage(&claim.usage);
            let verdict = match claim.kind {
                None => "remark",
                Some(_) if at == 0 && winner.is_some() => "winner",
                Some(kind) if kind == row.kind => "agrees",
                Some(_) => "lost",
            };
            ClaimView {
                verdict,
                why: (verdict == "lost").then(|| why_lost(names, row, claim, winner)),
                kind: claim.kind.map(RegionKind::as_str),
                usage: (!usage.is_empty()).then_some(usage),
                source: claim.source.as_str(),
                confidence: claim.confidence.as_str(),
                detail: (!detail.is_empty()).then(|| names.input.owned(detail)),
                range: RangeView::of(&names.input, claim.range),
            }
        })
        .collect()
}

fn why_lost(names: &Names<'_>, row: &Row, claim: &Claim, winner: Option<&Claim>) -> String {
    let kind = claim.kind.unwrap_or(RegionKind::Unknown);
    if !can_hold(&row.region, kind, names.input.analysis.map.source) {
        let what = match (row.region.state, row.region.memory_type) {
            (State::Free, _) => "free",
            (_, Some(memory_type)) => memory_type.as_str(),
            (state, None) => state.as_str(),
        };
        return format!("a region that is {what} memory cannot hold {} memory", kind.as_str());
    }
    match winner {
        Some(winner) if claim.confidence > winner.confidence => format!(
            "less well known: {} against {}",
            claim.confidence.as_str(),
            winner.confidence.as_str()
        ),
        Some(winner) if claim.range.size() > winner.range.size() => format!(
            "less exact: about {:#x} bytes, the winner about {:#x}",
            claim.range.size(),
            winner.range.size()
        ),
        _ => "as good as the winner, but from a later gatherer".into(),
    }
}
