//! Where a dump is unpacked to: memory while it is small, then a temporary
//! file. Runs of zeros, of which dumps have many, take no room in the file.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::mem;

use crate::error::{Error, Result};
use crate::source::Source;

/// Dumps up to this size stay in memory.
const IN_MEMORY: usize = 8 << 20;

/// What a file system can leave out of a file.
const BLOCK: usize = 4096;

/// The bytes of one dump from its start on.
#[derive(Debug)]
pub(super) enum Store {
    Memory(Vec<u8>),
    /// A file without a name, and how much of it was unpacked. The system
    /// removes it with its last handle, also when the process is killed.
    File(File, u64),
}

impl Store {
    pub(super) fn new() -> Store {
        Store::Memory(Vec::new())
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Store::Memory(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Store::File(_, len) => *len,
        }
    }

    /// The first bytes, while they are in memory: at least those of the first
    /// call of [`push`](Self::push).
    pub(super) fn head(&self) -> &[u8] {
        match self {
            Store::Memory(bytes) => bytes,
            Store::File(..) => &[],
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The temporary file cannot be made or written.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Store::Memory(kept) if kept.len().saturating_add(bytes.len()) <= IN_MEMORY => {
                kept.extend_from_slice(bytes);
                Ok(())
            }
            Store::Memory(kept) => {
                let kept = mem::take(kept);
                let mut file = tempfile::tempfile().map_err(no_room)?;
                write_sparse(&mut file, 0, &kept)?;
                let len = u64::try_from(kept.len()).unwrap_or(u64::MAX);
                *self = Store::File(file, len);
                self.push(bytes)
            }
            Store::File(file, len) => {
                write_sparse(file, *len, bytes)?;
                *len = len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Ok(())
            }
        }
    }

    /// The bytes so far as a source. Give it back to [`restore`](Self::restore)
    /// before more are pushed.
    ///
    /// # Errors
    /// The temporary file cannot be mapped.
    pub(super) fn lend(&mut self) -> Result<Source> {
        match self {
            Store::Memory(bytes) => Ok(Source::from_bytes(mem::take(bytes))),
            Store::File(file, len) => {
                // Zeros at the end are not written.
                file.set_len(*len).map_err(no_room)?;
                Source::map(file.try_clone().map_err(no_room)?)
            }
        }
    }

    pub(super) fn restore(&mut self, source: Source) {
        if let Store::Memory(bytes) = self {
            *bytes = source.into_bytes();
        }
    }
}

/// Writes the blocks that are not all zero.
fn write_sparse(file: &mut File, start: u64, bytes: &[u8]) -> Result<()> {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let block = u64::try_from(BLOCK).unwrap_or(u64::MAX);
    let mut offset = start;
    let mut rest = bytes;
    let mut pending: &[u8] = &[];
    let mut pending_at = start;
    while !rest.is_empty() {
        let to_edge = block.saturating_sub(offset.checked_rem(block).unwrap_or(0));
        let size = rest.len().min(usize::try_from(to_edge).unwrap_or(BLOCK));
        let (part, after) = rest.split_at(size);
        if ZEROS.get(..size) == Some(part) {
            write_at(file, pending_at, pending)?;
            pending = &[];
        } else if pending.is_empty() {
            (pending, pending_at) = (part, offset);
        } else {
            let end = pending.len().saturating_add(size);
            let from = usize::try_from(pending_at.saturating_sub(start)).unwrap_or(0);
            pending = bytes.get(from..from.saturating_add(end)).unwrap_or(part);
        }
        offset = offset.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        rest = after;
    }
    write_at(file, pending_at, pending)
}

fn write_at(file: &mut File, offset: u64, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes)).map_err(no_room)
}

fn no_room(error: std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    Error::archive(
        format!("cannot unpack to a temporary file in {}: {error}", folder.display()),
        "set TMPDIR (TEMP on Windows) to a folder with room, or unpack the archive yourself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_comes_back() {
        let mut store = Store::new();
        let mut expected = Vec::new();
        // Sizes that meet the block's edges in every way; half of it zeros.
        for round in 0..3_000_usize {
            let size = round * 37 % 9_001;
            let value = if round / 7 % 2 == 0 { 0 } else { (round % 251) as u8 };
            let bytes = vec![value; size];
            store.push(&bytes).unwrap();
            expected.extend(bytes);
        }
        store.push(&[0; 5000]).unwrap();
        expected.extend([0; 5000]);
        assert!(matches!(store, Store::File(..)), "{} bytes are too few", expected.len());
        assert_eq!(store.len(), expected.len() as u64);
        let source = store.lend().unwrap();
        assert!(source.slice(0, source.len()) == Some(&expected[..]));
    }
}
