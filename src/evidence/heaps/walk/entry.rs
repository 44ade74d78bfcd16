//! `_HEAP_ENTRY`, Vista and later: the 8 bytes before what the program has,
//! XORed with the heap's Encoding.

use super::super::context::{Context, at, pointer_size};
use super::super::nt_layout::NtLayout;
use super::position::position;
use crate::dump::PointerWidth;

pub(super) const BUSY: u8 = 0x01;
/// Something of the heap's stands before what the program has, or behind.
pub(super) const EXTRA: u8 = 0x02;
/// Used by the heap itself; of a large block, that it is one.
pub(super) const INTERNAL: u8 = 0x08;

/// A header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// In granules.
    pub(super) size: u16,
    pub(super) flags: u8,
    /// Of the entry before it, in granules.
    pub(super) previous: u16,
    /// Bytes of the block that the program did not ask for.
    pub(super) unused: u8,
    /// Whether the checksum holds; always where headers have none.
    pub(super) sound: bool,
}

/// How a heap writes its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    pub(super) width: PointerWidth,
    header: Header,
}

#[derive(Clone, Copy, Debug)]
enum Header {
    /// XORed with these bytes, with a checksum.
    Encoded([u8; 8]),
    /// In clear, without a checksum.
    Clear,
    /// That of XP and 2003: the same fields in another order.
    Old,
}

impl Encoding {
    /// EncodeFlagMask's bit says whether there is one.
    pub(super) fn read(
        context: &mut Context<'_, '_>,
        heap: u64,
        layout: &NtLayout,
    ) -> Option<Encoding> {
        const ENCODED: u32 = 0x10_0000;
        let mask = context.word(heap, layout.encode_mask)?;
        let key = context.memory.array::<8>(at(heap, layout.encoding))?;
        let header = if mask & ENCODED != 0 { Header::Encoded(key) } else { Header::Clear };
        Some(Encoding { width: layout.width, header })
    }

    /// That of XP and 2003.
    pub(super) fn old(width: PointerWidth) -> Encoding {
        Encoding { width, header: Header::Old }
    }

    pub(super) fn is_encoded(&self) -> bool {
        matches!(self.header, Header::Encoded(_))
    }

    /// Bytes that sizes count in.
    pub(super) fn granule(&self) -> u64 {
        granule(self.width)
    }

    /// The header of the block at `start`.
    pub(super) fn entry(&self, context: &mut Context<'_, '_>, start: u64) -> Option<Entry> {
        let stored = context.memory.array::<8>(header_of(start, self.width))?;
        let key = match self.header {
            Header::Encoded(key) => u64::from_le_bytes(key),
            Header::Clear | Header::Old => 0,
        };
        let [a, b, c, d, e, f, g, h] = (u64::from_le_bytes(stored) ^ key).to_le_bytes();
        let (first, second, third) =
            (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]), u16::from_le_bytes([e, f]));
        Some(match self.header {
            Header::Old => {
                Entry { size: first, flags: f, previous: second, unused: g, sound: true }
            }
            Header::Clear => {
                Entry { size: first, flags: c, previous: third, unused: h, sound: true }
            }
            Header::Encoded(_) => {
                let sound = d == a ^ b ^ c;
                Entry { size: first, flags: c, previous: third, unused: h, sound }
            }
        })
    }
}

/// Where a header may be, as a first look has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// A header of the block there could be one.
    At(u64),
    /// No block before this one has a header that could be one.
    NoneBefore(u64),
}

impl Encoding {
    /// The first block from `start` on, in its page, whose checksum holds and
    /// whose size is not 0. The header at `start` is captured.
    pub(super) fn candidate(&self, context: &mut Context<'_, '_>, start: u64) -> Candidate {
        let Header::Encoded(key) = self.header else { return Candidate::At(start) };
        let [a, b, c, d, ..] = key;
        let key = u32::from_le_bytes([a, b, c, d]);
        let bytes = context.memory.rest(header_of(start, self.width));
        let (sound, whole) = match self.width {
            PointerWidth::Bits32 => {
                let headers = bytes.as_chunks::<8>().0;
                let is_sound = |[a, b, c, d, ..]: &[u8; 8]| is_sound([*a, *b, *c, *d], key);
                (position::<8, _>(headers, is_sound), headers.len())
            }
            PointerWidth::Bits64 => {
                let headers = bytes.as_chunks::<16>().0;
                let is_sound = |[a, b, c, d, ..]: &[u8; 16]| is_sound([*a, *b, *c, *d], key);
                (position::<8, _>(headers, is_sound), headers.len())
            }
        };
        let place = |headers: usize| {
            let headers = u64::try_from(headers).unwrap_or(0);
            start.saturating_add(headers.saturating_mul(self.granule()))
        };
        match sound {
            Some(before) => Candidate::At(place(before)),
            // The last header of a page may have its granule end in the next.
            None if whole == 0 => Candidate::At(start),
            None => Candidate::NoneBefore(place(whole)),
        }
    }
}

/// Checksum and size of an encoded header that begins with these bytes.
#[inline]
fn is_sound(stored: [u8; 4], key: u32) -> bool {
    let word = u32::from_le_bytes(stored) ^ key;
    let sum = word ^ (word >> 16);
    let sum = sum ^ (sum >> 8);
    (sum & 0xff == 0) & (word & 0xffff != 0)
}

pub(super) fn granule(width: PointerWidth) -> u64 {
    pointer_size(width).saturating_mul(2)
}

/// Where the 8 bytes of a block's header are: on 64-bit the first half of the
/// granule belongs to the block before.
pub(super) fn header_of(start: u64, width: PointerWidth) -> u64 {
    match width {
        PointerWidth::Bits32 => start,
        PointerWidth::Bits64 => at(start, 8),
    }
}

/// Bytes of a busy block that the program asked for. `None` where the header
/// cannot know: the number is kept elsewhere.
pub(super) fn user_size(size: u64, unused: u8) -> Option<u64> {
    /// The program's bytes may reach into the next header's first half, so
    /// that a header takes 8 at least.
    const HEADER: u8 = 8;
    let unused = (HEADER..0x3f).contains(&unused).then_some(u64::from(unused))?;
    size.checked_sub(unused)
}
