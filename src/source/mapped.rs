//! A file mapped for its streams and read by position for its contents.
//! The only `unsafe` of the crate.

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// A mapped file, and the handle for positioned reads of it.
#[derive(Debug)]
pub(super) struct MappedFile {
    map: Mmap,
    file: File,
}

impl MappedFile {
    /// Maps the whole of `file` for reading.
    #[allow(unsafe_code)]
    pub(super) fn map(file: File) -> io::Result<MappedFile> {
        // SAFETY: the map is read-only and private to this process. Another
        // process that truncates the file while it is open can still end us
        // with SIGBUS; SECURITY.md says so, and runs over many files use
        // positioned reads instead.
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile { map, file })
    }

    /// The mapped bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Fills `buffer` from `offset`; fewer bytes at the end of the file.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        super::read_fully(&self.file, offset, buffer)
    }
}
