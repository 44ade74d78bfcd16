//! One of N parts of a run, so that N machines share the work without talking.

use std::ffi::OsStr;
use std::str::FromStr;

/// Part I of N, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u64,
    count: u64,
}

impl Shard {
    /// Whether a path belongs to this part: FNV-1a of its bytes, `\` taken as
    /// `/`, modulo N. The same on every system and in every version.
    pub fn has(&self, path: &OsStr) -> bool {
        let slashed = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
        fnv1a(path.as_encoded_bytes().iter().map(slashed)) % self.count == self.number - 1
    }
}

/// FNV-1a of 64 bits.
pub fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let wrong = || format!("{text} is no part of a whole; write 1/4 to 4/4");
        let (number, count) = text.split_once('/').ok_or_else(wrong)?;
        let (number, count) = (number.parse().ok(), count.parse().ok());
        let (number, count): (u64, u64) = number.zip(count).ok_or_else(wrong)?;
        if number == 0 || number > count {
            return Err(wrong());
        }
        Ok(Shard { number, count })
    }
}
