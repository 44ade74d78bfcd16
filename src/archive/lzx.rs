//! LZX as cabinets have it: the crate's decoder, and the translation of calls.
//! The crate (0.2.7) has that, too, but gives a call whose target is the first
//! byte of the folder another one.
//!
//! Source: \[MS-PATCH\], E8 call translation.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lzxd::{Lzxd, WindowSize};

use crate::dump::bytes::u16_at;

/// An instruction's opcode; four bytes follow, the distance to its target.
const CALL: u8 = 0xe8;
/// No call begins in the last bytes of a block.
const NO_CALL: usize = 10;
/// Behind this many bytes calls are not translated.
const CALLS_END: u64 = 1 << 30;

/// The decoder of a folder.
pub(super) struct Lzx {
    decoder: Box<Lzxd>,
    calls: Calls,
    /// Where the next block begins.
    at: u64,
}

/// Whether calls have the addresses of their targets in place of distances.
enum Calls {
    /// The first block says.
    NotRead,
    Plain,
    /// In a file that is said to have this size.
    Translated(i32),
}

impl Lzx {
    pub(super) fn new(window: WindowSize) -> Lzx {
        Lzx { decoder: Box::new(Lzxd::new(window)), calls: Calls::NotRead, at: 0 }
    }

    /// Appends the next block, of `unpacked` bytes, to `block`, which is empty.
    pub(super) fn decode(
        &mut self,
        packed: &mut [u8],
        unpacked: usize,
        block: &mut Vec<u8>,
    ) -> io::Result<()> {
        let packed = match self.calls {
            Calls::NotRead => self.without_calls(packed),
            Calls::Plain | Calls::Translated(_) => packed,
        };
        // The decoder is not ours, and asserts some of what a cabinet claims.
        let decode = || match self.decoder.decompress_next(packed, unpacked) {
            Ok(bytes) => {
                block.extend_from_slice(bytes);
                Ok(())
            }
            Err(error) => Err(invalid(format!("LZX: {error}"))),
        };
        catch_unwind(AssertUnwindSafe(decode))
            .unwrap_or_else(|_| Err(invalid("a block is not LZX, or damaged".into())))?;
        if let Calls::Translated(size) = self.calls
            && self.at < CALLS_END
        {
            restore_calls(block, self.at, size);
        }
        self.at = self.at.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// The first block begins with a bit that says whether calls are translated,
    /// and then 32 bits with a size. They are two words of 16 bits: without them
    /// and with the bit cleared it is a block of plain calls.
    fn without_calls<'p>(&mut self, packed: &'p mut [u8]) -> &'p [u8] {
        let word = |at| u16_at(packed, at).map(u32::from);
        let (Some(first), Some(second), Some(third)) = (word(0), word(2), word(4)) else {
            return packed;
        };
        if first >> 15 == 0 {
            self.calls = Calls::Plain;
            return packed;
        }
        let size = first << 17 | second << 1 | third >> 15;
        self.calls = Calls::Translated(size.cast_signed());
        if let Some(high) = packed.get_mut(5) {
            *high &= 0x7f;
        }
        packed.get(4..).unwrap_or(&[])
    }
}

/// Gives the calls of a block that begins at `start` their distances.
fn restore_calls(block: &mut [u8], start: u64, size: i32) {
    let mut at = 0_usize;
    while let Some(call) = block
        .get(at..block.len().saturating_sub(NO_CALL))
        .and_then(|rest| rest.iter().position(|byte| *byte == CALL))
    {
        at = at.saturating_add(call);
        let here =
            u64::try_from(at).ok().and_then(|at| i32::try_from(start.saturating_add(at)).ok());
        let bytes = block.get_mut(at.saturating_add(1)..).and_then(|rest| rest.first_chunk_mut());
        if let (Some(here), Some(bytes)) = (here, bytes) {
            let target = i32::from_le_bytes(*bytes);
            if (0..size).contains(&target) {
                *bytes = target.wrapping_sub(here).to_le_bytes();
            } else if (here.wrapping_neg()..0).contains(&target) && target < size {
                *bytes = target.wrapping_add(size).to_le_bytes();
            }
        }
        at = at.saturating_add(5);
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
