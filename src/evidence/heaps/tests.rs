//! Hostile heaps: lists that turn back, counts and sizes that cannot be, and
//! headers that agree with no layout. None may hang, panic, or claim a byte
//! twice.

use super::*;
use crate::evidence::environment::Peb;
use crate::limits::Limits;
use crate::source::Source;

const HEAP: u64 = 0x10_0000;
const SECOND: u64 = 0x20_0000;
const THIRD: u64 = 0x30_0000;

/// A dump whose memory is these blocks, each an allocation of its own.
pub(super) fn dump_of(blocks: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut system = vec![0; 56];
    system[0] = 9;
    system[20..24].copy_from_slice(&2_u32.to_le_bytes());
    let mut info = [16_u32, 48, blocks.len() as u32, 0].map(u32::to_le_bytes).concat();
    let mut list = (blocks.len() as u64).to_le_bytes().to_vec();
    let streams = 3;
    let data = 32 + 12 * streams + 56 + (16 + 48 * blocks.len()) + (16 + 16 * blocks.len());
    list.extend((data as u64).to_le_bytes());
    let mut contents = Vec::new();
    for (address, bytes) in blocks {
        let size = bytes.len() as u64;
        let words = [*address, *address, 4, size, 0x1000 | 4 << 32, 0x2_0000];
        info.extend(words.map(u64::to_le_bytes).concat());
        list.extend([*address, size].map(u64::to_le_bytes).concat());
        contents.extend(bytes);
    }
    let mut file = b"MDMP".to_vec();
    file.extend([0xa793_u32, streams as u32, 32, 0, 0, 0, 0].map(u32::to_le_bytes).concat());
    let mut offset = 32 + 12 * streams;
    for (kind, stream) in [(7_u32, &system), (16, &info), (9, &list)] {
        file.extend([kind, stream.len() as u32, offset as u32].map(u32::to_le_bytes).concat());
        offset += stream.len();
    }
    for part in [system, info, list, contents] {
        file.extend(part);
    }
    file
}

fn put(bytes: &mut [u8], offset: u64, value: u64) {
    bytes[offset as usize..][..8].copy_from_slice(&value.to_le_bytes());
}

fn put_word(bytes: &mut [u8], offset: u64, value: u32) {
    bytes[offset as usize..][..4].copy_from_slice(&value.to_le_bytes());
}

fn put_links(bytes: &mut [u8], offset: u64, next: u64, previous: u64) {
    put(bytes, offset, next);
    put(bytes, offset + 8, previous);
}

/// `_HEAP_SEGMENT`, x64, of 16 pages.
fn segment(address: u64, next: u64, previous: u64) -> Vec<u8> {
    let mut bytes = vec![0; 0x1_0000];
    put_word(&mut bytes, 0x10, 0xffee_ffee);
    put_links(&mut bytes, 0x18, next, previous);
    put(&mut bytes, 0x28, HEAP);
    put(&mut bytes, 0x30, address);
    put_word(&mut bytes, 0x38, 16);
    bytes
}

/// `_HEAP`, Windows 10 1809 and later, x64, and its first segment.
fn header(first: u64, last: u64) -> Vec<u8> {
    let mut bytes = segment(HEAP, HEAP + 0x120, HEAP + 0x120);
    put_word(&mut bytes, 0x70, 2);
    put_word(&mut bytes, 0x98, 0xeeff_eeff);
    put_links(&mut bytes, 0x110, HEAP + 0x110, HEAP + 0x110);
    put_links(&mut bytes, 0x120, first, last);
    put(&mut bytes, 0x238, 0x3_0000);
    put(&mut bytes, 0x240, 0x3_0000);
    put_word(&mut bytes, 0x258, 3);
    bytes
}

/// Three segments in a list that holds.
fn three_segments() -> Vec<(u64, Vec<u8>)> {
    let head = HEAP + 0x120;
    let entries = [HEAP + 0x18, SECOND + 0x18, THIRD + 0x18];
    let mut own = header(entries[0], entries[2]);
    put_links(&mut own, 0x18, entries[1], head);
    vec![
        (HEAP, own),
        (SECOND, segment(SECOND, entries[2], entries[0])),
        (THIRD, segment(THIRD, head, entries[1])),
    ]
}

fn peb(process_heap: u64, heaps: Option<(u32, u64)>) -> Peb {
    Peb {
        address: 0x7000,
        width: PointerWidth::Bits64,
        captured: true,
        image_base: None,
        loader_data: None,
        process_heap: Some(process_heap),
        heaps,
        global_flag: None,
        os_version: None,
    }
}

fn gather_heaps(blocks: &[(u64, Vec<u8>)], peb: Peb) -> Vec<Heap> {
    let source = Source::from_bytes(dump_of(blocks));
    let dump = Dump::read(&source, &Limits::default()).unwrap();
    let map = RegionMap::build(&dump);
    let mut evidence = Evidence::default();
    evidence.environment.pebs.push(peb);
    gather(&dump, &map, &mut evidence);
    let mut parts: Vec<_> = evidence.claims.iter().map(|claim| claim.range).collect();
    parts.sort_by_key(|range| range.start());
    assert!(parts.is_sorted_by(|a, b| a.last() < b.start()), "{parts:x?}");
    evidence.heaps
}

fn only_heap(blocks: &[(u64, Vec<u8>)]) -> Heap {
    let mut heaps = gather_heaps(blocks, peb(HEAP, None));
    assert_eq!(heaps.len(), 1, "{heaps:x?}");
    heaps.remove(0)
}

fn says(heap: &Heap, words: &str) {
    assert!(heap.problems.iter().any(|problem| problem.contains(words)), "{heap:x?}");
}

#[test]
fn a_sound_heap_has_no_problem() {
    let heap = only_heap(&three_segments());
    assert_eq!(heap.problems, [""; 0]);
    assert!(heap.complete);
    assert_eq!((heap.size, heap.committed), (Some(0x3_0000), Some(0x3_0000)));
    assert_eq!((heap.flags, heap.front_end), (Some(2), Some("none")));
}

#[test]
fn a_segment_list_that_turns_back() {
    let mut blocks = three_segments();
    put(&mut blocks[1].1, 0x18, HEAP + 0x18);
    let heap = only_heap(&blocks);
    says(&heap, "turns back");
    assert!(!heap.complete);
    // From the other end the third segment is found all the same.
    assert_eq!(heap.parts.len(), 3);
}

#[test]
fn links_that_disagree() {
    let mut blocks = three_segments();
    put(&mut blocks[1].1, 0x20, THIRD + 0x18);
    let heap = only_heap(&blocks);
    says(&heap, "links of the list disagree at 0x200018");
    assert_eq!(heap.parts.len(), 3);
    assert!(!heap.complete);
}

#[test]
fn a_segment_that_is_not_captured() {
    let mut blocks = three_segments();
    blocks.remove(1);
    let heap = only_heap(&blocks);
    says(&heap, "segment at 0x200000 is not captured");
    assert_eq!(heap.parts.len(), 2);
    assert!(!heap.complete);
}

#[test]
fn a_segment_off_the_list_is_found_by_its_signature() {
    let mut blocks = three_segments();
    put(&mut blocks[1].1, 0x18, HEAP + 0x120);
    put(&mut blocks[0].1, 0x128, SECOND + 0x18);
    let heap = only_heap(&blocks);
    says(&heap, "counts 3 segments, 2 were found");
    says(&heap, "segment at 0x300000 was found by its signature only");
    assert_eq!(heap.parts.len(), 3);
}

#[test]
fn two_segments_of_the_same_bytes() {
    let mut blocks = three_segments();
    put(&mut blocks[2].1, 0x30, SECOND);
    put_word(&mut blocks[2].1, 0x38, 0x200);
    let heap = only_heap(&blocks);
    says(&heap, "overlaps another part");
    assert_eq!(heap.parts.len(), 2);
}

#[test]
fn a_segment_of_sixteen_terabytes_ends_with_its_allocation() {
    let mut blocks = three_segments();
    put_word(&mut blocks[2].1, 0x38, u32::MAX);
    let heap = only_heap(&blocks);
    says(&heap, "reaches past its allocation");
    assert_eq!(heap.size, Some(0x3_0000));
}

#[test]
fn counters_that_no_layout_has() {
    let mut blocks = three_segments();
    put(&mut blocks[0].1, 0x238, 0x1234_5678_9abc_def1);
    let heap = only_heap(&blocks);
    says(&heap, "layout unknown");
    assert_eq!(heap.heap_type, Some(HeapType::Nt));
    assert_eq!(heap.front_end, None);
    assert!(!heap.complete);
}

#[test]
fn a_header_without_its_second_signature_is_no_heap() {
    let mut blocks = three_segments();
    put_word(&mut blocks[0].1, 0x98, 0);
    blocks.truncate(1);
    let heap = only_heap(&blocks);
    says(&heap, "fails its check");
    assert_eq!(heap.heap_type, None);
    assert_eq!(heap.confidence, Confidence::Heuristic);
}

#[test]
fn a_list_of_four_billion_heaps() {
    let mut array = vec![0; 0x8000];
    for (at, chunk) in array.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&(at as u64 * 0x10 + 0x10).to_le_bytes());
    }
    let heaps = gather_heaps(&[(SECOND, array)], peb(0x10, Some((u32::MAX, SECOND))));
    assert_eq!(heaps.len(), 4096);
    says(&heaps[0], "are used");
    let heaps = gather_heaps(&[(SECOND, vec![1; 0x1000])], peb(0, Some((u32::MAX, SECOND))));
    assert_eq!(heaps.len(), 1, "one handle, named over and over");
}

/// `_SEGMENT_HEAP`, Windows 10 1809 to 22H2, x64, with one segment.
fn segment_heap() -> Vec<(u64, Vec<u8>)> {
    const SEGMENT: u64 = 0x40_0000;
    let mut bytes = vec![0; 0x1_0000];
    put_word(&mut bytes, 0x10, 0xddee_ddee);
    put(&mut bytes, 0x80, 0x110);
    put(&mut bytes, 0x88, 0x110);
    for (at, mask) in [(0x100, !0xf_ffff), (0x1c0, !0xff_ffff)] {
        put(&mut bytes, at, mask);
        put(&mut bytes, at + 0x38, HEAP);
        put_links(&mut bytes, at + 0x48, HEAP + at + 0x48, HEAP + at + 0x48);
    }
    put_links(&mut bytes, 0x148, SEGMENT, SEGMENT);
    let mut segment = vec![0; 0x10_0000];
    put_links(&mut segment, 0, HEAP + 0x148, HEAP + 0x148);
    vec![(HEAP, bytes), (SEGMENT, segment)]
}

#[test]
fn a_sound_segment_heap() {
    let heap = only_heap(&segment_heap());
    assert_eq!(heap.problems, [""; 0]);
    assert!(heap.complete);
    assert_eq!(heap.size, Some(0x11_0000));
}

#[test]
fn a_tree_of_large_blocks_that_turns_back() {
    let mut blocks = segment_heap();
    put(&mut blocks[0].1, 0x48, SECOND);
    let mut node = vec![0; 0x1000];
    put(&mut node, 0, SECOND);
    put(&mut node, 8, SECOND);
    put(&mut node, 0x18, THIRD);
    blocks.insert(1, (SECOND, node));
    blocks.insert(2, (THIRD, vec![0; 0x1000]));
    let heap = only_heap(&blocks);
    says(&heap, "turns back to 0x200000");
    assert_eq!(heap.parts.len(), 3);
    assert!(!heap.complete);
}

#[test]
fn a_segment_heap_of_no_known_layout() {
    let mut blocks = segment_heap();
    put(&mut blocks[0].1, 0x138, HEAP + 8);
    let heap = only_heap(&blocks);
    says(&heap, "layout unknown");
    assert_eq!(heap.heap_type, Some(HeapType::Segment));
    assert_eq!(heap.confidence, Confidence::Heuristic);
}

#[test]
fn random_damage_to_a_header_never_panics() {
    let mut seed = 11_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    let sound = [three_segments(), segment_heap()];
    for round in 0..400 {
        let mut blocks = sound[round % 2].clone();
        for _ in 0..=random(6) {
            let block = random(blocks.len() as u64) as usize;
            let values = [0, 1, HEAP, HEAP + 0x120, SECOND + 0x18, u64::MAX, random(u64::MAX)];
            let value = values[random(values.len() as u64) as usize];
            put(&mut blocks[block].1, random(0x60) * 8, value);
        }
        gather_heaps(&blocks, peb(HEAP, Some((random(5) as u32, HEAP + random(0x300)))));
    }
}
