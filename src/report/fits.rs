//! `fits`: whether a request would have fitted, and the fences.

use serde::Serialize;

use super::{DumpView, Hex, Input, RangeView, SCHEMA_VERSION};
use crate::dump::PageSizeSource;
use crate::fits::{self, Fence, FenceOwner, Fits, Request};
use crate::map::MapSource;
use crate::owner::Owners;

/// The document of `fits`.
#[derive(Debug, Serialize)]
pub struct FitsReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// What was asked.
    pub request: RequestView,
    /// The answer; null when the map does not know what is free.
    pub answer: Option<FitsView>,
    /// Why there is no answer.
    pub unknown: Option<&'static str>,
}

/// What was asked.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RequestView {
    /// Bytes.
    pub size: u64,
    /// Alignment; null for the system's own.
    pub align: Option<u64>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct FitsView {
    /// Whether it would have fitted.
    pub fits: bool,
    /// Bytes that the request takes: whole pages.
    pub size: u64,
    /// The alignment that it gets.
    pub align: u64,
    /// How many of them fit at the same time.
    pub times: u64,
    /// The lowest place for one.
    pub lowest: Option<Hex>,
    /// The largest allocation that fits; 0 when none does.
    pub largest: u64,
    /// Where.
    pub largest_address: Option<Hex>,
    /// Free bytes that allocations of this alignment can use.
    pub free: u64,
    /// Blocks of them.
    pub free_blocks: u64,
    /// The crash reporter's reserve, not counted as free.
    pub reserve: Option<RangeView>,
    /// Bytes of a page.
    pub page: u64,
    /// How that is known: `auxiliary-vector`, `system-memory`, `processor` or
    /// `assumed`.
    pub page_source: &'static str,
    /// What else is assumed.
    pub assumptions: Vec<String>,
    /// What splits the free memory.
    pub fences: FencesView,
}

/// What splits the free memory.
#[derive(Clone, Debug, Serialize)]
pub struct FencesView {
    /// How many single allocations have free memory on both sides; an image of
    /// several mappings counts as one.
    pub count: u64,
    /// How many of them, gone alone, would let the request fit.
    pub enough: u64,
    /// The smallest of those.
    pub smallest: Option<FenceView>,
    /// Those that join most.
    pub top: Vec<FenceView>,
    /// How many runs of several allocations lie between two free blocks.
    pub runs: u64,
    /// The smallest run that, gone, would let the request fit.
    pub smallest_run: Option<FenceView>,
    /// How many owners they have.
    pub owner_count: u64,
    /// All fences by owner, those that join most first.
    pub owners: Vec<FenceOwnerView>,
}

/// What lies between two neighbouring runs of free memory.
#[derive(Clone, Debug, Serialize)]
pub struct FenceView {
    /// The first byte.
    pub base: Hex,
    /// One past the last byte.
    pub end: Hex,
    /// Bytes.
    pub size: u64,
    /// Allocations in it.
    pub allocations: u64,
    /// What most of it is.
    pub kind: &'static str,
    /// Whose most of it is.
    pub owner: String,
    /// Free bytes below.
    pub free_before: u64,
    /// Free bytes above.
    pub free_after: u64,
    /// The allocation that would fit without it.
    pub joined: u64,
}

/// The fences of one owner.
#[derive(Clone, Debug, Serialize)]
pub struct FenceOwnerView {
    /// Whose they are.
    pub owner: String,
    /// What kind the first of them is.
    pub kind: &'static str,
    /// How many.
    pub fences: u64,
    /// Bytes of them.
    pub size: u64,
    /// The allocation that would fit without the best of them.
    pub joined: u64,
}

impl<'a> FitsReport<'a> {
    /// The document for one analysis.
    pub fn of(input: &Input<'a>, request: &Request) -> FitsReport<'a> {
        let owners = Owners::of(input.analysis);
        let answer = fits::fits(input.analysis, &owners, request);
        FitsReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(input),
            request: RequestView { size: request.size, align: request.align },
            unknown: answer.is_none().then(|| why_unknown(input)),
            answer: answer.map(|answer| view(input, &owners, &answer)),
        }
    }
}

fn why_unknown(input: &Input<'_>) -> &'static str {
    let map = &input.analysis.map;
    match map.source {
        MapSource::Rebuilt => "the dump has no list of regions, so nobody knows what was free",
        _ if map.is_empty() => "the dump's list of regions is empty",
        _ => "the list of mappings was cut, so nobody knows what was free",
    }
}

fn assumptions(answer: &Fits) -> Vec<String> {
    let human = crate::size::human;
    let pages = match answer.page.source {
        PageSizeSource::Assumed => ", which the dump does not tell",
        _ => "",
    };
    vec![
        format!(
            "pages of {}{pages}, blocks at multiples of {}",
            human(answer.page.bytes),
            human(answer.align)
        ),
        "one free block holds the request, nothing below 64 KiB is given".into(),
        "whoever owned a fence would not have taken another place".into(),
    ]
}

fn view(input: &Input<'_>, owners: &Owners<'_>, answer: &Fits) -> FitsView {
    let fence = |fence: &Fence| FenceView {
        base: input.hex(fence.range.start()),
        end: input.hex(fence.range.end()),
        size: fence.range.size(),
        allocations: fence.allocations,
        kind: fence.kind.as_str(),
        owner: input.owned(owners.title(fence.owner)),
        free_before: fence.free.0,
        free_after: fence.free.1,
        joined: fence.joined,
    };
    let owner = |owner: &FenceOwner| FenceOwnerView {
        owner: input.owned(owners.title(owner.owner)),
        kind: owner.kind.as_str(),
        fences: owner.fences,
        size: owner.size,
        joined: owner.joined,
    };
    FitsView {
        fits: answer.times > 0,
        size: answer.size,
        align: answer.align,
        times: answer.times,
        lowest: answer.lowest.map(|address| input.hex(address)),
        largest: answer.largest.0,
        largest_address: (answer.largest.0 > 0).then(|| input.hex(answer.largest.1)),
        free: answer.free.0,
        free_blocks: answer.free.1,
        reserve: answer.reserve.map(|range| RangeView::of(input, range)),
        page: answer.page.bytes,
        page_source: answer.page.source.as_str(),
        assumptions: assumptions(answer),
        fences: FencesView {
            count: answer.fences,
            enough: answer.enough,
            smallest: answer.smallest.as_ref().map(fence),
            top: answer.top.iter().map(fence).collect(),
            runs: answer.runs,
            smallest_run: answer.smallest_run.as_ref().map(fence),
            owner_count: answer.owner_count,
            owners: answer.owners.iter().map(owner).collect(),
        },
    }
}
