//! Heaps of malloc made by hand: a sound one, and each way to break it. A chain that breaks says nothing of any chunk.

mod support;

#[path = "cli/schema.rs"]
#[allow(dead_code, reason = "only `check`")]
mod schema;

use dumpmap::analyze;
use dumpmap::evidence::malloc::{ChunkState, InChunk, Unknown, mapped, places};
use dumpmap::limits::{Depth, Limits};
use dumpmap::source::Source;
use dumpmap::synth::{Architecture, DumpBuilder, Platform};

const HEAP: u64 = 0x5555_0000_0000;
const PAGES: u64 = 0x2000;
const ARENA: u64 = 0x7f00_0000_0000;

/// Words of memory from an address on.
struct Memory {
    base: u64,
    bytes: Vec<u8>,
}

impl Memory {
    fn new(base: u64, size: u64) -> Memory {
        Memory { base, bytes: vec![0; size as usize] }
    }

    fn word(mut self, at: u64, value: u64) -> Memory {
        let at = (at - self.base) as usize;
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// A chunk: its header, flags and all.
    fn chunk(self, at: u64, size_and_flags: u64) -> Memory {
        self.word(at + 8, size_and_flags)
    }
}

/// A cache with one block of 32 bytes in it, four chunks of which the third is
/// free, and the top.
fn brk() -> Memory {
    let cached = HEAP + 0x290;
    let free = HEAP + 0x2f0;
    Memory::new(HEAP, PAGES)
        .chunk(HEAP, 0x291)
        .word(HEAP + 0x10, 1)
        .word(HEAP + 0x90, cached + 0x10)
        .chunk(cached, 0x21)
        .word(cached + 0x10, (cached + 0x10) >> 12)
        .chunk(HEAP + 0x2b0, 0x41)
        .chunk(free, 0x91)
        .word(free + 0x90, 0x90)
        .chunk(free + 0x90, 0x40)
        .chunk(free + 0xd0, PAGES - 0x3c0 + 1)
}

fn maps() -> String {
    format!(
        "{HEAP:x}-{:x} rw-p 00000000 00:00 0 [heap]\n\
         {ARENA:x}-{:x} rw-p 00000000 00:00 0\n\
         {:x}-{:x} ---p 00000000 00:00 0\n",
        HEAP + PAGES,
        ARENA + PAGES,
        ARENA + PAGES,
        ARENA + (64 << 20),
    )
}

fn dump(memory: Memory) -> DumpBuilder {
    DumpBuilder::linux_x64().linux_maps(maps()).memory64(memory.base, memory.bytes)
}

fn at(dump: DumpBuilder, address: u64, depth: Depth) -> Result<InChunk, Unknown> {
    let source = Source::from_bytes(dump.build());
    let analysis = analyze(&source, &Limits { depth, ..Limits::default() }).unwrap();
    let mut found = places(&analysis.dump, &analysis.evidence.malloc, &[address]);
    found.remove(0).unwrap_or_else(|| panic!("{address:#x} is in no heap")).chunk
}

fn inside(memory: Memory, address: u64) -> Result<InChunk, Unknown> {
    at(dump(memory), address, Depth::Headers)
}

#[test]
fn chunks_of_a_sound_heap() {
    let check = |offset: u64, start: u64, size: u64, state, alike: (u64, u64)| {
        let found = inside(brk(), HEAP + offset).unwrap();
        assert_eq!((found.chunk.start, found.chunk.size), (HEAP + start, size), "{offset:#x}");
        assert_eq!(found.chunk.state, state, "{offset:#x}");
        assert_eq!((found.alike, found.alike_in_use), alike, "{offset:#x}");
        let next = found.next.map(|next| next.start);
        assert_eq!(next, (state != ChunkState::Top).then_some(HEAP + start + size));
    };
    check(0x10, 0, 0x290, ChunkState::InUse, (1, 1));
    check(0x290, 0x290, 0x20, ChunkState::Tcache, (1, 0));
    check(0x2af, 0x290, 0x20, ChunkState::Tcache, (1, 0));
    check(0x2c8, 0x2b0, 0x40, ChunkState::InUse, (2, 2));
    check(0x2f0, 0x2f0, 0x90, ChunkState::Free, (1, 0));
    check(0x380, 0x380, 0x40, ChunkState::InUse, (2, 2));
    check(0x1fff, 0x3c0, PAGES - 0x3c0, ChunkState::Top, (0, 0));
}

#[test]
fn a_chain_that_breaks_says_nothing() {
    let wrong = |what: &str, memory: Memory| match inside(memory, HEAP + 0x2c0) {
        Err(Unknown::Contradiction(_, why)) => assert_eq!(why, what),
        other => panic!("{what}: {other:x?}"),
    };
    let size = "no size of a chunk";
    wrong(size, brk().chunk(HEAP + 0x2b0, 0x1));
    wrong(size, brk().chunk(HEAP + 0x2b0, 0x49));
    wrong(size, brk().chunk(HEAP + 0x2b0, 0x11));
    wrong(size, brk().chunk(HEAP + 0x2b0, !0x6));
    wrong(size, brk().chunk(HEAP + 0x3c0, PAGES + 1));
    wrong("prev_size is not the size of the chunk before", brk().word(HEAP + 0x380, 0x80));
    wrong("flag of another arena", brk().chunk(HEAP + 0x2b0, 0x45));
    wrong("flag of a mapping", brk().chunk(HEAP + 0x2b0, 0x43));
    wrong("a chunk before the first", brk().chunk(HEAP, 0x290));
    let second = brk().word(HEAP + 0x3c0, 0x40).chunk(HEAP + 0x3c0, PAGES - 0x3c0);
    wrong("two free chunks side by side", second);
    let before = brk().chunk(HEAP + 0x380, 0x41).word(HEAP + 0x3c0, 0x40);
    wrong("a free chunk before the top", before.chunk(HEAP + 0x3c0, PAGES - 0x3c0));
}

#[test]
fn heaps_that_are_not_to_be_read() {
    let half = Memory { base: HEAP, bytes: brk().bytes[..0x300].to_vec() };
    assert_eq!(inside(half, HEAP + 0x2c0), Err(Unknown::NotCaptured(HEAP + 0x380)));
    assert_eq!(at(dump(brk()), HEAP + 0x2c0, Depth::Streams), Err(Unknown::NotRead));
}

#[test]
fn lists_in_a_circle_count_for_nothing() {
    // 7 blocks are said to be in the bin; the only one leads to itself.
    let cached = HEAP + 0x290;
    let circle = |count: u64| {
        let next = (cached + 0x10) ^ ((cached + 0x10) >> 12);
        brk().word(HEAP + 0x10, count).word(cached + 0x10, next)
    };
    for count in [1, 7, 0xffff] {
        let found = inside(circle(count), cached).unwrap();
        assert_eq!(found.chunk.state, ChunkState::InUse, "{count}");
    }
    // A bin of another size.
    let other = brk().word(HEAP + 0x10, 1 << 16).word(HEAP + 0x90, 0);
    let other = inside(other.word(HEAP + 0x98, cached + 0x10), cached).unwrap();
    assert_eq!(other.chunk.state, ChunkState::InUse);
}

/// The first heap of an arena of glibc 2.35: two chunks in use, one of them in
/// a fast bin, and the top.
fn arena() -> Memory {
    let state = ARENA + 0x30;
    let first = ARENA + 0x8d0;
    Memory::new(ARENA, PAGES)
        .word(ARENA, state)
        .word(ARENA + 0x10, PAGES)
        .word(state + 0x10, first)
        .word(state + 0x60, first + 0x60)
        .chunk(first, 0x25)
        .word(first + 0x10, (first + 0x10) >> 12)
        .chunk(first + 0x20, 0x45)
        .chunk(first + 0x60, PAGES - 0x930 + 1)
}

#[test]
fn an_arena_and_its_fast_bins() {
    let state = |memory, offset| inside(memory, ARENA + offset).map(|inside| inside.chunk.state);
    assert_eq!(state(arena(), 0x8d0), Ok(ChunkState::Fastbin));
    assert_eq!(state(arena(), 0x8f0), Ok(ChunkState::InUse));
    assert_eq!(state(arena(), 0x1fff), Ok(ChunkState::Top));
    assert_eq!(state(arena(), 0x100), Err(Unknown::BeforeFirst));
    assert_eq!(state(arena(), PAGES), Err(Unknown::BehindLast));
    // A bin that is a circle.
    let first = ARENA + 0x8d0;
    let circle = arena().word(first + 0x10, first ^ ((first + 0x10) >> 12));
    assert_eq!(state(circle, 0x8d0), Ok(ChunkState::InUse));
    // A top elsewhere in the heap, or none.
    for top in [first + 0x20, first + 0x70, 0, u64::MAX] {
        let found = state(arena().word(ARENA + 0x90, top), 0x8f0);
        assert!(matches!(found, Err(Unknown::Contradiction(..))), "{top:#x}: {found:x?}");
    }
}

#[test]
fn layouts_of_32_bits_are_not_known() {
    let maps = "08000000-08002000 rw-p 00000000 00:00 0 [heap]\n";
    let builder = DumpBuilder::with_system(Architecture::X86, Platform::Linux, (6, 1, 0));
    let builder = builder.linux_maps(maps);
    let found = at(builder.memory64(0x800_0000, vec![0; 0x2000]), 0x800_0010, Depth::Headers);
    assert_eq!(found, Err(Unknown::Bits32));
}

const LARGE: u64 = 0x7f10_0000_0000;
const MIB: u64 = 1 << 20;

/// A mapping of 3 MiB with these words in it, beside glibc or not.
fn large(words: &[(u64, u64)], libc: &str, address: u64) -> Option<(u64, u64)> {
    let maps = format!(
        "{LARGE:x}-{:x} rw-p 00000000 00:00 0\n\
         7f2000000000-7f2000001000 r-xp 00000000 08:01 7 /lib/{libc}\n",
        LARGE + 3 * MIB
    );
    let words = words
        .iter()
        .fold(Memory::new(LARGE, 3 * MIB), |memory, (at, word)| memory.word(LARGE + at, *word));
    let dump = DumpBuilder::linux_x64().linux_maps(maps).memory64(words.base, words.bytes);
    let source = Source::from_bytes(dump.build());
    let analysis = analyze(&source, &Limits::default()).unwrap();
    let found = mapped(&analysis.dump, &analysis.map, LARGE + address)?;
    Some((found.start - LARGE, found.size))
}

#[test]
fn large_blocks_end_where_their_mapping_ends() {
    let libc = "libc.so.6";
    let header = |at: u64, size: u64| (at + 8, size | 2);
    let last = [header(2 * MIB, MIB)];
    assert_eq!(large(&last, libc, 2 * MIB + 5), Some((2 * MIB, MIB)));
    assert_eq!(large(&last, libc, 3 * MIB - 1), Some((2 * MIB, MIB)));
    assert_eq!(large(&last, libc, 2 * MIB - 1), None);
    assert_eq!(large(&last, "ld-musl-x86_64.so.1", 2 * MIB), None);
    let both = [header(0, MIB), header(MIB, 2 * MIB)];
    assert_eq!(large(&both, "libc-2.31.so", MIB - 1), Some((0, MIB)));
    assert_eq!(large(&both, libc, MIB), Some((MIB, 2 * MIB)));
    // Sizes that lie: nothing, not whole pages, too far, short of the end.
    for size in [0, 0x1_0000, MIB + 16, 2 * MIB, MIB - 0x1000, !0xfff, 1 << 63] {
        assert_eq!(large(&[header(2 * MIB, size)], libc, 2 * MIB), None, "{size:#x}");
    }
    // Other flags, and something before the header.
    assert_eq!(large(&[(2 * MIB + 8, MIB | 3)], libc, 2 * MIB), None);
    assert_eq!(large(&[(2 * MIB, 1), header(2 * MIB, MIB)], libc, 2 * MIB), None);
}

#[test]
fn heaps_without_the_shape_are_found_by_their_headers() {
    const WINDOW: u64 = 64 << 20;
    let (first, second) = (ARENA, ARENA + WINDOW);
    let state = first + 0x30;
    // Two heaps of one arena, joined: arena, prev and size of the second, and
    // where its read-write memory ends.
    let found = |words: [u64; 3], tail: u64| {
        let maps = format!(
            "{:x}-{:x} rw-p 00000000 00:00 0\n{:x}-{:x} ---p 00000000 00:00 0\n",
            first - MIB,
            second + tail,
            second + tail,
            second + WINDOW + MIB,
        );
        let bytes = |words: [u64; 3]| words.map(u64::to_le_bytes).concat();
        let dump = DumpBuilder::linux_x64().linux_maps(maps);
        let dump = dump.memory64(first, bytes([state, 0, WINDOW])).memory64(second, bytes(words));
        let source = Source::from_bytes(dump.build());
        let analysis = analyze(&source, &Limits::default()).unwrap();
        let heaps = analysis.evidence.malloc.iter();
        heaps.map(|heap| (heap.range.start(), heap.end)).collect::<Vec<_>>()
    };
    let full = (first, second);
    assert_eq!(found([state, first, MIB], MIB), [full, (second, second + MIB)]);
    assert_eq!(found([state, first, WINDOW], WINDOW), [full, (second, second + WINDOW)]);
    // Another arena, a size that is too large or none, prev at no window.
    for words in [
        [state + 8, first, MIB],
        [state, first, 2 * MIB],
        [state, first, 2 * WINDOW],
        [state, first, 0],
        [state, first + 8, MIB],
        [state, 0, MIB],
        [0; 3],
        [u64::MAX; 3],
    ] {
        assert_eq!(found(words, MIB), [full], "{words:x?}");
    }
}

#[test]
fn the_program_says_it() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("malloc_made");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("brk.dmp");
    std::fs::write(&path, dump(brk()).build()).unwrap();
    let path = path.to_str().unwrap();
    let text = support::run(["explain", path, "5555000002c8", "555500000298", "7f0000000000"]);
    for line in [
        "malloc     heap 0x555500000000 of the main arena",
        "chunk      0x5555000002b0, in use, 64 bytes, 56 usable, 8 bytes in",
        "family     one of 2 chunks of 64 bytes in this heap, 2 in use",
        "previous   0x555500000290, free, in a thread's cache, 32 bytes, 24 usable",
        "free, in a thread's cache, 32 bytes, 24 usable, 8",
    ] {
        assert!(text.stdout.contains(line), "{line} in\n{}", text.stdout);
    }
    let addresses = ["5555000002c8", "5555000003c0", "7f0000000000"];
    let json = support::run(["explain", path].into_iter().chain(addresses).chain(["-f", "json"]));
    schema::check("explain", &json.stdout);
    let json = json.stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let malloc = &json["addresses"][0]["malloc"];
    assert_eq!(malloc["heap"], "main");
    assert_eq!(malloc["chunk"]["state"], "in-use");
    assert_eq!(malloc["chunk"]["address"], "0x00005555000002c0");
    assert_eq!(malloc["chunk"]["alike"], 2);
    assert_eq!(malloc["problem"], serde_json::Value::Null);
}
