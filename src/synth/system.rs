//! What the dump says about the machine and the process as a whole: SystemInfo, MiscInfo,
//! SystemMemoryInfo, ProcessVmCounters.

use super::Name;
use super::bytes::Out;

/// `MINIDUMP_SYSTEM_INFO.ProcessorArchitecture`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 0, 32-bit x86.
    X86,
    /// 5, 32-bit ARM.
    Arm,
    /// 9, x86-64.
    Amd64,
    /// 12, 64-bit ARM with Microsoft's context.
    Arm64,
    /// 0x8003, 64-bit ARM with Breakpad's older context.
    Arm64Old,
    /// Any other value; contexts are then empty.
    Other(u16),
}

impl Architecture {
    /// The value in the file.
    pub fn code(self) -> u16 {
        match self {
            Architecture::X86 => 0,
            Architecture::Arm => 5,
            Architecture::Amd64 => 9,
            Architecture::Arm64 => 12,
            Architecture::Arm64Old => 0x8003,
            Architecture::Other(code) => code,
        }
    }

    /// Bytes in a pointer: 4 for x86 and ARM, else 8.
    pub fn pointer_size(self) -> usize {
        match self {
            Architecture::X86 | Architecture::Arm => 4,
            _ => 8,
        }
    }
}

/// `MINIDUMP_SYSTEM_INFO.PlatformId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// 2, VER_PLATFORM_WIN32_NT.
    Windows,
    /// 0x8101.
    MacOs,
    /// 0x8102.
    Ios,
    /// 0x8201.
    Linux,
    /// 0x8203.
    Android,
    /// Any other value.
    Other(u32),
}

impl Platform {
    /// The value in the file.
    pub fn code(self) -> u32 {
        match self {
            Platform::Windows => 2,
            Platform::MacOs => 0x8101,
            Platform::Ios => 0x8102,
            Platform::Linux => 0x8201,
            Platform::Android => 0x8203,
            Platform::Other(code) => code,
        }
    }
}

/// Stream 7, MINIDUMP_SYSTEM_INFO.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemInfo {
    /// Also decides which kind of thread context is written.
    pub architecture: Architecture,
    /// Operating system.
    pub platform: Platform,
    /// ProcessorLevel: the family of an x86 processor.
    pub processor_level: u16,
    /// ProcessorRevision: model and stepping of an x86 processor.
    pub processor_revision: u16,
    /// NumberOfProcessors.
    pub processors: u8,
    /// ProductType: 1 workstation, 2 domain controller, 3 server.
    pub product_type: u8,
    /// Major, minor and build number of the operating system.
    pub version: (u32, u32, u32),
    /// CSDVersion: service pack, or a Unix build string.
    pub csd: Name,
    /// SuiteMask.
    pub suite_mask: u16,
    /// CPU_INFORMATION: x86 vendor, version and features, or 2 × u64 of processor features.
    pub cpu: [u8; 24],
}

impl SystemInfo {
    /// A machine with 8 processors and an empty CSD string.
    pub fn new(architecture: Architecture, platform: Platform, version: (u32, u32, u32)) -> Self {
        SystemInfo {
            architecture,
            platform,
            processor_level: 6,
            processor_revision: 0x9e0a,
            processors: 8,
            product_type: 1,
            version,
            csd: Name::from(""),
            suite_mask: 0x100,
            cpu: [0; 24],
        }
    }
}

pub(super) fn write_system_info(info: &SystemInfo, out: &mut Out) -> Vec<u8> {
    let csd = out.name(&info.csd);
    let (major, minor, build) = info.version;
    let mut record = out.record();
    record
        .u16(info.architecture.code())
        .u16(info.processor_level)
        .u16(info.processor_revision)
        .u8(info.processors)
        .u8(info.product_type)
        .u32s(&[major, minor, build, info.platform.code(), csd])
        .u16(info.suite_mask)
        .u16(0)
        .raw(&info.cpu);
    record.bytes.clone()
}

/// Which of the five MINIDUMP_MISC_INFO structures is written; each begins with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MiscRevision {
    /// 24 bytes: process id and times.
    V1,
    /// 44 bytes: adds processor power information.
    V2,
    /// 232 bytes: adds integrity, execute flags, protection and time zone.
    V3,
    /// 832 bytes: adds build strings.
    V4,
    /// 1364 bytes: adds the XSTATE configuration and the process cookie.
    V5,
}

impl MiscRevision {
    /// SizeOfInfo, bytes.
    pub fn size(self) -> usize {
        match self {
            MiscRevision::V1 => 24,
            MiscRevision::V2 => 44,
            MiscRevision::V3 => 232,
            MiscRevision::V4 => 832,
            MiscRevision::V5 => 1364,
        }
    }
}

/// Stream 15, MINIDUMP_MISC_INFO. A field that is `None` gets no bit in Flags1 and zeros; a field
/// that the chosen revision has no room for is cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct MiscInfo {
    /// How much of the structure is written.
    pub revision: MiscRevision,
    /// ProcessId (bit 1).
    pub process_id: Option<u32>,
    /// ProcessCreateTime (seconds since 1970), ProcessUserTime, ProcessKernelTime (seconds) (bit 2).
    pub times: Option<(u32, u32, u32)>,
    /// Processor max, current and limit MHz, max and current idle state (bit 4).
    pub power: Option<[u32; 5]>,
    /// ProcessIntegrityLevel (bit 0x10).
    pub integrity: Option<u32>,
    /// ProcessExecuteFlags (bit 0x20).
    pub execute_flags: Option<u32>,
    /// ProtectedProcess (bit 0x80).
    pub protected: Option<u32>,
    /// TimeZoneId and Bias in minutes, with StandardName (bit 0x40).
    pub time_zone: Option<(u32, i32, String)>,
    /// BuildString and DbgBldStr (bit 0x100).
    pub build: Option<(String, String)>,
    /// XSTATE context size and features, none of them with an offset.
    pub xstate: Option<(u32, u64)>,
    /// ProcessCookie (bit 0x200).
    pub cookie: Option<u32>,
}

impl MiscInfo {
    /// The smallest record, with a process id and times.
    pub fn new(process_id: u32) -> Self {
        MiscInfo {
            revision: MiscRevision::V1,
            process_id: Some(process_id),
            times: Some((1_700_000_000, 12, 3)),
            power: None,
            integrity: None,
            execute_flags: None,
            protected: None,
            time_zone: None,
            build: None,
            xstate: None,
            cookie: None,
        }
    }
}

pub(super) fn write_misc_info(info: &MiscInfo, out: &mut Out) -> Vec<u8> {
    let bits = [
        (info.process_id.is_some(), 1),
        (info.times.is_some(), 2),
        (info.power.is_some(), 4),
        (info.integrity.is_some(), 0x10),
        (info.execute_flags.is_some(), 0x20),
        (info.time_zone.is_some(), 0x40),
        (info.protected.is_some(), 0x80),
        (info.build.is_some(), 0x100),
        (info.cookie.is_some(), 0x200),
    ];
    let flags = bits.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
    let (created, user, kernel) = info.times.unwrap_or_default();
    let (zone, bias, zone_name) = info.time_zone.clone().unwrap_or_default();
    let (build, debug_build) = info.build.clone().unwrap_or_default();
    let (context_size, features) = info.xstate.unwrap_or_default();

    let mut record = out.record();
    record
        .u32s(&[info.revision.size() as u32, flags])
        .u32s(&[info.process_id.unwrap_or(0), created, user, kernel])
        .u32s(&info.power.unwrap_or_default())
        .u32(info.integrity.unwrap_or(0))
        .u32(info.execute_flags.unwrap_or(0))
        .u32(info.protected.unwrap_or(0))
        .u32s(&[zone, bias as u32])
        .wide(&zone_name, 32)
        .fill_to(MiscRevision::V3.size())
        .wide(&build, 260)
        .wide(&debug_build, 40)
        .u32s(&[528, context_size])
        .u64(features)
        .fill_to(MiscRevision::V5.size() - 4)
        .u32(info.cookie.unwrap_or(0));
    record.bytes.truncate(info.revision.size());
    record.bytes.clone()
}

/// Stream 21, MINIDUMP_SYSTEM_MEMORY_INFO_1: the machine's memory. Counts are in pages.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemMemoryInfo {
    /// Bytes in a page.
    pub page_size: u32,
    /// NumberOfPhysicalPages.
    pub physical_pages: u32,
    /// AllocationGranularity, bytes.
    pub allocation_granularity: u32,
    /// Lowest and highest (inclusive) address of user mode.
    pub user_addresses: (u64, u64),
    /// AvailablePages.
    pub available_pages: u64,
    /// CommittedPages, of the whole machine.
    pub committed_pages: u64,
    /// CommitLimit, pages.
    pub commit_limit: u64,
    /// PeakCommitment, pages.
    pub peak_commitment: u64,
}

impl SystemMemoryInfo {
    /// A 16 GiB machine with a 24 GiB commit limit, half of it in use.
    pub fn new() -> Self {
        SystemMemoryInfo {
            page_size: 0x1000,
            physical_pages: 4 << 20,
            allocation_granularity: 0x1_0000,
            user_addresses: (0x1_0000, 0x7fff_fffe_ffff),
            available_pages: 2 << 20,
            committed_pages: 3 << 20,
            commit_limit: 6 << 20,
            peak_commitment: 4 << 20,
        }
    }
}

impl Default for SystemMemoryInfo {
    fn default() -> Self {
        SystemMemoryInfo::new()
    }
}

pub(super) fn write_system_memory(info: &SystemMemoryInfo, out: &mut Out) -> Vec<u8> {
    let (lowest, highest) = info.user_addresses;
    let mut record = out.record();
    record
        .u16(1)
        .u16(7) // basic, basic performance and performance information are valid
        .u32s(&[156_250, info.page_size, info.physical_pages])
        .u32s(&[1, info.physical_pages, info.allocation_granularity])
        .u64s(&[lowest, highest, 0xff])
        .u32(8)
        .fill_to(0x74)
        .u64s(&[info.available_pages, info.committed_pages])
        .u64s(&[info.commit_limit, info.peak_commitment])
        .fill_to(0x1ec);
    record.bytes.clone()
}

/// Stream 22, MINIDUMP_PROCESS_VM_COUNTERS: the process's own numbers, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct VmCounters {
    /// 1 (0x50 bytes) or 2 (0x98 bytes); revision 1 is not a prefix of revision 2.
    pub revision: u16,
    /// PageFaultCount.
    pub page_faults: u32,
    /// PeakWorkingSetSize.
    pub peak_working_set: u64,
    /// WorkingSetSize.
    pub working_set: u64,
    /// PagefileUsage: the commit charge.
    pub pagefile: u64,
    /// PeakPagefileUsage.
    pub peak_pagefile: u64,
    /// PrivateUsage.
    pub private: u64,
    /// PeakVirtualSize (revision 2).
    pub peak_virtual: u64,
    /// VirtualSize (revision 2).
    pub virtual_size: u64,
    /// PrivateWorkingSetSize (revision 2).
    pub private_working_set: u64,
    /// SharedCommitUsage (revision 2).
    pub shared_commit: u64,
}

impl VmCounters {
    /// Revision 2, everything else zero.
    pub fn new() -> Self {
        VmCounters {
            revision: 2,
            page_faults: 0,
            peak_working_set: 0,
            working_set: 0,
            pagefile: 0,
            peak_pagefile: 0,
            private: 0,
            peak_virtual: 0,
            virtual_size: 0,
            private_working_set: 0,
            shared_commit: 0,
        }
    }
}

impl Default for VmCounters {
    fn default() -> Self {
        VmCounters::new()
    }
}

pub(super) fn write_vm_counters(counters: &VmCounters, out: &mut Out) -> Vec<u8> {
    let mut record = out.record();
    record.u16(counters.revision);
    // Flags of revision 2: virtual size, EX and EX2 fields are valid.
    record.u16(if counters.revision == 1 { 0 } else { 2 | 4 | 8 });
    record
        .u32(counters.page_faults)
        .u64s(&[counters.peak_working_set, counters.working_set])
        .u64s(&[0; 4]) // quotas
        .u64s(&[counters.pagefile, counters.peak_pagefile]);
    if counters.revision == 1 {
        record.u64(counters.private);
    } else {
        record
            .u64s(&[counters.peak_virtual, counters.virtual_size])
            .u64s(&[counters.private, counters.private_working_set])
            .u64(counters.shared_commit)
            .fill_to(0x98);
    }
    record.bytes.clone()
}
