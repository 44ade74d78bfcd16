//! Claims and regions become answers: one kind for every byte, its evidence
//! with the winner first, the losers kept. A lazy sweep in address order:
//! O((regions + claims) log claims), nothing stored per region.
//!
//! Claims nest before they compete. The region's own state and type are the
//! base layer; a claim of a kind that such a region can hold refines it. Of
//! claims of one kind the smaller is the more exact one. Of different kinds
//! the better known wins, then the smaller, then the earlier gatherer.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::addr::AddressRange;
use crate::dump::RawRegion;
use crate::evidence::{Claim, Confidence, RegionKind};
use crate::map::{GapMeaning, MapSource, MemoryType, Origin, Region, RegionIter, RegionMap, State};

/// Allocation granularity of Windows: free bytes below the next multiple
/// cannot be allocated.
const GRANULARITY: u64 = 0x1_0000;

/// A run of bytes of one region with one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes.
    pub range: AddressRange,
    /// The region or gap they lie in.
    pub region: Region,
    /// What they are.
    pub kind: RegionKind,
    /// The claim that says so, by index; `None` when only the region's own
    /// state and type do.
    pub winner: Option<u32>,
    /// How it is known.
    pub confidence: Confidence,
}

/// The claims on one piece, the winner first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Indexes of claims: at most [`Standing::KEPT`].
    pub claims: Vec<u32>,
    /// How many more there are.
    pub more: u64,
}

impl Standing {
    /// The winner and eight losers.
    pub const KEPT: usize = 9;
}

/// Walks the pieces of a map in address order.
#[derive(Debug)]
pub struct Sweep<'m, 's> {
    map: &'m RegionMap<'s>,
    claims: &'m [Claim],
    /// The first address of each claim and its index, in address order.
    order: Vec<(u64, u32)>,
    next_claim: usize,
    /// Where the next claim begins.
    next_start: u64,
    regions: RegionIter<'m, 's>,
    region: Option<Region>,
    /// The first byte of `region` that no piece has given yet.
    at: u64,
    active: Active,
    /// One past the last byte of the free run so far.
    free_end: u64,
    /// Up to where that run is unusable.
    unusable: u64,
}

/// The pieces of `map` under `claims`.
pub fn sweep<'m, 's>(map: &'m RegionMap<'s>, claims: &'m [Claim]) -> Sweep<'m, 's> {
    sweep_of(map, claims, |_| true)
}

/// As [`sweep`], under the claims that can change what kind a piece has. Where
/// VirtualQuery says what an image is, no claim can, and most claims are of
/// images and their sections.
pub(crate) fn sweep_kinds<'m, 's>(map: &'m RegionMap<'s>, claims: &'m [Claim]) -> Sweep<'m, 's> {
    let told = map.source == MapSource::MemoryInfo;
    sweep_of(map, claims, |claim| match claim.kind {
        Some(RegionKind::Image) => !told,
        kind => kind.is_some(),
    })
}

fn sweep_of<'m, 's>(
    map: &'m RegionMap<'s>,
    claims: &'m [Claim],
    counts: impl Fn(&Claim) -> bool,
) -> Sweep<'m, 's> {
    let numbered = (0_u32..).zip(claims).filter(|(_, claim)| counts(claim));
    let mut order: Vec<(u64, u32)> =
        numbered.map(|(id, claim)| (claim.range.start(), id)).collect();
    order.sort_unstable();
    let next_start = start_of(order.first());
    Sweep {
        map,
        claims,
        order,
        next_claim: 0,
        next_start,
        regions: map.iter(),
        region: None,
        at: 0,
        active: Active::default(),
        free_end: 0,
        unusable: 0,
    }
}

/// Where a claim begins; past every address when there is none.
fn start_of(claim: Option<&(u64, u32)>) -> u64 {
    claim.map_or(u64::MAX, |(start, _)| *start)
}

impl Iterator for Sweep<'_, '_> {
    type Item = Piece;

    #[inline]
    fn next(&mut self) -> Option<Piece> {
        if let Some(region) = self.region.take() {
            return self.next_of(region);
        }
        let region = self.regions.next()?;
        let range = region.range;
        self.at = range.start();
        if !self.is_quiet(range) {
            return self.next_of(region);
        }
        let unusable = self.unusable_until(&region);
        if unusable <= range.start() {
            return Some(self.plain(region, range, base_kind(&region)));
        }
        let head = AddressRange::ordered(range.start(), range.last().min(unusable - 1));
        self.leave(region, head.last());
        Some(self.plain(region, head, RegionKind::Unusable))
    }
}

impl Sweep<'_, '_> {
    /// Gives `each` the next records as they stand in the file, up to the
    /// first that [`next`](Iterator::next) has to decide: one that a claim
    /// touches, or that goes on with a free run. The state and type of all
    /// others are the answer.
    #[inline]
    pub(crate) fn plain_records(&mut self, mut each: impl FnMut(&RawRegion)) {
        self.plain_records_while(|raw| {
            each(raw);
            true
        });
    }

    /// Takes the next record when [`plain_records`](Self::plain_records) would
    /// and it is this one.
    #[inline]
    pub(crate) fn take_equal(&mut self, wanted: &RawRegion) -> bool {
        let (mut first, mut equal) = (true, false);
        self.plain_records_while(|raw| {
            let takes = std::mem::take(&mut first) && raw == wanted;
            equal |= takes;
            takes
        });
        equal
    }

    /// As [`plain_records`](Self::plain_records), as long as `accept` says yes.
    #[inline]
    pub(crate) fn plain_records_while(&mut self, mut accept: impl FnMut(&RawRegion) -> bool) {
        if self.region.is_some() || !self.active.is_empty() {
            return;
        }
        let (quiet_until, mut free_start, mut free_end) = (self.next_start, 0, self.free_end);
        self.regions.take_records(|raw| {
            let end = raw.base.wrapping_add(raw.size);
            if end > quiet_until || end == 0 {
                return false;
            }
            if (raw.is_free() && raw.base == free_end) || !accept(raw) {
                return false;
            }
            if raw.is_free() {
                (free_start, free_end) = (raw.base, end);
            }
            true
        });
        if free_end != self.free_end {
            (self.free_end, self.unusable) = (free_end, granule_after(free_start));
        }
    }

    /// Whether no claim touches a range that begins where the sweep is.
    #[inline]
    fn is_quiet(&self, range: AddressRange) -> bool {
        self.active.is_empty() && self.next_start > range.last()
    }

    /// A piece that only the region's own state and type speak for.
    #[inline]
    fn plain(&self, region: Region, range: AddressRange, kind: RegionKind) -> Piece {
        let confidence = base_confidence(&region, self.map.gap_meaning);
        Piece { range, region, kind, winner: None, confidence }
    }

    /// Keeps the rest of `region` after `last` for the next piece.
    #[inline]
    fn leave(&mut self, region: Region, last: u64) {
        if last < region.range.last() {
            self.at = last + 1;
            self.region = Some(region);
        }
    }

    /// The next piece of `region`, from where the sweep is.
    fn next_of(&mut self, region: Region) -> Option<Piece> {
        let rest = AddressRange::spanning(self.at, region.range.last())?;
        let unusable = self.unusable_until(&region);
        if self.is_quiet(rest) && unusable <= self.at {
            return Some(self.plain(region, rest, base_kind(&region)));
        }
        let Answer { last, kind, winner, confidence } = self.answer(region);
        let range = AddressRange::spanning(self.at, last)?;
        self.leave(region, last);
        Some(Piece { range, region, kind, winner, confidence })
    }
}

/// What the bytes from where the sweep is up to `last` are.
struct Answer {
    last: u64,
    kind: RegionKind,
    winner: Option<u32>,
    confidence: Confidence,
}

impl Sweep<'_, '_> {
    #[inline(never)]
    fn answer(&mut self, region: Region) -> Answer {
        let mut last = region.range.last();
        if !self.active.is_empty() || self.next_start <= last {
            last = last.min(self.advance_claims());
        }
        let (mut kind, winner, confidence) = match self.active.best(&region, self.map.source) {
            Some((kind, key)) => (kind, Some(key.claim), key.confidence),
            None => (base_kind(&region), None, base_confidence(&region, self.map.gap_meaning)),
        };
        let unusable = self.unusable_until(&region);
        if self.at < unusable {
            last = last.min(unusable - 1);
            kind = RegionKind::Unusable;
        }
        Answer { last, kind, winner, confidence }
    }
}

impl Sweep<'_, '_> {
    /// The claims on the piece that [`next`](Iterator::next) gave last.
    pub fn standing(&self, piece: &Piece) -> Standing {
        self.active.standing(piece.winner)
    }

    /// Brings the active claims up to `at`; answers the last byte up to which
    /// they stay the same.
    fn advance_claims(&mut self) -> u64 {
        self.active.expire(self.at, self.claims);
        while let Some((start, id)) = self.order.get(self.next_claim).copied() {
            let Some(claim) = self.claims.get(id as usize).filter(|_| start <= self.at) else {
                break;
            };
            if claim.range.last() >= self.at {
                self.active.insert(id, claim);
            }
            self.next_claim += 1;
        }
        self.next_start = start_of(self.order.get(self.next_claim));
        let change = self.next_start;
        let until = if change > self.at { change.saturating_sub(1) } else { u64::MAX };
        until.min(self.active.first_end())
    }

    /// Up to where `region` is unusable: the next granule after the start of
    /// the free run it lies in. 0 for regions that are not free, and where
    /// allocations have no granularity.
    #[inline]
    fn unusable_until(&mut self, region: &Region) -> u64 {
        if region.state != State::Free || self.map.source != MapSource::MemoryInfo {
            return 0;
        }
        let (start, end) = (region.range.start(), region.range.end());
        if self.free_end != start && self.free_end != end {
            self.unusable = granule_after(start);
        }
        self.free_end = end;
        self.unusable
    }
}

/// The first address from `start` on where an allocation can begin.
#[inline]
pub(crate) fn granule_after(start: u64) -> u64 {
    start.checked_next_multiple_of(GRANULARITY).unwrap_or(start)
}

/// What the region's own state and type say.
#[inline]
pub fn base_kind(region: &Region) -> RegionKind {
    match (region.state, region.memory_type) {
        (State::Free, _) => RegionKind::Free,
        (_, Some(MemoryType::Image)) => RegionKind::Image,
        (_, Some(MemoryType::Mapped)) => RegionKind::Mapped,
        (_, Some(MemoryType::Private)) => RegionKind::Private,
        (_, None) => RegionKind::Unknown,
    }
}

/// How well that is known.
#[inline]
pub fn base_confidence(region: &Region, gaps: GapMeaning) -> Confidence {
    match region.origin {
        Origin::Gap if gaps == GapMeaning::Free => Confidence::Fallback,
        _ => Confidence::Recorded,
    }
}

/// Whether a region of this state and type can hold memory of this kind. On
/// Linux an image is made of file mappings, and of anonymous pages for .bss.
#[inline]
pub fn can_hold(region: &Region, kind: RegionKind, source: MapSource) -> bool {
    use RegionKind::{Heap, Image, ManagedHeap, Mapped, MappedFile, Private, Shareable, Stack};
    let linux = source == MapSource::LinuxMaps;
    match (region.state, region.memory_type) {
        (State::Free, _) => false,
        (_, Some(MemoryType::Image)) => kind == Image,
        (_, Some(MemoryType::Mapped)) => {
            matches!(kind, Mapped | MappedFile | Shareable | Heap | ManagedHeap)
                || (linux && matches!(kind, Image | Stack))
        }
        (_, Some(MemoryType::Private)) => {
            matches!(kind, Private | Heap | ManagedHeap | Stack) || (linux && kind == Image)
        }
        (_, None) => region.origin != Origin::Gap,
    }
}

/// How a claim stands among those of its kind: smaller first, and behind all
/// others what is only the best that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    left_over: bool,
    size: u64,
    confidence: Confidence,
    claim: u32,
}

impl Key {
    fn of(id: u32, claim: &Claim) -> Key {
        let confidence = claim.confidence;
        let left_over = confidence == Confidence::Fallback;
        Key { left_over, size: claim.range.size(), confidence, claim: id }
    }

    /// How it stands against another kind: better known first.
    fn across(self) -> (Confidence, u64, u32) {
        (self.confidence, self.size, self.claim)
    }
}

/// The bucket of claims without a kind.
const REMARKS: usize = RegionKind::COUNT;

/// The claims of one kind, best first. Nearly always there are so few that a
/// sorted list is the quickest; the set takes what would make that one slow.
#[derive(Debug, Default)]
struct Bucket {
    few: Vec<Key>,
    more: BTreeSet<Key>,
}

impl Bucket {
    const FEW: usize = 32;

    fn insert(&mut self, key: Key) {
        match self.few.binary_search(&key) {
            Ok(_) => {}
            Err(at) if self.few.len() < Bucket::FEW => self.few.insert(at, key),
            Err(_) => {
                self.more.insert(key);
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        match self.few.binary_search(key) {
            Ok(at) => {
                self.few.remove(at);
            }
            Err(_) => {
                self.more.remove(key);
            }
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.few.is_empty() && self.more.is_empty()
    }

    #[inline]
    fn best(&self) -> Option<Key> {
        [self.few.first(), self.more.first()].into_iter().flatten().min().copied()
    }

    fn len(&self) -> usize {
        self.few.len() + self.more.len()
    }

    /// The best ones, at most `most` of them.
    fn first(&self, most: usize) -> Vec<Key> {
        let mut all: Vec<Key> =
            self.few.iter().chain(self.more.iter().take(most)).copied().collect();
        all.sort_unstable();
        all.truncate(most);
        all
    }
}

/// The claims that cover the byte the sweep is at, by kind.
#[derive(Debug, Default)]
struct Active {
    buckets: [Bucket; RegionKind::COUNT + 1],
    /// Bit n: bucket n has a claim.
    filled: u16,
    ends: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Active {
    #[inline]
    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn bucket(claim: &Claim) -> usize {
        claim.kind.map_or(REMARKS, RegionKind::index)
    }

    fn insert(&mut self, id: u32, claim: &Claim) {
        let at = Active::bucket(claim);
        self.buckets[at].insert(Key::of(id, claim));
        self.filled |= 1 << at;
        self.ends.push(Reverse((claim.range.last(), id)));
    }

    /// Removes the claims that end before `at`.
    fn expire(&mut self, at: u64, claims: &[Claim]) {
        while let Some(Reverse((last, id))) = self.ends.peek().copied() {
            if last >= at {
                return;
            }
            self.ends.pop();
            if let Some(claim) = claims.get(id as usize) {
                let at = Active::bucket(claim);
                self.buckets[at].remove(&Key::of(id, claim));
                self.filled &= !(u16::from(self.buckets[at].is_empty()) << at);
            }
        }
    }

    /// The last byte of the claim that ends first.
    fn first_end(&self) -> u64 {
        self.ends.peek().map_or(u64::MAX, |Reverse((last, _))| *last)
    }

    /// The kind that wins on this region and its best claim.
    #[inline]
    fn best(&self, region: &Region, source: MapSource) -> Option<(RegionKind, Key)> {
        let mut best: Option<(RegionKind, Key)> = None;
        let mut left = self.filled & ((1 << RegionKind::COUNT) - 1);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let kind = RegionKind::ALL[at];
            let Some(key) = self.buckets[at].best().filter(|_| can_hold(region, kind, source))
            else {
                continue;
            };
            if best.is_none_or(|(_, best)| key.across() < best.across()) {
                best = Some((kind, key));
            }
        }
        best
    }

    fn standing(&self, winner: Option<u32>) -> Standing {
        let mut all: Vec<(bool, bool, Key)> = Vec::new();
        let mut total = 0_u64;
        for bucket in &self.buckets {
            total += bucket.len() as u64;
            let wins = bucket.best().is_some_and(|key| Some(key.claim) == winner);
            let first = bucket.first(Standing::KEPT).into_iter();
            all.extend(first.map(|key| (Some(key.claim) != winner, !wins, key)));
        }
        all.sort_by_key(|(not_winner, other_kind, key)| (*not_winner, *other_kind, key.across()));
        let claims: Vec<u32> =
            all.iter().take(Standing::KEPT).map(|(_, _, key)| key.claim).collect();
        let more = total - claims.len() as u64;
        Standing { claims, more }
    }
}
