//! Streams of other writers: Crashpad, Breakpad, Linux.

use std::fmt::Write as _;

use super::bytes::{Location, Out};

/// Stream 0x43500001, MinidumpCrashpadInfo, in its longer form (with the address mask).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrashpadInfo {
    /// Id of the report, in the order a person writes it.
    pub report_id: [u8; 16],
    /// Id of the client, in the order a person writes it.
    pub client_id: [u8; 16],
    /// Simple annotations of the process.
    pub annotations: Vec<(String, String)>,
    /// Simple annotations of modules, by the module's place in the module list.
    pub modules: Vec<(u32, Vec<(String, String)>)>,
}

pub(super) fn write_crashpad(info: &CrashpadInfo, out: &mut Out) -> Vec<u8> {
    let annotations = write_dictionary(&info.annotations, out);
    let modules = write_crashpad_modules(&info.modules, out);
    let mut record = out.record();
    record
        .u32(1)
        .guid(info.report_id)
        .guid(info.client_id)
        .location(annotations)
        .location(modules)
        .u32(0)
        .u64(0);
    record.bytes
}

/// MinidumpSimpleStringDictionary: a count, then pairs of string offsets.
fn write_dictionary(entries: &[(String, String)], out: &mut Out) -> Location {
    if entries.is_empty() {
        return Location::default();
    }
    let mut record = out.record();
    record.u32(entries.len() as u32);
    for (key, value) in entries {
        let key = out.utf8(key);
        let value = out.utf8(value);
        record.u32s(&[key, value]);
    }
    out.put(&record.bytes)
}

fn write_crashpad_modules(modules: &[(u32, Vec<(String, String)>)], out: &mut Out) -> Location {
    if modules.is_empty() {
        return Location::default();
    }
    let mut list = out.record();
    list.u32(modules.len() as u32);
    for (index, annotations) in modules {
        let dictionary = write_dictionary(annotations, out);
        let mut module = out.record();
        module
            .u32(1)
            .location(Location::default())
            .location(dictionary)
            .location(Location::default());
        let module = out.put(&module.bytes);
        list.u32(*index).location(module);
    }
    out.put(&list.bytes)
}

/// Stream 0x47670001, MDRawBreakpadInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BreakpadInfo {
    /// The thread that wrote the dump.
    pub dump_thread: Option<u32>,
    /// The thread that asked for it.
    pub requesting_thread: Option<u32>,
}

pub(super) fn write_breakpad(info: &BreakpadInfo, out: &mut Out) -> Vec<u8> {
    let validity =
        u32::from(info.dump_thread.is_some()) | u32::from(info.requesting_thread.is_some()) << 1;
    let mut record = out.record();
    record
        .u32(validity)
        .u32(info.dump_thread.unwrap_or(0))
        .u32(info.requesting_thread.unwrap_or(0));
    record.bytes
}

/// Stream 0x4767000A, the dynamic linker's list. Pointers have the width of the dump's architecture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DsoDebug {
    /// r_debug.r_version.
    pub version: u32,
    /// r_debug.r_brk.
    pub breakpoint: u64,
    /// r_debug.r_ldbase.
    pub loader_base: u64,
    /// Address of the dynamic section.
    pub dynamic: u64,
    /// link_map entries: load address, path, address of the dynamic section.
    pub objects: Vec<(u64, String, u64)>,
}

pub(super) fn write_dso_debug(debug: &DsoDebug, pointer_size: usize, out: &mut Out) -> Vec<u8> {
    let mut maps = out.record();
    let mut record = out.record();
    for (address, path, dynamic) in &debug.objects {
        let path = out.utf8(path);
        maps.pointer(*address, pointer_size).u32(path).pointer(*dynamic, pointer_size);
    }
    let maps = out.put_some(&maps.bytes);
    record.u32s(&[debug.version, maps.rva, debug.objects.len() as u32]);
    for value in [debug.breakpoint, debug.loader_base, debug.dynamic] {
        record.pointer(value, pointer_size);
    }
    record.bytes
}

/// One line of /proc/PID/maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after the mapping.
    pub end: u64,
    /// `rwxp`, `r--s`…
    pub permissions: &'static str,
    /// Offset in the file.
    pub offset: u64,
    /// Inode number; 0 for anonymous memory.
    pub inode: u64,
    /// File, `[stack]`, `[anon:…]` or empty.
    pub path: String,
}

impl Mapping {
    /// A mapping from offset 0; a path that starts with `/` gets an inode.
    pub fn new(start: u64, end: u64, permissions: &'static str, path: &str) -> Self {
        Mapping {
            start,
            end,
            permissions,
            offset: 0,
            inode: if path.starts_with('/') { 1234 } else { 0 },
            path: path.to_owned(),
        }
    }
}

/// The text of a maps file, for [`DumpBuilder::linux_maps`](super::DumpBuilder::linux_maps).
pub fn maps_text(mappings: &[Mapping]) -> String {
    let mut text = String::new();
    for mapping in mappings {
        let device = if mapping.inode == 0 { "00:00" } else { "08:01" };
        let line = format!(
            "{:08x}-{:08x} {} {:08x} {device} {}",
            mapping.start, mapping.end, mapping.permissions, mapping.offset, mapping.inode
        );
        // The kernel pads to the path's column; a line without a path ends in one space.
        let _ = match mapping.path.as_str() {
            "" => writeln!(text, "{line} "),
            path => writeln!(text, "{line:<73}{path}"),
        };
    }
    text
}
