//! Bytes under construction: the dump file itself, one record of it, and a structure in the
//! memory of the process. Knows integers and byte orders, nothing about streams.

use super::Name;

/// The byte order of the file: header, directory and streams. Memory contents are copied as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// `MDMP`, what every current writer makes.
    #[default]
    Little,
    /// `PMDM`, old Breakpad dumps of PowerPC and SPARC.
    Big,
}

/// One record: integers are appended in the file's byte order.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) bytes: Vec<u8>,
    order: ByteOrder,
}

impl Record {
    pub(super) fn new(order: ByteOrder) -> Self {
        Record { bytes: Vec::new(), order }
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    /// An integer of 4 or 8 bytes.
    pub(super) fn pointer(&mut self, value: u64, size: usize) -> &mut Self {
        match size {
            4 => self.u32(value as u32),
            _ => self.u64(value),
        }
    }

    pub(super) fn u32s(&mut self, values: &[u32]) -> &mut Self {
        for &value in values {
            self.u32(value);
        }
        self
    }

    pub(super) fn u64s(&mut self, values: &[u64]) -> &mut Self {
        for &value in values {
            self.u64(value);
        }
        self
    }

    /// A size and a file offset: MINIDUMP_LOCATION_DESCRIPTOR.
    pub(super) fn location(&mut self, location: Location) -> &mut Self {
        self.u32(location.size).u32(location.rva)
    }

    /// A GUID: its first three fields are integers, so they follow the byte order.
    pub(super) fn guid(&mut self, guid: [u8; 16]) -> &mut Self {
        let [a, b, c, d, e, f, g, h, tail @ ..] = guid;
        self.u32(u32::from_be_bytes([a, b, c, d]))
            .u16(u16::from_be_bytes([e, f]))
            .u16(u16::from_be_bytes([g, h]))
            .raw(&tail)
    }

    /// A fixed array of UTF-16 units, cut or zero-filled to `units`, always ending in NUL.
    pub(super) fn wide(&mut self, text: &str, units: usize) -> &mut Self {
        let text = text.encode_utf16().chain(std::iter::repeat(0));
        for unit in text.take(units.saturating_sub(1)) {
            self.u16(unit);
        }
        self.u16(0)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn zeros(&mut self, count: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + count, 0);
        self
    }

    /// Appends zeros until the record is `size` long; does nothing when it is longer.
    pub(super) fn fill_to(&mut self, size: usize) -> &mut Self {
        self.zeros(size.saturating_sub(self.bytes.len()))
    }
}

/// MINIDUMP_LOCATION_DESCRIPTOR: where something lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Location {
    pub(super) size: u32,
    pub(super) rva: u32,
}

/// The dump file under construction. Every `put` is at the end, so file offsets are known at once.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    pub(super) order: ByteOrder,
    /// Bytes that must follow the stream being written directly: the contents of a Memory64List.
    pub(super) after_stream: Vec<u8>,
}

impl Out {
    /// An image whose first `reserved` bytes (header and directory) are filled in at the end.
    pub(super) fn new(order: ByteOrder, reserved: usize) -> Self {
        Out { bytes: vec![0; reserved], order, after_stream: Vec::new() }
    }

    pub(super) fn record(&self) -> Record {
        Record::new(self.order)
    }

    /// The offset the next 8-aligned `put` will get.
    pub(super) fn next_rva(&self) -> usize {
        self.bytes.len().next_multiple_of(8)
    }

    /// Appends bytes at the next 8-aligned offset.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Location {
        let rva = self.next_rva();
        self.bytes.resize(rva, 0);
        self.bytes.extend_from_slice(bytes);
        Location { size: bytes.len() as u32, rva: rva as u32 }
    }

    /// Appends nothing and says "absent" when there are no bytes.
    pub(super) fn put_some(&mut self, bytes: &[u8]) -> Location {
        if bytes.is_empty() { Location::default() } else { self.put(bytes) }
    }

    /// Appends a MINIDUMP_STRING (u32 byte length, UTF-16, NUL not counted) and returns its offset.
    pub(super) fn name(&mut self, name: &Name) -> u32 {
        let units: Vec<u16> = match name {
            Name::None => return 0,
            Name::At(rva) => return *rva,
            Name::Text(text) => text.encode_utf16().collect(),
            Name::Units(units) => units.clone(),
        };
        let mut record = self.record();
        record.u32(units.len() as u32 * 2);
        for &unit in units.iter().chain(&[0]) {
            record.u16(unit);
        }
        self.put(&record.bytes).rva
    }

    /// Appends a MinidumpUTF8String (u32 byte length, UTF-8, NUL not counted): Crashpad and Breakpad.
    pub(super) fn utf8(&mut self, text: &str) -> u32 {
        let mut record = self.record();
        record.u32(text.len() as u32).raw(text.as_bytes()).u8(0);
        self.put(&record.bytes).rva
    }
}

/// A structure in the memory of the process, always little-endian: fields are set by their offset.
/// Writing past the end makes it longer.
#[derive(Debug, Clone, Default)]
pub(super) struct Canvas {
    pub(super) bytes: Vec<u8>,
    /// Bytes in a pointer of this process: 4 or 8.
    pub(super) pointer: usize,
}

impl Canvas {
    pub(super) fn new(size: usize, pointer: usize) -> Self {
        Canvas { bytes: vec![0; size], pointer }
    }

    pub(super) fn set(&mut self, offset: usize, bytes: &[u8]) -> &mut Self {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        self
    }

    pub(super) fn u8(&mut self, offset: usize, value: u8) -> &mut Self {
        self.set(offset, &[value])
    }

    pub(super) fn u16(&mut self, offset: usize, value: u16) -> &mut Self {
        self.set(offset, &value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, offset: usize, value: u32) -> &mut Self {
        self.set(offset, &value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, offset: usize, value: u64) -> &mut Self {
        self.set(offset, &value.to_le_bytes())
    }

    /// A pointer-sized integer; the upper half is dropped in a 32-bit process.
    pub(super) fn ptr(&mut self, offset: usize, value: u64) -> &mut Self {
        let size = self.pointer;
        self.set(offset, &value.to_le_bytes()[..size])
    }

    /// LIST_ENTRY: Flink, Blink.
    pub(super) fn links(&mut self, offset: usize, next: u64, previous: u64) -> &mut Self {
        let size = self.pointer;
        self.ptr(offset, next).ptr(offset + size, previous)
    }

    /// Text as UTF-16 with a NUL; returns the length in bytes without it.
    pub(super) fn wide(&mut self, offset: usize, text: &str) -> usize {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.set(offset, &bytes).u16(offset + bytes.len(), 0);
        bytes.len()
    }

    /// UNICODE_STRING: length, maximum length (one NUL more), pointer.
    pub(super) fn unicode_string(
        &mut self,
        offset: usize,
        length: usize,
        buffer: u64,
    ) -> &mut Self {
        let size = self.pointer;
        self.u16(offset, length as u16)
            .u16(offset + 2, length as u16 + 2)
            .ptr(offset + size, buffer)
    }
}
