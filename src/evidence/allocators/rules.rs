//! Reservations known by their exact size: one line a kind.

use super::{CHROMIUM, Family, JAVA, JEMALLOC, MIMALLOC, MOZILLA, NODE, Names, claim};
use crate::evidence::Claim;
use crate::evidence::shapes::Shape;
use crate::map::Protection;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What committed memory of an allocation may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// Read, read/write or no access, and some of it committed.
    Data,
    /// Executable, and some of it committed.
    Code,
}

/// One kind of reservation.
pub(super) struct Rule {
    usage: &'static str,
    families: &'static [&'static Family],
    /// AllocationProtect.
    protect: Protection,
    sizes: &'static [u64],
    alignment: u64,
    /// Fewer of them may be chance.
    least: usize,
    contents: Contents,
}

/// Sources: the constants of each engine; sizes of V8, PartitionAlloc and
/// SpiderMonkey were seen in dumps.
static RULES: [Rule; 8] = [
    Rule {
        usage: "SpiderMonkey code",
        families: &[&MOZILLA],
        protect: Protection::NO_ACCESS,
        sizes: &[2044 * MIB, 2044 * MIB + 4 * KIB],
        alignment: 4 * KIB,
        least: 1,
        contents: Contents::Code,
    },
    Rule {
        usage: "V8 code range",
        families: &[&CHROMIUM, &NODE],
        protect: Protection::NO_ACCESS,
        sizes: &[128 * MIB, 512 * MIB],
        alignment: 64 * KIB,
        least: 1,
        contents: Contents::Code,
    },
    Rule {
        usage: "V8 heap cage",
        families: &[&CHROMIUM, &NODE],
        protect: Protection::NO_ACCESS,
        sizes: &[4 * GIB],
        alignment: 4 * GIB,
        least: 1,
        contents: Contents::Data,
    },
    Rule {
        usage: "V8 heap page",
        families: &[&NODE],
        protect: Protection::NO_ACCESS,
        sizes: &[256 * KIB],
        alignment: 256 * KIB,
        least: 4,
        contents: Contents::Data,
    },
    Rule {
        usage: "PartitionAlloc pool",
        families: &[&CHROMIUM],
        protect: Protection::NO_ACCESS,
        sizes: &[16 * GIB, 32 * GIB],
        alignment: 16 * GIB,
        least: 1,
        contents: Contents::Data,
    },
    Rule {
        usage: "Java code cache",
        families: &[&JAVA],
        protect: Protection::EXECUTE_READ_WRITE,
        sizes: &[48 * MIB, 240 * MIB],
        alignment: 64 * KIB,
        least: 1,
        contents: Contents::Code,
    },
    Rule {
        usage: "mimalloc segment",
        families: &[&MIMALLOC],
        protect: Protection::READ_WRITE,
        sizes: &[32 * MIB],
        alignment: 32 * MIB,
        least: 4,
        contents: Contents::Data,
    },
    Rule {
        usage: "jemalloc extent",
        families: &[&JEMALLOC],
        protect: Protection::READ_WRITE,
        sizes: &[2 * MIB, 4 * MIB],
        alignment: 2 * MIB,
        least: 4,
        contents: Contents::Data,
    },
];

/// The rules whose modules the process has.
pub(super) fn of(names: &Names<'_>) -> Vec<&'static Rule> {
    let present = |rule: &&Rule| rule.families.iter().any(|family| names.have(family));
    RULES.iter().filter(present).collect()
}

impl Rule {
    /// The claims on the allocations that fit, if they are enough.
    pub(super) fn claims(&self, shapes: &[Shape]) -> Vec<Claim> {
        let fitting = shapes.iter().filter(|shape| self.fits(shape));
        let detail = "its size, alignment and protection, beside a module that reserves so";
        let claims: Vec<Claim> =
            fitting.map(|shape| claim(shape.range, self.usage, detail)).collect();
        if claims.len() < self.least { Vec::new() } else { claims }
    }

    fn fits(&self, shape: &Shape) -> bool {
        shape.allocation_protect == self.protect
            && self.sizes.contains(&shape.range.size())
            && shape.range.start().is_multiple_of(self.alignment)
            && shape.committed > 0
            && self.contents.fit(shape)
    }
}

impl Contents {
    fn fit(self, shape: &Shape) -> bool {
        const DATA: u32 = 0x01 | 0x02 | 0x04;
        match self {
            Contents::Data => shape.protects & !DATA == 0,
            Contents::Code => shape.protects & 0xf0 != 0 && shape.protects & !0xff == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddressRange;
    use crate::evidence::Use;
    use crate::map::MemoryType;

    fn shape(base: u64, size: u64, allocated: u32, protects: u32) -> Shape {
        Shape {
            range: AddressRange::new(base, size).unwrap(),
            memory_type: MemoryType::Private,
            allocation_protect: Protection(allocated),
            committed: 0x1000,
            protects,
            all_executable: false,
            runs: vec![0],
            run_count: 1,
        }
    }

    #[test]
    fn a_size_is_not_enough() {
        let names = |shapes: &[Shape]| {
            let claims = RULES.iter().flat_map(|rule| rule.claims(shapes));
            let names = claims.map(|claim| match claim.usage {
                Use::Named(name) => name,
                _ => "",
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&[shape(0x3e_0000_0000, 4 * GIB, 1, 6)]), ["V8 heap cage"]);
        assert_eq!(names(&[shape(0x3e_1000_0000, 4 * GIB, 1, 6)]), [""; 0]);
        assert_eq!(names(&[shape(0x3e_0000_0000, 4 * GIB, 4, 4)]), [""; 0]);
        assert_eq!(names(&[shape(0x7ff6_c458_0000, 512 * MIB, 1, 0x60)]), ["V8 code range"]);
        assert_eq!(names(&[shape(0x7ff6_c458_0000, 512 * MIB, 1, 4)]), [""; 0]);
        assert_eq!(names(&[shape(0xda4_0000_0000, 32 * GIB, 1, 4)]), ["PartitionAlloc pool"]);
        let guard = Shape { committed: 0, ..shape(0xda4_0000_0000, 32 * GIB, 1, 0) };
        assert_eq!(names(&[guard]), [""; 0]);
        let page = |nth: u64| shape(nth << 18, 256 * KIB, 1, 4);
        assert_eq!(names(&[page(1), page(2), page(3)]), [""; 0]);
        assert_eq!(names(&[page(1), page(2), page(3), page(4)]), ["V8 heap page"; 4]);
    }
}
