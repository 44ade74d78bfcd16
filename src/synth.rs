//! Small dumps with named fields, for tests, fuzz seeds, fixtures and examples, and ways to break them.
//!
//! This module only writes. It depends on nothing else in the crate, so that a mistake in a reader
//! cannot hide behind the same mistake here.
//!
//! [`DumpBuilder`] writes the streams it is given, in a fixed order, coherent or not:
//!
//! ```
//! use dumpmap::synth::{Context, Damage, DumpBuilder, Module, PAGE_READWRITE, Region, Thread, stream};
//!
//! let dump = DumpBuilder::windows_x64()
//!     .module(Module::new(r"C:\app.exe", 0x7ff6_0000_0000, 0x5000))
//!     .thread(Thread { teb: 0x30_0000, context: Context::at(0x7ff6_0000_1000, 0x20_0000), ..Thread::new(42) })
//!     .region(Region::commit(0x10_0000, 0x10_0000, PAGE_READWRITE))
//!     .damage(stream::MEMORY_INFO_LIST, Damage::Count(1 << 40))
//!     .build();
//! assert_eq!(&dump[..4], b"MDMP");
//! ```
//!
//! [`windows::Process`] lays out a whole process and derives all streams from that one layout.

mod bytes;
pub mod clr;
mod context;
mod damage;
pub mod debug_heap;
mod file;
mod handle;
pub mod heap;
mod memory;
mod module;
pub mod stream;
mod system;
#[cfg(test)]
mod tests;
mod thread;
mod vendor;
pub mod windows;

pub use bytes::ByteOrder;
pub use context::{Context, Registers};
pub use damage::Damage;
pub use file::{DirectoryEntry, Header};
pub use handle::{FunctionTable, Handle, HandleData, HandleDescriptor, Token};
pub use memory::{
    MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, Memory,
    PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY, PAGE_GUARD, PAGE_NOACCESS,
    PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY, Region, memory_info_list,
};
pub use module::{CodeView, Module, UnloadedModule, Version};
pub use system::{
    Architecture, MiscInfo, MiscRevision, Platform, SystemInfo, SystemMemoryInfo, VmCounters,
};
pub use thread::{Exception, Stack, Thread, ThreadInfo, ThreadName};
pub use vendor::{BreakpadInfo, CrashpadInfo, DsoDebug, Mapping, maps_text};

/// A string of the dump: a module, thread, handle or type name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Name {
    /// File offset 0: no name.
    #[default]
    None,
    /// A correct MINIDUMP_STRING.
    Text(String),
    /// A MINIDUMP_STRING of these UTF-16 units, such as a lone surrogate.
    Units(Vec<u16>),
    /// A file offset that may point anywhere.
    At(u32),
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name::Text(text.to_owned())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Name::Text(text)
    }
}

/// A minidump to be. The fields are what will be written; a stream that is `None` is left out, an empty
/// list is an empty stream. The methods are shorthand for the fields.
#[derive(Debug, Clone, Default)]
pub struct DumpBuilder {
    /// The file header, and what it claims.
    pub header: Header,
    /// Byte order of header, directory and streams.
    pub byte_order: ByteOrder,
    /// Stream 7. Without it, contexts are empty.
    pub system: Option<SystemInfo>,
    /// Stream 15.
    pub misc: Option<MiscInfo>,
    /// Stream 21.
    pub system_memory: Option<SystemMemoryInfo>,
    /// Stream 22.
    pub vm_counters: Option<VmCounters>,
    /// Stream 3.
    pub threads: Option<Vec<Thread>>,
    /// Stream 8.
    pub threads_ex: Option<Vec<Thread>>,
    /// Stream 17.
    pub thread_infos: Option<Vec<ThreadInfo>>,
    /// Stream 24.
    pub thread_names: Option<Vec<ThreadName>>,
    /// Stream 6.
    pub exception: Option<Exception>,
    /// Stream 4.
    pub modules: Option<Vec<Module>>,
    /// Stream 14.
    pub unloaded: Option<Vec<UnloadedModule>>,
    /// Stream 16, in this order.
    pub regions: Option<Vec<Region>>,
    /// Stream 5. Captured thread stacks are added to it.
    pub memory: Option<Vec<Memory>>,
    /// Stream 9, in this order; the bytes end the file.
    pub memory64: Option<Vec<Memory>>,
    /// Stream 12.
    pub handles: Option<HandleData>,
    /// Stream 13.
    pub function_tables: Option<Vec<FunctionTable>>,
    /// Stream 19.
    pub tokens: Option<Vec<Token>>,
    /// Stream 0x43500001.
    pub crashpad: Option<CrashpadInfo>,
    /// Stream 0x47670001.
    pub breakpad: Option<BreakpadInfo>,
    /// Stream 0x4767000A.
    pub dso_debug: Option<DsoDebug>,
    /// Streams of any type, in this order, after the others; a type may repeat one from above.
    pub raw: Vec<(u32, Vec<u8>)>,
    /// Damage to the first stream of a type, in this order.
    pub damage: Vec<(u32, Damage)>,
    /// Patches of the finished file: offset, bytes.
    pub patches: Vec<(usize, Vec<u8>)>,
    /// The file ends here, if it is longer.
    pub end_of_file: Option<usize>,
    /// Bytes after the end of the file.
    pub trailing: Vec<u8>,
}

impl DumpBuilder {
    /// A dump without any stream.
    pub fn new() -> Self {
        DumpBuilder::default()
    }

    /// A dump with a SystemInfo stream.
    pub fn with_system(
        architecture: Architecture,
        platform: Platform,
        version: (u32, u32, u32),
    ) -> Self {
        DumpBuilder {
            system: Some(SystemInfo::new(architecture, platform, version)),
            ..DumpBuilder::default()
        }
    }

    /// Windows 10.0.19045 on x86-64.
    pub fn windows_x64() -> Self {
        DumpBuilder::with_system(Architecture::Amd64, Platform::Windows, (10, 0, 19045))
    }

    /// Windows 10.0.19045 on x86.
    pub fn windows_x86() -> Self {
        DumpBuilder::with_system(Architecture::X86, Platform::Windows, (10, 0, 19045))
    }

    /// Windows 11 (10.0.22631) on ARM64.
    pub fn windows_arm64() -> Self {
        DumpBuilder::with_system(Architecture::Arm64, Platform::Windows, (10, 0, 22631))
    }

    /// Linux 6.1 on x86-64.
    pub fn linux_x64() -> Self {
        DumpBuilder::with_system(Architecture::Amd64, Platform::Linux, (6, 1, 0))
    }

    /// Sets the MINIDUMP_TYPE bits of the header.
    pub fn flags(mut self, flags: u64) -> Self {
        self.header.flags = flags;
        self
    }

    /// Sets stream 15.
    pub fn misc(mut self, misc: MiscInfo) -> Self {
        self.misc = Some(misc);
        self
    }

    /// Sets stream 21.
    pub fn system_memory(mut self, info: SystemMemoryInfo) -> Self {
        self.system_memory = Some(info);
        self
    }

    /// Sets stream 22.
    pub fn vm_counters(mut self, counters: VmCounters) -> Self {
        self.vm_counters = Some(counters);
        self
    }

    /// Adds a thread to stream 3.
    pub fn thread(mut self, thread: Thread) -> Self {
        self.threads.get_or_insert_default().push(thread);
        self
    }

    /// Adds a thread to stream 8.
    pub fn thread_ex(mut self, thread: Thread) -> Self {
        self.threads_ex.get_or_insert_default().push(thread);
        self
    }

    /// Adds an entry to stream 17.
    pub fn thread_info(mut self, info: ThreadInfo) -> Self {
        self.thread_infos.get_or_insert_default().push(info);
        self
    }

    /// Adds a name to stream 24.
    pub fn thread_name(mut self, id: u32, name: impl Into<Name>) -> Self {
        let name = name.into();
        self.thread_names.get_or_insert_default().push(ThreadName { id, name });
        self
    }

    /// Sets stream 6.
    pub fn exception(mut self, exception: Exception) -> Self {
        self.exception = Some(exception);
        self
    }

    /// Adds a module to stream 4.
    pub fn module(mut self, module: Module) -> Self {
        self.modules.get_or_insert_default().push(module);
        self
    }

    /// Adds a module to stream 14.
    pub fn unloaded(mut self, module: UnloadedModule) -> Self {
        self.unloaded.get_or_insert_default().push(module);
        self
    }

    /// Adds a region to stream 16.
    pub fn region(mut self, region: Region) -> Self {
        self.regions.get_or_insert_default().push(region);
        self
    }

    /// Adds regions to stream 16.
    pub fn regions(mut self, regions: impl IntoIterator<Item = Region>) -> Self {
        self.regions.get_or_insert_default().extend(regions);
        self
    }

    /// Adds captured bytes to stream 5.
    pub fn memory(mut self, base: u64, bytes: impl Into<Vec<u8>>) -> Self {
        let memory = Memory::new(base, bytes);
        self.memory.get_or_insert_default().push(memory);
        self
    }

    /// Adds captured bytes to stream 9.
    pub fn memory64(mut self, base: u64, bytes: impl Into<Vec<u8>>) -> Self {
        let memory = Memory::new(base, bytes);
        self.memory64.get_or_insert_default().push(memory);
        self
    }

    /// Adds a handle to stream 12.
    pub fn handle(mut self, handle: Handle) -> Self {
        let data = self.handles.get_or_insert_default();
        data.handles.push(handle);
        self
    }

    /// Adds a table to stream 13.
    pub fn function_table(mut self, table: FunctionTable) -> Self {
        self.function_tables.get_or_insert_default().push(table);
        self
    }

    /// Adds a token to stream 19.
    pub fn token(mut self, token: Token) -> Self {
        self.tokens.get_or_insert_default().push(token);
        self
    }

    /// Sets stream 0x43500001.
    pub fn crashpad(mut self, info: CrashpadInfo) -> Self {
        self.crashpad = Some(info);
        self
    }

    /// Sets stream 0x47670001.
    pub fn breakpad(mut self, info: BreakpadInfo) -> Self {
        self.breakpad = Some(info);
        self
    }

    /// Sets stream 0x4767000A.
    pub fn dso_debug(mut self, debug: DsoDebug) -> Self {
        self.dso_debug = Some(debug);
        self
    }

    /// Adds a stream of any type; see [`stream`] for the numbers.
    pub fn raw(mut self, stream_type: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw.push((stream_type, bytes.into()));
        self
    }

    /// Adds stream 10, 8-bit text with a NUL.
    pub fn comment_a(self, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.raw(stream::COMMENT_A, bytes)
    }

    /// Adds stream 11, UTF-16 text (little-endian) with a NUL.
    pub fn comment_w(self, text: &str) -> Self {
        let units = text.encode_utf16().chain([0]);
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        self.raw(stream::COMMENT_W, bytes)
    }

    /// Adds stream 0x47670009, the text of /proc/PID/maps; see [`maps_text`].
    pub fn linux_maps(self, text: impl Into<Vec<u8>>) -> Self {
        self.raw(stream::LINUX_MAPS, text)
    }

    /// Adds stream 0x47670008: pairs of type and value, in the width of the dump's pointers,
    /// little-endian. AT_NULL is added.
    pub fn linux_auxv(self, pairs: &[(u64, u64)]) -> Self {
        let size = self.architecture().pointer_size();
        let words = pairs.iter().chain(&[(0, 0)]).flat_map(|&(a, b)| [a, b]);
        let bytes: Vec<u8> =
            words.flat_map(|word| word.to_le_bytes().into_iter().take(size)).collect();
        self.raw(stream::LINUX_AUXV, bytes)
    }

    /// The addresses of a 32-bit large-address-aware process as dbghelp writes them: those from 2 GiB to
    /// 4 GiB of regions, modules, threads and memory are sign-extended to 64 bits.
    pub fn sign_extended(mut self) -> Self {
        for region in self.regions.iter_mut().flatten() {
            sign_extend(&mut region.base);
            sign_extend(&mut region.allocation_base);
        }
        for module in self.modules.iter_mut().flatten() {
            sign_extend(&mut module.base);
        }
        for memory in self.memory.iter_mut().chain(&mut self.memory64).flatten() {
            sign_extend(&mut memory.base);
        }
        for thread in self.threads.iter_mut().chain(&mut self.threads_ex).flatten() {
            sign_extend(&mut thread.teb);
            match &mut thread.stack {
                Stack::None => {}
                Stack::Captured(memory) => sign_extend(&mut memory.base),
                Stack::Range { base, .. } | Stack::At { base, .. } => sign_extend(base),
            }
        }
        self
    }

    /// Damages the first stream of a type. Several damages are applied in order.
    pub fn damage(mut self, stream_type: u32, damage: Damage) -> Self {
        self.damage.push((stream_type, damage));
        self
    }

    /// Replaces bytes of the finished file.
    pub fn patch(mut self, offset: usize, bytes: impl Into<Vec<u8>>) -> Self {
        self.patches.push((offset, bytes.into()));
        self
    }

    /// Ends the file at an offset, if it is longer.
    pub fn truncate_at(mut self, offset: usize) -> Self {
        self.end_of_file = Some(offset);
        self
    }

    /// Adds bytes after the end of the file.
    pub fn append(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.trailing.extend(bytes.into());
        self
    }

    fn architecture(&self) -> Architecture {
        let system = self.system.as_ref();
        system.map_or(Architecture::Other(0xffff), |system| system.architecture)
    }
}

fn sign_extend(address: &mut u64) {
    if (0x8000_0000..=0xffff_ffff).contains(address) {
        *address |= 0xffff_ffff_0000_0000;
    }
}
