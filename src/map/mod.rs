//! The address space: facts only, nothing concluded. Every byte of the range
//! lies in exactly one region or one gap.

mod build;
mod overlap;
mod region;
mod runs;

pub use region::{MemoryType, Origin, Protection, Region, State};
pub(crate) use runs::AllocationRun;

use crate::addr::AddressRange;
use crate::dump::{Dump, MemoryInfoList, PointerWidth, RawRegion, RawRegions};
use crate::issue::Issues;

/// Which stream the map was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapSource {
    /// MemoryInfoList (16): what VirtualQueryEx said.
    MemoryInfo,
    /// LinuxMaps: the text of /proc/PID/maps.
    LinuxMaps,
    /// Neither: rebuilt from modules, captured memory and thread stacks. What
    /// was reserved or free is not known.
    Rebuilt,
}

impl MapSource {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            MapSource::MemoryInfo => "memory-info",
            MapSource::LinuxMaps => "linux-maps",
            MapSource::Rebuilt => "rebuilt",
        }
    }
}

/// What the bytes between two regions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapMeaning {
    /// The source lists all that is in use, so the rest is free.
    Free,
    /// The source says nothing about them.
    Unknown,
}

/// One allocation: neighbouring regions with one allocation base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// From its first region to its last.
    pub range: AddressRange,
    /// PAGE_* at the time of the allocation.
    pub protect: Protection,
    /// How many regions it has.
    pub regions: u64,
}

/// The regions of a process, in address order, disjoint.
#[derive(Debug)]
pub struct RegionMap<'s> {
    /// What it was built from.
    pub source: MapSource,
    /// How wide addresses are.
    pub width: PointerWidth,
    /// The address range it covers: `None` when there is no region at all.
    pub range: Option<AddressRange>,
    /// What the bytes between regions are.
    pub gap_meaning: GapMeaning,
    /// Regions of the source that gave bytes to a smaller one.
    pub overlaps: u64,
    /// Records that could not be used.
    pub dropped: u64,
    /// What was wrong with the records.
    pub issues: Issues,
    regions: Regions<'s>,
    /// Index of a region, or of more, of each allocation that
    /// [`allocation_runs`](Self::allocation_runs) gives.
    telling: Vec<u32>,
}

#[derive(Debug)]
enum Regions<'s> {
    /// Sorted and clean records, still in the file.
    Records(MemoryInfoList<'s>),
    /// Regions that had to be sorted, clipped, or made from something else.
    Owned(Vec<Region>),
}

impl<'s> RegionMap<'s> {
    /// Builds the map from the best source that the dump has.
    pub fn build(dump: &Dump<'s>) -> RegionMap<'s> {
        build::build(dump)
    }

    /// Number of regions, gaps not counted.
    pub fn len(&self) -> usize {
        match &self.regions {
            Regions::Records(list) => list.len(),
            Regions::Owned(regions) => regions.len(),
        }
    }

    /// Whether there is no region.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether reserved and free memory are known.
    pub fn knows_free(&self) -> bool {
        self.source != MapSource::Rebuilt
    }

    /// The region at `index` in address order.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Region> {
        match &self.regions {
            Regions::Records(list) => {
                let raw = list.get(index)?;
                Some(Region::from_sound_record(&raw, index))
            }
            Regions::Owned(regions) => regions.get(index).copied(),
        }
    }

    /// Regions and gaps in address order: every byte of [`range`](Self::range)
    /// exactly once.
    pub fn iter(&self) -> RegionIter<'_, 's> {
        let regions = match &self.regions {
            Regions::Records(list) => Listed::Records(list.iter().enumerate()),
            Regions::Owned(regions) => Listed::Owned(regions.iter()),
        };
        let at = self.range.map_or(0, AddressRange::start);
        RegionIter { map: self, regions, at, started: false, held: None }
    }

    /// The region that holds `address`, or the gap around it; `None` outside
    /// the range.
    pub fn find(&self, address: u64) -> Option<Region> {
        let after = self.first_after(address);
        let before = after.checked_sub(1).and_then(|index| self.get(index));
        if let Some(region) = before.filter(|region| region.range.contains(address)) {
            return Some(region);
        }
        let range = self.range.filter(|range| range.contains(address))?;
        let start = before.map_or(range.start(), |region| region.range.end());
        let last = match self.get(after) {
            Some(region) => region.range.start().saturating_sub(1).min(range.last()),
            None => range.last(),
        };
        Some(self.gap(AddressRange::spanning(start, last)?))
    }

    /// The allocation that `address` lies in; `None` for free and unknown
    /// memory.
    pub fn allocation(&self, address: u64) -> Option<Allocation> {
        let (index, region) = self.indexed(address)?;
        let base = region.allocation_base?;
        let same = |candidate: &Region, edge: u64| {
            candidate.allocation_base == Some(base) && candidate.range.contains(edge)
        };
        let (mut start, mut last, mut regions) = (region.range.start(), region.range.last(), 1_u64);
        let mut at = index;
        while let (Some(edge), Some(before)) = (start.checked_sub(1), at.checked_sub(1)) {
            let Some(next) = self.get(before).filter(|next| same(next, edge)) else { break };
            (start, at, regions) = (next.range.start(), before, regions.saturating_add(1));
        }
        at = index;
        while let (Some(edge), Some(after)) = (last.checked_add(1), at.checked_add(1)) {
            let Some(next) = self.get(after).filter(|next| same(next, edge)) else { break };
            (last, at, regions) = (next.range.last(), after, regions.saturating_add(1));
        }
        let range = AddressRange::spanning(start, last)?;
        Some(Allocation { range, protect: region.allocation_protect, regions })
    }

    /// The regions of `range` in address order, whole, gaps left out.
    pub fn regions_in(&self, range: AddressRange) -> impl Iterator<Item = Region> + '_ {
        let after = self.first_after(range.start());
        let before = after.checked_sub(1).and_then(|index| self.get(index));
        let first = match before {
            Some(region) if region.range.overlaps(range) => after.saturating_sub(1),
            _ => after,
        };
        (first..self.len())
            .map_while(|index| self.get(index))
            .take_while(move |region| region.range.start() <= range.last())
    }

    /// The region that holds `address`, and its index.
    #[inline]
    pub(crate) fn indexed(&self, address: u64) -> Option<(usize, Region)> {
        let index = self.first_after(address).checked_sub(1)?;
        let region = self.get(index).filter(|region| region.range.contains(address))?;
        Some((index, region))
    }

    /// Index of the first region that begins after `address`.
    fn first_after(&self, address: u64) -> usize {
        match &self.regions {
            Regions::Records(list) => list.first_after(address),
            Regions::Owned(regions) => {
                regions.partition_point(|region| region.range.start() <= address)
            }
        }
    }

    fn gap(&self, range: AddressRange) -> Region {
        let state = match self.gap_meaning {
            GapMeaning::Free => State::Free,
            GapMeaning::Unknown => State::Unknown,
        };
        Region::bare(range, state, Origin::Gap)
    }
}

/// Regions and gaps in address order.
#[derive(Debug)]
pub struct RegionIter<'m, 's> {
    map: &'m RegionMap<'s>,
    regions: Listed<'m>,
    /// The first address not yet given; 0 again after the top of the space.
    at: u64,
    started: bool,
    /// The region after a gap.
    held: Option<Region>,
}

#[derive(Debug)]
enum Listed<'m> {
    Records(std::iter::Enumerate<RawRegions<'m>>),
    Owned(std::slice::Iter<'m, Region>),
}

impl Iterator for Listed<'_> {
    type Item = Region;

    #[inline]
    fn next(&mut self) -> Option<Region> {
        match self {
            Listed::Records(records) => {
                let (index, raw) = records.next()?;
                Some(Region::from_sound_record(&raw, index))
            }
            Listed::Owned(regions) => regions.next().copied(),
        }
    }
}

impl Iterator for RegionIter<'_, '_> {
    type Item = Region;

    #[inline]
    fn next(&mut self) -> Option<Region> {
        let region = if self.held.is_none() { self.regions.next() } else { self.held.take() };
        if let Some(region) = region
            && region.range.start() == self.at
        {
            return Some(self.give(region));
        }
        self.held = region;
        if let Some(gap) = self.gap() {
            return Some(self.give(self.map.gap(gap)));
        }
        let region = self.held.take()?;
        Some(self.give(region))
    }
}

impl RegionIter<'_, '_> {
    /// Takes records straight from the file while they are sound, follow the
    /// last region without a gap, and `accept` says yes.
    #[inline]
    pub(crate) fn take_records(&mut self, mut accept: impl FnMut(&RawRegion) -> bool) {
        let Listed::Records(records) = &mut self.regions else { return };
        if self.held.is_some() {
            return;
        }
        let (mut at, mut taken) = (self.at, 0_usize);
        for (_, raw) in records.clone() {
            if raw.base != at || !accept(&raw) {
                break;
            }
            at = raw.base.wrapping_add(raw.size);
            taken = taken.saturating_add(1);
        }
        if let Some(last) = taken.checked_sub(1) {
            records.nth(last);
            self.at = at;
            self.started = true;
        }
    }

    #[inline]
    fn give(&mut self, region: Region) -> Region {
        self.at = region.range.last().wrapping_add(1);
        self.started = true;
        region
    }

    /// The bytes from `at` to the region held back, or to the end of the
    /// range. Rebuilt maps have no gaps: nobody knows how far they go.
    #[cold]
    fn gap(&self) -> Option<AddressRange> {
        let range = self.map.range.filter(|_| self.map.knows_free())?;
        let over = self.started && self.at == 0;
        let last = match self.held {
            _ if over => return None,
            Some(region) => region.range.start().checked_sub(1)?,
            None => range.last(),
        };
        AddressRange::spanning(self.at, last.min(range.last()))
    }
}
