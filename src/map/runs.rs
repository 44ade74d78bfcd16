//! The allocations of a map in address order, each with what one look at its
//! regions tells. The pass over a million regions that all gatherers share.

use super::{MemoryType, Protection, Region, RegionMap, Regions, State};
use crate::addr::AddressRange;

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

/// Every allocation of a map, in address order.
pub(crate) struct AllocationRuns<'m, 's> {
    regions: &'m Regions<'s>,
    next: usize,
}

impl Iterator for AllocationRuns<'_, '_> {
    type Item = AllocationRun;

    #[inline(always)]
    fn next(&mut self) -> Option<AllocationRun> {
        match self.regions {
            Regions::Records(list) => {
                let region = |index| Some(Region::from_sound_record(&list.get(index)?, index));
                next_run(&mut self.next, region)
            }
            Regions::Owned(regions) => {
                next_run(&mut self.next, |index| regions.get(index).copied())
            }
        }
    }
}

#[inline(always)]
fn next_run(next: &mut usize, region: impl Fn(usize) -> Option<Region>) -> Option<AllocationRun> {
    loop {
        let first = *next;
        let begin = region(first)?;
        *next = first.saturating_add(1);
        let Some(base) = begin.allocation_base else { continue };
        let mut run = AllocationRun::begin(&begin, base, first);
        while region(*next).is_some_and(|region| run.extend(&region)) {
            *next = next.saturating_add(1);
        }
        return Some(run);
    }
}

impl<'s> RegionMap<'s> {
    /// Every allocation, in address order.
    #[inline]
    pub(crate) fn allocation_runs(&self) -> AllocationRuns<'_, 's> {
        AllocationRuns { regions: &self.regions, next: 0 }
    }
}
