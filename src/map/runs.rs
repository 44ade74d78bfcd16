//! The allocations that gatherers want to look at: all but private memory
//! that begins with plain read-write pages and has no executable ones, and
//! small views of one protection whose contents are not captured. A million
//! regions are mostly those, and are looked at once, when the map is built.

use super::{MemoryType, Protection, Region, RegionMap, State};
use crate::addr::AddressRange;
use crate::dump::RawRegion;

/// Neighbouring regions with one allocation base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AllocationRun {
    /// The allocation base; below the first region when that one is missing.
    pub(crate) base: u64,
    /// First and last byte of its regions.
    start: u64,
    last: u64,
    /// Index of its first region, and how many it has.
    pub(crate) first: usize,
    pub(crate) regions: usize,
    /// Type, allocation protection, state and protection of the first region.
    pub(crate) memory_type: Option<MemoryType>,
    pub(crate) allocation_protect: Protection,
    pub(crate) state: State,
    pub(crate) protect: Protection,
    /// Whether a region is executable, or reserved.
    pub(crate) executable: bool,
    pub(crate) reserved: bool,
}

impl AllocationRun {
    /// From its first region to its last.
    #[inline]
    pub(crate) fn range(&self) -> AddressRange {
        AddressRange::ordered(self.start, self.last)
    }

    /// Whether its first region is where the allocation begins.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        self.base == self.start
    }

    #[inline]
    fn begin(region: &Region, base: u64, first: usize) -> AllocationRun {
        AllocationRun {
            base,
            start: region.range.start(),
            last: region.range.last(),
            first,
            regions: 1,
            memory_type: region.memory_type,
            allocation_protect: region.allocation_protect,
            state: region.state,
            protect: region.protect,
            executable: region.protect.is_executable(),
            reserved: region.state == State::Reserve,
        }
    }

    /// Adds a region when it goes on with the allocation; says whether it
    /// does.
    #[inline]
    fn extend(&mut self, region: &Region) -> bool {
        let same = region.allocation_base == Some(self.base)
            && region.range.start() == self.last.wrapping_add(1);
        if same {
            self.last = region.range.last();
            self.regions = self.regions.saturating_add(1);
            self.executable |= region.protect.is_executable();
            self.reserved |= region.state == State::Reserve;
        }
        same
    }
}

/// Finds the regions that make their allocation tell something, record by
/// record.
#[derive(Debug)]
pub(super) struct Telling {
    /// Their indexes, but for those in `buffer`.
    found: Vec<u32>,
    /// Written at every record and kept when it tells something: whether one
    /// does is a coin toss that no branch predictor wins.
    buffer: [u32; Telling::BUFFER],
    filled: usize,
    /// The allocation base of the last record; no record's after a free one.
    base: u64,
}

impl Telling {
    const BUFFER: usize = 256;
    /// The smallest view that is known by its size: the GDI handle table.
    const SMALL: u64 = 0x18_0000;

    pub(super) fn new() -> Telling {
        Telling { found: Vec::new(), buffer: [0; Telling::BUFFER], filled: 0, base: u64::MAX }
    }

    /// Their indexes in address order.
    pub(super) fn indexes(mut self) -> Vec<u32> {
        self.found.extend_from_slice(&self.buffer[..self.filled]);
        self.found
    }

    /// `follows` says that the record begins where the last one ended,
    /// `captured` that its first byte is in the dump.
    #[inline]
    pub(super) fn look(&mut self, index: u32, raw: &RawRegion, follows: bool, captured: bool) {
        let free = raw.is_free();
        let protect = Protection(raw.protect);
        let base = if free { u64::MAX } else { raw.allocation_base };
        let begins = !follows | (base != self.base);
        self.base = base;
        let plain = raw.is_committed() & protect.is_writable() & !protect.is_guard();
        let small_view = raw.is_mapped() & begins & !captured & (raw.size < Telling::SMALL);
        let other = !raw.is_private() & !small_view;
        let telling = other | protect.is_executable() | (raw.is_private() & begins & !plain);
        self.buffer[self.filled] = index;
        self.filled += usize::from(telling & !free);
        if self.filled == Telling::BUFFER {
            self.found.extend_from_slice(&self.buffer);
            self.filled = 0;
        }
    }
}

/// The first region of every allocation: for maps that had to be rebuilt in
/// memory anyway.
pub(super) fn all_allocations(regions: &[Region]) -> Vec<u32> {
    let mut firsts = Vec::new();
    let mut open: Option<AllocationRun> = None;
    for (region, index) in regions.iter().zip(0_u32..) {
        if open.as_mut().is_some_and(|run| run.extend(region)) {
            continue;
        }
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        open = region.allocation_base.map(|base| AllocationRun::begin(region, base, at));
        if open.is_some() {
            firsts.push(index);
        }
    }
    firsts
}

impl RegionMap<'_> {
    /// The allocations that tell something, in address order.
    #[inline]
    pub(crate) fn allocation_runs(&self) -> impl Iterator<Item = AllocationRun> + '_ {
        let mut next = 0;
        self.telling.iter().filter_map(move |index| {
            let index = *index as usize;
            let run = (index >= next).then(|| self.run_from(self.run_start(index, next))).flatten();
            next = run.map_or(next, |run| run.first + run.regions);
            run
        })
    }

    /// Index of the first region of the allocation of the one at `index`,
    /// from `lowest` on.
    #[inline]
    fn run_start(&self, index: usize, lowest: usize) -> usize {
        let mut first = index;
        let Some(mut region) = self.get(index) else { return index };
        while first > lowest
            && let Some(before) = self.get(first - 1)
            && before.allocation_base == region.allocation_base
            && before.range.last().wrapping_add(1) == region.range.start()
        {
            (first, region) = (first - 1, before);
        }
        first
    }

    /// The allocation around `address`, whether it tells something or not.
    pub(crate) fn run_at(&self, address: u64) -> Option<AllocationRun> {
        let (index, _) = self.indexed(address)?;
        self.run_from(self.run_start(index, 0))
    }

    /// The regions of an allocation.
    pub(crate) fn regions_of(&self, run: &AllocationRun) -> impl Iterator<Item = Region> + '_ {
        let indexes = run.first..run.first.saturating_add(run.regions);
        indexes.map_while(|index| self.get(index))
    }

    #[inline]
    fn run_from(&self, first: usize) -> Option<AllocationRun> {
        let begin = self.get(first)?;
        let mut run = AllocationRun::begin(&begin, begin.allocation_base?, first);
        let mut next = first + 1;
        while self.get(next).is_some_and(|region| run.extend(&region)) {
            next += 1;
        }
        Some(run)
    }
}
