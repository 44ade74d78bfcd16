//! `streams`: what the file holds, what is wrong with it, what it lacks, and
//! how to capture what is missing.

use std::borrow::Cow;

use serde::Serialize;

use super::{DumpView, Input, IssueView, SCHEMA_VERSION, issue_count, issues, stream_title};
use crate::dump::{Dump, Platform, Stream, stream_type as kind};
use crate::map::MapSource;

/// The document of `streams`.
#[derive(Debug, Serialize)]
pub struct StreamsReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// Every entry of the directory, in file order.
    pub streams: Vec<StreamView>,
    /// Entries of type 0, which mean nothing.
    pub unused: usize,
    /// What is not there, and how to have it next time.
    pub missing: Vec<MissingView>,
    /// How many issues there are, listed or not.
    pub issue_count: u64,
    /// What is wrong with the file.
    pub issues: Vec<IssueView>,
}

/// One entry of the directory.
#[derive(Clone, Debug, Serialize)]
pub struct StreamView {
    /// Type number.
    #[serde(rename = "type")]
    pub stream_type: u32,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Where it begins in the file.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Entries that could be used; null for streams that are no list.
    pub entries: Option<u64>,
    /// Issues that were found in streams of this type.
    pub issues: usize,
}

/// Something that the dump lacks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MissingView {
    /// What is missing.
    pub what: &'static str,
    /// The question that it would answer.
    pub answers: &'static str,
    /// How to capture it.
    pub capture: &'static str,
}

impl<'a> StreamsReport<'a> {
    /// The document for one analysis.
    pub fn of(input: &Input<'a>) -> StreamsReport<'a> {
        let dump = &input.analysis.dump;
        let issues = issues(input);
        let streams = dump.directory.streams.iter().map(|stream| view(dump, stream, &issues));
        StreamsReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(input),
            streams: streams.collect(),
            unused: dump.directory.unused,
            missing: missing(input),
            issue_count: issue_count(input),
            issues,
        }
    }
}

fn view(dump: &Dump<'_>, stream: &Stream, issues: &[IssueView]) -> StreamView {
    StreamView {
        stream_type: stream.kind,
        name: stream_title(stream.kind),
        offset: stream.offset,
        size: stream.size,
        entries: entries(dump, stream.kind).map(|count| count as u64),
        issues: issues.iter().filter(|issue| issue.stream_type == Some(stream.kind)).count(),
    }
}

fn entries(dump: &Dump<'_>, stream: u32) -> Option<usize> {
    match stream {
        kind::THREAD_LIST | kind::THREAD_EX_LIST => Some(dump.threads.len()),
        kind::MODULE_LIST => Some(dump.modules.modules.len() + dump.modules.repeated),
        kind::MEMORY_INFO_LIST => dump.memory_info.map(|list| list.len()),
        kind::UNLOADED_MODULE_LIST => Some(dump.unloaded_modules.len()),
        kind::FUNCTION_TABLE => Some(dump.function_tables.len()),
        kind::HANDLE_DATA => Some(dump.handles.handles.len()),
        kind::MEMORY_LIST | kind::MEMORY64_LIST => Some(dump.captured.ranges().len()),
        kind::THREAD_INFO_LIST => Some(dump.threads.iter().filter(|t| t.info.is_some()).count()),
        kind::THREAD_NAMES => Some(dump.threads.iter().filter(|t| t.name.is_some()).count()),
        kind::LINUX_MAPS => dump.linux.maps.as_ref().map(|maps| maps.maps.len()),
        _ => None,
    }
}

/// What a Windows dump can lack, in the order of what it would bring.
pub(super) fn missing(input: &Input<'_>) -> Vec<MissingView> {
    let (dump, evidence) = (&input.analysis.dump, &input.analysis.evidence);
    let has = |stream| dump.directory.has(stream);
    let rebuilt = input.analysis.map.source == MapSource::Rebuilt;
    if matches!(dump.system.platform, Platform::Linux | Platform::Android) {
        return if rebuilt { vec![LINUX_MAP] } else { Vec::new() };
    }
    if dump.system.platform != Platform::Windows {
        return if rebuilt { vec![OTHER_MAP] } else { Vec::new() };
    }
    let pebs_captured = evidence.environment.pebs.iter().any(|peb| peb.captured);
    let heaps_read = evidence.heaps.iter().any(|heap| heap.heap_type.is_some());
    let headers = evidence.images.iter().any(|image| image.has_header);
    let lacks = [
        (!has(kind::MEMORY_INFO_LIST), REGION_MAP),
        (!pebs_captured, TEB_PEB),
        (!heaps_read, HEAP_MEMORY),
        (!headers, MODULE_HEADERS),
        (!has(kind::THREAD_INFO_LIST), THREAD_INFO),
        (!has(kind::THREAD_NAMES), THREAD_NAMES),
        (!dump.handles.present, HANDLES),
        (!has(kind::UNLOADED_MODULE_LIST), UNLOADED_MODULES),
        (!has(kind::PROCESS_VM_COUNTERS), VM_COUNTERS),
    ];
    lacks.into_iter().filter(|(lacking, _)| *lacking).map(|(_, what)| what).collect()
}

const REGION_MAP: MissingView = MissingView {
    what: "region map (MemoryInfoList)",
    answers: "what is reserved, committed and free; the largest free block; fragmentation",
    capture: "MiniDumpWriteDump with MiniDumpWithFullMemoryInfo (0x800); procdump -mm, -mp or -ma \
              (not -mt); WinDbg .dump /mF or /ma; WER LocalDumps with DumpType 2 or CustomDumpFlags \
              with 0x800; Crashpad always writes it on Windows",
};
const TEB_PEB: MissingView = MissingView {
    what: "TEBs and PEB",
    answers: "exact bounds of every stack; the list of heaps; the loader's list of modules",
    capture: "MiniDumpWithProcessThreadData (0x100); procdump -mm or -ma; WinDbg .dump /mp; Crashpad \
              always writes them",
};
const HEAP_MEMORY: MissingView = MissingView {
    what: "heap headers",
    answers: "which private memory belongs to which heap, and what is in use in it",
    capture: "MiniDumpWithPrivateReadWriteMemory (0x200) or MiniDumpWithFullMemory (0x2); procdump \
              -mp or -ma; WinDbg .dump /mw or /ma",
};
const MODULE_HEADERS: MissingView = MissingView {
    what: "headers of images",
    answers: "sections of images by name; images that no list names; the large-address-aware flag",
    capture: "MiniDumpWithModuleHeaders (0x80000) or MiniDumpWithFullMemory (0x2)",
};
const THREAD_INFO: MissingView = MissingView {
    what: "thread times and start addresses (ThreadInfoList)",
    answers: "where each thread began, how long it ran",
    capture: "MiniDumpWithThreadInfo (0x1000); procdump -mm or -ma; WinDbg .dump /mt",
};
const THREAD_NAMES: MissingView = MissingView {
    what: "thread names (ThreadNames)",
    answers: "which thread is whose",
    capture: "dbghelp of Windows 10 1809 or later writes them for threads named by \
              SetThreadDescription; the Rust minidump-writer too",
};
const HANDLES: MissingView = MissingView {
    what: "handles (HandleData)",
    answers: "handle leaks; which sections, files and events the process had open",
    capture: "MiniDumpWithHandleData (0x4); procdump -mm or -ma; WinDbg .dump /mh",
};
const UNLOADED_MODULES: MissingView = MissingView {
    what: "unloaded modules",
    answers: "whether a bad address was in a module that is gone",
    capture: "MiniDumpWithUnloadedModules (0x20); WinDbg .dump /mu; written only when there are any",
};
const VM_COUNTERS: MissingView = MissingView {
    what: "memory counters (ProcessVmCounters)",
    answers: "private bytes and working set as the system counted them",
    capture: "dbghelp of Windows 8 or later writes them without being asked",
};
const LINUX_MAP: MissingView = MissingView {
    what: "region map (/proc/PID/maps)",
    answers: "every mapping with its file; what is free",
    capture: "Breakpad and the Rust minidump-writer write it; Crashpad does not on Linux",
};
const OTHER_MAP: MissingView = MissingView {
    what: "region map",
    answers: "what is reserved, committed and free",
    capture: "no writer of minidumps has it for this system; `vmmap PID` beside the dump does on \
              macOS",
};
