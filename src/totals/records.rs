//! The fold of records that are one piece by their own state and type. Most
//! of a big map is; this is what its cost hangs on. They are summed by class,
//! and what a class means for a kind is said once, at the end.

use super::{Fold, KINDS, Sums};
use crate::addr::AddressRange;
use crate::classify::granule_after;
use crate::dump::RawRegion;
use crate::evidence::RegionKind;
use crate::map::Protection;

/// Classes of records that are not free, as bits.
const WRITABLE: usize = 1;
const COMMITTED: usize = 2;
const MAPPED: usize = 4;
const IMAGE: usize = 8;
const CLASSES: usize = 16;

/// Bytes and number of the records of each class.
#[derive(Default)]
pub(super) struct Plain {
    classes: [(u64, u64); CLASSES],
}

impl Plain {
    /// Adds the classes to the sums of their kinds.
    pub(super) fn add_to(&self, kinds: &mut [Sums; KINDS]) {
        for (class, (size, blocks)) in self.classes.iter().enumerate() {
            let sums = &mut kinds[KIND[class] as usize];
            let committed = if class & COMMITTED != 0 { *size } else { 0 };
            let private = class & MAPPED == 0 && (class & IMAGE == 0 || class & WRITABLE != 0);
            sums.size = sums.size.wrapping_add(*size);
            sums.committed = sums.committed.wrapping_add(committed);
            sums.reserved = sums.reserved.wrapping_add(size - committed);
            sums.private = sums.private.wrapping_add(if private { committed } else { 0 });
            sums.blocks += blocks;
        }
    }
}

/// [`RegionKind::index`] by class.
const KIND: [u8; CLASSES] = {
    let mut kinds = [RegionKind::Private.index() as u8; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        if class & IMAGE != 0 {
            kinds[class] = RegionKind::Image.index() as u8;
        } else if class & MAPPED != 0 {
            kinds[class] = RegionKind::Mapped.index() as u8;
        }
        class += 1;
    }
    kinds
};

/// [`RegionKind::index`] of a record by its own type.
#[inline]
pub(super) fn kind_of(record: &RawRegion) -> usize {
    usize::from(KIND[class(record)])
}

fn class(record: &RawRegion) -> usize {
    (usize::from(record.is_image()) * IMAGE)
        | (usize::from(record.is_mapped()) * MAPPED)
        | (usize::from(record.is_committed()) * COMMITTED)
        | (usize::from(Protection(record.protect).is_writable()) * WRITABLE)
}

impl Fold<'_> {
    /// As [`add`](Fold::add), for a record that is one piece by its own state
    /// and type.
    #[inline(always)]
    pub(super) fn add_record(&mut self, record: &RawRegion) {
        let size = record.size;
        let last = record.base.wrapping_add(size).wrapping_sub(1);
        self.end_region();
        if record.is_free() {
            return self.add_free_record(record.base, size);
        }
        let class = class(record);
        let kind = usize::from(KIND[class]);
        if self.has_captured(last) {
            let captured = self.captured_bytes(AddressRange::ordered(record.base, last));
            self.kinds[kind].captured += captured;
        }
        let shown = class & COMMITTED != 0 || self.strip.is_linear();
        self.strip.add(kind, if shown { size } else { 0 });
        let (bytes, blocks) = &mut self.plain.classes[class];
        *bytes = bytes.wrapping_add(size);
        *blocks += 1;
        self.end_free_run();
        self.add_to_allocation(record.allocation_base, kind, size);
    }

    /// Adds a region to the open allocation, or ends that one and begins the
    /// next. Which of them is a coin toss: without a branch it costs half.
    #[inline(always)]
    fn add_to_allocation(&mut self, base: u64, kind: usize, size: u64) {
        let begins = self.allocation_base != Some(base);
        let open = self.allocation.only.unwrap_or(kind);
        let odd = self.allocation.mixed.is_some() || (open != kind && !begins);
        if odd || self.allocation.bytes >= self.giant {
            return self.add_to_odd_allocation(base, kind, size);
        }
        let ended = if begins { self.allocation.bytes } else { 0 };
        let sums = &mut self.kinds[open];
        sums.allocations += u64::from(ended > 0);
        sums.largest = sums.largest.max(ended);
        self.allocation.only = Some(kind);
        self.allocation.bytes = self.allocation.bytes - ended + size;
        self.allocation_base = Some(base);
    }

    /// The same for an allocation of several kinds, and after a giant one.
    #[cold]
    fn add_to_odd_allocation(&mut self, base: u64, kind: usize, size: u64) {
        if self.allocation_base != Some(base) {
            self.end_allocation();
            self.allocation_base = Some(base);
        }
        self.allocation.add(kind, size);
    }

    /// A free record that no free run goes before: its head is unusable up to
    /// the next granule, the rest begins a free block.
    #[inline(always)]
    fn add_free_record(&mut self, start: u64, size: u64) {
        let unusable = (granule_after(start) - start).min(size);
        if self.strip.is_linear() {
            self.strip.add(RegionKind::Unusable.index(), unusable);
            self.strip.add(RegionKind::Free.index(), size - unusable);
        }
        let sums = &mut self.kinds[RegionKind::Unusable.index()];
        sums.size = sums.size.wrapping_add(unusable);
        sums.blocks += u64::from(unusable > 0);
        sums.largest = sums.largest.max(unusable);
        let last = start.wrapping_add(size).wrapping_sub(1);
        let captured = match self.has_captured(last) {
            true => self.captured_bytes(AddressRange::ordered(start, last)),
            false => 0,
        };
        let sums = &mut self.kinds[RegionKind::Free.index()];
        sums.size = sums.size.wrapping_add(size - unusable);
        sums.captured += captured;
        self.end_allocation();
        self.allocation_base = None;
        self.end_free_run();
        self.raw_block = size;
        self.free.raw_largest = self.free.raw_largest.max(size);
        self.unusable_block = unusable;
        self.unusable_end = Some(start.wrapping_add(unusable));
        self.free_block = AddressRange::new(start.wrapping_add(unusable), size - unusable);
    }
}
