//! Files that are one stream of compressed bytes: gzip and zstd.

use std::io::{self, BufRead, BufReader, Read};

use super::walk::Place;
use crate::dump::bytes::{u8_at, u16_at, u32_at, u64_at};
use flate2::Crc;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How much is read from a file at a time.
pub(super) const BUFFER: usize = 64 << 10;

/// The content of a gzip file, of all its parts.
pub(super) fn gzip<'r>(input: impl Read + 'r) -> Box<dyn Read + 'r> {
    Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, input)))
}

/// The content of a zstd file, of all its frames.
pub(super) fn zstd<'r>(input: impl Read + 'r) -> Box<dyn Read + 'r> {
    Box::new(Zstd::new(BufReader::with_capacity(BUFFER, input)))
}

/// The last four bytes of what a reader gives. All of it counts as unpacked.
pub(super) fn last_of(content: &mut dyn Read, place: Place<'_>) -> Option<[u8; 4]> {
    // The last four so far, and what is read behind them.
    let mut bytes = vec![0; BUFFER];
    let mut size = 0_usize;
    loop {
        match content.read(bytes.get_mut(4..)?) {
            Ok(0) => break,
            Ok(got) => {
                place.spend(u64::try_from(got).unwrap_or(u64::MAX)).ok()?;
                bytes.copy_within(got..got.checked_add(4)?, 0);
                size = size.saturating_add(got);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    bytes.first_chunk().copied().filter(|_| size >= 4)
}

/// The size that the first frame of a zstd file states: of all of the file
/// when that is its only frame. Source: RFC 8878, section 3.1.1.1.
pub(super) fn zstd_content_size(head: &[u8]) -> Option<u64> {
    let descriptor = u8_at(head, 4)?;
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary = match descriptor & 3 {
        3 => 4,
        size => usize::from(size),
    };
    let at = window.saturating_add(dictionary).saturating_add(5);
    match descriptor >> 6 {
        0 if single_segment => u8_at(head, at).map(u64::from),
        0 => None,
        1 => u16_at(head, at).map(|size| u64::from(size).saturating_add(256)),
        2 => u32_at(head, at).map(u64::from),
        _ => u64_at(head, at),
    }
}

/// Frames one after another, and those that are to be skipped between them.
pub(super) struct Zstd<R> {
    input: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(input: R) -> Zstd<R> {
        Zstd { input, decoder: FrameDecoder::new(), in_frame: false }
    }

    /// Goes to the next frame; false at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        use FrameDecoderError::ReadFrameHeaderError as Header;
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.input) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(Header(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.input).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(invalid(error)),
            }
        }
        Ok(false)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.in_frame = false;
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(invalid("the checksum of a zstd frame is wrong"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame && !self.next_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(invalid)?;
            }
            match self.decoder.read(buffer)? {
                0 => self.end_frame()?,
                got => return Ok(got),
            }
        }
    }
}

/// Compares what was read with a CRC-32 at its end.
pub(super) struct Checked<R> {
    input: R,
    crc: Crc,
    stated: u32,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(input: R, stated: u32) -> Checked<R> {
        Checked { input, crc: Crc::new(), stated }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        if got == 0 && !buffer.is_empty() && self.crc.sum() != self.stated {
            return Err(invalid("the checksum is wrong"));
        }
        self.crc.update(buffer.get(..got).unwrap_or(&[]));
        Ok(got)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_state_their_size_or_do_not() {
        let of = |rest: &[u8]| zstd_content_size(&[b"\x28\xb5\x2f\xfd".as_slice(), rest].concat());
        assert_eq!(of(&[0x00, 0x58]), None);
        assert_eq!(of(&[0x20, 7]), Some(7));
        assert_eq!(of(&[0x40, 0x58, 1, 0]), Some(257));
        assert_eq!(of(&[0x81, 0x58, 9, 1, 2, 0, 0]), Some(0x201));
        assert_eq!(of(&[0xe3, 9, 9, 9, 9, 1, 0, 0, 0, 0, 0, 0, 1]), Some(1 << 56 | 1));
        assert_eq!(of(&[0xc0, 0x58, 1, 0]), None);
    }
}
