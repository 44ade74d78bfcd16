//! Allocators of browsers and engines: in real dumps of Firefox and Electron,
//! and nowhere in dumps of programs without them.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use dumpmap::analyze;
use dumpmap::evidence::{RegionKind, Use};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use support::{dumps_in, shared_or_skip, unpacked_path};

/// First words of every name that an allocator's memory has.
const NAMES: [&str; 8] =
    ["V8", "PartitionAlloc", "SpiderMonkey", "mozjemalloc", "mimalloc", "jemalloc", "Go", "Java"];

/// Winning allocator names, and how many allocations and bytes each has.
fn named(path: &Path) -> Option<BTreeMap<&'static str, (usize, u64)>> {
    let source = Source::open(&unpacked_path(path)).unwrap();
    let analysis = analyze(&source, &Limits::default()).ok()?;
    let mut found = BTreeMap::new();
    let mut before = None;
    for piece in analysis.pieces() {
        let Some(winner) = piece.winner else { continue };
        let Use::Named(name) = analysis.evidence.claims[winner as usize].usage else { continue };
        if NAMES.contains(&name.split(' ').next().unwrap()) {
            assert_eq!(piece.kind, RegionKind::Private, "{}", path.display());
            let (count, bytes) = found.entry(name).or_insert((0, 0));
            *count += usize::from(before != Some(winner));
            *bytes += piece.range.size();
        }
        before = Some(winner);
    }
    Some(found)
}

#[test]
fn firefox() {
    let Some(dir) = shared_or_skip("corpus") else { return };
    let dir = dir.join("mozilla-services__minidump-stackwalk");
    for (file, with_magic) in [("windows-x86_64.dmp", 14), ("windows-aarch64.dmp", 82)] {
        let found = named(&dir.join(file)).unwrap();
        assert_eq!(found["mozjemalloc chunk"].0, with_magic, "{file}: {found:?}");
        assert_eq!(found["SpiderMonkey code"], (1, 0x7fc0_1000), "{file}: {found:?}");
        assert!(found["mozjemalloc or SpiderMonkey chunk"].0 > 90, "{file}: {found:?}");
    }
}

#[test]
fn firefox_on_linux() {
    let Some(dir) = shared_or_skip("corpus") else { return };
    let found = named(&dir.join("mozilla-services__minidump-stackwalk/linux-x86_64.dmp")).unwrap();
    assert_eq!(found["SpiderMonkey code"], (1, 2044 << 20));
    // What lies at no multiple of a chunk, or has a neighbour, is not told.
    assert_eq!(found["mozjemalloc chunk"], (201, 201 << 20));
    assert_eq!(found["mozjemalloc or SpiderMonkey chunk"], (38, 38 << 20));
}

#[test]
fn electron() {
    let Some(dir) = shared_or_skip("corpus") else { return };
    let found = named(&dir.join("zuohuiyang__dump-analyzer-mcp-server/electron.dmp")).unwrap();
    assert_eq!(found["V8 heap cage"], (1, 1 << 32));
    assert_eq!(found["V8 code range"], (1, 0x2000_0000));
    // The pool of 16 GiB inside the sandbox counts as the smaller, exact one.
    assert_eq!(found["PartitionAlloc pool"].0, 3, "{found:x?}");
    let (parts, bytes) = found["V8 sandbox"];
    assert_eq!((parts, bytes), (4, (1 << 40) - (1 << 32) - (16 << 30)), "{found:x?}");
    assert_eq!(found["V8 sandbox guard"], (2, 0x9_0000_0000 + 0x41_0000_0000));
}

#[test]
fn node_and_chromium_on_linux() {
    let Some(dir) = shared_or_skip("scenarios") else { return };
    let found = named(&dir.join("lx-node.dmp")).unwrap();
    assert_eq!(found["V8 heap page"], (190, 190 << 18));
    // 512 MiB up to 0x7efcf4000000; from 0x7efcf3e40000 on the module list has
    // an image there, of node's own file.
    assert_eq!(found["V8 code range"].1, 0x7efc_f3e4_0000 - 0x7efc_d400_0000);
    assert_eq!(found.len(), 2, "{found:?}");
    let found = named(&dir.join("lx-chromium-browser.dmp")).unwrap();
    assert_eq!(found["PartitionAlloc pools"], (1, 32 << 30));
    assert_eq!(found["PartitionAlloc metadata"], (1, 16 << 30));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn no_such_memory_in_other_programs() {
    for folder in ["scenarios", "dotnet"] {
        let Some(dir) = shared_or_skip(folder) else { continue };
        for path in dumps_in(&dir) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if ["lx-node.dmp", "lx-chromium-browser.dmp"].contains(&name) {
                continue;
            }
            let found = named(&path).unwrap_or_default();
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
}
