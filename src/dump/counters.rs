//! Memory counters of the system and of the process. Sources:
//! MINIDUMP_SYSTEM_MEMORY_INFO_1/2 (21) and MINIDUMP_PROCESS_VM_COUNTERS_1/2
//! (22), which Windows 8 and later write without being asked.
//! All of a structure or nothing: its revision decides where the fields are.

use super::bytes::{u16_at, u32_at, u64_at};
use super::{StreamReader, stream_type};

/// Stream 21. Sizes in bytes, converted from pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemMemory {
    /// Page size in bytes.
    pub page_size: u32,
    /// Allocation granularity in bytes: 64 KiB on every Windows.
    pub granularity: u32,
    /// Lowest address a program can use.
    pub minimum_address: u64,
    /// Highest address a program can use, inside.
    pub maximum_address: u64,
    /// Physical memory.
    pub physical: u64,
    /// Physical memory that was free.
    pub available: u64,
    /// Commit charge of the system.
    pub committed: u64,
    /// Commit limit of the system.
    pub commit_limit: u64,
    /// Highest commit charge since boot.
    pub peak_commit: u64,
}

/// Stream 22. Sizes in bytes; `None` where revision 1 has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmCounters {
    /// 1 or 2.
    pub revision: u16,
    /// Page faults so far.
    pub page_faults: u32,
    /// Working set and its peak.
    pub working_set: (u64, u64),
    /// Pagefile usage (commit charge) and its peak.
    pub pagefile: (u64, u64),
    /// Private commit charge (PrivateUsage).
    pub private: u64,
    /// Virtual size and its peak.
    pub virtual_size: Option<(u64, u64)>,
    /// Private working set.
    pub private_working_set: Option<u64>,
    /// Commit charge of shared sections.
    pub shared_commit: Option<u64>,
}

/// Flag of stream 21: the 64-bit commit counters at 0x74 are set.
const BASIC_PERFORMANCE: u16 = 0x2;

pub(super) fn read_system_memory(reader: &mut StreamReader<'_, '_>) -> Option<SystemMemory> {
    const KIND: u32 = stream_type::SYSTEM_MEMORY_INFO;
    let stream = reader.stream(KIND)?;
    let memory = system_memory(stream.bytes);
    if memory.is_none() {
        reader.issue(KIND, stream.offset, || refusal(stream.bytes, 0xd0));
    }
    memory
}

/// Revision 2 appends counters to revision 1, in fields not read here.
fn system_memory(bytes: &[u8]) -> Option<SystemMemory> {
    let (revision, flags) = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
    if revision == 0 {
        return None;
    }
    let page_size = u32_at(bytes, 8)?;
    let bytes_of = |pages: u64| pages.saturating_mul(page_size.into());
    // Before Windows 10 there are only the 32-bit counters.
    let counter = |long: usize, short: usize| match flags & BASIC_PERFORMANCE {
        0 => u32_at(bytes, short).map(u64::from),
        _ => u64_at(bytes, long),
    };
    Some(SystemMemory {
        page_size,
        granularity: u32_at(bytes, 0x18)?,
        minimum_address: u64_at(bytes, 0x1c)?,
        maximum_address: u64_at(bytes, 0x24)?,
        physical: bytes_of(u32_at(bytes, 0xc)?.into()),
        available: bytes_of(counter(0x74, 0xc0)?),
        committed: bytes_of(counter(0x7c, 0xc4)?),
        commit_limit: bytes_of(counter(0x84, 0xc8)?),
        peak_commit: bytes_of(counter(0x8c, 0xcc)?),
    })
}

pub(super) fn read_vm_counters(reader: &mut StreamReader<'_, '_>) -> Option<VmCounters> {
    const KIND: u32 = stream_type::PROCESS_VM_COUNTERS;
    let stream = reader.stream(KIND)?;
    let counters = vm_counters(stream.bytes);
    if counters.is_none() {
        let size = if u16_at(stream.bytes, 0) == Some(1) { 0x50 } else { 0x70 };
        reader.issue(KIND, stream.offset, || refusal(stream.bytes, size));
    }
    counters
}

/// Revision 2 is not revision 1 and more: the private bytes move, and flags
/// say which fields are set.
fn vm_counters(bytes: &[u8]) -> Option<VmCounters> {
    let (revision, flags) = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
    let pair = |now, peak| Some((u64_at(bytes, now)?, u64_at(bytes, peak)?));
    let counters = VmCounters {
        revision,
        page_faults: u32_at(bytes, 4)?,
        working_set: pair(0x10, 8)?,
        pagefile: pair(0x38, 0x40)?,
        private: u64_at(bytes, 0x48)?,
        virtual_size: None,
        private_working_set: None,
        shared_commit: None,
    };
    match revision {
        1 => Some(counters),
        2.. => {
            let [private, private_working_set, shared] =
                [u64_at(bytes, 0x58)?, u64_at(bytes, 0x60)?, u64_at(bytes, 0x68)?];
            // PagefileUsage and PrivateUsage are the same counter since
            // Windows 8, the first to write this stream.
            let private = if flags & 0xc == 0 { counters.pagefile.0 } else { private };
            Some(VmCounters {
                private,
                virtual_size: pair(0x50, 0x48).filter(|_| flags & 0x2 != 0),
                private_working_set: (flags & 0x8 != 0).then_some(private_working_set),
                shared_commit: (flags & 0x8 != 0).then_some(shared),
                ..counters
            })
        }
        0 => None,
    }
}

fn refusal(bytes: &[u8], needed: usize) -> String {
    let revision = u16_at(bytes, 0).unwrap_or(0);
    format!(
        "revision {revision} in {} bytes: revision 1 or later and {needed:#x} bytes are needed; not used",
        bytes.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], fields: &[(usize, u64, usize)]) {
        for (at, value, size) in fields {
            bytes[*at..at + size].copy_from_slice(&value.to_le_bytes()[..*size]);
        }
    }

    #[test]
    fn the_systems_memory_in_bytes() {
        let mut bytes = [0; 0x1ec];
        put(&mut bytes, &[(0, 1, 2), (8, 4096, 4), (0xc, 1000, 4), (0x18, 65536, 4)]);
        put(&mut bytes, &[(0x1c, 0x10000, 8), (0x24, 0x7fff_fffe_ffff, 8)]);
        put(&mut bytes, &[(0x74, 10, 8), (0x7c, 11, 8), (0x84, 12, 8), (0x8c, 13, 8)]);
        put(&mut bytes, &[(0xc0, 20, 4), (0xc4, 21, 4), (0xc8, 22, 4), (0xcc, 23, 4)]);
        let counters = |flags, bytes: &mut [u8]| {
            put(bytes, &[(2, flags, 2)]);
            let found = system_memory(bytes).unwrap();
            assert_eq!((found.page_size, found.granularity), (4096, 65536));
            assert_eq!((found.minimum_address, found.maximum_address), (0x10000, 0x7fff_fffe_ffff));
            assert_eq!(found.physical, 1000 * 4096);
            [found.available, found.committed, found.commit_limit, found.peak_commit]
                .map(|bytes| bytes / 4096)
        };
        assert_eq!(counters(0xf, &mut bytes), [10, 11, 12, 13]);
        assert_eq!(counters(0x1, &mut bytes), [20, 21, 22, 23]);
        assert_eq!(system_memory(&bytes[..0xcf]), None);
        assert_eq!(system_memory(&[0; 0x1ec]), None);
    }

    #[test]
    fn revision_2_moves_the_private_bytes() {
        let mut bytes = [0; 0x98];
        put(&mut bytes, &[(0, 1, 2), (4, 9, 4), (8, 20, 8), (0x10, 10, 8)]);
        put(&mut bytes, &[(0x38, 30, 8), (0x40, 40, 8), (0x48, 50, 8), (0x50, 51, 8)]);
        put(&mut bytes, &[(0x58, 60, 8), (0x60, 70, 8), (0x68, 80, 8)]);
        let first = vm_counters(&bytes[..0x50]).unwrap();
        assert_eq!((first.private, first.virtual_size, first.shared_commit), (50, None, None));
        assert_eq!((first.working_set, first.pagefile, first.page_faults), ((10, 20), (30, 40), 9));
        put(&mut bytes, &[(0, 2, 2), (2, 0xf, 2)]);
        let second = vm_counters(&bytes).unwrap();
        assert_eq!((second.private, second.virtual_size), (60, Some((51, 50))));
        assert_eq!((second.private_working_set, second.shared_commit), (Some(70), Some(80)));
        put(&mut bytes, &[(2, 1, 2)]);
        let basic = vm_counters(&bytes).unwrap();
        assert_eq!(
            (basic.private, basic.virtual_size, basic.private_working_set),
            (30, None, None)
        );
    }

    #[test]
    fn cut_counters_are_not_used() {
        for (revision, size) in [(1, 0x4f), (2, 0x6f), (0, 0x98), (1, 2), (1, 0)] {
            let mut bytes = vec![0; 0x98];
            put(&mut bytes, &[(0, revision, 2)]);
            assert_eq!(vm_counters(&bytes[..size]), None);
        }
    }
}
