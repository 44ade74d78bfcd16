//! Would an allocation have fitted into the free memory, and what splits that:
//! the fences, single allocations with free memory on both sides. One sweep
//! over the pieces; only the answer is kept.
//!
//! Assumes that the system gives a block wherever it is free and aligned:
//! [`Request::align`]. Wrong for requests that may only lie in a part of the
//! space, and where the size of a page is only assumed: see [`Fits::page`].

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::dump::{PageSize, Platform};
use crate::evidence::RegionKind;
use crate::map::{GapMeaning, MapSource, State};
use crate::owner::{Owner, Owners};
use crate::rules::{self, Facts, Thresholds};

/// Windows and Linux give nobody the addresses below it.
const LOWEST: u64 = 0x1_0000;
const GRANULARITY: u64 = 0x1_0000;
/// Owners of one fence that are told apart; the bytes of more count for none.
const OWNERS: usize = 64;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes; rounded up to whole pages.
    pub size: u64,
    /// The address is a multiple of this power of two; `None` for the
    /// system's own: 64 KiB on Windows, a page elsewhere.
    pub align: Option<u64>,
    /// How many fences and owners are kept.
    pub top: usize,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fits {
    /// Bytes that the request takes.
    pub size: u64,
    /// Its alignment.
    pub align: u64,
    /// The size of a page.
    pub page: PageSize,
    /// How many of them fit at the same time.
    pub times: u64,
    /// The lowest place for one.
    pub lowest: Option<u64>,
    /// The largest allocation that fits, and where; zeros when none does.
    pub largest: (u64, u64),
    /// Bytes that allocations of this alignment can use, in so many blocks.
    pub free: (u64, u64),
    /// The crash reporter's reserve, which is not counted as free.
    pub reserve: Option<AddressRange>,
    /// How many single allocations split the free memory: images of several
    /// mappings count as one.
    pub fences: u64,
    /// How many of them keep the request from fitting: without one it would.
    pub enough: u64,
    /// Those whose absence joins most, most first.
    pub top: Vec<Fence>,
    /// The smallest without which the request would fit.
    pub smallest: Option<Fence>,
    /// How many runs of several allocations lie between two free blocks: no
    /// single one of them joins the two.
    pub runs: u64,
    /// The smallest run without which the request would fit.
    pub smallest_run: Option<Fence>,
    /// All fences by owner, those that join most first.
    pub owners: Vec<FenceOwner>,
    /// How many owners there are.
    pub owner_count: u64,
}

/// What lies between two neighbouring runs of free memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Its bytes.
    pub range: AddressRange,
    /// How many allocations it is made of.
    pub allocations: u64,
    /// Whether it is one allocation, or one image.
    pub is_single: bool,
    /// Who has most of it, and what kind that is.
    pub owner: Owner,
    /// The kind of most of what the owner has of it.
    pub kind: RegionKind,
    /// Free bytes below and above, unusable ones included.
    pub free: (u64, u64),
    /// The allocation that would fit without it.
    pub joined: u64,
}

/// The fences of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FenceOwner {
    /// Who.
    pub owner: Owner,
    /// The kind of its first fence.
    pub kind: RegionKind,
    /// How many fences it has most of.
    pub fences: u64,
    /// Bytes of them.
    pub size: u64,
    /// What the best of them would join.
    pub joined: u64,
    /// Where that begins.
    pub address: u64,
}

/// Answers the request; `None` when the map does not know what is free.
pub fn fits(analysis: &Analysis<'_>, owners: &Owners<'_>, request: &Request) -> Option<Fits> {
    let free = analysis.totals.free?;
    let map = &analysis.map;
    if map.is_empty()
        || (map.source == MapSource::LinuxMaps && map.gap_meaning == GapMeaning::Unknown)
    {
        return None;
    }
    let windows = analysis.dump.system.platform == Platform::Windows;
    let page = analysis.dump.page_size();
    let align = request.align.unwrap_or(if windows { GRANULARITY } else { page.bytes });
    let size = round_up(request.size.max(1), page.bytes);
    let mut fold =
        Fold::new(Question { size, stride: round_up(size, align), align, page, top: request.top });
    let facts = Facts {
        dump: &analysis.dump,
        map,
        evidence: &analysis.evidence,
        totals: &analysis.totals,
        thresholds: &Thresholds::default(),
    };
    fold.answer.reserve = rules::released_reserve(facts, free);
    for piece in analysis.pieces() {
        fold.piece(&piece, owners);
    }
    Some(fold.finish())
}

fn round_up(value: u64, step: u64) -> u64 {
    value.checked_next_multiple_of(step.max(1)).unwrap_or(u64::MAX)
}

#[derive(Clone, Copy)]
struct Question {
    size: u64,
    /// From one request to the next one in the same block.
    stride: u64,
    align: u64,
    page: PageSize,
    top: usize,
}

impl Question {
    /// The part of a free run that an allocation can take.
    fn usable(&self, run: AddressRange) -> Option<AddressRange> {
        let start = run.start().checked_next_multiple_of(self.align)?;
        AddressRange::spanning(start, run.last())
    }
}

struct Fold {
    question: Question,
    answer: Fits,
    owners: HashMap<Owner, FenceOwner>,
    /// The free run before the fence, the fence, the free run after it.
    before: Option<AddressRange>,
    fence: Option<Open>,
    run: Option<AddressRange>,
    /// One past the last byte seen.
    end: u64,
}

/// A fence that grows.
struct Open {
    range: AddressRange,
    allocations: u64,
    allocation: Option<u64>,
    owners: Vec<(Owner, RegionKind, u64)>,
}

impl Fold {
    fn new(question: Question) -> Fold {
        let answer = Fits {
            size: question.size,
            align: question.align,
            page: question.page,
            times: 0,
            lowest: None,
            largest: (0, 0),
            free: (0, 0),
            reserve: None,
            fences: 0,
            enough: 0,
            top: Vec::new(),
            smallest: None,
            runs: 0,
            smallest_run: None,
            owners: Vec::new(),
            owner_count: 0,
        };
        let owners = HashMap::new();
        Fold { question, answer, owners, before: None, fence: None, run: None, end: 0 }
    }

    fn piece(&mut self, piece: &Piece, owners: &Owners<'_>) {
        if piece.range.start() != self.end {
            self.break_off();
        }
        self.end = piece.range.end();
        if piece.region.state != State::Free {
            let owner = owners.owner(piece);
            return self.taken(piece.range, piece.region.allocation_base, owner, piece.kind);
        }
        let Some(range) =
            AddressRange::spanning(piece.range.start().max(LOWEST), piece.range.last())
        else {
            return;
        };
        let Some(reserve) = self.answer.reserve.and_then(|reserve| reserve.intersect(range)) else {
            return self.free(range);
        };
        if let Some(below) = AddressRange::between(range.start(), reserve.start()) {
            self.free(below);
        }
        self.taken(reserve, Some(reserve.start()), Owner::Reserve, RegionKind::Private);
        if let Some(above) = AddressRange::between(reserve.end(), range.end()) {
            self.free(above);
        }
    }

    fn free(&mut self, range: AddressRange) {
        let start = self.run.map_or(range.start(), AddressRange::start);
        self.run = AddressRange::spanning(start, range.last());
    }

    fn taken(
        &mut self,
        range: AddressRange,
        allocation: Option<u64>,
        owner: Owner,
        kind: RegionKind,
    ) {
        self.end_run();
        if self.before.is_none() {
            return;
        }
        let fence = self.fence.get_or_insert_with(|| Open::at(range));
        fence.add(range, allocation, owner, kind);
    }

    /// Counts the free run, and the fence between it and the one before.
    fn end_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        self.count(run);
        if let (Some(before), Some(open)) = (self.before, self.fence.take())
            && let Some(fence) = open.close(before, run, &self.question)
        {
            self.count_fence(fence);
        }
        self.before = Some(run);
    }

    /// What follows is no neighbour of what was.
    fn break_off(&mut self) {
        self.end_run();
        (self.before, self.fence) = (None, None);
    }

    fn count(&mut self, run: AddressRange) {
        let Some(usable) = self.question.usable(run) else { return };
        let answer = &mut self.answer;
        answer.free = (answer.free.0.saturating_add(usable.size()), answer.free.1 + 1);
        // The largest that fits has whole pages too.
        let whole = usable.size() - usable.size() % self.question.page.bytes;
        if whole > answer.largest.0 {
            answer.largest = (whole, usable.start());
        }
        if let Some(spare) = usable.size().checked_sub(self.question.size) {
            answer.times = answer.times.saturating_add(spare / self.question.stride + 1);
            answer.lowest = answer.lowest.or(Some(usable.start()));
        }
    }

    fn count_fence(&mut self, fence: Fence) {
        let answer = &mut self.answer;
        let enough = fence.joined >= self.question.size;
        let smaller = |best: Fence| fence.range.size() < best.range.size();
        if !fence.is_single {
            answer.runs += 1;
            if enough && answer.smallest_run.is_none_or(smaller) {
                answer.smallest_run = Some(fence);
            }
            return;
        }
        answer.fences += 1;
        if enough {
            answer.enough += 1;
            if answer.smallest.is_none_or(smaller) {
                answer.smallest = Some(fence);
            }
        }
        let key = |fence: &Fence| (Reverse(fence.joined), fence.range.size(), fence.range.start());
        let at = answer.top.partition_point(|other| key(other) < key(&fence));
        if at < self.question.top {
            answer.top.insert(at, fence);
            answer.top.truncate(self.question.top);
        }
        let owner = self.owners.entry(fence.owner).or_insert(FenceOwner {
            owner: fence.owner,
            kind: fence.kind,
            fences: 0,
            size: 0,
            joined: 0,
            address: 0,
        });
        owner.fences += 1;
        owner.size = owner.size.saturating_add(fence.range.size());
        if fence.joined > owner.joined {
            (owner.joined, owner.address) = (fence.joined, fence.range.start());
        }
    }

    fn finish(mut self) -> Fits {
        self.end_run();
        let mut owners: Vec<FenceOwner> = self.owners.into_values().collect();
        owners.sort_unstable_by_key(|owner| {
            (Reverse(owner.joined), Reverse(owner.fences), owner.address)
        });
        self.answer.owner_count = owners.len() as u64;
        owners.truncate(self.question.top);
        Fits { owners, ..self.answer }
    }
}

impl Open {
    fn at(range: AddressRange) -> Open {
        Open { range, allocations: 0, allocation: None, owners: Vec::new() }
    }

    fn add(
        &mut self,
        range: AddressRange,
        allocation: Option<u64>,
        owner: Owner,
        kind: RegionKind,
    ) {
        if allocation.is_some() && allocation != self.allocation {
            self.allocations += 1;
        }
        self.allocation = allocation;
        self.range = AddressRange::spanning(self.range.start(), range.last()).unwrap_or(self.range);
        if let Some((_, _, bytes)) = self.owners.iter_mut().find(|(known, _, _)| *known == owner) {
            *bytes = bytes.saturating_add(range.size());
        } else if self.owners.len() < OWNERS {
            self.owners.push((owner, kind, range.size()));
        }
    }

    fn close(
        self,
        before: AddressRange,
        after: AddressRange,
        question: &Question,
    ) -> Option<Fence> {
        // Of equal ones the first.
        let most = self.owners.iter().rev().max_by_key(|(_, _, bytes)| *bytes)?;
        let joined = AddressRange::spanning(before.start(), after.last())?;
        let one_image = self.owners.len() == 1 && matches!(most.0, Owner::Image(_));
        Some(Fence {
            range: self.range,
            allocations: self.allocations,
            is_single: self.allocations == 1 || one_image,
            owner: most.0,
            kind: most.1,
            free: (before.size(), after.size()),
            joined: question.usable(joined).map_or(0, AddressRange::size),
        })
    }
}
