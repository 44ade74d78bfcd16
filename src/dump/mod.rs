//! What the dump states: facts, nothing concluded. One file reads one kind of
//! stream, keeps every good entry, and records an issue for each bad one.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod bytes;
mod captured;
mod codeview;
mod context;
mod counters;
mod crashpad;
mod directory;
mod exception;
mod handles;
mod linux;
mod linux_maps;
mod memory_info;
mod misc;
mod modules;
mod notes;
mod pages;
mod path;
mod stability;
mod strings;
mod system;
mod threads;

pub use captured::{CapturedMemory, CapturedRange, MemoryReader, ReadError};
pub use codeview::DebugId;
pub use context::{Context, Registers};
pub use counters::{SystemMemory, VmCounters};
pub use directory::{Directory, Header, Stream, stream_name, stream_type};
pub use exception::Exception;
pub use handles::{Handle, HandleData};
pub use linux::LinuxDump;
pub use linux_maps::{LinuxMap, LinuxMaps};
pub use memory_info::{MemoryInfoList, RawRegion, RawRegions};
pub use misc::ProcessInfo;
pub use modules::{FunctionTable, Module, ModuleList, UnloadedModule};
pub use notes::{Annotation, Notes};
pub use pages::{PageSize, PageSizeSource};
pub use path::{FilePath, file_name};
pub use stability::StabilityReport;
pub use system::{Arch, Platform, PointerWidth, SystemInfo};
pub use threads::{Thread, ThreadInfo};

use crate::error::Result;
use crate::issue::Issues;
use crate::limits::Limits;
use crate::source::{FileFormat, Source};

/// A process as its dump states it.
#[derive(Debug)]
pub struct Dump<'s> {
    /// The bytes of the file.
    pub source: &'s Source,
    /// The bounds it was read with.
    pub limits: Limits,
    /// The 32 bytes at the start.
    pub header: Header,
    /// Every stream of the directory, in file order, duplicates included.
    pub directory: Directory,
    /// Processor and operating system.
    pub system: SystemInfo,
    /// Process id and times, from MiscInfo (15) or Linux' status text.
    pub process: ProcessInfo,
    /// The threads, in stream order, with their names and times.
    pub threads: Vec<Thread>,
    /// The modules, in stream order, one a base address.
    pub modules: ModuleList<'s>,
    /// The modules that were there once.
    pub unloaded_modules: Vec<UnloadedModule>,
    /// Code made at run time, from the function table stream (13).
    pub function_tables: Vec<FunctionTable>,
    /// The region records of stream 16, still in the file.
    pub memory_info: Option<MemoryInfoList<'s>>,
    /// The Linux streams, with the text of /proc/PID/maps.
    pub linux: LinuxDump,
    /// Which memory contents the dump holds, and how to read them.
    pub captured: CapturedMemory<'s>,
    /// Open handles (12).
    pub handles: HandleData,
    /// Why the process died, or why the dump was asked for (6).
    pub exception: Option<Exception>,
    /// The system's memory (21).
    pub system_memory: Option<SystemMemory>,
    /// Chromium's stability report (0x4b6b0002).
    pub stability: Option<StabilityReport>,
    /// The process' counters (22).
    pub vm_counters: Option<VmCounters>,
    /// Comments and annotations (10, 11, 0x43500001, 0x47670001, 0x47670002).
    pub notes: Notes,
    /// What was wrong with the file.
    pub issues: Issues,
}

impl<'s> Dump<'s> {
    /// Reads every stream that the map needs.
    ///
    /// # Errors
    /// There is no dump: the file is something else, or shorter than its
    /// 32-byte header. Anything worse than that is an issue.
    pub fn read(source: &'s Source, limits: &Limits) -> Result<Dump<'s>> {
        if let Some(refusal) = FileFormat::of(source.slice_clipped(0, 4096)).refusal() {
            return Err(refusal);
        }
        let mut issues = Issues::default();
        if let Some(damage) = source.damage() {
            issues.add(None, Some(source.len()), || damage.to_owned());
        }
        let (header, directory) = directory::read(source, limits, &mut issues)?;
        source.expect(directory.ranges());
        let mut reader = StreamReader {
            source,
            limits,
            directory: &directory,
            issues: &mut issues,
            text_left: limits.name_bytes,
            letters: Vec::new(),
        };
        let system = system::read(&mut reader);
        let mut linux = linux::read(&mut reader);
        let process = misc::read(&mut reader, &linux);
        let threads = threads::read(&mut reader, &system);
        let modules = modules::read(&mut reader, &system);
        let unloaded_modules = modules::read_unloaded(&mut reader, &system);
        let function_tables = modules::read_function_tables(&mut reader, &system);
        let memory_info = memory_info::read(&mut reader, &system);
        let captured = captured::read(&mut reader, &system, &threads);
        let handles = handles::read(&mut reader);
        let exception = exception::read(&mut reader, &system);
        let system_memory = counters::read_system_memory(&mut reader);
        let vm_counters = counters::read_vm_counters(&mut reader);
        let stability = stability::read(&mut reader);
        let notes = notes::read(&mut reader);
        linux.settle(&mut reader, &system);
        Ok(Dump {
            source,
            limits: *limits,
            header,
            directory,
            system,
            process,
            threads,
            modules,
            unloaded_modules,
            function_tables,
            memory_info,
            linux,
            captured,
            handles,
            exception,
            system_memory,
            stability,
            vm_counters,
            notes,
            issues,
        })
    }

    /// The registers of a thread: of the exception's context for the thread
    /// that raised it, else of the thread list's. `None` when the context is
    /// missing, cut, or of another processor.
    pub fn registers(&self, thread: &Thread) -> Option<Registers> {
        let mut contexts = self.contexts(thread);
        contexts.find_map(|context| context::registers(self.source, context, &self.system))
    }

    /// Every register of a thread, from the same record as
    /// [`registers`](Self::registers).
    pub fn context(&self, thread: &Thread) -> Option<Context> {
        let mut contexts = self.contexts(thread);
        contexts.find_map(|context| context::context(self.source, context, &self.system))
    }

    fn contexts(&self, thread: &Thread) -> impl Iterator<Item = (u64, u64)> {
        let crashed = self.exception.as_ref().filter(|exception| exception.thread_id == thread.id);
        crashed.and_then(|exception| exception.context).into_iter().chain(thread.context)
    }
}

/// What the readers of single streams work with.
pub(crate) struct StreamReader<'r, 's> {
    pub(crate) source: &'s Source,
    pub(crate) limits: &'r Limits,
    pub(crate) directory: &'r Directory,
    pub(crate) issues: &'r mut Issues,
    /// Bytes of names that may still be kept: `limits.name_bytes` in all.
    pub(crate) text_left: usize,
    /// The name being read: one buffer for all of them.
    pub(crate) letters: Vec<u8>,
}

impl<'s> StreamReader<'_, 's> {
    /// The bytes of the first stream of this type that has any, clipped to
    /// the file; clipping and further streams of the type are issues.
    pub(crate) fn stream(&mut self, kind: u32) -> Option<StreamBytes<'s>> {
        self.directory.find(self.source, kind, self.issues)
    }

    /// Records an issue at a file offset of this stream.
    pub(crate) fn issue(&mut self, kind: u32, offset: u64, message: impl FnOnce() -> String) {
        self.issues.add(Some(kind), Some(offset), message);
    }
}

/// The bytes of one stream and where they begin in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamBytes<'s> {
    pub(crate) bytes: &'s [u8],
    pub(crate) offset: u64,
}

/// The records of a list: where each is in the file, and its bytes.
pub(crate) struct List<'s, const N: usize> {
    pub(crate) records: Box<dyn Iterator<Item = (u64, &'s [u8; N])> + 's>,
    pub(crate) count: usize,
}

/// Splits a stream of `u32 count` and records of `N` bytes. Some writers pad
/// the count to 8 bytes: then the stream is exactly that much longer. A count
/// that the bytes do not hold is an issue, and the records that are there are
/// used.
pub(crate) fn list_of<'s, const N: usize>(
    stream: &StreamBytes<'s>,
    reader: &mut StreamReader<'_, 's>,
    kind: u32,
) -> Option<List<'s, N>> {
    let Some(promised) = bytes::u32_at(stream.bytes, 0) else {
        reader.issue(kind, stream.offset, || "too short for its count of 4 bytes".into());
        return None;
    };
    let promised = bytes::index(promised);
    let padded = promised.saturating_mul(N).saturating_add(8) == stream.bytes.len();
    let header = if padded { 8 } else { 4 };
    records_of(stream, header, promised, reader, kind)
}

/// As [`list_of`], for lists whose header says where the records begin.
pub(crate) fn records_of<'s, const N: usize>(
    stream: &StreamBytes<'s>,
    header: usize,
    promised: usize,
    reader: &mut StreamReader<'_, 's>,
    kind: u32,
) -> Option<List<'s, N>> {
    let records = stream.bytes.get(header..).unwrap_or(&[]).as_chunks::<N>().0;
    let count = promised.min(records.len()).min(reader.limits.entries);
    if count < promised {
        reader.issue(kind, stream.offset, || {
            format!("the list promises {promised} entries, {count} are there and used")
        });
    }
    let first = stream.offset.saturating_add(bytes::length(header));
    let placed = records.iter().take(count).enumerate().map(move |(at, record)| {
        (first.saturating_add(bytes::length(at.saturating_mul(N))), record)
    });
    Some(List { records: Box::new(placed), count })
}

#[cfg(test)]
mod tests;
