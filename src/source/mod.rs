//! The bytes of a dump: where they come from, and nothing about what they mean.
//!
//! Streams are borrowed from a mapped or whole-read file with
//! [`Source::slice`]; memory contents are copied with positioned reads
//! ([`Source::read_at`]). Contents never go through the map: the kernel's
//! read-ahead turned 1.2 MB of needed pages into 1.77 GB of disk reads, and
//! every touched page would count as memory of ours.

mod format;
mod mapped;

pub use format::FileFormat;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};
use mapped::MappedFile;

/// Files up to this size are read whole: one read beats mapping and faulting.
const READ_WHOLE: u64 = 1 << 20;

/// Up to this size contents are copied from the map, too: the whole of such a
/// file may be touched without harm, and a copy is cheaper than a call.
const COPY_FROM_MAP: u64 = 32 << 20;

/// The bytes of one dump.
#[derive(Debug)]
pub struct Source(Bytes);

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(MappedFile),
}

impl Source {
    /// Opens a file: small ones are read whole, large ones mapped.
    ///
    /// # Errors
    /// The file cannot be opened or read, or is a folder.
    pub fn open(path: &Path) -> Result<Source> {
        let failed = |error| Error::io("cannot read the file", error);
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::not_a_dump("this is a folder", "give the path of one dump file"));
        }
        if metadata.is_file() && metadata.len() > READ_WHOLE {
            return Ok(Source(Bytes::Mapped(MappedFile::map(file).map_err(failed)?)));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        Ok(Source(Bytes::Owned(bytes)))
    }

    /// Reads everything from a pipe or another reader.
    ///
    /// # Errors
    /// The reader fails.
    pub fn from_reader(mut reader: impl Read) -> Result<Source> {
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("cannot read the input", error))?;
        Ok(Source(Bytes::Owned(bytes)))
    }

    /// A dump that is already in memory.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Source {
        Source(Bytes::Owned(bytes.into()))
    }

    /// The size of the file in bytes.
    pub fn len(&self) -> u64 {
        u64::try_from(self.head().len()).unwrap_or(u64::MAX)
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.head().is_empty()
    }

    /// The bytes as one slice, for headers and streams.
    pub(crate) fn head(&self) -> &[u8] {
        match &self.0 {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(file) => file.bytes(),
        }
    }

    /// `size` bytes at `offset`, or `None` when the file is too short for all
    /// of them.
    pub fn slice(&self, offset: u64, size: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.head().get(start..end)
    }

    /// As many of the `size` bytes at `offset` as the file has.
    pub fn slice_clipped(&self, offset: u64, size: u64) -> &[u8] {
        let left = self.len().saturating_sub(offset);
        self.slice(offset, size.min(left)).unwrap_or(&[])
    }

    /// Copies bytes at `offset` into `buffer`: how many is in the answer,
    /// less than asked at the end of the file.
    ///
    /// # Errors
    /// The operating system cannot read the file.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Bytes::Mapped(file) if self.len() > COPY_FROM_MAP => file.read_at(offset, buffer),
            _ => {
                let wanted = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
                let bytes = self.slice_clipped(offset, wanted);
                if let Some(target) = buffer.get_mut(..bytes.len()) {
                    target.copy_from_slice(bytes);
                }
                Ok(bytes.len())
            }
        }
    }
}
