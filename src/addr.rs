//! Numbers that must not be mixed up: addresses, ranges of addresses, byte
//! counts and file offsets. Each is checked once, where it is made.

use std::fmt;

/// A virtual address in the dumped process. Not an offset in the dump file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub u64);

impl Address {
    /// `self + bytes`, or `None` past 2^64.
    pub fn checked_add(self, bytes: u64) -> Option<Address> {
        self.0.checked_add(bytes).map(Address)
    }
}

impl fmt::LowerHex for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// An offset in the dump file, in bytes. Not a virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileOffset(pub u64);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// A range of virtual addresses: never empty, never wrapping, and never the
/// whole of the 2^64 space, so that its size always fits 64 bits.
///
/// Kept as first and last byte, because a range may touch 2^64, where a
/// half-open end has no 64-bit value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    start: u64,
    last: u64,
}

impl AddressRange {
    /// `size` bytes from `start`; `None` when empty or past 2^64.
    #[inline]
    pub fn new(start: u64, size: u64) -> Option<AddressRange> {
        let last = start.checked_add(size.checked_sub(1)?)?;
        Some(AddressRange { start, last })
    }

    /// From `start` up to, not including, `end`; `None` when empty.
    #[inline]
    pub fn between(start: u64, end: u64) -> Option<AddressRange> {
        AddressRange::new(start, end.checked_sub(start)?)
    }

    /// From `start` to `last`, both inside; `None` when empty or the whole
    /// 64-bit space.
    #[inline]
    pub fn spanning(start: u64, last: u64) -> Option<AddressRange> {
        let whole = start == 0 && last == u64::MAX;
        (start <= last && !whole).then_some(AddressRange { start, last })
    }

    /// From `start` to `last`, which the caller knows to be in order.
    #[inline]
    pub(crate) fn ordered(start: u64, last: u64) -> AddressRange {
        debug_assert!(start <= last && (start, last) != (0, u64::MAX));
        AddressRange { start, last }
    }

    /// The first byte.
    #[inline]
    pub fn start(self) -> u64 {
        self.start
    }

    /// The last byte, inside the range.
    #[inline]
    pub fn last(self) -> u64 {
        self.last
    }

    /// One past the last byte. A range that touches 2^64 answers `u64::MAX`,
    /// so sizes come from [`size`](Self::size), never from this.
    #[inline]
    pub fn end(self) -> u64 {
        self.last.saturating_add(1)
    }

    /// Bytes in the range: at least 1.
    #[inline]
    pub fn size(self) -> u64 {
        self.last.wrapping_sub(self.start).saturating_add(1)
    }

    /// Whether `address` lies inside.
    #[inline]
    pub fn contains(self, address: u64) -> bool {
        self.start <= address && address <= self.last
    }

    /// Whether every byte of `other` lies inside.
    #[inline]
    pub fn covers(self, other: AddressRange) -> bool {
        self.start <= other.start && other.last <= self.last
    }

    /// The bytes in both ranges.
    #[inline]
    pub fn intersect(self, other: AddressRange) -> Option<AddressRange> {
        let (start, last) = (self.start.max(other.start), self.last.min(other.last));
        (start <= last).then_some(AddressRange { start, last })
    }

    /// Whether some byte is in both ranges.
    #[inline]
    pub fn overlaps(self, other: AddressRange) -> bool {
        self.start <= other.last && other.start <= self.last
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}-{:#x}", self.start, self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_never_empty_and_never_wraps() {
        assert_eq!(AddressRange::new(5, 0), None);
        assert_eq!(AddressRange::new(u64::MAX, 2), None);
        assert_eq!(AddressRange::between(7, 7), None);
        assert_eq!(AddressRange::spanning(0, u64::MAX), None);
    }

    #[test]
    fn a_range_may_touch_the_top() {
        let top = AddressRange::new(0xffff_ffff_ffff_f000, 0x1000).unwrap();
        assert_eq!(top.size(), 0x1000);
        assert_eq!(top.last(), u64::MAX);
        assert!(top.contains(u64::MAX));
    }

    #[test]
    fn intersections() {
        let a = AddressRange::new(0x1000, 0x1000).unwrap();
        let b = AddressRange::new(0x1800, 0x1000).unwrap();
        assert_eq!(a.intersect(b), AddressRange::new(0x1800, 0x800));
        let c = AddressRange::new(0x2000, 1).unwrap();
        assert!(!a.overlaps(c));
        assert_eq!(a.intersect(c), None);
    }
}
