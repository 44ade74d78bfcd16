//! Chunks of malloc in a dump of a process of which every block is known: a
//! child of this test, which runs on the system's own glibc. The child is
//! another run of this program, at the test that says so.

#![allow(clippy::print_stdout, reason = "counts, for a person who reads along")]
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use std::alloc::Layout;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use dumpmap::evidence::malloc::{ChunkState, InChunk, MallocHeapKind, mapped, places};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap::synth::DumpBuilder;
use dumpmap::{Analysis, analyze};

/// Sizes that are asked for in each thread, and how many of each.
const SIZES: [(usize, usize); 6] =
    [(24, 50), (25, 10), (200, 40), (1000, 300), (5000, 20), (60_000, 10)];
/// Blocks that fill more than one heap of an arena: of the first size the old
/// heap keeps a tail that was never used, of the second it is full.
const LARGE: (usize, usize) = (100_000, 700);
const SMALL: (usize, usize) = (1_000, 70_000);
const THREADS: usize = 3;
/// Blocks that get mappings of their own: the threshold grows only when such
/// a block is given back.
const MAPPED: [usize; 4] = [200_000, 300_000, 200_000, 5_000_000];
/// Their number in place of a thread's.
const OF_NO_HEAP: usize = 99;

/// A block that the child says it has, or has freed.
#[derive(Clone, Copy, Debug)]
struct Block {
    thread: usize,
    address: u64,
    size: u64,
    used: bool,
}

#[expect(unsafe_code, reason = "malloc itself, and no more than it is asked for")]
mod raw {
    use super::Layout;

    /// The address of a new block of the global allocator, glibc's.
    pub(super) fn take(layout: Layout) -> u64 {
        // SAFETY: no layout here is of size zero; null is never used.
        unsafe { std::alloc::alloc(layout) as u64 }
    }

    pub(super) fn give_back(address: u64, layout: Layout) {
        // SAFETY: `take` gave the address for this layout, and nobody else has it.
        unsafe { std::alloc::dealloc(address as *mut u8, layout) }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Takes blocks, and gives every third back, small ones more than a cache has
/// room for.
fn blocks(thread: usize) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (size, count) in SIZES {
        let taken: Vec<u64> = (0..count).map(|_| raw::take(layout(size))).collect();
        for (nth, address) in taken.into_iter().enumerate() {
            let used = nth % 3 != 0;
            blocks.push(Block { thread, address, size: size as u64, used });
        }
    }
    for block in blocks.iter().filter(|block| !block.used) {
        raw::give_back(block.address, layout(block.size as usize));
    }
    blocks
}

/// The child: takes blocks in several threads, says which, and waits.
#[test]
#[ignore = "the process that is dumped by the other tests"]
fn child() {
    // What waits is not freed; what says it takes blocks before those it lists.
    let mut out = String::with_capacity(1 << 20);
    let all = std::sync::Mutex::new(Vec::<Block>::with_capacity(10_000));
    let (start, done) =
        (std::sync::Barrier::new(THREADS + 1), std::sync::Barrier::new(THREADS + 1));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (all, start, done) = (&all, &start, &done);
            scope.spawn(move || {
                let mut own = Vec::with_capacity(2_000);
                let many = [LARGE, SMALL].get(thread).copied().unwrap_or((0, 0));
                for nth in 0..many.1 {
                    let (address, size) = (raw::take(layout(many.0)), many.0 as u64);
                    if many == LARGE || nth % 100 == 0 {
                        own.push(Block { thread, address, size, used: true });
                    }
                }
                // Last of all, or others would get what these give back.
                own.extend(blocks(thread));
                all.lock().unwrap().append(&mut own);
                start.wait();
                done.wait();
            });
        }
        let mut own = blocks(THREADS);
        own.extend(MAPPED.map(|size| {
            let address = raw::take(layout(size));
            Block { thread: OF_NO_HEAP, address, size: size as u64, used: true }
        }));
        start.wait();
        for Block { thread, address, size, used } in all.lock().unwrap().iter().chain(&own) {
            out.push_str(&format!("block {thread} {address} {size} {used}\n"));
        }
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(out.as_bytes()).unwrap();
        stdout.write_all(b"ready\n").unwrap();
        stdout.flush().unwrap();
        drop(stdout);
        std::io::stdin().read_line(&mut String::with_capacity(100)).unwrap();
        done.wait();
    });
}

/// A dump of a child with so many arenas, and its blocks; `None` where a child
/// cannot be read.
fn dumped(arenas: &str) -> Option<(Vec<u8>, Vec<Block>)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env("MALLOC_ARENA_MAX", arenas)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut blocks = Vec::new();
    for line in lines.by_ref().map(Result::unwrap) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["ready"] => break,
            ["block", thread, address, size, used] => {
                let number = |text: &str| text.parse::<u64>().unwrap();
                blocks.push(Block {
                    thread: number(thread) as usize,
                    address: number(address),
                    size: number(size),
                    used: used == "true",
                });
            }
            _ => {}
        }
    }
    let dump = read(child.id());
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    Some((dump?, blocks))
}

/// The maps of a process and its anonymous read-write memory.
fn read(pid: u32) -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let Ok(memory) = std::fs::File::open(format!("/proc/{pid}/mem")) else {
        println!("skipped: the memory of a child cannot be read here");
        return None;
    };
    let mut builder = DumpBuilder::linux_x64();
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let named = words.get(5).is_some_and(|name| *name != "[heap]");
        if !words[1].starts_with("rw-p") || named {
            continue;
        }
        let (start, end) = words[0].split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = vec![0; (number(end) - number(start)) as usize];
        memory.read_exact_at(&mut bytes, number(start)).unwrap();
        builder = builder.memory64(number(start), bytes);
    }
    Some(builder.linux_maps(maps).build())
}

/// Whether this glibc is one whose layouts are known. Of another nothing may
/// be said that is wrong, but nothing need be said.
fn is_known() -> bool {
    let version = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = version.unwrap_or_default();
    let minor = version.trim().strip_prefix("glibc 2.").and_then(|minor| minor.parse::<u32>().ok());
    let known = minor.is_some_and(|minor| (26..=41).contains(&minor));
    if !known {
        println!("{version}: layouts are not known, so not all is checked");
    }
    known
}

/// What a chunk of malloc has room for: the next multiple of 16, with 8 bytes
/// of header.
fn chunk_size(size: u64) -> u64 {
    (size + 8).next_multiple_of(16).max(32)
}

fn analysis(source: &Source) -> Analysis<'_> {
    analyze(source, &Limits::default()).unwrap()
}

#[test]
fn every_block_is_found() {
    // All threads in the brk heap; or each in an arena of its own.
    check_blocks("1", &["in-use", "free", "tcache"], MallocHeapKind::Main);
    check_blocks("8", &["in-use", "free", "tcache", "fastbin"], MallocHeapKind::Arena);
}

fn check_blocks(arenas: &str, expected: &[&str], kind: MallocHeapKind) {
    let is_known = is_known();
    let Some((dump, blocks)) = dumped(arenas) else { return };
    let source = Source::from_bytes(dump);
    let analysis = analysis(&source);
    let heaps = &analysis.evidence.malloc;
    let of_kind = heaps.iter().filter(|heap| heap.kind == kind).count();
    let least = if kind == MallocHeapKind::Main { 1 } else { THREADS + 1 };
    assert!(of_kind >= least, "{heaps:x?}");

    let (large, blocks): (Vec<Block>, Vec<Block>) =
        blocks.into_iter().partition(|block| block.thread == OF_NO_HEAP);
    for Block { address, size, .. } in large {
        // The first byte of the header, of the block, and the block's last.
        for inside in [address - 16, address, address + size - 1] {
            let chunk = mapped(&analysis.dump, &analysis.map, inside);
            let chunk = chunk.unwrap_or_else(|| panic!("{address:#x}, {size} bytes"));
            assert_eq!(chunk.address(), address);
            assert_eq!(chunk.size, (size + 16).next_multiple_of(4096));
            assert_eq!(chunk.usable(), chunk.size - 16);
        }
    }
    let addresses: Vec<u64> = blocks.iter().map(|block| block.address).collect();
    assert!(addresses.iter().all(|at| mapped(&analysis.dump, &analysis.map, *at).is_none()));
    let found = places(&analysis.dump, heaps, &addresses);
    let mut states = std::collections::BTreeMap::new();
    let mut sizes = std::collections::BTreeMap::<(u64, u64), u64>::new();
    let mut known = Vec::new();
    for (block, place) in blocks.iter().zip(found) {
        let place = place.unwrap_or_else(|| panic!("{block:x?} in no heap"));
        assert_eq!(place.heap.kind, kind, "{block:x?} {place:x?}");
        let inside = match place.chunk {
            Ok(inside) => inside,
            Err(why) if is_known => panic!("{block:x?}: {why:x?}"),
            Err(_) => continue,
        };
        let InChunk { chunk, previous, next, .. } = inside;
        assert!(previous.is_none_or(|chunk| chunk.start + chunk.size == inside.chunk.start));
        assert!(next.is_none_or(|next| next.start == chunk.start + chunk.size));
        *states.entry(chunk.state.as_str()).or_insert(0) += 1;
        if block.used {
            assert_eq!(chunk.address(), block.address);
            assert_eq!(chunk.state, ChunkState::InUse, "{block:x?} {inside:x?}");
            assert!(chunk.usable() >= block.size, "{block:x?} {inside:x?}");
            // A rest that is too small for a chunk of its own stays with it.
            let exact = chunk_size(block.size);
            assert!([exact, exact + 16].contains(&chunk.size), "{block:x?} {inside:x?}");
            let in_heap = sizes.entry((place.heap.range.start(), chunk.size)).or_default();
            *in_heap += 1;
            known.push((place.heap.range.start(), inside));
        } else {
            // Its thread freed it: others may have it by now, or a neighbour.
            assert!(chunk.start <= block.address - 16, "{block:x?} {inside:x?}");
        }
    }
    for (heap, inside) in known {
        let least = sizes[&(heap, inside.chunk.size)];
        assert!(inside.alike_in_use >= least, "{inside:x?}: {least} are known");
        assert!(inside.alike >= inside.alike_in_use);
    }
    for state in expected.iter().filter(|_| is_known) {
        assert!(states.contains_key(state), "{state} in {states:?}");
    }
    println!("{} heaps, {} blocks: {states:?}", heaps.len(), blocks.len());
}

#[test]
fn freed_blocks_of_waiting_threads_are_not_in_use() {
    if !is_known() {
        return;
    }
    let Some((dump, blocks)) = dumped("8") else { return };
    let source = Source::from_bytes(dump);
    let analysis = analysis(&source);
    // Threads that wait took nothing since; the one that prints did.
    let freed = blocks.iter().filter(|block| !block.used && block.thread < THREADS);
    let addresses: Vec<u64> = freed.map(|block| block.address).collect();
    let found = places(&analysis.dump, &analysis.evidence.malloc, &addresses);
    let used = found.iter().flatten().filter(|place| {
        place.chunk.as_ref().is_ok_and(|inside| inside.chunk.state == ChunkState::InUse)
    });
    let used = used.count();
    assert!(used * 50 < addresses.len(), "{used} of {} are in use", addresses.len());
}
