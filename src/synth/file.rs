//! The finished file: header, directory, streams in their fixed order, damage.

use super::bytes::{Location, Out};
use super::damage::overwrite;
use super::memory::Descriptor;
use super::{ByteOrder, Damage, DumpBuilder};
use super::{handle, memory, module, stream, system, thread, vendor};

const HEADER: usize = 32;
const ENTRY: usize = 12;

/// MINIDUMP_HEADER. Fields that are `None` are written as they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `MDMP`, or `PMDM` when big-endian.
    pub signature: Option<[u8; 4]>,
    /// Low word of Version: 0xa793.
    pub version: u16,
    /// High word of Version: the writer's build.
    pub implementation: u16,
    /// NumberOfStreams.
    pub stream_count: Option<u32>,
    /// StreamDirectoryRva.
    pub directory_rva: Option<u32>,
    /// CheckSum.
    pub checksum: u32,
    /// TimeDateStamp, seconds since 1970.
    pub timestamp: u32,
    /// Flags: MINIDUMP_TYPE bits.
    pub flags: u64,
    /// Directory entries of type 0 after the others; dbghelp writes four.
    pub unused_entries: usize,
}

impl Default for Header {
    fn default() -> Self {
        Header {
            signature: None,
            version: 0xa793,
            implementation: 0,
            stream_count: None,
            directory_rva: None,
            checksum: 0,
            timestamp: 1_700_000_000,
            flags: 0,
            unused_entries: 0,
        }
    }
}

/// MINIDUMP_DIRECTORY: one entry as it is in the file, damage included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectoryEntry {
    /// StreamType.
    pub stream_type: u32,
    /// DataSize, bytes.
    pub size: u32,
    /// Rva, file offset.
    pub rva: u32,
}

type Writer = fn(&Streams<'_>, &mut Out) -> Option<Vec<u8>>;

/// Every stream the builder has a field for, in the order of the file.
const WRITERS: &[(u32, Writer)] = &[
    (stream::SYSTEM_INFO, |s, out| Some(system::write_system_info(s.dump.system.as_ref()?, out))),
    (stream::MISC_INFO, |s, out| Some(system::write_misc_info(s.dump.misc.as_ref()?, out))),
    (stream::SYSTEM_MEMORY_INFO, |s, out| {
        Some(system::write_system_memory(s.dump.system_memory.as_ref()?, out))
    }),
    (stream::PROCESS_VM_COUNTERS, |s, out| {
        Some(system::write_vm_counters(s.dump.vm_counters.as_ref()?, out))
    }),
    (stream::THREAD_LIST, |s, _| s.threads.clone()),
    (stream::THREAD_EX_LIST, |s, _| s.threads_ex.clone()),
    (stream::THREAD_INFO_LIST, |s, out| {
        Some(thread::write_thread_infos(s.dump.thread_infos.as_ref()?, out))
    }),
    (stream::THREAD_NAMES, |s, out| {
        Some(thread::write_thread_names(s.dump.thread_names.as_ref()?, out))
    }),
    (stream::EXCEPTION, |s, out| {
        let exception = s.dump.exception.as_ref()?;
        Some(thread::write_exception(exception, s.dump.architecture(), out))
    }),
    (stream::MODULE_LIST, |s, out| Some(module::write_modules(s.dump.modules.as_ref()?, out))),
    (stream::UNLOADED_MODULE_LIST, |s, out| {
        Some(module::write_unloaded(s.dump.unloaded.as_ref()?, out))
    }),
    (stream::MEMORY_INFO_LIST, |s, out| {
        Some(memory::write_memory_info(s.dump.regions.as_ref()?, out))
    }),
    (stream::HANDLE_DATA, |s, out| Some(handle::write_handles(s.dump.handles.as_ref()?, out))),
    (stream::FUNCTION_TABLE, |s, out| {
        let tables = s.dump.function_tables.as_ref()?;
        Some(handle::write_function_tables(tables, out))
    }),
    (stream::TOKEN, |s, out| Some(handle::write_tokens(s.dump.tokens.as_ref()?, out))),
    (stream::CRASHPAD_INFO, |s, out| Some(vendor::write_crashpad(s.dump.crashpad.as_ref()?, out))),
    (stream::BREAKPAD_INFO, |s, out| Some(vendor::write_breakpad(s.dump.breakpad.as_ref()?, out))),
    (stream::LINUX_DSO_DEBUG, |s, out| {
        let pointer_size = s.dump.architecture().pointer_size();
        Some(vendor::write_dso_debug(s.dump.dso_debug.as_ref()?, pointer_size, out))
    }),
    (stream::MEMORY_LIST, |s, out| {
        if s.dump.memory.is_none() && s.stacks.is_empty() {
            return None;
        }
        let memory = s.dump.memory.as_deref().unwrap_or_default();
        Some(memory::write_memory_list(memory, &s.stacks, out))
    }),
];

/// The builder, and what must be written before the streams: stacks are part of two of them.
struct Streams<'a> {
    dump: &'a DumpBuilder,
    threads: Option<Vec<u8>>,
    threads_ex: Option<Vec<u8>>,
    stacks: Vec<Descriptor>,
}

/// A stream in the file: what it is and where, and what its directory entry says after damage.
#[derive(Clone, Copy, Default)]
struct Placed {
    stream_type: u32,
    rva: u32,
    entry: DirectoryEntry,
}

impl DumpBuilder {
    /// The bytes of the dump.
    pub fn build(&self) -> Vec<u8> {
        self.write().0
    }

    /// The directory of the dump that [`build`](DumpBuilder::build) makes: where each stream lies.
    pub fn directory(&self) -> Vec<DirectoryEntry> {
        self.write().1
    }

    fn write(&self) -> (Vec<u8>, Vec<DirectoryEntry>) {
        // The directory comes first in the file, so its length must be known before anything is placed:
        // a first pass counts the streams.
        let entries = self.write_streams(0).1.len();
        let (mut out, placed) = self.write_streams(entries);
        let directory: Vec<DirectoryEntry> = placed.iter().map(|stream| stream.entry).collect();

        let mut table = out.record();
        for entry in &directory {
            table.u32s(&[entry.stream_type, entry.size, entry.rva]);
        }
        overwrite(&mut out.bytes, HEADER, &table.bytes);
        let header = self.header_bytes(&out, directory.len());
        overwrite(&mut out.bytes, 0, &header);

        for (offset, patch) in &self.patches {
            overwrite(&mut out.bytes, *offset, patch);
        }
        if let Some(end) = self.file_end(&placed) {
            out.bytes.truncate(end);
        }
        out.bytes.extend_from_slice(&self.trailing);
        (out.bytes, directory)
    }

    fn write_streams(&self, directory_entries: usize) -> (Out, Vec<Placed>) {
        let mut out = Out::new(self.byte_order, HEADER + ENTRY * directory_entries);
        let mut placed = Vec::new();
        let streams = self.prepare(&mut out);
        for &(stream_type, writer) in WRITERS {
            if let Some(bytes) = writer(&streams, &mut out) {
                self.place(stream_type, bytes, &mut placed, &mut out);
            }
        }
        for (stream_type, bytes) in &self.raw {
            self.place(*stream_type, bytes.clone(), &mut placed, &mut out);
        }
        // Last: its contents end the file, as in a full dump.
        if let Some(memory) = &self.memory64 {
            let bytes = memory::write_memory64_list(memory, &mut out);
            self.place(stream::MEMORY64_LIST, bytes, &mut placed, &mut out);
        }
        let unused = std::iter::repeat_n(Placed::default(), self.header.unused_entries);
        placed.extend(unused);
        (out, placed)
    }

    fn prepare(&self, out: &mut Out) -> Streams<'_> {
        let architecture = self.architecture();
        let mut stacks = Vec::new();
        let threads = self.threads.as_ref().map(|threads| {
            let list = thread::write_threads(threads, architecture, out);
            stacks.extend(list.stacks);
            list.bytes
        });
        let threads_ex = self.threads_ex.as_ref().map(|threads| {
            let list = thread::write_threads_ex(threads, architecture, out);
            stacks.extend(list.stacks);
            list.bytes
        });
        Streams { dump: self, threads, threads_ex, stacks }
    }

    /// Puts a stream into the file, damaged as asked if it is the first of its type.
    fn place(&self, stream_type: u32, mut bytes: Vec<u8>, placed: &mut Vec<Placed>, out: &mut Out) {
        let first = !placed.iter().any(|stream| stream.stream_type == stream_type);
        let damage: Vec<&Damage> = self
            .damage
            .iter()
            .filter(|(damaged, _)| first && *damaged == stream_type)
            .map(|(_, damage)| damage)
            .collect();
        for damage in &damage {
            bytes = damage.apply(stream_type, bytes, self.byte_order);
        }
        let Location { size, rva } = out.put(&bytes);
        let after = std::mem::take(&mut out.after_stream);
        out.bytes.extend_from_slice(&after);

        let mut entry = DirectoryEntry { stream_type, size, rva };
        for damage in &damage {
            match **damage {
                Damage::Type(stream_type) => entry.stream_type = stream_type,
                Damage::Size(size) => entry.size = size,
                Damage::Rva(rva) => entry.rva = rva,
                _ => {}
            }
        }
        let stream = Placed { stream_type, rva, entry };
        placed.push(stream);
        if damage.contains(&&Damage::Duplicate) {
            placed.push(stream);
        }
    }

    fn header_bytes(&self, out: &Out, streams: usize) -> Vec<u8> {
        let header = &self.header;
        let signature = header.signature.unwrap_or(match self.byte_order {
            ByteOrder::Little => *b"MDMP",
            ByteOrder::Big => *b"PMDM",
        });
        let mut record = out.record();
        record
            .raw(&signature)
            .u32(u32::from(header.implementation) << 16 | u32::from(header.version))
            .u32(header.stream_count.unwrap_or(streams as u32))
            .u32(header.directory_rva.unwrap_or(HEADER as u32))
            .u32s(&[header.checksum, header.timestamp])
            .u64(header.flags);
        record.bytes
    }

    /// The first end of the file that was asked for, as an offset or in a stream.
    fn file_end(&self, placed: &[Placed]) -> Option<usize> {
        let in_streams = self.damage.iter().filter_map(|(stream_type, damage)| {
            let Damage::EndOfFile(offset) = damage else {
                return None;
            };
            let stream = placed.iter().find(|stream| stream.stream_type == *stream_type)?;
            Some(stream.rva as usize + offset)
        });
        in_streams.chain(self.end_of_file).min()
    }
}
