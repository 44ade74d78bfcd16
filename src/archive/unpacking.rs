//! One member on its way out of the archive.

use std::io::{self, Cursor, Read};

use super::meter::Meter;
use super::store::Store;
use crate::error::Result;
use crate::source::Source;

const CHUNK: usize = 64 << 10;

/// The bytes of a member that were unpacked so far, and the reader of the rest.
pub(super) struct Unpacking<'r> {
    reader: &'r mut dyn Read,
    meter: &'r Meter,
    store: Store,
    /// Bytes that were unpacked past the store, and not kept.
    counted: u64,
    end: End,
}

/// Whether more can come.
#[derive(Debug)]
enum End {
    Open,
    Ended,
    /// Nothing behind this place can be decoded.
    Damaged(String),
}

impl<'r> Unpacking<'r> {
    pub(super) fn new(reader: &'r mut dyn Read, meter: &'r Meter) -> Unpacking<'r> {
        Unpacking { reader, meter, store: Store::new(), counted: 0, end: End::Open }
    }

    /// The first bytes; see [`Store::head`].
    pub(super) fn head(&self) -> &[u8] {
        self.store.head()
    }

    /// Whether all bytes that can be decoded are kept.
    pub(super) fn is_done(&self) -> bool {
        !matches!(self.end, End::Open)
    }

    /// What ended the member before its time.
    pub(super) fn damage(&self) -> Option<&str> {
        match &self.end {
            End::Damaged(what) => Some(what),
            End::Open | End::Ended => None,
        }
    }

    /// Unpacks until `len` bytes are kept, or there are no more.
    ///
    /// # Errors
    /// A limit is reached, or there is no room. Damage is no error.
    pub(super) fn fill(&mut self, len: u64) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        while self.store.len() < len && !self.is_done() {
            let left = usize::try_from(len.saturating_sub(self.store.len())).unwrap_or(CHUNK);
            let size = left.min(CHUNK);
            let got = self.read(chunk.get_mut(..size).unwrap_or(&mut []))?;
            let bytes = chunk.get(..got).unwrap_or(&[]);
            self.meter.allow(self.store.len().saturating_add(length(bytes.len())))?;
            self.store.push(bytes)?;
        }
        Ok(())
    }

    /// Unpacks the rest and keeps none of it: how long the member is.
    ///
    /// # Errors
    /// A limit is reached.
    pub(super) fn measure(&mut self) -> Result<u64> {
        let mut chunk = vec![0; CHUNK];
        while !self.is_done() {
            let got = self.read(&mut chunk)?;
            self.counted = self.counted.saturating_add(length(got));
            self.meter.allow(self.store.len().saturating_add(self.counted))?;
        }
        Ok(self.store.len().saturating_add(self.counted))
    }

    /// The bytes kept so far as a source; see [`Store::lend`].
    ///
    /// # Errors
    /// As [`Store::lend`].
    pub(super) fn lend(&mut self) -> Result<Source> {
        self.store.lend()
    }

    pub(super) fn restore(&mut self, source: Source) {
        self.store.restore(source);
    }

    /// All bytes, from the first on, as they come: for a format that is read
    /// from its start to its end.
    pub(super) fn replay(mut self) -> io::Result<Replay<'r>> {
        let source = self.store.lend().map_err(io::Error::other)?;
        Ok(Replay { head: Cursor::new(source.into_bytes()), rest: self })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(0) => {
                    self.end = End::Ended;
                    return Ok(0);
                }
                Ok(got) => {
                    self.meter.spend(length(got))?;
                    return Ok(got);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // An archive around this one may have reached its limit.
                    self.meter.spend(0)?;
                    self.end = End::Damaged(error.to_string());
                    return Ok(0);
                }
            }
        }
    }
}

/// See [`Unpacking::replay`].
pub(super) struct Replay<'r> {
    head: Cursor<Vec<u8>>,
    rest: Unpacking<'r>,
}

impl Read for Replay<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 if buffer.is_empty() => Ok(0),
            0 => match self.rest.read(buffer).map_err(io::Error::other)? {
                0 => {
                    self.rest.damage().map_or(Ok(0), |what| Err(io::Error::other(what.to_owned())))
                }
                got => Ok(got),
            },
            got => Ok(got),
        }
    }
}

fn length(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
