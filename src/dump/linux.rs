//! The Linux streams beside the maps. Sources: /proc/PID/status
//! (0x47670004), the auxiliary vector (8) and the loader's list of libraries
//! (0xa). The command line (6) and the environment (7) may hold secrets and
//! are not read.

use super::bytes::{index, length, u32_at, u64_at};
use super::linux_maps::LinuxMaps;
use super::strings::{self, NameAt};
use super::{PointerWidth, StreamReader, SystemInfo, linux_maps, stream_type};

/// What the Linux streams say beside the maps.
#[derive(Clone, Debug, Default)]
pub struct LinuxDump {
    /// /proc/PID/maps, when the dump has it.
    pub maps: Option<LinuxMaps>,
    /// `Name:` of /proc/PID/status.
    pub process_name: Option<String>,
    /// `Tgid:` of /proc/PID/status, the process; else its `Pid:`, which is a
    /// thread's where the writer read /proc/TID/status.
    pub process_id: Option<u32>,
    /// Auxiliary vector: type and value, up to AT_NULL.
    pub auxv: Vec<(u64, u64)>,
    /// The loader's list: base address and file name of each library.
    pub libraries: Vec<(u64, String)>,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>) -> LinuxDump {
    let mut linux = LinuxDump { maps: linux_maps::read(reader), ..LinuxDump::default() };
    if let Some(stream) = reader.stream(stream_type::LINUX_PROC_STATUS) {
        let value = |key| status_value(stream.bytes, key);
        let number = |key| value(key).and_then(|text| text.parse().ok());
        linux.process_name = value("Name").filter(|name| !name.is_empty());
        linux.process_id = number("Tgid").or_else(|| number("Pid"));
    }
    linux
}

/// `Key:\tvalue`, one a line.
fn status_value(text: &[u8], key: &str) -> Option<String> {
    // The kernel's is under 2 KiB; the keys wanted are its first lines.
    let text = text.get(..64 << 10).unwrap_or(text);
    let mut lines = text.split(|byte| matches!(byte, b'\n' | 0));
    let value = lines.find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b":"))?;
    Some(String::from_utf8_lossy(value.trim_ascii()).into_owned())
}

impl LinuxDump {
    /// Reads what needs the pointer width: auxv and the loader's list.
    pub(super) fn settle(&mut self, reader: &mut StreamReader<'_, '_>, system: &SystemInfo) {
        if let Some(stream) = reader.stream(stream_type::LINUX_AUXV) {
            self.auxv = read_auxv(stream.bytes, system.width, reader.limits.entries);
        }
        self.libraries = read_libraries(reader, system.width);
    }
}

fn read_auxv(bytes: &[u8], width: PointerWidth, limit: usize) -> Vec<(u64, u64)> {
    let pair = |entry: &[u8]| match width {
        PointerWidth::Bits32 => Some((u32_at(entry, 0)?.into(), u32_at(entry, 4)?.into())),
        PointerWidth::Bits64 => Some((u64_at(entry, 0)?, u64_at(entry, 8)?)),
    };
    let entries = bytes.chunks_exact(width.bytes().saturating_mul(2));
    entries.take(limit).map_while(pair).take_while(|(kind, _)| *kind != 0).collect()
}

/// MDRawDebug: version, file offset and number of link_map entries; the rest
/// is not needed.
fn read_libraries(reader: &mut StreamReader<'_, '_>, width: PointerWidth) -> Vec<(u64, String)> {
    const KIND: u32 = stream_type::LINUX_DSO_DEBUG;
    let Some(stream) = reader.stream(KIND) else { return Vec::new() };
    let (Some(rva), Some(promised)) = (u32_at(stream.bytes, 4), u32_at(stream.bytes, 8)) else {
        reader.issue(KIND, stream.offset, || {
            format!("{} bytes hold no list of libraries", stream.bytes.len())
        });
        return Vec::new();
    };
    let (rva, promised) = (u64::from(rva), index(promised));
    let Some(stride) = entry_size(reader, width, rva, promised) else {
        if promised > 0 {
            reader.issue(KIND, stream.offset, || {
                format!("no layout fits the {promised} libraries at {rva:#x}; not used")
            });
        }
        return Vec::new();
    };
    let wanted = promised.min(reader.limits.entries).saturating_mul(stride);
    let entries = reader.source.slice_clipped(rva, length(wanted)).chunks_exact(stride);
    if entries.len() < promised {
        let there = entries.len();
        reader.issue(KIND, stream.offset, || {
            format!("the list promises {promised} libraries, {there} are there and used")
        });
    }
    let mut libraries = Vec::new();
    for (number, entry) in entries.enumerate() {
        let Some((address, name)) = link_map(entry, width) else { break };
        let place = rva.saturating_add(length(number.saturating_mul(stride)));
        let name = NameAt { kind: KIND, place, what: "library name", rva: name };
        libraries.push((address, strings::utf16(reader, name).unwrap_or_default()));
    }
    libraries
}

/// Base address and the file offset of the name.
fn link_map(entry: &[u8], width: PointerWidth) -> Option<(u64, u64)> {
    Some(match width {
        PointerWidth::Bits32 => (u32_at(entry, 0)?.into(), u32_at(entry, 4)?.into()),
        PointerWidth::Bits64 => (u64_at(entry, 0)?, u32_at(entry, 8)?.into()),
    })
}

/// Breakpad's 64-bit writers align the entries to 24 bytes, the Rust writer
/// packs them to 20 bytes. Nothing in the stream says which: the layout is
/// the one whose names can be read.
fn entry_size(
    reader: &StreamReader<'_, '_>,
    width: PointerWidth,
    rva: u64,
    promised: usize,
) -> Option<usize> {
    let sizes: &[usize] = match width {
        PointerWidth::Bits32 => &[12],
        PointerWidth::Bits64 => &[24, 20],
    };
    let readable = |stride: usize| {
        let probed = promised.min(16);
        let bytes = reader.source.slice_clipped(rva, length(probed.saturating_mul(stride)));
        let entries = bytes.chunks_exact(stride);
        entries
            .filter(|entry| is_name(reader, link_map(entry, width).map(|(_, name)| name)))
            .count()
    };
    let best = sizes.iter().rev().max_by_key(|stride| readable(**stride))?;
    (readable(*best) > 0).then_some(*best)
}

fn is_name(reader: &StreamReader<'_, '_>, rva: Option<u64>) -> bool {
    let Some(rva) = rva.filter(|rva| *rva >= 32) else { return false };
    let size = reader.source.slice(rva, 4).and_then(|bytes| u32_at(bytes, 0));
    // PATH_MAX is 4096 bytes, here two bytes each.
    size.is_some_and(|size| {
        size <= 8192
            && size % 2 == 0
            && reader.source.slice(rva.saturating_add(4), size.into()).is_some()
    })
}

#[cfg(test)]
mod tests {
    use crate::dump::tests::{Bytes, longs, messages, read, words};

    const AMD64: u16 = 9;
    const X86: u16 = 0;

    #[test]
    fn status_gives_name_and_process() {
        let cases = [
            ("Name:\tcat\nTgid:\t12\nPid:\t13\n", Some("cat"), Some(12)),
            ("Name:\tmy app\nPid:\t13", Some("my app"), Some(13)),
            ("PPid:\t1\nTracerPid:\t0\n", None, None),
            ("Name:\nPid:\tx\n\0\0", None, None),
        ];
        for (text, name, id) in cases {
            let dump = Bytes::new().stream(0x4767_0004, text).finish();
            read(&dump, |dump| {
                assert_eq!((dump.linux.process_name.as_deref(), dump.linux.process_id), (name, id));
            });
        }
    }

    #[test]
    fn auxv_ends_at_null() {
        let auxv = longs([6, 4096, 9, 0x40_1000, 0, 0, 7, 7, 1]);
        let dump = Bytes::new().system(AMD64, 0x8201).stream(0x4767_0008, auxv).finish();
        read(&dump, |dump| assert_eq!(dump.linux.auxv, [(6, 4096), (9, 0x40_1000)]));
        let auxv = words([6, 4096, 9, 0x40_1000, 7]);
        let dump = Bytes::new().system(X86, 0x8201).stream(0x4767_0008, auxv).finish();
        read(&dump, |dump| assert_eq!(dump.linux.auxv, [(6, 4096), (9, 0x40_1000)]));
    }

    /// Two libraries, the first without a name, in this layout.
    fn libraries(arch: u16, entry: impl Fn(u64, u32) -> Vec<u8>) -> Vec<u8> {
        let mut bytes = Bytes::new();
        let [none, name] = ["", "/lib/ld.so"].map(|text| bytes.name(text));
        let map = bytes.data([entry(0, none), entry(0x7f00_0000, name)].concat());
        let stream = [words([1, map, 2]), vec![0; 28]].concat();
        bytes.system(arch, 0x8201).stream(0x4767_000a, stream).finish()
    }

    #[test]
    fn the_loaders_list_in_its_three_layouts() {
        let packed = |base, name| [longs([base]), words([name]), longs([5])].concat();
        let aligned = |base, name| [longs([base]), words([name, 0xee]), longs([5])].concat();
        let narrow = |base, name| words([u32::try_from(base).unwrap(), name, 5]);
        let dumps = [libraries(AMD64, packed), libraries(AMD64, aligned), libraries(X86, narrow)];
        for dump in dumps {
            read(&dump, |dump| {
                let expected = [(0, String::new()), (0x7f00_0000, "/lib/ld.so".into())];
                assert_eq!((&dump.linux.libraries[..], messages(dump).len()), (&expected[..], 0));
            });
        }
    }

    #[test]
    fn a_hostile_list_is_an_issue() {
        for head in [[1, 32, u32::MAX], [1, 0xffff_fff0, 5]] {
            let stream = [words(head), vec![0; 24]].concat();
            let dump = Bytes::new().system(AMD64, 0x8201).stream(0x4767_000a, stream).finish();
            read(&dump, |dump| {
                assert!(dump.linux.libraries.len() < 20);
                assert!(!messages(dump).is_empty());
            });
        }
        let cut = Bytes::new().stream(0x4767_000a, words([1, 32])).finish();
        read(&cut, |dump| assert_eq!(messages(dump).len(), 1));
    }
}
