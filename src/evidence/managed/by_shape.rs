//! The collector's memory without its structures: by what the map shows, or
//! by the first words of an allocation. Only beside a runtime's module.
//!
//! Wrong when the program reserves memory of the very size and commits it at
//! the very offsets as the collector does.

use super::segments::{self, HeapSegment};
use super::target::Target;
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::evidence::shapes::Shape;
use crate::map::{MemoryType, Protection};

/// The range of regions: 256 GiB, twice the physical memory, or five times a
/// limit. Below this it is not told from other reservations.
const LEAST_RANGE: u64 = 0x1000_0000;
/// Regions begin at a multiple of this.
const REGION: u64 = 0x40_0000;
/// Fewer runs of committed memory may be chance. A new process has eight.
const LEAST_RUNS: u64 = 3;

/// Card table, mark array and all take this share of the range, in 1/10,000:
/// 90.4 to 90.8 in releases 8 and 10, whatever the size.
const BOOKKEEPING_SHARE: std::ops::RangeInclusive<u128> = 900..=915;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Bytes that segments for small, large and pinned objects reserve together.
struct Initial {
    width: PointerWidth,
    parts: &'static [u64],
    /// Whether the block has the parts once for each of several heaps.
    server: bool,
}

/// Initial blocks of the segments era.
const INITIAL: [Initial; 6] = [
    Initial { width: PointerWidth::Bits64, parts: &[256 * MIB, 128 * MIB], server: false },
    Initial {
        width: PointerWidth::Bits64,
        parts: &[256 * MIB, 128 * MIB, 128 * MIB],
        server: false,
    },
    Initial { width: PointerWidth::Bits32, parts: &[16 * MIB, 16 * MIB], server: false },
    Initial { width: PointerWidth::Bits64, parts: &[4 * GIB, 256 * MIB], server: true },
    Initial { width: PointerWidth::Bits64, parts: &[2 * GIB, 256 * MIB], server: true },
    Initial { width: PointerWidth::Bits64, parts: &[GIB, 256 * MIB], server: true },
];

/// What the map shows of the collector.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    pub(super) heap: Option<AddressRange>,
    pub(super) bookkeeping: Option<AddressRange>,
}

/// The collector's reservations among those of the process; none where more
/// than one qualifies.
pub(super) fn reservations(shapes: &[Shape], width: PointerWidth) -> Reservations {
    let heap = single(shapes, |shape| is_region_range(shape, width));
    let Some(heap) = heap else {
        return Reservations {
            heap: single(shapes, |shape| is_initial_block(shape, width)),
            bookkeeping: None,
        };
    };
    let bookkeeping = single(shapes, |shape| is_bookkeeping(shape, heap));
    Reservations { heap: Some(heap), bookkeeping }
}

fn single(shapes: &[Shape], fits: impl Fn(&Shape) -> bool) -> Option<AddressRange> {
    let mut fitting = shapes.iter().filter(|shape| fits(shape));
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first.range)
}

/// Private, read/write, nothing else: of all the collector's reservations.
pub(super) fn is_collectors(shape: &Shape) -> bool {
    shape.memory_type == MemoryType::Private
        && shape.allocation_protect == Protection::READ_WRITE
        && shape.protects == Protection::READ_WRITE.0
}

fn is_region_range(shape: &Shape, width: PointerWidth) -> bool {
    let base = shape.range.start();
    let aligned = |offset: &u64| base.wrapping_add(*offset).is_multiple_of(REGION);
    width == PointerWidth::Bits64
        && is_collectors(shape)
        && shape.range.size() >= LEAST_RANGE
        && shape.committed < shape.range.size().wrapping_div(2)
        && shape.run_count >= LEAST_RUNS
        && shape.runs.iter().all(aligned)
}

fn is_initial_block(shape: &Shape, width: PointerWidth) -> bool {
    is_collectors(shape)
        && INITIAL.iter().filter(|initial| initial.width == width).any(|initial| {
            initial.starts(shape.range.size()).is_some_and(|starts| starts == shape.runs)
        })
}

impl Initial {
    /// Where the segments of a block of this size begin.
    fn starts(&self, size: u64) -> Option<Vec<u64>> {
        let one: u64 = self.parts.iter().sum();
        let heaps = size.checked_div(one)?;
        let most = if self.server { 64 } else { 1 };
        if !size.is_multiple_of(one) || !(1..=most).contains(&heaps) {
            return None;
        }
        let mut starts = Vec::new();
        let mut at = 0_u64;
        for part in self.parts {
            for _ in 0..heaps {
                starts.push(at);
                at = at.checked_add(*part)?;
            }
        }
        Some(starts)
    }
}

fn is_bookkeeping(shape: &Shape, heap: AddressRange) -> bool {
    let size = u128::from(shape.range.size()).saturating_mul(100_000);
    let share = size.checked_div(u128::from(heap.size()));
    is_collectors(shape) && share.is_some_and(|share| BOOKKEEPING_SHARE.contains(&share))
}

/// Segments of which a program may have many, the smallest of them.
const LEAST_SEGMENT: u64 = 4 * MIB;
/// Allocations whose first words are read.
const PROBES: usize = 4_096;

/// Segments that begin an allocation and describe it: .NET Framework, and
/// .NET Core where the runtime's variables are not captured.
pub(super) fn segments(target: &mut Target<'_, '_>, shapes: &[Shape]) -> Vec<HeapSegment> {
    let candidates = shapes.iter().filter(|shape| {
        is_collectors(shape)
            && shape.range.size() >= LEAST_SEGMENT
            && shape.runs.first() == Some(&0)
    });
    let mut found = Vec::new();
    for shape in candidates.take(PROBES) {
        found.extend(segments::at_start_of(target, shape.range));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(base: u64, size: u64, runs: &[u64]) -> Shape {
        Shape {
            range: AddressRange::new(base, size).unwrap(),
            memory_type: MemoryType::Private,
            allocation_protect: Protection::READ_WRITE,
            committed: 0x10000,
            protects: 4,
            all_executable: false,
            runs: runs.to_vec(),
            run_count: runs.len() as u64,
        }
    }

    #[test]
    fn the_range_of_regions() {
        const BASE: u64 = 0x7f28_c22c_0000;
        let runs = [0x14_0000, 0x214_0000, 0x2d4_0000];
        let heap = shape(BASE, 256 << 30, &runs);
        let bookkeeping = shape(0x7f28_2979_0000, 0x94b2_7000, &[0, 0x07ff_f000]);
        let other = shape(0x7f00_0000_0000, 0x94b2_7000, &[0x1000]);
        let both = [heap.clone(), bookkeeping.clone()];
        let found = reservations(&both, PointerWidth::Bits64);
        assert_eq!((found.heap, found.bookkeeping), (Some(heap.range), Some(bookkeeping.range)));
        let found = reservations(&[heap.clone(), bookkeeping, other], PointerWidth::Bits64);
        assert_eq!((found.heap, found.bookkeeping), (Some(heap.range), None));
        assert_eq!(reservations(&[heap.clone(), heap.clone()], PointerWidth::Bits64).heap, None);
        assert_eq!(reservations(&both, PointerWidth::Bits32).heap, None);
        let shifted = shape(BASE, 256 << 30, &[0x14_0000, 0x214_1000, 0x2d4_0000]);
        assert_eq!(reservations(&[shifted], PointerWidth::Bits64).heap, None);
    }

    #[test]
    fn initial_blocks_of_segments() {
        let found = |size, runs: &[u64], width| {
            reservations(&[shape(0x10_0000, size, runs)], width).heap.is_some()
        };
        let (wide, narrow) = (PointerWidth::Bits64, PointerWidth::Bits32);
        assert!(found(0x1800_0000, &[0, 0x1000_0000], wide));
        assert!(!found(0x1800_0000, &[0, 0x1000_1000], wide));
        assert!(!found(0x1800_0000, &[0], wide));
        assert!(found(0x2000_0000, &[0, 0x1000_0000, 0x1800_0000], wide));
        assert!(found(0x200_0000, &[0, 0x100_0000], narrow));
        assert!(!found(0x200_0000, &[0, 0x100_0000], wide));
        let server = [0, 0x1_0000_0000, 0x2_0000_0000, 0x2_1000_0000];
        assert!(found(0x2_2000_0000, &server, wide));
        assert!(!found(0x2_2000_1000, &server, wide));
    }
}
