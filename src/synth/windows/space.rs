//! The address space while it is laid out: allocations get addresses, gaps become free regions.

use crate::synth::{
    MEM_COMMIT, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, Memory, PAGE_EXECUTE_WRITECOPY,
    PAGE_GUARD, PAGE_READONLY, PAGE_READWRITE, Region,
};

const PAGE: u64 = 0x1000;
/// The allocation granularity of Windows: what one allocation leaves free after it, too.
const GRANULE: u64 = 0x1_0000;

/// One VirtualAlloc, view or image: parts that follow each other under one allocation base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Where it must be; `None` is the lowest gap that has room and leaves 64 KiB free on both sides. When
    /// nothing has room it goes past the end of the address space.
    pub base: Option<u64>,
    /// `MEM_PRIVATE`, `MEM_MAPPED` or `MEM_IMAGE`.
    pub memory_type: u32,
    /// AllocationProtect.
    pub protect: u32,
    /// Size in bytes, State and Protect of each part, upwards.
    pub parts: Vec<(u64, u32, u32)>,
    /// What its memory holds, as offset and bytes.
    pub contents: Vec<(u64, Vec<u8>)>,
}

impl Allocation {
    /// Private memory, allocated as PAGE_READWRITE.
    pub fn private() -> Self {
        Allocation {
            base: None,
            memory_type: MEM_PRIVATE,
            protect: PAGE_READWRITE,
            parts: Vec::new(),
            contents: Vec::new(),
        }
    }

    /// A view of a section, mapped as PAGE_READONLY.
    pub fn mapped() -> Self {
        Allocation { memory_type: MEM_MAPPED, protect: PAGE_READONLY, ..Allocation::private() }
    }

    /// A view of an image.
    pub fn image() -> Self {
        Allocation {
            memory_type: MEM_IMAGE,
            protect: PAGE_EXECUTE_WRITECOPY,
            ..Allocation::private()
        }
    }

    /// Places it at an address.
    pub fn at(mut self, base: u64) -> Self {
        self.base = Some(base);
        self
    }

    /// Adds committed pages.
    pub fn commit(mut self, size: u64, protect: u32) -> Self {
        self.parts.push((size, MEM_COMMIT, protect));
        self
    }

    /// Adds reserved pages.
    pub fn reserve(mut self, size: u64) -> Self {
        self.parts.push((size, MEM_RESERVE, 0));
        self
    }

    /// Adds guard pages: committed, read and write.
    pub fn guard(self, size: u64) -> Self {
        self.commit(size, PAGE_READWRITE | PAGE_GUARD)
    }

    /// Sets what its memory holds at an offset.
    pub fn bytes(mut self, offset: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.contents.push((offset, bytes.into()));
        self
    }

    /// Bytes in all parts.
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|(size, _, _)| size).sum()
    }

    fn regions(&self, allocation_base: u64) -> Vec<Region> {
        let mut base = allocation_base;
        let mut regions = Vec::new();
        for &(size, state, protect) in self.parts.iter().filter(|(size, _, _)| *size > 0) {
            regions.push(Region {
                base,
                size,
                allocation_base,
                allocation_protect: self.protect,
                state,
                protect,
                memory_type: self.memory_type,
            });
            base = base.wrapping_add(size);
        }
        regions
    }
}

/// What has an address so far.
#[derive(Debug, Default)]
pub(super) struct Space {
    regions: Vec<Region>,
    pub(super) contents: Vec<Memory>,
}

/// Where an allocation without an address may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) align: u64,
}

impl Space {
    /// Gives an allocation an address, which is returned.
    pub(super) fn place(&mut self, allocation: &Allocation, room: Room) -> u64 {
        let base = allocation.base.unwrap_or_else(|| self.find(allocation.size(), room));
        self.regions.extend(allocation.regions(base));
        for (offset, bytes) in &allocation.contents {
            self.write(base.wrapping_add(*offset), bytes.clone());
        }
        base
    }

    pub(super) fn write(&mut self, base: u64, bytes: Vec<u8>) {
        self.contents.push(Memory { base, bytes });
    }

    /// All regions from 0 to `end` as VirtualQuery reports them: sorted, neighbours that do not differ
    /// merged, gaps free.
    pub(super) fn regions(&self, end: u64) -> Vec<Region> {
        let mut sorted = self.regions.clone();
        sorted.sort_by_key(|region| region.base);
        let mut all: Vec<Region> = Vec::new();
        let mut next = 0;
        for region in sorted {
            if region.base > next {
                all.push(Region::free(next, region.base - next));
            }
            next = next.max(region.end());
            match all.last_mut() {
                Some(last) if is_same(last, &region) => last.size += region.size,
                _ => all.push(region),
            }
        }
        if next < end {
            all.push(Region::free(next, end - next));
        }
        all
    }

    fn find(&self, size: u64, room: Room) -> u64 {
        let mut sorted: Vec<&Region> = self.regions.iter().collect();
        sorted.sort_by_key(|region| region.base);
        let mut candidate = room.start;
        for region in sorted {
            let end = candidate + size.next_multiple_of(PAGE) + GRANULE;
            if region.end() > candidate && region.base < end {
                candidate = (region.end() + GRANULE).next_multiple_of(room.align);
            }
        }
        match candidate + size <= room.end {
            true => candidate,
            false => candidate.max(room.end).next_multiple_of(room.align),
        }
    }
}

fn is_same(a: &Region, b: &Region) -> bool {
    let moved = Region { base: b.base, size: b.size, ..*a };
    a.end() == b.base && moved == *b
}
