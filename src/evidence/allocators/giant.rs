//! Reservations that only their size tells, beside a module that makes one of
//! that size: nothing else in such a process is known to.
//!
//! Sources: HotSpot reserves its heap, the class space and the tables of its
//! collectors read-write and commits parts of them; AddressSanitizer on
//! Windows has a shadow of an eighth of the address space, 16 TiB, in up to
//! three parts. From their sources; no Windows dump of either was seen. Wrong
//! when the program itself reserves as much in the same way.

use super::claim;
use crate::evidence::shapes::Shape;
use crate::evidence::{Claim, SANITIZER_SHADOW};
use crate::map::Protection;

/// Smaller ones may be anything.
const JAVA: u64 = 256 << 20;
/// The smallest part of a shadow of 16 TiB that is told from other memory:
/// V8's sandbox, the largest other reservation, has 1 TiB.
const SHADOW: u64 = (1 << 40) + 1;

/// The claims on Java's reservations.
pub(super) fn java(shapes: &[Shape]) -> Vec<Claim> {
    let reserved = shapes.iter().filter(|shape| {
        shape.range.size() >= JAVA
            && shape.allocation_protect == Protection::READ_WRITE
            && shape.protects & !Protection::READ_WRITE.0 == 0
            && shape.committed < shape.range.size()
    });
    let detail = "256 MiB or more, read-write, partly reserved, beside jvm.dll";
    reserved.map(|shape| claim(shape.range, "Java heap or class space", detail)).collect()
}

/// The claims on a sanitizer's shadow.
pub(super) fn shadow(shapes: &[Shape]) -> Vec<Claim> {
    let known = [Protection::NO_ACCESS, Protection::READ_WRITE];
    let reserved = shapes
        .iter()
        .filter(|shape| shape.range.size() >= SHADOW && known.contains(&shape.allocation_protect));
    let detail = "more than 1 TiB, beside AddressSanitizer's library";
    reserved.map(|shape| claim(shape.range, SANITIZER_SHADOW, detail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddressRange;
    use crate::map::MemoryType;

    fn shape(size: u64, allocated: u32, committed: u64, protects: u32) -> Shape {
        Shape {
            range: AddressRange::new(0x7_0000_0000, size).unwrap(),
            memory_type: MemoryType::Private,
            allocation_protect: Protection(allocated),
            committed,
            protects,
            all_executable: false,
            runs: vec![0],
            run_count: 1,
        }
    }

    #[test]
    fn giants_beside_their_modules() {
        assert_eq!(java(&[shape(1 << 30, 4, 0x1000, 4)]).len(), 1);
        assert_eq!(java(&[shape(1 << 20, 4, 0x1000, 4)]), []);
        assert_eq!(java(&[shape(1 << 30, 4, 1 << 30, 4)]), []);
        assert_eq!(java(&[shape(1 << 30, 0x40, 0x1000, 0x40)]), []);
        assert_eq!(shadow(&[shape(14 << 40, 4, 0x1000, 4)]).len(), 1);
        assert_eq!(shadow(&[shape(1 << 40, 1, 0x1000, 4)]), []);
    }
}
