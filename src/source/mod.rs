//! The bytes of a dump: where they come from, and nothing about what they mean.
//!
//! Streams are borrowed from a mapped or whole-read file with
//! [`Source::slice`]; memory contents are copied with positioned reads
//! ([`Source::read_at`]). Those of large files never go through the map: the
//! kernel's read-ahead turned 1.2 MB of needed pages into 1.77 GB of disk
//! reads, and every touched page would count as memory of ours. Runs over many
//! dumps map nothing ([`Source::open_positioned`]).

mod format;
mod mapped;
mod positioned;

pub use format::FileFormat;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use mapped::MappedFile;
use positioned::PositionedFile;

/// Files up to this size are read whole: one read beats mapping and faulting.
const READ_WHOLE: u64 = 1 << 20;

/// Up to this size contents are taken from the map, too: the whole of such a
/// file may be touched without harm, and that is cheaper than a call.
const COPY_FROM_MAP: u64 = 32 << 20;

/// The most bytes that are taken from a pipe: all of them are held in memory.
pub const STREAMED: u64 = 4 << 30;

/// The bytes of one dump.
#[derive(Debug)]
pub struct Source {
    bytes: Bytes,
    /// The size of the dump; more than there are bytes for a prefix.
    len: u64,
    /// How far streams were asked for past the bytes of a prefix.
    wanted: AtomicU64,
    name: Option<OsString>,
    damage: Option<String>,
}

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(MappedFile),
    Positioned(PositionedFile),
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
            return Source::map(file);
        }
        if !metadata.is_file() || metadata.len() == 0 {
            return Source::from_reader(file);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        Ok(Source::of(Bytes::Owned(bytes)))
    }

    /// A file that is open already, mapped whole.
    pub(crate) fn map(file: File) -> Result<Source> {
        let mapped = MappedFile::map(file);
        Ok(Source::of(Bytes::Mapped(mapped.map_err(|e| Error::io("cannot read the file", e))?)))
    }

    /// Opens a file for positioned reads only: nothing is mapped, and no more
    /// is read than what is asked for. A file that becomes shorter meanwhile
    /// is a [`failure`](Self::failure), not the end of the program.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_positioned(path: &Path) -> Result<Source> {
        let failed = |error| Error::io("cannot read the file", error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        // Pipes and devices have no size, nor have the files of /proc.
        if !metadata.is_file() || metadata.len() == 0 {
            return Source::open(path);
        }
        let file = PositionedFile::open(file, metadata.len()).map_err(failed)?;
        Ok(Source::of(Bytes::Positioned(file)))
    }

    /// Reads a dump or an archive from a pipe or another reader, whole and into
    /// memory. Of anything else only the start is read: it may have no end.
    ///
    /// # Errors
    /// The reader fails, or gives more than [`STREAMED`] bytes.
    pub fn from_reader(reader: impl Read) -> Result<Source> {
        let bytes = read_stream(reader, STREAMED)?;
        Ok(Source::of(Bytes::Owned(bytes)))
    }

    /// A dump that is already in memory.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Source {
        Source::of(Bytes::Owned(bytes.into()))
    }

    /// The first bytes of a dump of `len` bytes: all that its streams need,
    /// for an analysis at [`Depth::Streams`](crate::limits::Depth::Streams).
    /// What lies behind them counts as there and not read, never as cut off.
    pub fn prefix(bytes: impl Into<Vec<u8>>, len: u64) -> Source {
        Source::from_bytes(bytes).claiming(len)
    }

    fn of(bytes: Bytes) -> Source {
        let mut source =
            Source { bytes, len: 0, wanted: AtomicU64::new(0), name: None, damage: None };
        source.len = source.unpacked();
        source
    }

    /// As the prefix of a dump of `len` bytes; never shorter than its bytes.
    fn claiming(mut self, len: u64) -> Source {
        self.len = len.max(self.unpacked());
        self
    }

    /// With the name that reports show instead of the path it was opened by.
    pub fn named(mut self, name: impl Into<OsString>) -> Source {
        self.name = Some(name.into());
        self
    }

    /// Another name than the path it was opened by: the path of a dump within
    /// an archive.
    pub fn name(&self) -> Option<&OsStr> {
        self.name.as_deref()
    }

    /// What was wrong with the archive that the bytes come from.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// The size of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether all bytes of the file can be read: not so for a prefix.
    pub fn is_whole(&self) -> bool {
        self.unpacked() == self.len
    }

    /// How many bytes from the start can be read.
    pub fn unpacked(&self) -> u64 {
        match &self.bytes {
            Bytes::Owned(bytes) => length(bytes),
            Bytes::Mapped(file) => length(file.bytes()),
            Bytes::Positioned(file) => file.len(),
        }
    }

    /// Why bytes that the file had when it was opened could not be read:
    /// everything that was made of it since is then worth nothing.
    pub fn failure(&self) -> Option<Error> {
        let Bytes::Positioned(file) = &self.bytes else { return None };
        let error = file.failure()?;
        let same = io::Error::new(error.kind(), error.to_string());
        Some(Error::io("cannot read the file", same))
    }

    /// Says which parts of the file will be asked for: offsets of their first
    /// bytes and of the ones behind their last. A file that is read by
    /// position reads the beginning up to there at once.
    pub(crate) fn expect(&self, ranges: impl Iterator<Item = (u64, u64)>) {
        if let Bytes::Positioned(file) = &self.bytes {
            file.expect(ranges);
        }
    }

    /// `size` bytes at `offset`, or `None` when the file is too short for all
    /// of them. What is asked for may be read from the file whole: a size that
    /// a dump claims is clipped by the caller to what it can use.
    pub fn slice(&self, offset: u64, size: u64) -> Option<&[u8]> {
        let bytes = match &self.bytes {
            Bytes::Owned(bytes) => part(bytes, offset, size),
            Bytes::Mapped(file) => part(file.bytes(), offset, size),
            Bytes::Positioned(file) => file.slice(offset, size),
        };
        if bytes.is_none() {
            self.want(offset, size);
        }
        bytes
    }

    /// Notes that bytes are missing which the whole file has.
    #[cold]
    fn want(&self, offset: u64, size: u64) {
        let end = offset.saturating_add(size);
        if end <= self.len {
            self.wanted.fetch_max(end, Ordering::Relaxed);
        }
    }

    /// Whether the file has `size` bytes at `offset`.
    pub fn holds(&self, offset: u64, size: u64) -> bool {
        offset.checked_add(size).is_some_and(|end| end <= self.len())
    }

    /// As many of the `size` bytes at `offset` as the file has.
    pub fn slice_clipped(&self, offset: u64, size: u64) -> &[u8] {
        let left = self.len().saturating_sub(offset);
        self.slice(offset, size.min(left)).unwrap_or(&[])
    }

    /// `size` bytes of contents at `offset` without a copy, where
    /// [`read_at`](Self::read_at) would copy from memory; `None` where it
    /// would read from the file, and where not all of them are there.
    pub(crate) fn lend(&self, offset: u64, size: u64) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Owned(bytes) => part(bytes, offset, size),
            Bytes::Mapped(file) if self.len() <= COPY_FROM_MAP => part(file.bytes(), offset, size),
            Bytes::Mapped(_) | Bytes::Positioned(_) => None,
        }
    }

    /// Copies bytes at `offset` into `buffer`: how many is in the answer,
    /// less than asked at the end of the file, or of the prefix.
    ///
    /// # Errors
    /// The operating system cannot read the file.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.bytes {
            Bytes::Mapped(file) if self.len() > COPY_FROM_MAP => file.read_at(offset, buffer),
            Bytes::Positioned(file) => file.read_at(offset, buffer),
            _ => {
                let size = self.unpacked().saturating_sub(offset);
                let size = size.min(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
                let bytes = self.lend(offset, size).unwrap_or(&[]);
                if let Some(target) = buffer.get_mut(..bytes.len()) {
                    target.copy_from_slice(bytes);
                }
                Ok(bytes.len())
            }
        }
    }
}

/// What the reading of archives needs, and nothing else.
#[cfg(feature = "archives")]
impl Source {
    /// As the start of a dump that may go on for ever.
    pub(crate) fn endless(self) -> Source {
        self.claiming(u64::MAX)
    }

    /// As the start of a dump of `len` bytes, and with what was wrong where
    /// they come from; that becomes an issue.
    pub(crate) fn unpacked_from(self, len: u64, damage: Option<String>) -> Source {
        Source { damage, ..self.claiming(len) }
    }

    /// How far [`slice`](Self::slice) was asked for bytes that the file has
    /// and this prefix of it does not; 0 when it never was.
    pub(crate) fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::Relaxed)
    }

    /// The bytes of a dump in memory, to be added to; none of a file.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self.bytes {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(_) | Bytes::Positioned(_) => Vec::new(),
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn part(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// Fills `buffer` from `offset`; fewer bytes at the end of the file.
fn read_fully(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0_usize;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        match read_once(file, rest, at) {
            Ok(0) => break,
            Ok(count) => done = done.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(unix)]
fn read_once(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_once(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

fn read_stream(mut reader: impl Read, most: u64) -> Result<Vec<u8>> {
    const START: u64 = 4096;
    let failed = |error| Error::io("cannot read the input", error);
    let mut bytes = Vec::new();
    reader.by_ref().take(START).read_to_end(&mut bytes).map_err(failed)?;
    let format = FileFormat::of(&bytes);
    if format != FileFormat::Minidump && format.archive().is_none() {
        return Ok(bytes);
    }
    // One byte more tells whether there is more.
    reader.take(most + 1 - START).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Error::not_a_dump(
            format!("more than {} through a pipe", crate::size::human(most)),
            "write it to a file and give that",
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_bounded() {
        let mut dump = b"MDMP".to_vec();
        dump.resize(10_000, 7);
        assert_eq!(read_stream(&dump[..], 10_000).unwrap(), dump);
        let error = read_stream(&dump[..], 9_999).unwrap_err().to_string();
        assert_eq!(error, "more than 9.76 KiB through a pipe; write it to a file and give that");
        let endless = io::repeat(b'M').chain(&dump[..]);
        assert_eq!(read_stream(endless, 10_000).unwrap().len(), 4096);
    }
}
