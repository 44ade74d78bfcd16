//! The address space: facts only, nothing concluded. Every byte of the range
//! lies in exactly one region or one gap.

mod build;
mod overlap;
mod region;

pub use region::{MemoryType, Origin, Protection, Region, State};

use crate::addr::AddressRange;
use crate::dump::{Dump, MemoryInfoList, PointerWidth};
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
    pub fn as_str(self) -> &'static str {
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
                Region::from_record(&raw, index, raw.base)
            }
            Regions::Owned(regions) => regions.get(index).copied(),
        }
    }

    /// Regions and gaps in address order: every byte of [`range`](Self::range)
    /// exactly once.
    pub fn iter(&self) -> RegionIter<'_, 's> {
        RegionIter { map: self, next: 0, at: self.range.map(AddressRange::start), held: None }
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
        let index = self.first_after(address).checked_sub(1)?;
        let region = self.get(index).filter(|region| region.range.contains(address))?;
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

    /// Index of the first region that begins after `address`.
    fn first_after(&self, address: u64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle) {
                Some(region) if region.range.start() <= address => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        low
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
    next: usize,
    /// The first address not yet given; `None` after the top of the space.
    at: Option<u64>,
    held: Option<Region>,
}

impl Iterator for RegionIter<'_, '_> {
    type Item = Region;

    #[inline]
    fn next(&mut self) -> Option<Region> {
        let region = self.held.take().or_else(|| {
            let region = self.map.get(self.next);
            self.next = self.next.saturating_add(1);
            region
        });
        let at = self.at?;
        match region {
            Some(region) if region.range.start() <= at => {
                self.at = region.range.last().checked_add(1);
                Some(region)
            }
            region => self.gap_before(region, at),
        }
    }
}

impl RegionIter<'_, '_> {
    /// The gap between `at` and `region` (or the end of the range), holding
    /// `region` back. Rebuilt maps have no gaps: nobody knows how far they go.
    #[cold]
    fn gap_before(&mut self, region: Option<Region>, at: u64) -> Option<Region> {
        let range = self.map.range?;
        let last = region.map_or(range.last(), |region| region.range.start().saturating_sub(1));
        let gap = AddressRange::spanning(at, last.min(range.last()))
            .filter(|_| self.map.knows_free())
            .map(|gap| self.map.gap(gap));
        let Some(gap) = gap else {
            let region = region?;
            self.at = region.range.last().checked_add(1);
            return Some(region);
        };
        self.held = region;
        self.at = region.map(|region| region.range.start());
        Some(gap)
    }
}
