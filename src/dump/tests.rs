//! Small dumps by hand, for the tests of the readers.

use super::*;

/// A file in the making: data first, the directory at its end.
pub(crate) struct Bytes {
    file: Vec<u8>,
    directory: Vec<[u32; 3]>,
}

impl Bytes {
    /// A header, and nothing yet.
    pub(crate) fn new() -> Bytes {
        Bytes { file: vec![0; 32], directory: Vec::new() }
    }

    /// Data that a stream points to: where it is.
    pub(crate) fn data(&mut self, bytes: impl AsRef<[u8]>) -> u32 {
        let rva = u32::try_from(self.file.len()).unwrap();
        self.file.extend_from_slice(bytes.as_ref());
        rva
    }

    /// A MINIDUMP_STRING.
    pub(crate) fn name(&mut self, text: &str) -> u32 {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let size = u32::try_from(units.len()).unwrap();
        self.data([size.to_le_bytes().to_vec(), units, vec![0, 0]].concat())
    }

    pub(crate) fn stream(mut self, kind: u32, bytes: impl AsRef<[u8]>) -> Bytes {
        let size = u32::try_from(bytes.as_ref().len()).unwrap();
        let rva = self.data(bytes);
        self.directory.push([kind, size, rva]);
        self
    }

    /// A SystemInfo stream of this architecture and platform.
    pub(crate) fn system(self, arch: u16, platform: u32) -> Bytes {
        let mut record = [0; 56];
        record[..2].copy_from_slice(&arch.to_le_bytes());
        record[0x14..0x18].copy_from_slice(&platform.to_le_bytes());
        self.stream(stream_type::SYSTEM_INFO, record)
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let directory = words(self.directory.iter().flatten().copied());
        let rva = self.data(directory);
        let count = u32::try_from(self.directory.len()).unwrap();
        self.file[..4].copy_from_slice(b"MDMP");
        self.file[4..16].copy_from_slice(&words([0xa793, count, rva]));
        self.file
    }
}

/// 32-bit numbers as bytes.
pub(crate) fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// 64-bit numbers as bytes.
pub(crate) fn longs(longs: impl IntoIterator<Item = u64>) -> Vec<u8> {
    longs.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Reads a dump and asks it something.
pub(crate) fn read<T>(bytes: &[u8], ask: impl FnOnce(&Dump<'_>) -> T) -> T {
    let source = Source::from_bytes(bytes);
    ask(&Dump::read(&source, &Limits::default()).unwrap())
}

/// The messages of a dump's issues.
pub(crate) fn messages(dump: &Dump<'_>) -> Vec<String> {
    dump.issues.clone().into_vec().into_iter().map(|issue| issue.message).collect()
}
