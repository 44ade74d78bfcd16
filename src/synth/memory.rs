//! The address space and its captured bytes: streams 5, 9 and 16.

use super::bytes::{ByteOrder, Out, Record};

/// `State` of a region: pages with storage.
pub const MEM_COMMIT: u32 = 0x1000;
/// `State` of a region: address space set aside, without storage.
pub const MEM_RESERVE: u32 = 0x2000;
/// `State` of a region: nothing there.
pub const MEM_FREE: u32 = 0x1_0000;

/// `Type` of a region: the process's own memory.
pub const MEM_PRIVATE: u32 = 0x2_0000;
/// `Type` of a region: a view of a file or of the page file.
pub const MEM_MAPPED: u32 = 0x4_0000;
/// `Type` of a region: a view of an executable image.
pub const MEM_IMAGE: u32 = 0x100_0000;

/// `Protect`: any access faults.
pub const PAGE_NOACCESS: u32 = 0x01;
/// `Protect`: read.
pub const PAGE_READONLY: u32 = 0x02;
/// `Protect`: read and write.
pub const PAGE_READWRITE: u32 = 0x04;
/// `Protect`: read and write, the first write copies the page.
pub const PAGE_WRITECOPY: u32 = 0x08;
/// `Protect`: read and run.
pub const PAGE_EXECUTE_READ: u32 = 0x20;
/// `Protect`: read, write and run.
pub const PAGE_EXECUTE_READWRITE: u32 = 0x40;
/// `AllocationProtect` of every image.
pub const PAGE_EXECUTE_WRITECOPY: u32 = 0x80;
/// Modifier of `Protect`: the first access faults and clears the bit.
pub const PAGE_GUARD: u32 = 0x100;

/// One entry of stream 16, MINIDUMP_MEMORY_INFO (48 bytes): one answer of VirtualQuery. Entries are
/// written as they are given: unsorted and overlapping ones stay so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// BaseAddress.
    pub base: u64,
    /// RegionSize, bytes.
    pub size: u64,
    /// AllocationBase; 0 when free.
    pub allocation_base: u64,
    /// AllocationProtect: the protection when the allocation was made.
    pub allocation_protect: u32,
    /// State: `MEM_COMMIT`, `MEM_RESERVE`, `MEM_FREE`.
    pub state: u32,
    /// Protect: a `PAGE_` value; 0 when reserved, `PAGE_NOACCESS` when free.
    pub protect: u32,
    /// Type: `MEM_PRIVATE`, `MEM_MAPPED`, `MEM_IMAGE`; 0 when free.
    pub memory_type: u32,
}

impl Region {
    /// Committed private memory, an allocation of its own.
    pub fn commit(base: u64, size: u64, protect: u32) -> Self {
        Region {
            base,
            size,
            allocation_base: base,
            allocation_protect: protect,
            state: MEM_COMMIT,
            protect,
            memory_type: MEM_PRIVATE,
        }
    }

    /// Reserved private memory, an allocation of its own.
    pub fn reserve(base: u64, size: u64) -> Self {
        Region {
            allocation_protect: PAGE_READWRITE,
            state: MEM_RESERVE,
            protect: 0,
            ..Region::commit(base, size, PAGE_READWRITE)
        }
    }

    /// A committed view of a section, an allocation of its own.
    pub fn mapped(base: u64, size: u64, protect: u32) -> Self {
        Region { memory_type: MEM_MAPPED, ..Region::commit(base, size, protect) }
    }

    /// Part of an image whose allocation starts at `allocation_base`.
    pub fn image(base: u64, size: u64, protect: u32, allocation_base: u64) -> Self {
        Region {
            allocation_base,
            allocation_protect: PAGE_EXECUTE_WRITECOPY,
            memory_type: MEM_IMAGE,
            ..Region::commit(base, size, protect)
        }
    }

    /// Free address space.
    pub fn free(base: u64, size: u64) -> Self {
        Region {
            base,
            size,
            allocation_base: 0,
            allocation_protect: 0,
            state: MEM_FREE,
            protect: PAGE_NOACCESS,
            memory_type: 0,
        }
    }

    /// The same region as part of the allocation at `allocation_base`.
    pub fn within(self, allocation_base: u64) -> Self {
        Region { allocation_base, ..self }
    }

    /// The first address after the region; wraps at 2⁶⁴.
    pub fn end(&self) -> u64 {
        self.base.wrapping_add(self.size)
    }

    /// Committed and neither a guard page nor without access: what a full dump captures.
    pub fn is_readable(&self) -> bool {
        self.state == MEM_COMMIT && self.protect & (PAGE_GUARD | PAGE_NOACCESS) == 0
    }
}

/// Bytes of the process at an address: one entry of stream 5 or 9.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// Address of the first byte.
    pub base: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Memory {
    /// `bytes` at `base`.
    pub fn new(base: u64, bytes: impl Into<Vec<u8>>) -> Self {
        Memory { base, bytes: bytes.into() }
    }

    /// The first address after the bytes; wraps at 2⁶⁴.
    pub fn end(&self) -> u64 {
        self.base.wrapping_add(self.bytes.len() as u64)
    }
}

/// The bytes of a little-endian stream 16 with these regions, to be added with
/// [`DumpBuilder::raw`](super::DumpBuilder::raw) beside or in place of the usual one.
pub fn memory_info_list(regions: &[Region]) -> Vec<u8> {
    memory_info(regions, Record::new(ByteOrder::Little))
}

pub(super) fn write_memory_info(regions: &[Region], out: &mut Out) -> Vec<u8> {
    memory_info(regions, out.record())
}

fn memory_info(regions: &[Region], mut record: Record) -> Vec<u8> {
    record.u32s(&[16, 48]).u64(regions.len() as u64);
    for region in regions {
        record
            .u64s(&[region.base, region.allocation_base])
            .u32s(&[region.allocation_protect, 0])
            .u64(region.size)
            .u32s(&[region.state, region.protect, region.memory_type, 0]);
    }
    record.bytes
}

/// A MINIDUMP_MEMORY_DESCRIPTOR: bytes of the process that lie somewhere in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Descriptor {
    pub(super) base: u64,
    pub(super) size: u32,
    pub(super) rva: u32,
}

impl Descriptor {
    /// Puts the bytes into the file.
    pub(super) fn put(memory: &Memory, out: &mut Out) -> Self {
        let location = out.put(&memory.bytes);
        Descriptor { base: memory.base, size: location.size, rva: location.rva }
    }

    pub(super) fn write(self, record: &mut Record) {
        record.u64(self.base).u32s(&[self.size, self.rva]);
    }
}

/// Stream 5. `shared` are bytes that another stream already put into the file: thread stacks.
pub(super) fn write_memory_list(
    memory: &[Memory],
    shared: &[Descriptor],
    out: &mut Out,
) -> Vec<u8> {
    let mut record = out.record();
    record.u32((memory.len() + shared.len()) as u32);
    for entry in memory {
        Descriptor::put(entry, out).write(&mut record);
    }
    for descriptor in shared {
        descriptor.write(&mut record);
    }
    record.bytes
}

/// Stream 9. The contents follow the stream directly, in list order.
pub(super) fn write_memory64_list(memory: &[Memory], out: &mut Out) -> Vec<u8> {
    let size = 16 + 16 * memory.len();
    let mut record = out.record();
    record.u64s(&[memory.len() as u64, (out.next_rva() + size) as u64]);
    for entry in memory {
        record.u64s(&[entry.base, entry.bytes.len() as u64]);
        out.after_stream.extend_from_slice(&entry.bytes);
    }
    record.bytes
}
