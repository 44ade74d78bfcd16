//! The modules that are there, that were there, and code made at run time.
//! Sources: ModuleList (4), UnloadedModuleList (14), FunctionTable (13).
//! One unreadable name or CodeView record costs that name, never the list.

use crate::addr::AddressRange;

/// One loaded module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Where it is mapped, and SizeOfImage. `None` when the size is 0 or the
    /// range wraps: an issue says so.
    pub range: Option<AddressRange>,
    /// Its base address.
    pub base: u64,
    /// SizeOfImage as the list says.
    pub size: u32,
    /// Full path as the dump has it; empty when it could not be read.
    pub path: String,
    /// CheckSum of the PE header.
    pub checksum: u32,
    /// TimeDateStamp of the PE header.
    pub timestamp: u32,
    /// File version, from VS_FIXEDFILEINFO: four numbers.
    pub version: Option<(u16, u16, u16, u16)>,
    /// Debug id for symbol lookup: GUID and age of an RSDS record, signature
    /// and age of an NB10 one, the GNU build id of an ELF one.
    pub debug_id: Option<String>,
    /// File name of the PDB, as the CodeView record has it.
    pub debug_file: Option<String>,
}

impl Module {
    /// The part of the path after the last `\` or `/`.
    pub fn name(&self) -> &str {
        self.path.rsplit(['\\', '/']).next().unwrap_or("")
    }
}

/// The module list, one module a base address.
#[derive(Clone, Debug, Default)]
pub struct ModuleList {
    /// Whether the dump has the stream.
    pub present: bool,
    /// In stream order. A second entry with the same base is dropped: 64-bit
    /// dumps of WOW64 processes list the program twice.
    pub modules: Vec<Module>,
    /// How many entries repeated a base.
    pub repeated: usize,
}

/// A module that was unloaded. Its addresses may be in use again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloadedModule {
    /// Where it was; `None` when the size is 0 or the range wraps.
    pub range: Option<AddressRange>,
    /// Its base address.
    pub base: u64,
    /// SizeOfImage.
    pub size: u32,
    /// CheckSum of the PE header.
    pub checksum: u32,
    /// TimeDateStamp of the PE header.
    pub timestamp: u32,
    /// File name as the dump has it; empty when it could not be read.
    pub path: String,
}

/// A dynamic function table: code made at run time (JIT) on x64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionTable {
    /// The code it covers.
    pub range: AddressRange,
    /// Base address that its entries are relative to.
    pub base: u64,
    /// Number of functions.
    pub entries: u32,
}

pub(super) fn read(_reader: &mut super::StreamReader<'_, '_>) -> ModuleList {
    ModuleList::default()
}
pub(super) fn read_unloaded(_reader: &mut super::StreamReader<'_, '_>) -> Vec<UnloadedModule> {
    Vec::new()
}
pub(super) fn read_function_tables(
    _reader: &mut super::StreamReader<'_, '_>,
) -> Vec<FunctionTable> {
    Vec::new()
}
