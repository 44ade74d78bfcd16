//! A reader for what a crate keeps in memory, whatever the archive claims.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

/// Reads no more than what is left.
pub(super) struct Bounded<'c, R> {
    pub(super) input: R,
    pub(super) left: &'c Cell<u64>,
    /// What to say of more.
    pub(super) too_much: &'static str,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        let left = self.left.get().checked_sub(u64::try_from(got).unwrap_or(u64::MAX));
        let left = left.ok_or_else(|| io::Error::other(self.too_much))?;
        self.left.set(left);
        Ok(got)
    }
}

impl<R: Seek> Seek for Bounded<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}
