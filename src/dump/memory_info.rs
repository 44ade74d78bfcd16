//! The region records. Source: MINIDUMP_MEMORY_INFO_LIST (16): a header of 16
//! bytes or more, then entries of 48 bytes or more. The records stay in the
//! file; a million of them are never copied.

use super::bytes::{index, length, u32_at, u64_at};
use super::{StreamReader, SystemInfo, stream_type};

const ENTRY: usize = 48;

/// One MINIDUMP_MEMORY_INFO, as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRegion {
    /// First address; sign-extended above 2 GiB in some 32-bit dumps.
    pub base: u64,
    /// First address of the allocation; undefined for free regions.
    pub allocation_base: u64,
    /// PAGE_* at the time of the allocation.
    pub allocation_protect: u32,
    /// Size in bytes.
    pub size: u64,
    /// MEM_COMMIT 0x1000, MEM_RESERVE 0x2000, MEM_FREE 0x10000.
    pub state: u32,
    /// PAGE_*; undefined unless committed.
    pub protect: u32,
    /// MEM_PRIVATE 0x20000, MEM_MAPPED 0x40000, MEM_IMAGE 0x1000000.
    pub kind: u32,
}

impl RawRegion {
    /// MEM_COMMIT.
    #[inline]
    pub fn is_committed(&self) -> bool {
        self.state == 0x1000
    }

    /// MEM_RESERVE.
    #[inline]
    pub fn is_reserved(&self) -> bool {
        self.state == 0x2000
    }

    /// MEM_PRIVATE.
    #[inline]
    pub fn is_private(&self) -> bool {
        self.kind == 0x0002_0000
    }

    /// MEM_FREE.
    #[inline]
    pub fn is_free(&self) -> bool {
        self.state == 0x10000
    }

    /// MEM_IMAGE.
    #[inline]
    pub fn is_image(&self) -> bool {
        self.kind == 0x0100_0000
    }

    /// MEM_MAPPED.
    #[inline]
    pub fn is_mapped(&self) -> bool {
        self.kind == 0x0004_0000
    }
}

/// Stream 16, its records still in the file.
#[derive(Clone, Copy, Debug)]
pub struct MemoryInfoList<'s> {
    records: &'s [u8],
    stride: usize,
    count: usize,
    /// Where the first record is in the file.
    pub offset: u64,
    /// Whether records that the header promises are missing.
    pub cut: bool,
}

impl<'s> MemoryInfoList<'s> {
    /// Number of records whose bytes are there.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The record at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<RawRegion> {
        if index >= self.count {
            return None;
        }
        let start = index.checked_mul(self.stride)?;
        self.records.get(start..)?.first_chunk::<ENTRY>().map(decode)
    }

    /// Index of the first record whose base is above `address`, in a list that
    /// is sorted.
    pub(crate) fn first_after(&self, address: u64) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            let record = self.records.get(middle.saturating_mul(self.stride)..);
            let base = record.and_then(|record| record.first_chunk()).copied();
            match base.map(u64::from_le_bytes) {
                Some(base) if base <= address => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        low
    }

    /// All records, in file order.
    #[inline]
    pub fn iter(&self) -> RawRegions<'s> {
        let size = self.count.saturating_mul(self.stride);
        let records = self.records.get(..size).unwrap_or(&[]);
        RawRegions { records: records.chunks_exact(self.stride) }
    }

    /// Where the record at `index` is in the file.
    pub fn record_offset(&self, index: usize) -> u64 {
        self.offset.saturating_add(length(index.saturating_mul(self.stride)))
    }
}

/// Records in file order.
#[derive(Clone, Debug)]
pub struct RawRegions<'s> {
    records: std::slice::ChunksExact<'s, u8>,
}

impl Iterator for RawRegions<'_> {
    type Item = RawRegion;

    #[inline]
    fn next(&mut self) -> Option<RawRegion> {
        self.records.next()?.first_chunk::<ENTRY>().map(decode)
    }
}

#[inline]
fn decode(record: &[u8; ENTRY]) -> RawRegion {
    let long = |at| u64_at(record, at).unwrap_or(0);
    let word = |at| u32_at(record, at).unwrap_or(0);
    RawRegion {
        base: long(0),
        allocation_base: long(8),
        allocation_protect: word(16),
        size: long(24),
        state: word(32),
        protect: word(36),
        kind: word(40),
    }
}

pub(super) fn read<'s>(
    reader: &mut StreamReader<'_, 's>,
    _system: &SystemInfo,
) -> Option<MemoryInfoList<'s>> {
    const KIND: u32 = stream_type::MEMORY_INFO_LIST;
    let stream = reader.stream(KIND)?;
    let (Some(header), Some(stride), Some(promised)) =
        (u32_at(stream.bytes, 0), u32_at(stream.bytes, 4), u64_at(stream.bytes, 8))
    else {
        reader.issue(KIND, stream.offset, || {
            format!("{} bytes are too short for the list's header of 16", stream.bytes.len())
        });
        return None;
    };
    let (header, stride) = (index(header), index(stride));
    if stride < ENTRY || header < 16 {
        reader.issue(KIND, stream.offset, || {
            format!("header of {header} and entries of {stride} bytes: at least 16 and 48 are needed; the list is not used")
        });
        return None;
    }
    let records = stream.bytes.get(header..).unwrap_or(&[]);
    let there = records.len().checked_div(stride).unwrap_or(0);
    let cut = length(there) < promised;
    if cut {
        reader.issue(KIND, stream.offset, || {
            format!("the list promises {promised} regions, {there} are there and used")
        });
    }
    Some(MemoryInfoList {
        records,
        stride,
        count: there.min(index(promised)),
        offset: stream.offset.saturating_add(length(header)),
        cut,
    })
}
