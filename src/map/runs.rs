//! The allocations of a map in address order, each with what one look at its
//! regions tells. The pass over a million regions that all gatherers share.

use super::{MemoryType, Protection, Region, RegionMap, Regions, State};
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

    #[inline]
    fn goes_on(&self, base: u64, start: u64) -> bool {
        self.base == base && self.last.wrapping_add(1) == start
    }
}

impl RegionMap<'_> {
    /// Gives every allocation to `look`, in address order.
    #[inline]
    pub(crate) fn for_each_allocation(&self, mut look: impl FnMut(&AllocationRun)) {
        let mut open: Option<AllocationRun> = None;
        match &self.regions {
            Regions::Records(list) => {
                for (index, raw) in list.iter().enumerate() {
                    if raw.is_free() {
                        continue;
                    }
                    if let Some(run) =
                        open.as_mut().filter(|run| run.goes_on(raw.allocation_base, raw.base))
                    {
                        extend(run, &raw);
                        continue;
                    }
                    let region = Region::from_sound_record(&raw, index);
                    let begun = AllocationRun::begin(&region, raw.allocation_base, index);
                    if let Some(done) = open.replace(begun) {
                        look(&done);
                    }
                }
            }
            Regions::Owned(regions) => {
                for (index, region) in regions.iter().enumerate() {
                    let Some(base) = region.allocation_base else { continue };
                    if let Some(run) =
                        open.as_mut().filter(|run| run.goes_on(base, region.range.start()))
                    {
                        run.last = region.range.last();
                        run.regions += 1;
                        run.executable |= region.protect.is_executable();
                        run.reserved |= region.state == State::Reserve;
                        continue;
                    }
                    if let Some(done) = open.replace(AllocationRun::begin(region, base, index)) {
                        look(&done);
                    }
                }
            }
        }
        if let Some(done) = open {
            look(&done);
        }
    }
}

#[inline]
fn extend(run: &mut AllocationRun, raw: &RawRegion) {
    run.last = raw.base.wrapping_add(raw.size).wrapping_sub(1);
    run.regions += 1;
    run.executable |= raw.is_committed() && Protection(raw.protect).is_executable();
    run.reserved |= !raw.is_committed();
}
