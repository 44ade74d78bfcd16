//! Memory counters of the system and of the process. Sources:
//! MINIDUMP_SYSTEM_MEMORY_INFO_1/2 (21) and MINIDUMP_PROCESS_VM_COUNTERS_1/2
//! (22), which Windows 8 and later write without being asked.

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

pub(super) fn read_system_memory(
    _reader: &mut super::StreamReader<'_, '_>,
) -> Option<SystemMemory> {
    None
}
pub(super) fn read_vm_counters(_reader: &mut super::StreamReader<'_, '_>) -> Option<VmCounters> {
    None
}
