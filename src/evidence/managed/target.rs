//! What the readers of the runtime's structures share: the captured memory,
//! the map, the pointer width of the runtime, and a bound on all of them.

use std::collections::BTreeMap;

use crate::addr::AddressRange;
use crate::dump::{CapturedMemory, Dump, MemoryReader, PointerWidth};
use crate::map::{MemoryType, RegionMap, State};

pub(super) const PAGE: u64 = 4096;

pub(super) struct Target<'a, 's> {
    pub(super) map: &'a RegionMap<'s>,
    pub(super) captured: &'a CapturedMemory<'s>,
    pub(super) width: PointerWidth,
    memory: MemoryReader<'a, 's>,
    /// Structures that may still be read, all lists together.
    links: usize,
    /// Last byte and type of the allocations looked up so far, by first byte.
    allocations: BTreeMap<u64, (u64, Option<MemoryType>)>,
}

/// The allocation around an address, as far as the map knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) range: AddressRange,
    pub(super) memory_type: Option<MemoryType>,
}

impl<'a, 's> Target<'a, 's> {
    /// More structures than this are never read: a heap of 1 TiB has 262,144
    /// regions.
    const MOST: usize = 1 << 19;

    pub(super) fn new(
        dump: &'a Dump<'s>,
        map: &'a RegionMap<'s>,
        width: PointerWidth,
    ) -> Target<'a, 's> {
        Target {
            map,
            captured: &dump.captured,
            width,
            memory: dump.captured.reader(),
            links: dump.limits.links.min(Self::MOST),
            allocations: BTreeMap::new(),
        }
    }

    /// Pays for one structure; `false` when there is nothing left to pay with.
    pub(super) fn follow(&mut self) -> bool {
        let left = self.links.checked_sub(1);
        self.links = left.unwrap_or(0);
        left.is_some()
    }

    /// Bytes of a pointer.
    pub(super) fn pointer_size(&self) -> u64 {
        match self.width {
            PointerWidth::Bits32 => 4,
            PointerWidth::Bits64 => 8,
        }
    }

    /// The pointer at `address`.
    pub(super) fn pointer(&mut self, address: u64) -> Option<u64> {
        self.memory.pointer(address, self.width)
    }

    /// The n-th pointer from `address` on.
    pub(super) fn slot(&mut self, address: u64, index: u64) -> Option<u64> {
        let offset = index.checked_mul(self.pointer_size())?;
        self.pointer(address.checked_add(offset)?)
    }

    /// The 32-bit number at `address`.
    pub(super) fn u32(&mut self, address: u64) -> Option<u32> {
        self.memory.u32(address)
    }

    /// The allocation around an address; where the map knows no allocations,
    /// the region. `None` for memory that is not in use.
    pub(super) fn place(&mut self, address: u64) -> Option<Place> {
        let below = self.allocations.range(..=address).next_back();
        if let Some((start, (last, memory_type))) = below.filter(|(_, (last, _))| *last >= address)
        {
            let range = AddressRange::spanning(*start, *last)?;
            return Some(Place { range, memory_type: *memory_type });
        }
        let region = self.map.find(address)?;
        if region.state == State::Free {
            return None;
        }
        let allocation = self.map.allocation(address).map(|allocation| allocation.range);
        let (range, memory_type) = (allocation.unwrap_or(region.range), region.memory_type);
        self.allocations.insert(range.start(), (range.last(), memory_type));
        Some(Place { range, memory_type })
    }

    /// Whether the map tells where allocations begin and end.
    pub(super) fn knows_allocations(&self) -> bool {
        self.map.source == crate::map::MapSource::MemoryInfo
    }
}
