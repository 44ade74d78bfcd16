//! Evidence from the maps text of Linux: a program that wrote down what it
//! mapped, and the lines of real processes.

#![allow(clippy::print_stdout, reason = "counts, for a person who reads along")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use dumpmap::classify::{Piece, sweep};
use dumpmap::dump::{Dump, LinuxMap};
use dumpmap::evidence::{self, Evidence, RegionKind, Subject, Use};
use dumpmap::limits::Limits;
use dumpmap::map::{MapSource, RegionMap};
use dumpmap::source::Source;
use serde_json::Value;

/// Lines, claims and pieces of a dump; `None` when it has no maps text.
fn gather<T>(path: &Path, then: impl FnOnce(&[LinuxMap], &Evidence, &[Piece]) -> T) -> Option<T> {
    let source = Source::open(&support::unpacked_path(path)).unwrap();
    let dump = Dump::read(&source, &Limits::default()).ok()?;
    let map = RegionMap::build(&dump);
    let lines = dump.linux.maps.as_ref().filter(|_| map.source == MapSource::LinuxMaps)?;
    let evidence = evidence::gather(&dump, &map);
    let pieces: Vec<Piece> = sweep(&map, &evidence.claims).collect();
    Some(then(&lines.maps, &evidence, &pieces))
}

fn at(evidence: &Evidence, pieces: &[Piece], address: u64) -> (RegionKind, Use) {
    let piece = pieces.iter().find(|piece| piece.range.contains(address)).unwrap();
    let claim = piece.winner.map(|claim| &evidence.claims[claim as usize]);
    (piece.kind, claim.map_or(Use::Plain, |claim| claim.usage))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn what_the_program_mapped_has_its_kind() {
    let Some(dir) = support::shared_or_skip("scenarios") else { return };
    for name in ["lx-all", "lx-crash"] {
        let truth = json(&dir.join(format!("{name}.truth.json")));
        gather(&dir.join(format!("{name}.dmp.zst")), |lines, evidence, pieces| {
            for item in truth["items"].as_array().unwrap() {
                let (base, kind) = (hex(&item["base"]), item["kind"].as_str().unwrap());
                let label = item["label"].as_str().unwrap();
                let expected = match (kind, label) {
                    ("malloc-brk", _) => RegionKind::Heap,
                    ("malloc-arena", _) => RegionKind::Heap,
                    // Nothing tells a large block from other memory.
                    ("malloc-mmap", _) => RegionKind::Private,
                    ("sysv-shm", _) => RegionKind::Shareable,
                    ("mmap", label) if label.contains("file") => RegionKind::MappedFile,
                    ("mmap", label) if label.contains("shared") => RegionKind::Shareable,
                    ("mmap", label) if label.contains("memfd") => RegionKind::Shareable,
                    ("mmap", _) => RegionKind::Private,
                    _ => continue,
                };
                let (found, usage) = at(evidence, pieces, base);
                assert_eq!(found, expected, "{name}: {label}");
                match (kind, label) {
                    ("malloc-brk", _) => assert_eq!(usage, Use::Named("brk heap")),
                    ("malloc-arena", _) => {
                        assert_eq!(usage, Use::Named("malloc arena"));
                        let arena = hex(&item["arena_heap_base_guess"]);
                        let claim = evidence
                            .claims
                            .iter()
                            .find(|claim| claim.usage == usage && claim.range.start() == arena);
                        assert!(claim.is_some(), "{name}: {label}");
                    }
                    ("mmap", "reserve-64g") => {
                        assert_eq!(usage, Use::Named("no access (reserved)"));
                    }
                    ("mmap", "deleted-file-64k") => assert_eq!(usage, Use::Named("deleted file")),
                    _ => {}
                }
            }
            check_images(evidence, lines);
        })
        .unwrap();
    }
}

/// The program, libc, the loader and the vdso: every line of their files, and
/// .bss after the data.
fn check_images(evidence: &Evidence, lines: &[LinuxMap]) {
    let names: Vec<&str> = evidence.images.iter().map(|image| image.name()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for line in lines.iter().filter(|line| line.name.contains("/bin/") || line.name.contains(".so"))
    {
        let of = |claim: &&evidence::Claim| {
            claim.range == line.range && claim.kind == Some(RegionKind::Image)
        };
        let claim = evidence.claims.iter().find(of);
        assert!(claim.is_some_and(|claim| matches!(claim.subject, Subject::Image(_))));
    }
    for name in ["lxtarget", "libc.so.6"] {
        let image = evidence.images.iter().find(|image| image.name() == name).unwrap();
        let uses: Vec<Use> = image.sections.iter().map(|section| section.usage).collect();
        let read = Use::Named("ELF read-only data");
        let (text, data) = (Use::Named("ELF text"), Use::Named("ELF data"));
        assert_eq!(uses, [read, text, read, read, data, Use::Named("ELF bss")], "{name}");
    }
}

#[test]
fn lines_are_those_of_proc() {
    let Some(dir) = support::shared_or_skip("scenarios") else { return };
    let mut checked = 0;
    for path in support::dumps_in(&dir) {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let stem = file.split('.').next().unwrap();
        let truth = dir.join(format!("{stem}.maps.json"));
        if !truth.exists() {
            continue;
        }
        let truth = json(&truth);
        let rows = truth.as_array().or_else(|| truth["maps"].as_array()).unwrap();
        gather(&path, |lines, _, _| {
            assert_eq!(lines.len(), rows.len(), "{file}");
            for (line, row) in lines.iter().zip(rows) {
                let text = row.as_str().unwrap();
                assert!(text.starts_with(&proc_line(line)), "{file}: {text}");
                let deleted = if line.deleted { " (deleted)" } else { "" };
                assert!(text.trim_end().ends_with(&format!("{}{deleted}", line.name)), "{text}");
                checked += 1;
            }
        })
        .unwrap();
    }
    println!("{checked} lines");
}

/// A line up to the inode, as the kernel writes it.
fn proc_line(line: &LinuxMap) -> String {
    let bit = |set, letter| if set { letter } else { '-' };
    format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {}",
        line.range.start(),
        line.range.end(),
        bit(line.read, 'r'),
        bit(line.write, 'w'),
        bit(line.execute, 'x'),
        if line.shared { 's' } else { 'p' },
        line.offset,
        line.device.0,
        line.device.1,
        line.inode
    )
}

/// Every dump with a maps text: files are files or images, what no claim wins
/// is anonymous, and images of the list have code.
#[test]
fn every_named_line_has_an_answer() {
    let folders = ["corpus", "scenarios"];
    let dirs = folders.into_iter().filter_map(support::shared_or_skip);
    let mut kinds: BTreeMap<RegionKind, u64> = BTreeMap::new();
    for path in dirs.flat_map(|dir| support::dumps_in(&dir)) {
        gather(&path, |lines, evidence, pieces| {
            assert!(evidence.claims.len() < 8 * (lines.len() + evidence.images.len()) + 64);
            let mut pieces = pieces.iter().peekable();
            for line in lines {
                while pieces.next_if(|piece| piece.range.last() < line.range.start()).is_some() {}
                let Some(piece) = pieces.peek() else { break };
                *kinds.entry(piece.kind).or_default() += 1;
                let name = line.name.as_str();
                if !name.is_empty() && piece.range.contains(line.range.start()) {
                    assert!(piece.winner.is_some(), "{}: {name}", path.display());
                }
                let font = name.ends_with(".ttf") || name.ends_with(".otf");
                if font && piece.range.contains(line.range.start()) {
                    assert_eq!(piece.kind, RegionKind::MappedFile, "{}: {name}", path.display());
                }
            }
        });
    }
    println!("{kinds:?}");
}

/// 32-bit Android lays thread stacks out as glibc lays out arenas.
#[test]
fn without_glibc_there_are_no_arenas() {
    let Some(dir) = support::shared_or_skip("corpus") else { return };
    let path = support::dumps_in(&dir).into_iter().find(|path| path.ends_with("android-arm.dmp"));
    let Some(path) = path else { return support::skip("no android-arm.dmp in the corpus") };
    gather(&path, |_, evidence, _| {
        let arena = Use::Named("malloc arena");
        assert!(evidence.claims.iter().all(|claim| claim.usage != arena));
    })
    .unwrap();
}
