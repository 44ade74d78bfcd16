//! The signature of the containers of the NT heap's low-fragmentation heap in
//! captured memory. Few pages have one, and all are read for it.

use crate::addr::AddressRange;
use crate::dump::MemoryReader;

/// `_HEAP_USERDATA_HEADER.Signature`.
pub(super) const SIGNATURE: u32 = 0xf0e0_d0c0;

/// A search through the captured memory of a range.
pub(super) struct Signatures {
    /// What is left of it.
    rest: Option<AddressRange>,
}

impl Signatures {
    pub(super) fn of(range: AddressRange) -> Signatures {
        Signatures { rest: Some(range) }
    }

    /// The address of the next one, upwards.
    pub(super) fn next(&mut self, memory: &mut MemoryReader<'_, '_>) -> Option<u64> {
        loop {
            let rest = self.rest?;
            let part = memory.run_from(rest.start())?.intersect(rest)?;
            let at = part.start().checked_next_multiple_of(4)?;
            let left = usize::try_from(part.end().saturating_sub(at)).unwrap_or(usize::MAX);
            let bytes = memory.rest(at);
            let words = bytes.get(..left).unwrap_or(bytes).as_chunks::<4>().0;
            let found = first(words);
            let seen = found.map_or(words.len(), |place| place.saturating_add(1));
            let to = |words: usize| {
                at.saturating_add(u64::try_from(words).unwrap_or(0).saturating_mul(4))
            };
            let end = if seen > 0 { to(seen) } else { part.end() };
            self.rest = AddressRange::spanning(end, rest.last());
            if found.is_some() {
                return found.map(to);
            }
        }
    }
}

/// The place of the first signature. Most chunks have none: they are compared
/// as a whole.
fn first(words: &[[u8; 4]]) -> Option<usize> {
    const CHUNK: usize = 32;
    let is_signature = |word: &[u8; 4]| u32::from_le_bytes(*word) == SIGNATURE;
    let none = |chunk: &&[[u8; 4]; CHUNK]| {
        !chunk.iter().fold(false, |any, word| any | is_signature(word))
    };
    let chunks = words.as_chunks::<CHUNK>().0;
    let before = chunks.iter().take_while(none).count().saturating_mul(CHUNK);
    let place = words.get(before..)?.iter().position(is_signature)?;
    Some(before.saturating_add(place))
}
