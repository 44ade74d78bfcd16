//! What the readers of the formats share: the captured memory, the map, and
//! which bytes some heap has already. Every byte goes to one part of one
//! heap, so all the readers together visit a region a bounded number of times
//! whatever the pointers in the dump say.

use std::collections::BTreeMap;

use super::{Heap, HeapPart};
use crate::addr::AddressRange;
use crate::dump::{Dump, MemoryReader, PointerWidth};
use crate::evidence::{Confidence, EvidenceSource};
use crate::map::{MemoryType, Region, RegionMap, State};

pub(super) const PAGE: u64 = 4096;

pub(super) struct Context<'a, 's> {
    pub(super) map: &'a RegionMap<'s>,
    pub(super) memory: MemoryReader<'a, 's>,
    /// Links that may still be followed, all lists together.
    links: usize,
    /// First and last byte of the parts found so far.
    taken: BTreeMap<u64, u64>,
    /// First and last byte of the allocations looked up so far.
    allocations: BTreeMap<u64, u64>,
}

impl<'a, 's> Context<'a, 's> {
    pub(super) fn new(dump: &'a Dump<'s>, map: &'a RegionMap<'s>) -> Context<'a, 's> {
        Context {
            map,
            memory: dump.captured.reader(),
            links: dump.limits.links,
            taken: BTreeMap::new(),
            allocations: BTreeMap::new(),
        }
    }

    /// Pays for one link; `false` when there is nothing left to pay with.
    pub(super) fn follow(&mut self) -> bool {
        let left = self.links.checked_sub(1);
        self.links = left.unwrap_or(0);
        left.is_some()
    }

    /// A pointer at an offset in a structure.
    pub(super) fn pointer(&mut self, base: u64, offset: u64, width: PointerWidth) -> Option<u64> {
        self.memory.pointer(at(base, offset), width)
    }

    /// A 32-bit number at an offset in a structure.
    pub(super) fn word(&mut self, base: u64, offset: u64) -> Option<u32> {
        self.memory.u32(at(base, offset))
    }

    /// Both links of a LIST_ENTRY: Flink and Blink.
    pub(super) fn links_at(&mut self, entry: u64, width: PointerWidth) -> Option<(u64, u64)> {
        let next = self.memory.pointer(entry, width)?;
        let previous = self.pointer(entry, pointer_size(width), width)?;
        Some((next, previous))
    }

    /// Takes the bytes for a part; `false` when a part has some of them.
    pub(super) fn take(&mut self, range: AddressRange) -> bool {
        let below = self.taken.range(..=range.last()).next_back();
        if below.is_some_and(|(_, last)| *last >= range.start()) {
            return false;
        }
        self.taken.insert(range.start(), range.last());
        true
    }

    /// Whether a part has the byte.
    pub(super) fn is_taken(&self, address: u64) -> bool {
        let below = self.taken.range(..=address).next_back();
        below.is_some_and(|(_, last)| *last >= address)
    }

    /// The allocation around an address. A rebuilt map knows none.
    pub(super) fn allocation(&mut self, address: u64) -> Option<AddressRange> {
        let below = self.allocations.range(..=address).next_back();
        if let Some((start, last)) = below.filter(|(_, last)| **last >= address) {
            return AddressRange::spanning(*start, *last);
        }
        let range = self.map.allocation(address)?.range;
        self.allocations.insert(range.start(), range.last());
        Some(range)
    }

    /// The allocation around an address, when a heap can be in it.
    pub(super) fn heap_allocation(&mut self, address: u64) -> Option<AddressRange> {
        let kind = self.map.find(address)?.memory_type?;
        if kind == MemoryType::Image { None } else { self.allocation(address) }
    }

    /// The bytes of `range` that the allocation of its first byte has; all of
    /// them where the map has no allocations.
    pub(super) fn clip(&mut self, range: AddressRange) -> Option<AddressRange> {
        if !self.map.knows_free() {
            return Some(range);
        }
        self.heap_allocation(range.start())?.intersect(range)
    }

    /// Committed bytes of `range` by the map; `None` when the map cannot
    /// know. Only for bytes that were [taken](Self::take).
    pub(super) fn committed(&self, range: AddressRange) -> Option<u64> {
        if !self.map.knows_free() {
            return None;
        }
        let committed = |region: &Region| region.state == State::Commit;
        let regions = self.map.regions_in(range).filter(committed);
        let parts = regions.filter_map(|region| region.range.intersect(range));
        Some(parts.fold(0, |sum: u64, part| sum.saturating_add(part.size())))
    }

    /// A part whose commitment the map tells.
    pub(super) fn part(
        &self,
        range: AddressRange,
        role: &'static str,
        source: EvidenceSource,
        confidence: Confidence,
    ) -> HeapPart {
        HeapPart { range, role, committed: self.committed(range), source, confidence }
    }

    /// Adds the allocation around `address` to a heap. `false` when the map
    /// has none there or some part has it already.
    pub(super) fn add_allocation(
        &mut self,
        heap: &mut Heap,
        address: u64,
        role: &'static str,
        source: EvidenceSource,
        confidence: Confidence,
    ) -> bool {
        let Some(range) = self.heap_allocation(address).filter(|range| self.take(*range)) else {
            return false;
        };
        let part = self.part(range, role, source, confidence);
        heap.parts.push(part);
        true
    }
}

/// An address at an offset. Nonsense wraps, and then is not captured.
#[inline]
pub(super) fn at(base: u64, offset: u64) -> u64 {
    base.wrapping_add(offset)
}

/// Bytes of a pointer.
#[inline]
pub(super) fn pointer_size(width: PointerWidth) -> u64 {
    match width {
        PointerWidth::Bits32 => 4,
        PointerWidth::Bits64 => 8,
    }
}
