//! The arenas of glibc's malloc, by shape: a window of fixed size at a
//! multiple of its size, read-write from its start, without access to its end
//! (`heap_info` in malloc/arena.c: HEAP_MAX_SIZE is 64 MiB where pointers
//! have 64 bits, 1 MiB where they have 32).
//!
//! The shape counts only where glibc is mapped: on Android, 60 thread stacks
//! of one 32-bit process had it. Wrong for other memory that is laid out in
//! the same way, such as a Java heap of exactly this size; when the first
//! words of the window are captured they decide, and find those without the
//! shape: a heap that has grown to its full size has no tail.

use std::collections::HashSet;

use super::headers;
use crate::addr::AddressRange;
use crate::dump::{Dump, LinuxMap, LinuxMaps, MemoryReader, PointerWidth};
use crate::evidence::malloc::{MallocHeap, MallocHeapKind, is_glibc};
use crate::evidence::{
    Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use,
};
use crate::limits::Depth;
use crate::map::{Origin, RegionMap};

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    lines: &LinuxMaps,
    evidence: &mut Evidence,
) {
    let width = dump.system.width;
    let size = window_size(width);
    let glibc = lines.maps.iter().any(is_glibc);
    let mut reader = (dump.limits.depth >= Depth::Headers).then(|| dump.captured.reader());
    let found: Vec<Window> = windows(accesses(map, lines), size).collect();
    let seen: HashSet<u64> = found.iter().map(|window| window.start).collect();
    for window in found {
        let header = match &mut reader {
            Some(reader) => heap_info(reader, window, width),
            None => HeapInfo::NotCaptured,
        };
        let (confidence, source, detail) = match header {
            HeapInfo::Arena => (
                Confidence::Derived,
                EvidenceSource::AllocatorHeader,
                "heap_info points to its arena",
            ),
            HeapInfo::NotCaptured if !glibc => continue,
            HeapInfo::NotCaptured => {
                (Confidence::Heuristic, EvidenceSource::Shape, "size and place are an arena's")
            }
            HeapInfo::Other => continue,
        };
        let mut claim = |range: AddressRange, usage| {
            evidence.claim(Claim {
                range,
                kind: Some(RegionKind::Heap),
                usage: Use::Named(usage),
                subject: Subject::None,
                confidence,
                source,
                detail: Detail::Words(detail),
            });
        };
        if let (Some(head), Some(tail)) = (
            AddressRange::between(window.start, window.tail),
            AddressRange::between(window.tail, window.end),
        ) {
            claim(head, "malloc arena");
            claim(tail, "malloc arena (reserved)");
        }
        evidence.malloc.extend(heap(window));
    }
    let other = if reader.is_some() { headers::windows(dump, map, width) } else { Vec::new() };
    for window in other.into_iter().filter(|window| !seen.contains(&window.start)) {
        let parts = [
            (window.start, window.tail, "malloc arena"),
            (window.tail, window.end, "malloc arena (reserved)"),
        ];
        for (start, end, usage) in parts {
            let Some(range) = AddressRange::between(start, end) else { continue };
            evidence.claim(Claim {
                range,
                kind: Some(RegionKind::Heap),
                usage: Use::Named(usage),
                subject: Subject::None,
                confidence: Confidence::Derived,
                source: EvidenceSource::AllocatorHeader,
                detail: Detail::Words("heap_info points to its arena"),
            });
        }
        evidence.malloc.extend(heap(window));
    }
}

fn heap(window: Window) -> Option<MallocHeap> {
    let range = AddressRange::between(window.start, window.end)?;
    Some(MallocHeap { range, end: window.tail, kind: MallocHeapKind::Arena })
}

pub(super) fn window_size(width: PointerWidth) -> u64 {
    match width {
        PointerWidth::Bits32 => 1 << 20,
        PointerWidth::Bits64 => 64 << 20,
    }
}

/// Guards of stacks are a page, 64 KiB at most.
const MAX_GUARD: u64 = 0x1_0000;

/// A place with the shape of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: u64,
    /// Where the memory without access begins.
    pub(super) tail: u64,
    pub(super) end: u64,
}

/// What anonymous private memory allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    ReadWrite,
    Nothing,
    /// Something else, or not anonymous.
    Other,
}

/// The regions of the map: sorted and disjoint, which lines need not be.
fn accesses<'m>(
    map: &'m RegionMap<'_>,
    lines: &'m LinuxMaps,
) -> impl Iterator<Item = (AddressRange, Access)> + 'm {
    (0..map.len()).map_while(|index| map.get(index)).map(|region| {
        let line = match region.origin {
            Origin::LinuxMap(at) => usize::try_from(at).ok().and_then(|at| lines.maps.get(at)),
            _ => None,
        };
        (region.range, line.map_or(Access::Other, access))
    })
}

fn access(line: &LinuxMap) -> Access {
    // glibc names its arenas where it is asked to decorate them.
    let anonymous = line.name.is_empty() || line.name.starts_with("[anon: glibc: malloc");
    match (line.read, line.write, line.execute) {
        _ if !anonymous || line.shared || line.inode != 0 => Access::Other,
        (true, true, false) => Access::ReadWrite,
        (false, false, false) => Access::Nothing,
        _ => Access::Other,
    }
}

/// The windows: memory without access up to the end of one, and nothing but
/// read-write memory before it to the start. The kernel joins neighbours of
/// one access, so either end may reach further; not both, which would be no
/// more than chance. With other memory before the head the tail must be more
/// than the guard of a stack.
fn windows(
    regions: impl Iterator<Item = (AddressRange, Access)>,
    size: u64,
) -> impl Iterator<Item = Window> {
    // Where the run of read-write memory before the region began and ends.
    let mut run: Option<(u64, u64)> = None;
    regions.filter_map(move |(range, access)| {
        let before = run.take().filter(|(_, end)| *end == range.start());
        match access {
            Access::ReadWrite => {
                let start = before.map_or(range.start(), |(start, _)| start);
                run = Some((start, range.end()));
                None
            }
            Access::Nothing => {
                let (head, tail) = before?;
                let start = tail.checked_sub(1)? & !size.wrapping_sub(1);
                let end = start.checked_add(size)?;
                let joined = range.end() == end && end.saturating_sub(tail) > MAX_GUARD;
                let exact = head == start || joined;
                let shape = head <= start && range.end() >= end && tail < end && exact;
                shape.then_some(Window { start, tail, end })
            }
            Access::Other => None,
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeapInfo {
    Arena,
    Other,
    NotCaptured,
}

/// `heap_info` at the start: ar_ptr, prev, size, mprotect_size. The first
/// heap of an arena is followed by the arena itself; further ones point to a
/// first one.
pub(super) fn heap_info(
    reader: &mut MemoryReader<'_, '_>,
    window: Window,
    width: PointerWidth,
) -> HeapInfo {
    let step: u64 = match width {
        PointerWidth::Bits32 => 4,
        PointerWidth::Bits64 => 8,
    };
    let mut field = |nth: u64| field(reader, window.start, nth, width);
    let (Some(arena), Some(previous), Some(used)) = (field(0), field(1), field(2)) else {
        return HeapInfo::NotCaptured;
    };
    let mask = window_size(width).wrapping_sub(1);
    let after_header = arena & mask > 0 && arena & mask <= 0x100 && arena.is_multiple_of(step);
    let first = arena & !mask == window.start;
    let linked = if first { previous == 0 } else { previous & mask == 0 && previous != 0 };
    let sized = used > 0 && used <= window.tail.saturating_sub(window.start);
    if after_header && linked && sized { HeapInfo::Arena } else { HeapInfo::Other }
}

/// Word number `nth` of a heap_info.
pub(super) fn field(
    reader: &mut MemoryReader<'_, '_>,
    heap: u64,
    nth: u64,
    width: PointerWidth,
) -> Option<u64> {
    let step: u64 = match width {
        PointerWidth::Bits32 => 4,
        PointerWidth::Bits64 => 8,
    };
    reader.pointer(heap.checked_add(nth.checked_mul(step)?)?, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn check(regions: &[(u64, u64, Access)], expected: &[(u64, u64)]) {
        let regions = regions.iter().map(|(start, end, access)| {
            (AddressRange::between(start * MIB, end * MIB).unwrap(), *access)
        });
        let found: Vec<_> = windows(regions, 64 * MIB)
            .map(|window| {
                assert_eq!(window.end - window.start, 64 * MIB);
                (window.start / MIB, window.tail / MIB)
            })
            .collect();
        assert_eq!(found, expected);
    }

    use Access::{Nothing, Other, ReadWrite};

    #[test]
    fn head_and_tail_fill_a_window() {
        check(
            &[
                (64, 65, ReadWrite),
                (65, 128, Nothing),
                (128, 130, ReadWrite),
                (130, 131, ReadWrite),
                (131, 192, Nothing),
            ],
            &[(64, 65), (128, 131)],
        );
    }

    #[test]
    fn neighbours_of_one_access_are_joined_by_the_kernel() {
        check(&[(60, 65, ReadWrite), (65, 128, Nothing)], &[(64, 65)]);
        check(&[(64, 65, ReadWrite), (65, 130, Nothing)], &[(64, 65)]);
        check(&[(60, 65, ReadWrite), (65, 130, Nothing)], &[]);
        // A full heap of 64 MiB before a second one.
        check(&[(64, 140, ReadWrite), (140, 192, Nothing)], &[(128, 140)]);
    }

    #[test]
    fn other_shapes_are_no_arenas() {
        check(&[(65, 66, ReadWrite), (66, 128, Nothing)], &[]);
        check(&[(64, 65, ReadWrite), (66, 128, Nothing)], &[]);
        check(&[(64, 65, ReadWrite), (65, 127, Nothing)], &[]);
        check(&[(64, 65, Other), (65, 128, Nothing)], &[]);
        check(&[(60, 64, ReadWrite), (64, 128, Nothing)], &[]);
    }

    /// The window of a made-up process with these first words, if they are
    /// captured; how its head is known.
    fn claimed(words: Option<[u64; 4]>, glibc: &str) -> Option<Confidence> {
        use crate::source::Source;
        use crate::synth::DumpBuilder;
        let lines = format!(
            "7f0000000000-7f0000100000 rw-p 00000000 00:00 0\n\
             7f0000100000-7f0004000000 ---p 00000000 00:00 0\n\
             7f0010000000-7f0010001000 r-xp 00000000 08:01 7 /lib/{glibc}\n"
        );
        let mut builder = DumpBuilder::linux_x64().linux_maps(lines);
        if let Some(words) = words {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            builder = builder.memory(0x7f00_0000_0000, bytes);
        }
        let source = Source::from_bytes(builder.build());
        let dump = Dump::read(&source, &crate::limits::Limits::default()).unwrap();
        let map = RegionMap::build(&dump);
        let evidence = crate::evidence::gather(&dump, &map);
        let head = |claim: &&Claim| claim.usage == Use::Named("malloc arena");
        evidence.claims.iter().find(head).map(|claim| claim.confidence)
    }

    #[test]
    fn the_first_words_decide_where_they_are_captured() {
        let (libc, musl) = ("libc.so.6", "ld-musl-x86_64.so.1");
        let start = 0x7f00_0000_0000;
        let good = Some([start + 0x30, 0, 0x2_1000, 0x10_0000]);
        assert_eq!(claimed(good, libc), Some(Confidence::Derived));
        assert_eq!(claimed(good, musl), Some(Confidence::Derived));
        assert_eq!(claimed(None, libc), Some(Confidence::Heuristic));
        assert_eq!(claimed(None, musl), None);
        let further = Some([start - (64 << 20) + 0x30, start - (64 << 20), 0x2_1000, 0x10_0000]);
        assert_eq!(claimed(further, libc), Some(Confidence::Derived));
        assert_eq!(claimed(Some([0; 4]), libc), None);
        assert_eq!(claimed(Some([start, 0, 0x2_1000, 0x10_0000]), libc), None);
    }
}
