//! Allocators other than the system's: by the sizes, alignments and
//! protections of their reservations, beside a module that has them. Only
//! what VirtualQuery told is enough for that.
//!
//! The memory stays private; its use gets a name. Every rule is wrong when
//! the program itself reserves memory of that size in that way, so there is
//! none without a module, and common sizes must come in numbers.

mod giant;
mod go;
mod linux;
mod mozjemalloc;
mod rules;
mod v8;

use super::shapes::{self, Shape};
use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::addr::AddressRange;
use crate::dump::{Dump, Module, file_name};
use crate::map::{MapSource, MemoryType, RegionMap};

/// What a process with a known allocator has among its modules.
struct Family {
    /// Names of modules.
    modules: &'static [&'static str],
    /// Names of PDBs: programs are renamed, their PDBs are not.
    symbols: &'static [&'static str],
}

static MOZILLA: Family = Family { modules: &["xul.dll", "mozglue.dll"], symbols: &["xul.pdb"] };
static CHROMIUM: Family = Family {
    modules: &["chrome.dll", "msedge.dll", "libcef.dll", "electron.exe"],
    symbols: &["chrome.dll.pdb", "msedge.dll.pdb", "libcef.dll.pdb", "electron.exe.pdb"],
};
static NODE: Family =
    Family { modules: &["node.exe", "node.dll", "libnode.dll"], symbols: &["node.pdb"] };
static JAVA: Family = Family { modules: &["jvm.dll"], symbols: &["jvm.pdb"] };
static MIMALLOC: Family = Family {
    modules: &["mimalloc.dll", "mimalloc-override.dll", "mimalloc-redirect.dll"],
    symbols: &["mimalloc.pdb", "mimalloc-override.pdb"],
};
static SANITIZER: Family = Family {
    modules: &["clang_rt.asan_dynamic-x86_64.dll", "clang_rt.asan_dbg_dynamic-x86_64.dll"],
    symbols: &[],
};
static JEMALLOC: Family = Family { modules: &["jemalloc.dll"], symbols: &["jemalloc.pdb"] };

/// The file names of modules and of their PDBs. Few of them belong to any
/// family: a mark of each tells most that do not.
struct Names<'a> {
    modules: Vec<&'a str>,
    symbols: Vec<&'a str>,
    /// Whether a name has the [`mark`] n.
    marks: [bool; MARKS],
}

const MARKS: usize = 4096;

impl<'a> Names<'a> {
    fn of(modules: &'a [Module<'_>]) -> Names<'a> {
        let symbols = modules.iter().filter_map(|module| module.debug_file.as_deref());
        let symbols: Vec<&str> = symbols.map(file_name).collect();
        let modules: Vec<&str> = modules.iter().map(Module::name).collect();
        let mut marks = [false; MARKS];
        for name in modules.iter().chain(&symbols) {
            if let Some(has) = marks.get_mut(mark(name)) {
                *has = true;
            }
        }
        Names { modules, symbols, marks }
    }

    fn have(&self, family: &Family) -> bool {
        let may_have = |known: &&&str| self.marks.get(mark(known)) == Some(&true);
        let any = |known: &[&str], names: &[&str]| {
            let mut known = known.iter().filter(may_have);
            known.any(|known| names.iter().any(|name| known.eq_ignore_ascii_case(name)))
        };
        any(family.modules, &self.modules) || any(family.symbols, &self.symbols)
    }
}

/// A number below [`MARKS`]: the same for names that differ only in case.
fn mark(name: &str) -> usize {
    let letter = |at: usize| name.as_bytes().get(at).map_or(0, |byte| usize::from(byte | 0x20));
    let letters = letter(0).wrapping_mul(37).wrapping_add(letter(name.len() / 2));
    name.len().wrapping_mul(1021).wrapping_add(letters) % MARKS
}

/// Which allocators the modules promise.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    mozilla: bool,
    chromium: bool,
    go: bool,
    java: bool,
    sanitizer: bool,
}

pub(super) fn gather(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &mut Evidence) {
    match map.source {
        MapSource::MemoryInfo => {}
        MapSource::LinuxMaps => return linux::gather(dump, map, evidence),
        MapSource::Rebuilt => return,
    }
    let names = Names::of(&dump.modules.modules);
    let rules = rules::of(&names);
    let present = Present {
        mozilla: names.have(&MOZILLA),
        chromium: names.have(&CHROMIUM),
        go: go::is_program(&evidence.images),
        java: names.have(&JAVA),
        sanitizer: names.have(&SANITIZER),
    };
    let Present { mozilla, chromium, go, java, sanitizer } = present;
    if rules.is_empty() && !mozilla && !chromium && !go && !java && !sanitizer {
        return;
    }
    let shapes = private_shapes(map);
    for rule in rules {
        evidence.claims.extend(rule.claims(&shapes));
    }
    if present.mozilla {
        evidence.claims.extend(mozjemalloc::claims(dump, &shapes, &evidence.heaps));
    }
    if present.chromium {
        evidence.claims.extend(v8::sandbox(&shapes));
    }
    if present.go {
        evidence.claims.extend(go::claims(&shapes));
    }
    if present.java {
        evidence.claims.extend(giant::java(&shapes));
    }
    if present.sanitizer {
        evidence.claims.extend(giant::shadow(&shapes));
    }
}

fn private_shapes(map: &RegionMap<'_>) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let private = |region: &crate::map::Region| region.memory_type == Some(MemoryType::Private);
    shapes::each(map, private, |shape| shapes.push(shape));
    shapes
}

fn claim(range: AddressRange, usage: &'static str, detail: &'static str) -> Claim {
    Claim {
        range,
        kind: Some(RegionKind::Private),
        usage: Use::Named(usage),
        subject: Subject::None,
        confidence: Confidence::Heuristic,
        source: EvidenceSource::Shape,
        detail: Detail::Words(detail),
    }
}
