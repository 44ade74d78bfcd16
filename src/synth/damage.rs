//! Ways to break a dump: what a stream claims, what its directory entry claims, how long the file is.

use super::bytes::ByteOrder;
use super::stream;

/// Damage to one stream, applied after its bytes are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The directory entry says this type.
    Type(u32),
    /// The directory entry says this size; the bytes stay.
    Size(u32),
    /// The directory entry says this file offset; the bytes stay.
    Rva(u32),
    /// The stream claims this many entries. No effect on a stream without a count.
    Count(u64),
    /// The stream claims this SizeOfHeader. No effect on a stream without that field.
    HeaderSize(u32),
    /// The stream claims this SizeOfEntry. No effect on a stream without that field.
    EntrySize(u32),
    /// The header is padded with zeros to this size, and says so if it has a field for it. On streams 3,
    /// 4, 5 and 8, a size of 8 is the padded form that some writers make.
    WideHeader(usize),
    /// Every entry is padded with zeros (or cut) to this size, and the header says so if it has a field.
    WideEntries(usize),
    /// The stream ends after this many bytes and its directory entry agrees.
    Cut(usize),
    /// The stream is followed by these bytes, which the directory entry includes.
    Trailing(Vec<u8>),
    /// Bytes are replaced at an offset in the stream, or appended where it ends.
    Patch {
        /// Offset in the stream.
        offset: usize,
        /// What is written there.
        bytes: Vec<u8>,
    },
    /// A second directory entry points to the same bytes.
    Duplicate,
    /// The file ends at this offset in the stream.
    EndOfFile(usize),
}

/// Where the sizes and the count of a list stream are.
struct Shape {
    header: usize,
    entry: usize,
    count_at: usize,
    count_bytes: usize,
    header_size_at: Option<usize>,
    entry_size_at: Option<usize>,
}

fn shape(stream_type: u32) -> Option<Shape> {
    let plain = |entry| Shape {
        header: 4,
        entry,
        count_at: 0,
        count_bytes: 4,
        header_size_at: None,
        entry_size_at: None,
    };
    let sized = |header, entry| Shape {
        header,
        entry,
        count_at: 8,
        header_size_at: Some(0),
        entry_size_at: Some(4),
        ..plain(entry)
    };
    Some(match stream_type {
        stream::THREAD_LIST => plain(48),
        stream::MODULE_LIST => plain(108),
        stream::MEMORY_LIST => plain(16),
        stream::THREAD_EX_LIST => plain(64),
        stream::THREAD_NAMES => plain(12),
        stream::MEMORY64_LIST => Shape { header: 16, count_bytes: 8, ..plain(16) },
        stream::HANDLE_DATA => sized(16, 40),
        stream::FUNCTION_TABLE => Shape { count_at: 16, ..sized(24, 32) },
        stream::UNLOADED_MODULE_LIST => sized(12, 24),
        stream::MEMORY_INFO_LIST => Shape { count_bytes: 8, ..sized(16, 48) },
        stream::THREAD_INFO_LIST => sized(12, 64),
        stream::TOKEN => Shape {
            count_at: 4,
            header_size_at: Some(8),
            entry_size_at: Some(12),
            ..sized(16, 0x48)
        },
        _ => return None,
    })
}

impl Damage {
    /// Applies the kinds that change the stream's own bytes.
    pub(super) fn apply(&self, stream_type: u32, mut bytes: Vec<u8>, order: ByteOrder) -> Vec<u8> {
        match self {
            Damage::Cut(size) => bytes.truncate(*size),
            Damage::Trailing(tail) => bytes.extend_from_slice(tail),
            Damage::Patch { offset, bytes: patch } => overwrite(&mut bytes, *offset, patch),
            Damage::Count(_)
            | Damage::HeaderSize(_)
            | Damage::EntrySize(_)
            | Damage::WideHeader(_)
            | Damage::WideEntries(_) => {
                if let Some(shape) = shape(stream_type) {
                    self.apply_to_list(&mut bytes, &shape, order);
                }
            }
            Damage::Type(_)
            | Damage::Size(_)
            | Damage::Rva(_)
            | Damage::Duplicate
            | Damage::EndOfFile(_) => {}
        }
        bytes
    }

    fn apply_to_list(&self, bytes: &mut Vec<u8>, shape: &Shape, order: ByteOrder) {
        let set = |bytes: &mut Vec<u8>, at: Option<usize>, size: usize, value: u64| {
            if let Some(at) = at {
                overwrite(bytes, at, &encode(value, size, order));
            }
        };
        match *self {
            Damage::Count(count) => set(bytes, Some(shape.count_at), shape.count_bytes, count),
            Damage::HeaderSize(size) => set(bytes, shape.header_size_at, 4, u64::from(size)),
            Damage::EntrySize(size) => set(bytes, shape.entry_size_at, 4, u64::from(size)),
            Damage::WideHeader(size) => {
                let padding = size.saturating_sub(shape.header);
                let at = shape.header.min(bytes.len());
                bytes.splice(at..at, std::iter::repeat_n(0, padding));
                set(bytes, shape.header_size_at, 4, size as u64);
            }
            Damage::WideEntries(size) => {
                let entries = bytes.split_off(shape.header.min(bytes.len()));
                for entry in entries.chunks(shape.entry) {
                    let mut entry = entry.to_vec();
                    entry.resize(size, 0);
                    bytes.extend_from_slice(&entry);
                }
                set(bytes, shape.entry_size_at, 4, size as u64);
            }
            _ => {}
        }
    }
}

/// Replaces bytes at an offset; what lies past the end is appended after zeros.
pub(super) fn overwrite(bytes: &mut Vec<u8>, offset: usize, patch: &[u8]) {
    let end = offset + patch.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(patch);
}

fn encode(value: u64, size: usize, order: ByteOrder) -> Vec<u8> {
    match order {
        ByteOrder::Little => value.to_le_bytes()[..size].to_vec(),
        ByteOrder::Big => value.to_be_bytes()[8 - size..].to_vec(),
    }
}
