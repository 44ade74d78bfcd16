//! Images of made-up dumps.

use super::loader::{self, LoaderList};
use super::{DataLayout, Image, elf, pe};
use crate::dump::{Dump, PointerWidth};
use crate::evidence::environment::Peb;
use crate::evidence::{Claim, Confidence, Evidence, RegionKind, Use, gather};
use crate::limits::Limits;
use crate::map::{MapSource, MemoryType, RegionMap};
use crate::source::Source;
use crate::synth::{
    DumpBuilder, Module, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_READONLY, PAGE_READWRITE,
    Region,
};

const BASE: u64 = 0x7ff6_0000_0000;

fn evidence(builder: &DumpBuilder) -> (MapSource, Evidence) {
    let source = Source::from_bytes(builder.build());
    let dump = Dump::read(&source, &Limits::default()).unwrap();
    let map = RegionMap::build(&dump);
    (map.source, gather(&dump, &map))
}

fn claims_of(evidence: &Evidence, name: &'static str) -> Vec<(u64, u64)> {
    let named = |claim: &&Claim| claim.usage == Use::Named(name);
    let found = evidence.claims.iter().filter(named);
    found.map(|claim| (claim.range.start(), claim.range.size())).collect()
}

/// An image of a header page and 0x3000 bytes of code.
fn image_regions(base: u64) -> [Region; 2] {
    [
        Region::image(base, 0x1000, PAGE_READONLY, base),
        Region::image(base + 0x1000, 0x3000, PAGE_EXECUTE_READ, base),
    ]
}

fn listed(size: u32) -> DumpBuilder {
    DumpBuilder::windows_x64().module(Module::new(r"C:\app.exe", BASE, size))
}

#[test]
fn an_allocation_may_be_larger_than_the_image() {
    let builder = listed(0x4000)
        .regions(image_regions(BASE))
        .region(Region::image(BASE + 0x4000, 0x1000, PAGE_EXECUTE_READ, BASE))
        .region(Region {
            memory_type: crate::synth::MEM_IMAGE,
            ..Region::reserve(BASE + 0x5000, 0x2000).within(BASE)
        });
    let (_, evidence) = evidence(&builder);
    assert_eq!(evidence.images[0].range.size(), 0x7000);
    assert_eq!(claims_of(&evidence, "image extension"), [(BASE + 0x4000, 0x3000)]);
    // The extension is no part of the last run.
    let runs: Vec<u64> = evidence.images[0].sections.iter().map(|run| run.range.size()).collect();
    assert_eq!(runs, [0x1000, 0x3000]);
    assert_eq!(evidence.issues.total(), 0);
}

#[test]
fn where_list_and_map_disagree_the_map_is_used() {
    for size in [0x1_0000, 0x1000_0000] {
        let (_, evidence) = evidence(&listed(size).regions(image_regions(BASE)));
        assert_eq!(evidence.images[0].range.size(), 0x4000);
        assert_eq!(evidence.issues.total(), 1);
    }
    let (_, evidence) = evidence(&listed(0).regions(image_regions(BASE)));
    assert_eq!(evidence.images[0].range.size(), 0x4000);
}

#[test]
fn a_listed_module_may_not_be_mapped() {
    let (_, evidence) = evidence(&listed(0x4000).region(Region::free(BASE, 0x10_0000)));
    let image = &evidence.images[0];
    assert!(!image.mapped && image.sections.is_empty());
    assert!(evidence.claims.iter().any(|claim| claim.range == image.range));
}

#[test]
fn a_header_gives_sections_on_any_map() {
    for regions in [true, false] {
        let builder = listed(0x4000).memory(BASE, pe::tests::sample());
        let builder = if regions { builder.regions(image_regions(BASE)) } else { builder };
        let (source, evidence) = evidence(&builder);
        assert_eq!(source == MapSource::MemoryInfo, regions);
        let image = &evidence.images[0];
        assert!(image.has_header);
        assert_eq!(image.header.unwrap().timestamp, 0x1234_5678);
        assert_eq!(image.sections[0].usage, Use::Section(*b".text\0\0\0"));
        assert_eq!(claims_of(&evidence, "PE header"), [(BASE, 0x1000)]);
    }
}

#[test]
fn images_that_no_list_names_are_found_once() {
    let builder = listed(0x4000)
        .regions(image_regions(BASE))
        .regions(image_regions(BASE + 0x1_0000))
        // A module of the list inside another allocation: named, if oddly.
        .regions(image_regions(BASE + 0x2_0000))
        .module(Module::new("inside.dll", BASE + 0x2_1000, 0x1000));
    let (_, evidence) = evidence(&builder);
    let unlisted: Vec<&Image> =
        evidence.images.iter().filter(|image| image.module.is_none()).collect();
    assert_eq!(unlisted.len(), 1);
    assert_eq!(unlisted[0].range.start(), BASE + 0x1_0000);
    assert_eq!(unlisted[0].range.size(), 0x4000);
    assert_eq!(unlisted[0].named_by, None);
}

#[test]
fn headers_outside_of_images_are_data_or_mapped_by_hand() {
    let (private, view) = (0x1_0000, 0x2_0000);
    let builder = DumpBuilder::windows_x64()
        .region(Region::commit(private, 0x4000, PAGE_EXECUTE_READWRITE))
        .region(Region::mapped(view, 0x2000, PAGE_READONLY))
        .region(Region::commit(0x3_0000, 0x4000, PAGE_READWRITE))
        .memory(private, pe::tests::sample())
        .memory(view, pe::tests::sample())
        .memory(0x3_0000, pe::tests::sample());
    let (_, evidence) = evidence(&builder);
    let found: Vec<_> = evidence
        .data_images
        .iter()
        .map(|data| (data.range.start(), data.memory_type, data.layout))
        .collect();
    assert_eq!(
        found,
        [
            (private, MemoryType::Private, DataLayout::Image),
            (view, MemoryType::Mapped, DataLayout::Flat),
        ]
    );
    assert_eq!(claims_of(&evidence, "PE image in private memory"), [(private, 0x4000)]);
    assert_eq!(claims_of(&evidence, "PE file mapped as data"), [(view, 0x2000)]);
}

/// A loader's list of 64-bit entries at `entries`, each followed by the next,
/// the last by `end`.
fn loader_list(entries: &[u64], end: u64) -> LoaderList {
    let (data, head) = (0x1_0000_u64, 0x1_0010);
    let mut builder = DumpBuilder::windows_x64();
    let mut block = vec![0; 0x40];
    block[0x10..0x18].copy_from_slice(&entries[0].to_le_bytes());
    builder = builder.memory(data, block);
    for (at, entry) in entries.iter().enumerate() {
        let mut bytes = vec![0; 0x100];
        let next = entries.get(at + 1).copied().unwrap_or(if end == 0 { head } else { end });
        bytes[..8].copy_from_slice(&next.to_le_bytes());
        bytes[0x30..0x38].copy_from_slice(&(BASE + at as u64 * 0x1_0000).to_le_bytes());
        bytes[0x40..0x44].copy_from_slice(&0x4000_u32.to_le_bytes());
        bytes[0x48..0x4a].copy_from_slice(&10_u16.to_le_bytes());
        bytes[0x50..0x58].copy_from_slice(&(entry + 0xf0).to_le_bytes());
        for (unit, letter) in b"a.dll".iter().enumerate() {
            bytes[0xf0 + unit * 2] = *letter;
        }
        builder = builder.memory(*entry, bytes);
    }
    let source = Source::from_bytes(builder.build());
    let dump = Dump::read(&source, &Limits::default()).unwrap();
    let peb = Peb {
        address: 0,
        width: PointerWidth::Bits64,
        captured: true,
        image_base: None,
        loader_data: Some(data),
        process_heap: None,
        heaps: None,
        global_flag: None,
        os_version: None,
    };
    loader::list(&dump, &peb).unwrap()
}

#[test]
fn the_loader_list_is_followed_to_its_head() {
    let list = loader_list(&[0x2_0000, 0x3_0000], 0);
    assert!(list.complete);
    let entries: Vec<_> =
        list.entries.iter().map(|entry| (entry.base, entry.size, entry.path.as_str())).collect();
    assert_eq!(entries, [(BASE, 0x4000, "a.dll"), (BASE + 0x1_0000, 0x4000, "a.dll")]);
}

#[test]
fn a_broken_loader_list_ends() {
    for end in [0x2_0000, 0x3_0000, 0x9_0000, u64::MAX] {
        let list = loader_list(&[0x2_0000, 0x3_0000], end);
        assert!(!list.complete);
        assert_eq!(list.entries.len(), 2);
    }
}

const LIB: u64 = 0x7f00_0000_0000;

/// A library of one file, its anonymous .bss, and memory that follows it.
const LINES: &str = "\
7f0000000000-7f0000001000 r--p 00000000 08:01 7 /lib/libx.so
7f0000001000-7f0000003000 r-xp 00001000 08:01 7 /lib/libx.so
7f0000003000-7f0000004000 r--p 00002e00 08:01 7 /lib/libx.so
7f0000004000-7f0000005000 rw-p 00003e00 08:01 7 /lib/libx.so
7f0000005000-7f0000009000 rw-p 00000000 00:00 0
7f0000010000-7f0000011000 r-xp 00000000 08:01 8 /lib/hidden.so
7f0000020000-7f0000021000 r--p 00000000 08:01 9 /fonts/a.ttf
";

fn linux() -> DumpBuilder {
    DumpBuilder::linux_x64().linux_maps(LINES).module(Module::new("/lib/libx.so", LIB, 0x5000))
}

fn parts(image: &Image) -> Vec<(u64, &'static str)> {
    let part = |section: &super::Section| match section.usage {
        Use::Named(name) => (section.range.start() - LIB, name),
        _ => (0, ""),
    };
    image.sections.iter().map(part).collect()
}

#[test]
fn lines_of_a_file_are_its_image() {
    let (_, evidence) = evidence(&linux());
    let read = "ELF read-only data";
    assert_eq!(
        parts(&evidence.images[0]),
        [
            (0, read),
            (0x1000, "ELF text"),
            (0x3000, read),
            (0x4000, "ELF data"),
            (0x5000, "ELF bss"),
        ]
    );
    let bss = evidence.claims.iter().find(|claim| claim.range.start() == LIB + 0x5000).unwrap();
    assert_eq!(bss.confidence, Confidence::Heuristic);
    assert_eq!(evidence.images[1].path, "/lib/hidden.so");
    assert_eq!(evidence.images.len(), 2);
}

#[test]
fn data_after_the_gap_of_a_linker_is_the_images() {
    let lines = "\
7f0000000000-7f0000003000 r-xp 00000000 08:01 7 /bin/fixed
7f0000202000-7f0000203000 r--p 00002000 08:01 7 /bin/fixed
7f0000203000-7f0000204000 rw-p 00003000 08:01 7 /bin/fixed
7f0000504000-7f0000505000 rw-p 00004000 08:01 7 /bin/fixed
";
    let module = Module::new("/bin/fixed", LIB, 0x3000);
    let (_, evidence) = evidence(&DumpBuilder::linux_x64().linux_maps(lines).module(module));
    let expected = [(0, "ELF text"), (0x20_2000, "ELF read-only data"), (0x20_3000, "ELF data")];
    assert_eq!(parts(&evidence.images[0]), expected);
}

#[test]
fn an_elf_header_names_lines_and_ends_the_bss() {
    let (_, evidence) = evidence(&linux().memory(LIB, elf::tests::sample()));
    assert_eq!(
        parts(&evidence.images[0])[2..],
        [(0x3000, "ELF relro"), (0x4000, "ELF data"), (0x5000, "ELF bss")]
    );
    let bss = evidence.images[0].sections.last().unwrap();
    assert_eq!(bss.range.size(), 0x2000);
    let claim = evidence.claims.iter().find(|claim| claim.range == bss.range).unwrap();
    assert_eq!(claim.confidence, Confidence::Derived);
}

#[test]
fn a_listed_font_is_no_image() {
    let font = Module::new("/fonts/a.ttf", LIB + 0x2_0000, 0x1000);
    let (_, evidence) = evidence(&linux().module(font));
    assert!(evidence.images[1].mapped && evidence.images[1].sections.is_empty());
    let at = |claim: &&Claim| claim.range.start() == LIB + 0x2_0000;
    let kinds: Vec<_> = evidence.claims.iter().filter(at).map(|claim| claim.kind).collect();
    assert_eq!(kinds, [None, Some(RegionKind::MappedFile)]);
}
