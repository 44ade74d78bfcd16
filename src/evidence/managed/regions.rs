//! Regions (.NET 7 and later): one reservation that objects of all heaps come
//! from, cut into units of 4 MiB, and a table with a heap_segment for each
//! unit. One listed region gives the table, and the table gives the regions
//! that no generation has: free ones, which keep their first page.

use std::collections::HashSet;

use super::dac_vars::{DacVars, Field};
use super::segments::HeapSegment;
use super::target::{PAGE, Target};
use crate::addr::AddressRange;
use crate::map::MemoryType;

/// What the regions' own structures do not say.
#[derive(Debug, Default)]
pub(super) struct Regions {
    /// The reservation.
    pub(super) reserved: Option<AddressRange>,
    /// Regions that no generation has.
    pub(super) free: Vec<AddressRange>,
    /// Committed bytes in them; `None` when the table could not be read.
    pub(super) free_committed: Option<u64>,
    /// The reservation of card table, mark array and region table.
    pub(super) bookkeeping: Option<AddressRange>,
}

/// The structures of units that follow each other are `stride` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Table {
    /// First byte of a unit that is listed, and its structure.
    base: u64,
    address: u64,
    unit: u64,
    stride: u64,
}

/// Bytes of a heap_segment: 0xa8 to 0xb8 in the releases seen.
const STRIDES: std::ops::RangeInclusive<u64> = 0x38..=0x400;
/// The unit is 4 MiB unless GCRegionSize says else.
const UNITS: std::ops::RangeInclusive<u64> = 0x1_0000..=0x4000_0000;
/// Free regions that are kept.
const MOST: usize = 1 << 18;

pub(super) fn read(
    target: &mut Target<'_, '_>,
    vars: &DacVars,
    segments: &[HeapSegment],
) -> Regions {
    let mut regions = Regions { bookkeeping: bookkeeping(target, vars), ..Regions::default() };
    let listed: Vec<HeapSegment> =
        segments.iter().copied().filter(|segment| !segment.is_frozen()).collect();
    if target.knows_allocations() {
        let reserved = listed.first().and_then(|first| target.place(first.mem));
        let reserved = reserved.map(|place| place.range);
        regions.reserved =
            reserved.filter(|range| listed.iter().all(|segment| range.contains(segment.mem)));
    }
    let Some(table) = Table::of(&listed) else { return regions };
    let mut free_committed = Some(0_u64);
    for segment in table.free_regions(target, &listed, regions.reserved) {
        let base = segment.mem & !PAGE.wrapping_sub(1);
        let Some(range) = AddressRange::between(base, segment.reserved) else { continue };
        let committed = segment.committed.saturating_sub(base);
        free_committed = free_committed.map(|sum| sum.saturating_add(committed));
        regions.free.push(range);
    }
    regions.free_committed = free_committed;
    regions
}

/// The reservation that begins where the variable says.
fn bookkeeping(target: &mut Target<'_, '_>, vars: &DacVars) -> Option<AddressRange> {
    let start = vars.variable(target, Field::BookkeepingStart)?;
    let place = target.place(start)?;
    let whole = place.range.start() == start && place.memory_type == Some(MemoryType::Private);
    (whole && target.knows_allocations()).then_some(place.range)
}

impl Table {
    /// The table that explains where the structures of all regions are.
    fn of(listed: &[HeapSegment]) -> Option<Table> {
        let bases = listed.iter().map(|segment| (base(segment), segment.address));
        let (first_base, first) = bases.clone().min()?;
        let (last_base, last) = bases.clone().max()?;
        let sizes = listed.iter().map(|segment| segment.reserved.saturating_sub(base(segment)));
        let unit = sizes.min().filter(|unit| unit.is_power_of_two() && UNITS.contains(unit))?;
        let units = last_base.checked_sub(first_base)?.checked_div(unit)?;
        let stride = last.checked_sub(first)?.checked_div(units)?;
        let table = Table { base: first_base, address: first, unit, stride };
        let explains = |(base, address): (u64, u64)| table.structure_of(base) == Some(address);
        (STRIDES.contains(&stride) && bases.clone().all(explains)).then_some(table)
    }

    /// Where the structure of the unit at `base` is.
    fn structure_of(&self, base: u64) -> Option<u64> {
        let (up, away) = match base.checked_sub(self.base) {
            Some(away) => (true, away),
            None => (false, self.base.checked_sub(base)?),
        };
        if !away.is_multiple_of(self.unit) {
            return None;
        }
        let offset = away.checked_div(self.unit)?.checked_mul(self.stride)?;
        if up { self.address.checked_add(offset) } else { self.address.checked_sub(offset) }
    }

    /// The structures of free regions, as far as the table is captured.
    fn free_regions(
        &self,
        target: &mut Target<'_, '_>,
        listed: &[HeapSegment],
        reserved: Option<AddressRange>,
    ) -> Vec<HeapSegment> {
        let taken: HashSet<u64> = listed.iter().map(|segment| segment.address).collect();
        let mut found = Vec::new();
        let (mut base, mut address) = self.lowest(reserved);
        let end = reserved.map_or(u64::MAX, |range| range.last());
        while base < end && found.len() < MOST && target.follow() {
            if target.captured.contiguous(address, 1) == 0 {
                let Some(skip) = self.units_to_captured(target, address) else { break };
                let Some(next) = self.advance(base, address, skip) else { break };
                (base, address) = next;
                continue;
            }
            if !taken.contains(&address)
                && let Some(segment) = HeapSegment::read_free(target, address)
                && base_of(segment.mem, self.unit) == Some(base)
                && segment.reserved.saturating_sub(base).is_multiple_of(self.unit)
            {
                found.push(segment);
            }
            let Some(next) = self.advance(base, address, 1) else { break };
            (base, address) = next;
        }
        found
    }

    /// The first unit of the reservation and its structure.
    fn lowest(&self, reserved: Option<AddressRange>) -> (u64, u64) {
        let lowest = reserved.and_then(|range| {
            let first = range.start().checked_next_multiple_of(self.unit)?;
            Some((first, self.structure_of(first)?))
        });
        lowest.unwrap_or((self.base, self.address))
    }

    /// How many units further on the first captured structure is.
    fn units_to_captured(&self, target: &Target<'_, '_>, address: u64) -> Option<u64> {
        let ranges = target.captured.ranges();
        let after = ranges.partition_point(|run| run.range.start() <= address);
        let next = ranges.get(after)?.range.start();
        let away = next.checked_sub(address)?;
        Some(away.checked_next_multiple_of(self.stride)?.checked_div(self.stride)?.max(1))
    }

    fn advance(&self, base: u64, address: u64, units: u64) -> Option<(u64, u64)> {
        let base = base.checked_add(units.checked_mul(self.unit)?)?;
        let address = address.checked_add(units.checked_mul(self.stride)?)?;
        Some((base, address))
    }
}

/// First byte of the region that a segment describes.
fn base(segment: &HeapSegment) -> u64 {
    segment.mem & !PAGE.wrapping_sub(1)
}

/// First byte of the unit, when the address lies just behind it.
fn base_of(mem: u64, unit: u64) -> Option<u64> {
    let base = mem & !unit.wrapping_sub(1);
    (mem.wrapping_sub(base) < PAGE).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(base: u64, address: u64, size: u64) -> HeapSegment {
        HeapSegment::sample(address, base + 0x28, base + size)
    }

    #[test]
    fn one_table_must_explain_all_regions() {
        const UNIT: u64 = 0x40_0000;
        let at = |unit: u64| segment(0x7f00_0000_0000 + unit * UNIT, 0x5000 + unit * 0xb0, UNIT);
        let mut listed = vec![at(0), at(3), at(8)];
        let table = Table::of(&listed).unwrap();
        assert_eq!((table.unit, table.stride), (UNIT, 0xb0));
        assert_eq!(table.structure_of(0x7f00_0000_0000 + 5 * UNIT), Some(0x5000 + 5 * 0xb0));
        assert_eq!(table.structure_of(0x7f00_0000_0001), None);
        listed[1].address += 8;
        assert_eq!(Table::of(&listed), None);
        assert_eq!(Table::of(&listed[..1]), None);
        assert_eq!(Table::of(&[]), None);
    }
}
