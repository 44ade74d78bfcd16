//! heap_segment: a run of memory that holds objects. Source: gcpriv.h of
//! dotnet/runtime; its first seven fields are the same in every release. In
//! the segments era it lies at the start of the memory it describes; regions
//! have theirs in a table, frozen ones in the native heap.

use super::target::{PAGE, Target};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::map::MemoryType;

/// heap_segment, its fields read and checked against each other and the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeapSegment {
    pub(super) address: u64,
    pub(super) allocated: u64,
    pub(super) committed: u64,
    pub(super) reserved: u64,
    used: u64,
    pub(super) mem: u64,
    pub(super) flags: u64,
    pub(super) next: u64,
}

/// heap_segment_flags_readonly: the frozen object heap.
const READ_ONLY: u64 = 1;
/// heap_segment_flags_loh.
const LARGE: u64 = 8;
/// heap_segment_flags_poh.
const PINNED: u64 = 0x200;
/// The fields that are read.
const SLOTS: u64 = 7;
/// A collector's largest heap is the address space of one process.
const MOST: u64 = 1 << 46;

impl HeapSegment {
    /// `None` when the fields contradict each other or the map.
    pub(super) fn read(target: &mut Target<'_, '_>, address: u64) -> Option<HeapSegment> {
        let segment = Self::read_fields(target, address)?;
        segment.is_placed(target).then_some(segment)
    }

    fn read_fields(target: &mut Target<'_, '_>, address: u64) -> Option<HeapSegment> {
        if address == 0 || !address.is_multiple_of(target.pointer_size()) {
            return None;
        }
        let mut words = [0_u64; 7];
        for (word, index) in words.iter_mut().zip(0..SLOTS) {
            *word = target.slot(address, index)?;
        }
        let [allocated, committed, reserved, used, mem, flags, next] = words;
        let segment =
            HeapSegment { address, allocated, committed, reserved, used, mem, flags, next };
        segment.is_ordered().then_some(segment)
    }

    /// mem <= allocated <= committed <= reserved, the last two whole pages.
    fn is_ordered(&self) -> bool {
        self.mem != 0
            && self.mem <= self.allocated
            && self.allocated <= self.committed
            && self.committed <= self.reserved
            && self.mem < self.reserved
            && self.committed.is_multiple_of(PAGE)
            && self.reserved.is_multiple_of(PAGE)
            && self.reserved.saturating_sub(self.mem) <= MOST
            && self.mem.is_multiple_of(4)
    }

    /// Whether all of it lies in one allocation that can hold objects.
    fn is_placed(&self, target: &mut Target<'_, '_>) -> bool {
        let Some(place) = target.place(self.mem) else { return false };
        let whole = AddressRange::between(self.mem, self.reserved);
        place.memory_type != Some(MemoryType::Image)
            && (!target.knows_allocations() || whole.is_some_and(|whole| place.range.covers(whole)))
    }

    /// A structure of the region table whose region is free: `allocated` is 0.
    pub(super) fn read_free(target: &mut Target<'_, '_>, address: u64) -> Option<HeapSegment> {
        let mem = target.slot(address, 4)?;
        let segment = HeapSegment {
            address,
            allocated: mem,
            committed: target.slot(address, 1)?,
            reserved: target.slot(address, 2)?,
            used: mem,
            mem,
            flags: target.slot(address, 5)?,
            next: 0,
        };
        let is_free = target.slot(address, 0)? == 0;
        (is_free && segment.is_ordered() && segment.is_placed(target)).then_some(segment)
    }

    /// A segment whose objects fill what is reserved.
    #[cfg(test)]
    pub(super) fn sample(address: u64, mem: u64, reserved: u64) -> HeapSegment {
        HeapSegment {
            address,
            allocated: reserved,
            committed: reserved,
            reserved,
            used: reserved,
            mem,
            flags: 0,
            next: 0,
        }
    }

    /// From the page of the first object, or the structure before it, to the
    /// end of what is reserved.
    pub(super) fn range(&self) -> Option<AddressRange> {
        let page = self.mem & !PAGE.wrapping_sub(1);
        let before = self.mem.wrapping_sub(self.address) <= PAGE;
        AddressRange::between(if before { self.address } else { page }, self.reserved)
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.flags & READ_ONLY != 0
    }

    pub(super) fn is_large(&self) -> bool {
        self.flags & LARGE != 0
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.flags & PINNED != 0
    }
}

/// Why a chain of segments ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A null pointer.
    Null,
    /// An address that holds no segment.
    NotASegment(u64),
    /// It turns back to a segment it has been to.
    Cycle(u64),
    /// Too many.
    Bound,
}

/// The segments of a chain from `first` on, and why it ends.
pub(super) fn chain(target: &mut Target<'_, '_>, first: u64) -> (Vec<HeapSegment>, End) {
    let mut segments = Vec::new();
    let mut visited = std::collections::HashSet::new();
    let mut at = first;
    loop {
        if at == 0 {
            return (segments, End::Null);
        }
        if !visited.insert(at) {
            return (segments, End::Cycle(at));
        }
        if !target.follow() {
            return (segments, End::Bound);
        }
        let Some(segment) = HeapSegment::read(target, at) else {
            return (segments, End::NotASegment(at));
        };
        segments.push(segment);
        at = segment.next;
    }
}

/// The segments at the start of an allocation, one behind the other: of the
/// segments era, where no variable leads to them.
///
/// Wrong when seven words in a row at the start of an allocation happen to be
/// addresses inside it in the right order.
pub(super) fn at_start_of(
    target: &mut Target<'_, '_>,
    allocation: AddressRange,
) -> Vec<HeapSegment> {
    let header = match target.width {
        PointerWidth::Bits32 => 0x20,
        PointerWidth::Bits64 => 0x40,
    };
    let mut segments = Vec::new();
    let mut at = allocation.start();
    while allocation.contains(at) && target.follow() {
        let Some(segment) = HeapSegment::read(target, at) else { break };
        let first = segment.mem.wrapping_sub(at);
        let used = segment.used >= at && segment.used <= segment.committed;
        // The first object follows the structure, in its page or the next.
        if !(header..=PAGE).contains(&first) || segment.reserved <= at || !used {
            break;
        }
        segments.push(segment);
        at = segment.reserved;
    }
    segments
}
