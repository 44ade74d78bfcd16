//! The header and the stream directory. Source: MINIDUMP_HEADER (32 bytes)
//! and MINIDUMP_DIRECTORY (12 bytes an entry).

use super::StreamBytes;
use super::bytes::{index, length, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::issue::Issues;
use crate::limits::Limits;
use crate::source::Source;

const HEADER_SIZE: u64 = 32;
const ENTRY_SIZE: u64 = 12;
/// The low half of every minidump's version.
const VERSION: u32 = 0xa793;

/// Stream type numbers.
#[allow(missing_docs)]
pub mod stream_type {
    pub const THREAD_LIST: u32 = 3;
    pub const MODULE_LIST: u32 = 4;
    pub const MEMORY_LIST: u32 = 5;
    pub const EXCEPTION: u32 = 6;
    pub const SYSTEM_INFO: u32 = 7;
    pub const THREAD_EX_LIST: u32 = 8;
    pub const MEMORY64_LIST: u32 = 9;
    pub const COMMENT_A: u32 = 10;
    pub const COMMENT_W: u32 = 11;
    pub const HANDLE_DATA: u32 = 12;
    pub const FUNCTION_TABLE: u32 = 13;
    pub const UNLOADED_MODULE_LIST: u32 = 14;
    pub const MISC_INFO: u32 = 15;
    pub const MEMORY_INFO_LIST: u32 = 16;
    pub const THREAD_INFO_LIST: u32 = 17;
    pub const HANDLE_OPERATION_LIST: u32 = 18;
    pub const TOKEN: u32 = 19;
    pub const JAVASCRIPT_DATA: u32 = 20;
    pub const SYSTEM_MEMORY_INFO: u32 = 21;
    pub const PROCESS_VM_COUNTERS: u32 = 22;
    pub const IPT_TRACE: u32 = 23;
    pub const THREAD_NAMES: u32 = 24;
    pub const CRASHPAD_INFO: u32 = 0x4350_0001;
    pub const BREAKPAD_INFO: u32 = 0x4767_0001;
    pub const ASSERTION_INFO: u32 = 0x4767_0002;
    pub const LINUX_CPU_INFO: u32 = 0x4767_0003;
    pub const LINUX_PROC_STATUS: u32 = 0x4767_0004;
    pub const LINUX_LSB_RELEASE: u32 = 0x4767_0005;
    pub const LINUX_CMD_LINE: u32 = 0x4767_0006;
    pub const LINUX_ENVIRON: u32 = 0x4767_0007;
    pub const LINUX_AUXV: u32 = 0x4767_0008;
    pub const LINUX_MAPS: u32 = 0x4767_0009;
    pub const LINUX_DSO_DEBUG: u32 = 0x4767_000a;
    pub const KASKO_BUNDLE: u32 = 0x4b6b_0001;
    pub const STABILITY_REPORT: u32 = 0x4b6b_0002;
    pub const MOZ_MACOS_CRASH_INFO: u32 = 0x4d7a_0001;
    pub const MOZ_MACOS_BOOTARGS: u32 = 0x4d7a_0002;
    pub const MOZ_LINUX_LIMITS: u32 = 0x4d7a_0003;
    pub const MOZ_SOFT_ERRORS: u32 = 0x4d7a_0004;
}

/// The name of a stream type, as `dbghelp.h`, Breakpad, Crashpad or Mozilla
/// call it; `None` for a number none of them uses.
pub fn stream_name(kind: u32) -> Option<&'static str> {
    use stream_type::*;
    Some(match kind {
        0 => "Unused",
        THREAD_LIST => "ThreadList",
        MODULE_LIST => "ModuleList",
        MEMORY_LIST => "MemoryList",
        EXCEPTION => "Exception",
        SYSTEM_INFO => "SystemInfo",
        THREAD_EX_LIST => "ThreadExList",
        MEMORY64_LIST => "Memory64List",
        COMMENT_A => "CommentA",
        COMMENT_W => "CommentW",
        HANDLE_DATA => "HandleData",
        FUNCTION_TABLE => "FunctionTable",
        UNLOADED_MODULE_LIST => "UnloadedModuleList",
        MISC_INFO => "MiscInfo",
        MEMORY_INFO_LIST => "MemoryInfoList",
        THREAD_INFO_LIST => "ThreadInfoList",
        HANDLE_OPERATION_LIST => "HandleOperationList",
        TOKEN => "Token",
        JAVASCRIPT_DATA => "JavaScriptData",
        SYSTEM_MEMORY_INFO => "SystemMemoryInfo",
        PROCESS_VM_COUNTERS => "ProcessVmCounters",
        IPT_TRACE => "IptTrace",
        THREAD_NAMES => "ThreadNames",
        CRASHPAD_INFO => "CrashpadInfo",
        BREAKPAD_INFO => "BreakpadInfo",
        ASSERTION_INFO => "AssertionInfo",
        LINUX_CPU_INFO => "LinuxCpuInfo",
        LINUX_PROC_STATUS => "LinuxProcStatus",
        LINUX_LSB_RELEASE => "LinuxLsbRelease",
        LINUX_CMD_LINE => "LinuxCmdLine",
        LINUX_ENVIRON => "LinuxEnviron",
        LINUX_AUXV => "LinuxAuxv",
        LINUX_MAPS => "LinuxMaps",
        LINUX_DSO_DEBUG => "LinuxDsoDebug",
        KASKO_BUNDLE => "KaskoBundle",
        STABILITY_REPORT => "StabilityReport",
        MOZ_MACOS_CRASH_INFO => "MozMacosCrashInfo",
        MOZ_MACOS_BOOTARGS => "MozMacosBootargs",
        MOZ_LINUX_LIMITS => "MozLinuxLimits",
        MOZ_SOFT_ERRORS => "MozSoftErrors",
        0x10000 => "UnrealCrashContext",
        0xfff0 => "WineDbghelp",
        0xbe_ef00 => "BeefDebugInfo",
        _ => return None,
    })
}

/// The 32 bytes at the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The low half is 0xa793; the high half is the writer's build, 0 for
    /// Crashpad, Breakpad and the Rust writers.
    pub version: u32,
    /// Streams the header promises; [`Directory::streams`] has those found.
    pub stream_count: u32,
    /// Where the directory is in the file.
    pub directory: u64,
    /// When the dump was written, in seconds since 1970 UTC.
    pub time: u32,
    /// MINIDUMP_TYPE bits. Advisory: several writers leave 0 whatever they
    /// write.
    pub flags: u64,
}

/// One entry of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The stream's type number.
    pub kind: u32,
    /// Its size in bytes, as the directory says.
    pub size: u32,
    /// Where it begins in the file.
    pub offset: u32,
}

/// The stream directory.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Every entry with a type other than 0, in file order.
    pub streams: Vec<Stream>,
    /// Entries of type 0, which mean nothing; dbghelp pads with four.
    pub unused: usize,
}

impl Directory {
    /// Where the streams lie in the file: offset of the first byte, and of the
    /// one behind the last.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.streams.iter().map(|stream| {
            let start = u64::from(stream.offset);
            (start, start.saturating_add(stream.size.into()))
        })
    }

    /// The streams of one type, in file order.
    pub fn of_kind(&self, kind: u32) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(move |stream| stream.kind == kind)
    }

    /// Whether a stream of this type has bytes in its entry.
    pub fn has(&self, kind: u32) -> bool {
        self.of_kind(kind).any(|stream| stream.size > 0)
    }

    pub(super) fn find<'s>(
        &self,
        source: &'s Source,
        kind: u32,
        issues: &mut Issues,
    ) -> Option<StreamBytes<'s>> {
        let mut found: Option<StreamBytes<'s>> = None;
        for stream in self.of_kind(kind).filter(|stream| stream.size > 0) {
            let (offset, size) = (u64::from(stream.offset), u64::from(stream.size));
            let bytes = source.slice_clipped(offset, size);
            if let Some(other) = found {
                issues.add(Some(kind), Some(offset), || {
                    format!(
                        "a second stream of this type, {} bytes beside {}; the larger one is used",
                        bytes.len(),
                        other.bytes.len()
                    )
                });
            }
            if bytes.len() > found.map_or(0, |found| found.bytes.len()) {
                found = Some(StreamBytes { bytes, offset });
            }
        }
        found
    }
}

pub(super) fn read(
    source: &Source,
    limits: &Limits,
    issues: &mut Issues,
) -> Result<(Header, Directory)> {
    let bytes = source.slice(0, HEADER_SIZE).ok_or_else(|| {
        Error::damaged(format!(
            "the file ends after {} of the 32 bytes of a minidump's header",
            source.len()
        ))
    })?;
    let field = |offset| u32_at(bytes, offset).unwrap_or(0);
    let header = Header {
        version: field(4),
        stream_count: field(8),
        directory: u64::from(field(12)),
        time: field(20),
        flags: u64_at(bytes, 24).unwrap_or(0),
    };
    if header.version & 0xffff != VERSION {
        issues.add(None, Some(4), || {
            format!(
                "the header's version is {:#x}, not 0xa793; read all the same",
                header.version & 0xffff
            )
        });
    }
    Ok((header, entries(source, &header, header.directory, limits, issues)))
}

fn entries(
    source: &Source,
    header: &Header,
    start: u64,
    limits: &Limits,
    issues: &mut Issues,
) -> Directory {
    let promised = u64::from(header.stream_count);
    let there = promised.min(source.len().saturating_sub(start) / ENTRY_SIZE);
    let used = there.min(length(limits.streams));
    let bytes = source.slice_clipped(start, used.saturating_mul(ENTRY_SIZE));
    let (entries, _) = bytes.as_chunks::<12>();
    if there < promised {
        issues.add(None, Some(start), || {
            format!(
                "the header promises {promised} streams, the file holds {there} directory entries"
            )
        });
    }
    if used < there {
        issues.add(None, Some(start), || {
            format!("only the first {used} of {there} directory entries are read")
        });
    }
    let mut directory = Directory::default();
    for entry in entries {
        let field = |offset| u32_at(entry, offset).unwrap_or(0);
        let stream = Stream { kind: field(0), size: field(4), offset: field(8) };
        if stream.kind == 0 {
            directory.unused = directory.unused.saturating_add(1);
            continue;
        }
        let (offset, size) = (u64::from(stream.offset), u64::from(stream.size));
        let missing = offset.saturating_add(size).saturating_sub(source.len()).min(size);
        if missing > 0 {
            issues.add(Some(stream.kind), Some(offset), || {
                format!("the file ends {missing} bytes before the stream's {size} bytes do")
            });
        }
        directory.streams.push(stream);
    }
    if index(promised) > 0 && directory.streams.is_empty() {
        issues.add(None, Some(start), || "no stream can be read".into());
    }
    directory
}
