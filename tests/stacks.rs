//! Stacks of real and of made dumps, against TEBs read here from the file's
//! bytes, and against what the dumped programs wrote down about themselves.

mod support;

use std::path::{Path, PathBuf};

use dumpmap::addr::AddressRange;
use dumpmap::dump::{Dump, Platform, PointerWidth};
use dumpmap::evidence::stacks::Stack;
use dumpmap::evidence::{self, Confidence, Evidence, RegionKind, Subject};
use dumpmap::limits::{Depth, Limits};
use dumpmap::map::{MapSource, RegionMap};
use dumpmap::source::Source;
use serde_json::Value;

/// Gathers the evidence of one dump and shows it.
fn with_evidence<T>(path: &Path, depth: Depth, look: impl FnOnce(&Dump<'_>, &Evidence) -> T) -> T {
    let source = Source::from_bytes(support::read_dump(path));
    let limits = Limits { depth, ..Limits::default() };
    let dump = Dump::read(&source, &limits).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    check_rows(path, &dump, &map, &evidence);
    look(&dump, &evidence)
}

/// What holds for every row of every dump.
fn check_rows(path: &Path, dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &Evidence) {
    let place = path.display();
    let mut last_thread = 0;
    let mut unattributed = false;
    for stack in &evidence.stacks {
        match stack.thread {
            Some(thread) => {
                assert!(!unattributed && thread >= last_thread, "{place}: rows out of order");
                assert!((thread as usize) < dump.threads.len(), "{place}");
                last_thread = thread;
            }
            None => unattributed = true,
        }
        assert!(stack.base > stack.range.start() && stack.base <= stack.range.end(), "{place}");
        let size = stack.range.size();
        let parts = stack.committed.unwrap_or(0) + stack.guard.unwrap_or(0);
        let outside = if dump.system.platform == Platform::Windows { 0 } else { 1 << 20 };
        assert!(parts <= size + outside, "{place}: {stack:x?}");
        if let (Some(pointer), Some(used)) = (stack.stack_pointer, stack.used) {
            assert_eq!(pointer + used, stack.base, "{place}");
        }
        if dump.system.platform == Platform::Windows && map.source == MapSource::MemoryInfo {
            assert_eq!(stack.guard.is_some(), stack.committed.is_some(), "{place}");
        }
    }
    let rows = evidence.claims.iter().filter_map(|claim| match claim.subject {
        Subject::Stack(row) => Some((row as usize, claim.kind)),
        _ => None,
    });
    for (row, kind) in rows {
        assert!(row < evidence.stacks.len() && kind == Some(RegionKind::Stack), "{place}");
    }
}

fn stacks_of(evidence: &Evidence, thread: usize) -> Vec<&Stack> {
    let thread = u32::try_from(thread).unwrap();
    evidence.stacks.iter().filter(|stack| stack.thread == Some(thread)).collect()
}

/// The file's bytes, read with nothing of the library.
struct Raw(Vec<u8>);

impl Raw {
    fn u32(&self, at: usize) -> u64 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap()).into()
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())
    }

    /// Offset and size of a stream.
    fn stream(&self, kind: u64) -> Option<(usize, usize)> {
        let (count, directory) = (self.u32(8) as usize, self.u32(12) as usize);
        let entry = (0..count).map(|at| directory + 12 * at).find(|at| self.u32(*at) == kind)?;
        Some((self.u32(entry + 8) as usize, self.u32(entry + 4) as usize))
    }

    fn list(&self, kind: u64, size: usize) -> Vec<usize> {
        let Some((at, bytes)) = self.stream(kind) else { return Vec::new() };
        let count = self.u32(at) as usize;
        let header = if bytes == 8 + count * size { 8 } else { 4 };
        (0..count).map(|entry| at + header + entry * size).collect()
    }

    /// Address, size and file offset of all captured memory.
    fn memory(&self) -> Vec<(u64, u64, u64)> {
        let small = self.list(5, 16).into_iter();
        let mut out: Vec<_> =
            small.map(|at| (self.u64(at), self.u32(at + 8), self.u32(at + 12))).collect();
        if let Some((at, _)) = self.stream(9) {
            let mut offset = self.u64(at + 8);
            for entry in 0..self.u64(at) as usize {
                let (address, size) =
                    (self.u64(at + 16 + 16 * entry), self.u64(at + 24 + 16 * entry));
                out.push((address, size, offset));
                offset += size;
            }
        }
        out
    }

    fn is_windows(&self) -> Option<bool> {
        let (at, size) = self.stream(7)?;
        (size >= 24 && at + 24 <= self.0.len()).then(|| self.u32(at + 0x14) == 2)
    }

    fn is_32_bit(&self) -> bool {
        let (at, _) = self.stream(7).unwrap();
        matches!(self.u32(at) & 0xffff, 0 | 5)
    }

    /// File offset of captured memory.
    fn find(memory: &[(u64, u64, u64)], address: u64, size: u64) -> Option<usize> {
        let run = memory.iter().find(|(start, length, _)| {
            *start <= address && address + size <= start.saturating_add(*length)
        })?;
        usize::try_from(run.2 + (address - run.0)).ok()
    }

    /// Index, StackBase and StackLimit of every thread whose TEB is captured
    /// and is its TEB.
    fn tebs(&self) -> Vec<(usize, u64, u64)> {
        let memory = self.memory();
        let narrow = self.is_32_bit();
        let threads = self.list(3, 48).into_iter().enumerate();
        threads
            .filter_map(|(index, at)| {
                let (id, teb) = (self.u32(at), self.u64(at + 0x10));
                if narrow {
                    let teb = teb & 0xffff_ffff;
                    let at = Raw::find(&memory, teb, 0x28)?;
                    let good = self.u32(at + 0x18) == teb && self.u32(at + 0x24) == id;
                    good.then(|| (index, self.u32(at + 4), self.u32(at + 8)))
                } else {
                    let at = Raw::find(&memory, teb, 0x50)?;
                    let good = self.u64(at + 0x30) == teb && self.u32(at + 0x48) == id;
                    good.then(|| (index, self.u64(at + 8), self.u64(at + 16)))
                }
            })
            .collect()
    }
}

#[test]
fn every_captured_teb_of_the_corpus_gives_its_stack() {
    let Some(corpus) = support::shared_or_skip("corpus") else { return };
    let mut threads = 0;
    for path in support::dumps_in(&corpus) {
        let raw = Raw(support::read_dump(&path));
        if raw.0.len() < 512 || raw.0[..4] != *b"MDMP" || path.starts_with(corpus.join("negative"))
        {
            continue;
        }
        if raw.is_windows() != Some(true) {
            continue;
        }
        let tebs = raw.tebs();
        threads += tebs.len();
        with_evidence(&path, Depth::Headers, |dump, evidence| {
            for (thread, base, limit) in tebs {
                let place = format!("{}, thread {thread}", path.display());
                let rows = stacks_of(evidence, thread);
                let row = rows.iter().find(|row| row.width == dump.system.width);
                let row = row.unwrap_or_else(|| panic!("{place}: no row"));
                assert_eq!(row.confidence, Confidence::Derived, "{place}");
                assert_eq!((row.base, row.limit), (base, Some(limit)), "{place}");
                assert!(row.range.start() <= limit, "{place}");
            }
        });
    }
    assert_eq!(threads, 302);
}

#[test]
fn a_wow64_thread_has_two_stacks() {
    let Some(corpus) = support::shared_or_skip("corpus") else { return };
    let path = corpus.join("llvm__llvm-project/fizzbuzz_wow64.dmp");
    with_evidence(&path, Depth::Headers, |_, evidence| {
        let rows = stacks_of(evidence, 0);
        let widths: Vec<_> = rows.iter().map(|row| row.width).collect();
        assert_eq!(widths, [PointerWidth::Bits64, PointerWidth::Bits32]);
        for row in rows {
            assert_eq!(row.confidence, Confidence::Derived);
            assert!(row.teb.is_some() && row.guard.unwrap() > 0, "{row:x?}");
        }
        assert!(evidence.environment.wow64);
        assert_eq!(evidence.environment.pebs.len(), 2);
        assert!(evidence.stacks.iter().all(|row| row.thread.is_some()), "no stack left over");
    });
}

#[test]
fn without_memory_the_corpus_has_the_same_stacks() {
    let Some(corpus) = support::shared_or_skip("corpus") else { return };
    let mut compared = 0;
    for path in support::dumps_in(&corpus) {
        let raw = Raw(support::read_dump(&path));
        let windows =
            raw.0.len() >= 512 && raw.0[..4] == *b"MDMP" && raw.is_windows() == Some(true);
        if !windows || raw.stream(16).is_none() || raw.tebs().is_empty() {
            continue;
        }
        let derived = with_evidence(&path, Depth::Headers, |_, evidence| evidence.stacks.clone());
        let recorded = with_evidence(&path, Depth::Streams, |_, evidence| evidence.stacks.clone());
        for want in derived.iter().filter(|row| row.confidence == Confidence::Derived) {
            let found = recorded.iter().find(|row| row.range == want.range);
            let found = found.unwrap_or_else(|| panic!("{}: {want:x?}", path.display()));
            assert!(
                found.confidence == Confidence::Recorded
                    || found.thread.is_none()
                    || want.width != found.width
                    || want.teb.is_some_and(|teb| teb < 1 << 32)
            );
            compared += 1;
        }
    }
    assert!(compared >= 250, "{compared}");
}

/// `NAME` of `NAME.flavour.dmp[.zst]`, with the path of the dump.
fn scenario_dumps(scenarios: &Path, name: &str) -> Vec<PathBuf> {
    let of_name = |path: &PathBuf| {
        let file = path.file_name().unwrap().to_string_lossy();
        file.strip_prefix(name).is_some_and(|rest| {
            rest.starts_with('.') && (rest.ends_with(".dmp") || rest.ends_with(".dmp.zst"))
        })
    };
    support::dumps_in(scenarios).into_iter().filter(of_name).collect()
}

fn truths(scenarios: &Path) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(scenarios).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".truth.json") {
            let text = std::fs::read_to_string(&path).unwrap();
            out.push((name.to_owned(), serde_json::from_str(&text).unwrap()));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

fn address(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

#[test]
fn every_thread_of_the_scenarios_has_the_stack_it_wrote_down() {
    let Some(scenarios) = support::shared_or_skip("scenarios") else { return };
    let (mut derived, mut other, mut dumps) = (0, 0, 0);
    for (name, truth) in truths(&scenarios) {
        let Some(threads) = truth["threads"].as_array() else { continue };
        for path in scenario_dumps(&scenarios, &name) {
            dumps += 1;
            with_evidence(&path, Depth::Headers, |dump, evidence| {
                for thread in threads {
                    let id = thread["tid"].as_u64().unwrap();
                    let place = format!("{}, thread {id}", path.display());
                    let Some(at) = dump.threads.iter().position(|t| u64::from(t.id) == id) else {
                        panic!("{place}: not in the dump");
                    };
                    let rows = stacks_of(evidence, at);
                    for suffix in ["", "32"] {
                        let field = |key: &str| address(&thread[format!("{key}{suffix}")]);
                        let Some(base) = field("stack_base") else { continue };
                        let width =
                            if suffix == "32" { PointerWidth::Bits32 } else { dump.system.width };
                        let row = rows.iter().find(|row| row.width == width);
                        let row = row.unwrap_or_else(|| panic!("{place}: no row; has {rows:x?}"));
                        if row.confidence == Confidence::Derived {
                            derived += 1;
                            assert_eq!(row.base, base, "{place}");
                            assert_eq!(row.limit, field("stack_limit"), "{place}");
                            assert_eq!(Some(row.range.start()), field("dealloc_stack"), "{place}");
                            assert_eq!(row.teb, field("teb"), "{place}");
                        } else {
                            other += 1;
                            let truth =
                                AddressRange::between(field("dealloc_stack").unwrap(), base)
                                    .unwrap();
                            assert!(truth.overlaps(row.range), "{place}: {row:x?}");
                            let pointer = row.stack_pointer.or(field("sp")).unwrap();
                            assert!(row.range.contains(pointer), "{place}: {row:x?}, {pointer:#x}");
                        }
                        // In the exception's registers the stack pointer is another one.
                        let crashed =
                            dump.exception.as_ref().is_some_and(|e| u64::from(e.thread_id) == id);
                        if suffix.is_empty() && !crashed {
                            assert_eq!(row.stack_pointer, field("sp"), "{place}");
                        }
                    }
                }
            });
        }
    }
    assert!(dumps >= 71 && derived >= 669 && other >= 53, "{dumps} {derived} {other}");
}

#[test]
fn linux_threads_have_the_mapping_they_wrote_down() {
    let Some(scenarios) = support::shared_or_skip("scenarios") else { return };
    let mut threads = 0;
    for (name, truth) in truths(&scenarios).into_iter().filter(|(name, _)| name.starts_with("lx-"))
    {
        for path in scenario_dumps(&scenarios, &name) {
            with_evidence(&path, Depth::Headers, |dump, evidence| {
                let items = truth["items"].as_array().unwrap();
                for item in items.iter().filter(|item| item["kind"] == "thread-stack") {
                    let id = item["tid"].as_u64().unwrap();
                    let place = format!("{}, thread {id}", path.display());
                    let at = dump.threads.iter().position(|t| u64::from(t.id) == id).unwrap();
                    let rows = stacks_of(evidence, at);
                    let [row] = rows[..] else { panic!("{place}: {rows:x?}") };
                    let base = address(&item["base"]).unwrap();
                    let size = item["size"].as_u64().unwrap();
                    let guard = item["guard"].as_u64().unwrap();
                    let whole = AddressRange::new(base, size).unwrap();
                    assert_eq!(row.guard, Some(guard), "{place}");
                    assert_eq!(
                        (row.range.start(), row.base),
                        (whole.start(), whole.end()),
                        "{place}"
                    );
                    assert_eq!(row.confidence, Confidence::Derived, "{place}");
                    threads += 1;
                }
                assert_eq!(evidence.stacks.len(), dump.threads.len());
            });
        }
    }
    assert_eq!(threads, 12);
}

#[test]
fn every_descriptor_of_the_corpus_lies_in_its_stack() {
    let Some(corpus) = support::shared_or_skip("corpus") else { return };
    let mut threads = 0;
    for path in support::dumps_in(&corpus) {
        let bytes = support::read_dump(&path);
        if bytes.len() < 512 || bytes[..4] != *b"MDMP" {
            continue;
        }
        with_evidence(&path, Depth::Headers, |dump, evidence| {
            for (at, thread) in dump.threads.iter().enumerate() {
                let width = dump.system.width;
                let Some(range) = AddressRange::new(width.mask(thread.stack.0), thread.stack.1)
                else {
                    continue;
                };
                if range.start() == 0 || range.last() > width.mask(u64::MAX) {
                    continue;
                }
                let rows = stacks_of(evidence, at);
                let place = format!("{}, thread {at}", path.display());
                assert!(rows.iter().any(|row| row.range.overlaps(range)), "{place}: {rows:x?}");
                threads += 1;
            }
        });
    }
    assert!(threads > 1_000, "{threads}");
}
