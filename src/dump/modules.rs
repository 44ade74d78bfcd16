//! The modules that are there, that were there, and code made at run time.
//! Sources: ModuleList (4), UnloadedModuleList (14), FunctionTable (13).
//! One unreadable name or CodeView record costs that name, never the list.

use std::borrow::Cow;
use std::collections::HashSet;

use super::bytes::{index, length, u32_at, u64_at};
use super::codeview::{self, DebugId};
use super::path::{FilePath, file_name};
use super::strings::{self, NameAt};
use super::{Platform, StreamReader, SystemInfo, stream_type};
use crate::addr::AddressRange;

/// One loaded module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module<'s> {
    /// Where it is mapped, and SizeOfImage. `None` when the size is 0 or the
    /// range wraps: an issue says so.
    pub range: Option<AddressRange>,
    /// Its base address.
    pub base: u64,
    /// SizeOfImage as the list says.
    pub size: u32,
    /// Full path as the dump has it; empty when it could not be read.
    pub path: FilePath,
    /// CheckSum of the PE header.
    pub checksum: u32,
    /// TimeDateStamp of the PE header.
    pub timestamp: u32,
    /// File version, from VS_FIXEDFILEINFO: four numbers, of 16 bits each
    /// except on Linux, where a library's suffix may be a date.
    pub version: Option<(u32, u32, u32, u32)>,
    /// Debug id for symbol lookup.
    pub debug_id: Option<DebugId>,
    /// File name of the PDB, as the CodeView record has it.
    pub debug_file: Option<Cow<'s, str>>,
}

impl Module<'_> {
    /// The part of the path after the last `\` or `/`.
    pub fn name(&self) -> &str {
        self.path.name()
    }
}

/// The module list, one module a base address.
#[derive(Clone, Debug, Default)]
pub struct ModuleList<'s> {
    /// Whether the dump has the stream.
    pub present: bool,
    /// In stream order. A second entry with the same base is dropped: 64-bit
    /// dumps of WOW64 processes list the program twice.
    pub modules: Vec<Module<'s>>,
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

impl UnloadedModule {
    /// The part of the path after the last `\` or `/`.
    pub fn name(&self) -> &str {
        file_name(&self.path)
    }
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

pub(super) fn read<'s>(reader: &mut StreamReader<'_, 's>, system: &SystemInfo) -> ModuleList<'s> {
    const KIND: u32 = stream_type::MODULE_LIST;
    let Some(stream) = reader.stream(KIND) else { return ModuleList::default() };
    let mut list = ModuleList { present: true, ..ModuleList::default() };
    let Some(records) = super::list_of::<108>(&stream, reader, KIND) else { return list };
    list.modules.reserve(records.count);
    let records: Vec<(u64, u64, &[u8; 108])> = records
        .records
        .map(|(place, record)| (system.width.mask(u64_at(record, 0).unwrap_or(0)), place, record))
        .collect();
    let mut repeats = Repeats::of(records.iter().map(|(base, ..)| *base).collect());
    for (base, place, record) in records {
        if repeats.is_first(base) {
            list.modules.push(read_module(reader, system, place, record, base));
        } else {
            list.repeated = list.repeated.saturating_add(1);
        }
    }
    list
}

/// Tells the first of equal bases from the others. Few lists have any.
struct Repeats {
    seen: Option<HashSet<u64>>,
}

impl Repeats {
    fn of(mut bases: Vec<u64>) -> Repeats {
        bases.sort_unstable();
        let repeats = bases.array_windows().any(|[one, next]| one == next);
        Repeats { seen: repeats.then(HashSet::new) }
    }

    fn is_first(&mut self, base: u64) -> bool {
        self.seen.as_mut().is_none_or(|seen| seen.insert(base))
    }
}

fn read_module<'s>(
    reader: &mut StreamReader<'_, 's>,
    system: &SystemInfo,
    place: u64,
    record: &[u8; 108],
    base: u64,
) -> Module<'s> {
    const KIND: u32 = stream_type::MODULE_LIST;
    let word = |at| u32_at(record, at).unwrap_or(0);
    let size = word(8);
    let name = NameAt { kind: KIND, place, what: "module name", rva: word(0x14).into() };
    let debug = codeview::read(reader, KIND, place, record);
    Module {
        range: image_range(reader, KIND, place, base, size),
        base,
        size,
        path: strings::path(reader, name).unwrap_or_default(),
        checksum: word(0xc),
        timestamp: word(0x10),
        version: file_version(record, system.platform),
        debug_id: debug.id,
        debug_file: debug.file,
    }
}

/// The file version of VS_FIXEDFILEINFO at 0x18. Windows and macOS pack four
/// 16-bit numbers; the Linux writers use four words, the product version's
/// among them.
fn file_version(record: &[u8; 108], platform: Platform) -> Option<(u32, u32, u32, u32)> {
    let word = |at| u32_at(record, at).unwrap_or(0);
    if word(0x18) != 0xfeef_04bd || word(0x1c) != 0x1_0000 {
        return None;
    }
    let (high, low) = (word(0x20), word(0x24));
    Some(match platform {
        Platform::Windows | Platform::MacOs | Platform::Ios => {
            (high >> 16, high & 0xffff, low >> 16, low & 0xffff)
        }
        _ => (high, low, word(0x28), word(0x2c)),
    })
}

fn image_range(
    reader: &mut StreamReader<'_, '_>,
    kind: u32,
    place: u64,
    base: u64,
    size: u32,
) -> Option<AddressRange> {
    let range = AddressRange::new(base, size.into());
    if range.is_none() {
        reader.issue(kind, place, || {
            format!(
                "module at {base:#x} of {size:#x} bytes covers no addresses; listed without a range"
            )
        });
    }
    range
}

pub(super) fn read_unloaded(
    reader: &mut StreamReader<'_, '_>,
    system: &SystemInfo,
) -> Vec<UnloadedModule> {
    const KIND: u32 = stream_type::UNLOADED_MODULE_LIST;
    let Some(stream) = reader.stream(KIND) else { return Vec::new() };
    let field = |at| u32_at(stream.bytes, at);
    let (Some(header), Some(stride), Some(promised)) = (field(0), field(4), field(8)) else {
        reader.issue(KIND, stream.offset, || "too short for its header of 12 bytes".into());
        return Vec::new();
    };
    let records = strings::strided::<24>(reader, KIND, &stream, (header, stride, promised));
    let mut modules = Vec::new();
    for (place, record) in records {
        let word = |at| u32_at(record, at).unwrap_or(0);
        let base = system.width.mask(u64_at(record, 0).unwrap_or(0));
        let size = word(8);
        let rva = word(0x14).into();
        let name = NameAt { kind: KIND, place, what: "unloaded module's name", rva };
        modules.push(UnloadedModule {
            range: image_range(reader, KIND, place, base, size),
            base,
            size,
            checksum: word(0xc),
            timestamp: word(0x10),
            path: strings::utf16(reader, name).unwrap_or_default(),
        });
    }
    modules
}

/// A table is its descriptor, the system's own descriptor, the functions,
/// and padding. Sizes are in the header, so that tables can be skipped
/// without knowing what is in them.
pub(super) fn read_function_tables(
    reader: &mut StreamReader<'_, '_>,
    system: &SystemInfo,
) -> Vec<FunctionTable> {
    const KIND: u32 = stream_type::FUNCTION_TABLE;
    let Some(stream) = reader.stream(KIND) else { return Vec::new() };
    let field = |at| u32_at(stream.bytes, at).map(index);
    let (Some(header), Some(size), Some(native), Some(entry), Some(promised), Some(padding)) =
        (field(0), field(4), field(8), field(0xc), field(0x10), field(0x14))
    else {
        reader.issue(KIND, stream.offset, || "too short for its header of 24 bytes".into());
        return Vec::new();
    };
    if size < 32 {
        reader.issue(KIND, stream.offset, || {
            format!("descriptors of {size} bytes: at least 32 are needed; the list is not used")
        });
        return Vec::new();
    }
    let mut tables = Vec::new();
    let mut at = header.saturating_add(padding);
    for number in 0..promised.min(reader.limits.entries) {
        let place = stream.offset.saturating_add(length(at));
        let Some(descriptor) = stream.bytes.get(at..).and_then(|rest| rest.first_chunk::<32>())
        else {
            reader.issue(KIND, place, || {
                format!("the list promises {promised} tables, {number} are there and used")
            });
            break;
        };
        let long = |at| u64_at(descriptor, at).unwrap_or(0);
        let word = |at| u32_at(descriptor, at).unwrap_or(0);
        let entries = word(0x18);
        let mask = |address| system.width.mask(address);
        let (start, end) = (mask(long(0)), mask(long(8)));
        match AddressRange::between(start, end) {
            Some(range) => {
                tables.push(FunctionTable { range, base: mask(long(0x10)), entries });
            }
            None => reader.issue(KIND, place, || {
                format!("function table from {start:#x} to {end:#x} is empty; left out")
            }),
        }
        at = at
            .saturating_add(size)
            .saturating_add(native)
            .saturating_add(index(entries).saturating_mul(entry))
            .saturating_add(index(word(0x1c)));
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, longs, messages, read, words};

    fn module(base: u64, size: u32, name: u32) -> Vec<u8> {
        let mut record = longs([base]);
        record.extend(words([size, 0xc5, 0x1234, name]));
        record.extend(words([0xfeef_04bd, 0x1_0000, 0xa_0001, 0x4a65_0002, 3, 4]));
        record.resize(108, 0);
        record
    }

    fn list(records: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(records.len()).unwrap();
        [words([count]), records.concat()].concat()
    }

    #[test]
    fn every_field_and_the_last_part_of_the_path() {
        let mut bytes = Bytes::new();
        let name = bytes.name("C:\\Windows\\ntdll.dll");
        let modules = list(&[module(0xffff_ffff_8000_0000, 0x1000, name)]);
        read(&bytes.system(0, 2).stream(4, modules).finish(), |dump| {
            let module = &dump.modules.modules[0];
            assert_eq!((module.base, module.range.unwrap().size()), (0x8000_0000, 0x1000));
            assert_eq!((module.checksum, module.timestamp), (0xc5, 0x1234));
            assert_eq!((module.version, module.name()), (Some((10, 1, 0x4a65, 2)), "ntdll.dll"));
            assert_eq!((&module.debug_id, messages(dump).len()), (&None, 0));
        });
    }

    #[test]
    fn linux_versions_are_four_words() {
        let mut bytes = Bytes::new();
        let name = bytes.name("libx.so");
        let dump = bytes.system(9, 0x8201).stream(4, list(&[module(0x1000, 1, name)])).finish();
        let version = read(&dump, |dump| dump.modules.modules[0].version);
        assert_eq!(version, Some((0xa_0001, 0x4a65_0002, 3, 4)));
    }

    #[test]
    fn one_bad_module_costs_what_is_bad() {
        let mut bytes = Bytes::new();
        let name = bytes.name("a.dll");
        let mut bad_symbols = module(0x3000, 0x1000, name);
        bad_symbols[0x4c..0x54].copy_from_slice(&words([24, 0x7fff_fff0]));
        let modules = list(&[
            module(0x1000, 0x1000, 0x7fff_ffff),
            module(0x2000, 0, name),
            bad_symbols,
            module(u64::MAX, 2, name),
        ]);
        read(&bytes.stream(4, modules).finish(), |dump| {
            let modules = &dump.modules.modules;
            let paths: Vec<_> = modules.iter().map(|module| &*module.path).collect();
            let ranges: Vec<_> = modules.iter().map(|module| module.range.is_some()).collect();
            assert_eq!(paths, ["", "a.dll", "a.dll", "a.dll"]);
            assert_eq!(ranges, [true, false, true, false]);
            assert_eq!(messages(dump).len(), 4, "{:?}", messages(dump));
        });
    }

    #[test]
    fn the_program_of_a_wow64_process_is_listed_once() {
        let mut bytes = Bytes::new();
        let name = bytes.name("a.exe");
        let modules = [0x1000, 0x2000, 0x1000].map(|base| module(base, 0x100, name));
        read(&bytes.stream(4, list(&modules)).finish(), |dump| {
            assert_eq!((dump.modules.modules.len(), dump.modules.repeated), (2, 1));
            assert!(dump.modules.present);
        });
    }

    #[test]
    fn unloaded_modules_of_any_entry_size() {
        for (header, stride) in [(12_u32, 24_u32), (16, 24), (12, 32)] {
            let mut bytes = Bytes::new();
            let name = bytes.name("old.dll");
            let mut stream = words([header, stride, 2]);
            stream.resize(header as usize, 0);
            for size in [0x1000, 0] {
                let mut entry = [longs([0x10000]), words([size, 1, 2, name])].concat();
                entry.resize(stride as usize, 0xee);
                stream.extend(entry);
            }
            read(&bytes.stream(14, stream).finish(), |dump| {
                let found = &dump.unloaded_modules;
                assert_eq!((found.len(), found[1].range), (2, None));
                assert_eq!(found[0].range, AddressRange::new(0x10000, 0x1000));
                assert_eq!((found[0].path.as_str(), found[0].timestamp), ("old.dll", 2));
                assert_eq!(messages(dump).len(), 1);
            });
        }
    }

    #[test]
    fn unloaded_modules_that_do_not_fit() {
        for (stride, count, found) in [(0, u32::MAX, 0), (23, 1, 0), (24, u32::MAX, 1)] {
            let stream =
                [words([12, stride, count]), longs([0x1000]), words([1, 0, 0, 32])].concat();
            read(&Bytes::new().stream(14, stream).finish(), |dump| {
                assert_eq!(dump.unloaded_modules.len(), found);
                assert!(!messages(dump).is_empty());
            });
        }
    }

    fn table(start: u64, end: u64, count: u32, padding: u32) -> Vec<u8> {
        let head = [longs([start, end, start]), words([count, padding])].concat();
        [head, vec![0xaa; 136 + 12 * count as usize + padding as usize]].concat()
    }

    #[test]
    fn function_tables_are_skipped_by_their_sizes() {
        let head = words([24, 32, 136, 12, 3, 4, 0]);
        let tables =
            [table(0x1000, 0x2000, 3, 4), table(0x5000, 0x5000, 2, 0), table(0x8000, 0x9000, 1, 4)];
        let stream = [head, tables.concat()].concat();
        read(&Bytes::new().system(9, 2).stream(13, &stream).finish(), |dump| {
            let found: Vec<_> = dump
                .function_tables
                .iter()
                .map(|table| (table.range.start(), table.range.size(), table.entries))
                .collect();
            assert_eq!(found, [(0x1000, 0x1000, 3), (0x8000, 0x1000, 1)]);
            assert_eq!(messages(dump).len(), 1);
        });
        for size in [0, 20, 24, 60, 100] {
            read(&Bytes::new().stream(13, &stream[..size]).finish(), |dump| {
                assert!(dump.function_tables.len() < 2);
            });
        }
    }

    #[test]
    fn function_tables_of_impossible_sizes() {
        for (size, native, entry, count) in
            [(0, 0, 0, u32::MAX), (32, u32::MAX, u32::MAX, u32::MAX)]
        {
            let stream =
                [words([24, size, native, entry, count, 0]), table(1, 2, u32::MAX >> 20, 0)];
            read(&Bytes::new().stream(13, stream.concat()).finish(), |dump| {
                assert!(dump.function_tables.len() < 2);
                assert_eq!(messages(dump).len(), 1);
            });
        }
    }
}
