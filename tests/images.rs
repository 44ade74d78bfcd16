//! Images against dumps of programs that wrote down what they had mapped, and
//! against every other dump there is.

#![allow(clippy::print_stdout, reason = "counts, for a person who reads along")]

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dumpmap::classify::{Piece, sweep};
use dumpmap::dump::Dump;
use dumpmap::evidence::images::{DataLayout, Image};
use dumpmap::evidence::{self, Confidence, Evidence, EvidenceSource, RegionKind, Subject, Use};
use dumpmap::limits::{Depth, Limits};
use dumpmap::map::{MapSource, MemoryType, RegionMap, State};
use dumpmap::source::Source;
use serde_json::Value;

/// A dump, its map and what was gathered about it.
struct Gathered<'g, 's> {
    dump: &'g Dump<'s>,
    map: &'g RegionMap<'s>,
    evidence: &'g Evidence,
}

/// `None` when the file is no dump.
fn gather<T>(path: &Path, limits: &Limits, then: impl FnOnce(Gathered<'_, '_>) -> T) -> Option<T> {
    let source = Source::open(&support::unpacked_path(path)).unwrap();
    let dump = Dump::read(&source, limits).ok()?;
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    Some(then(Gathered { dump: &dump, map: &map, evidence: &evidence }))
}

impl Gathered<'_, '_> {
    fn pieces(&self) -> Vec<Piece> {
        sweep(self.map, &self.evidence.claims).collect()
    }

    /// Kind, use and subject of the claim that wins at `address`.
    fn winner(&self, pieces: &[Piece], address: u64) -> (RegionKind, Option<(Use, Subject)>) {
        let piece = pieces.iter().find(|piece| piece.range.contains(address)).unwrap();
        let claim = piece.winner.map(|claim| &self.evidence.claims[claim as usize]);
        (piece.kind, claim.map(|claim| (claim.usage, claim.subject)))
    }

    fn image_at(&self, base: u64) -> Option<&Image> {
        self.evidence.images.iter().find(|image| image.range.start() == base)
    }
}

/// The dumps of a scenario that has a truth file, and the truth.
fn scenarios() -> Vec<(Vec<PathBuf>, Value)> {
    let Some(dir) = support::shared_or_skip("scenarios") else { return Vec::new() };
    let dumps = support::dumps_in(&dir);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".truth.json") else { continue };
        let of = |dump: &&PathBuf| {
            dump.file_name().unwrap().to_string_lossy().starts_with(&format!("{stem}."))
        };
        let truth = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        found.push((dumps.iter().filter(of).cloned().collect(), truth));
    }
    found
}

fn rows<'v>(truth: &'v Value, table: &str) -> &'v [Value] {
    truth[table].as_array().map_or(&[], Vec::as_slice)
}

fn hex(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn file_name(path: &str) -> String {
    path.rsplit(['\\', '/']).next().unwrap().to_lowercase()
}

fn corpus_dump(name: &str) -> Option<PathBuf> {
    let dir = support::shared_or_skip("corpus")?;
    let found = support::dumps_in(&dir).into_iter().find(|path| path.ends_with(name));
    if found.is_none() {
        support::skip(&format!("no {name} in the corpus"));
    }
    found
}

#[test]
fn listed_modules_are_images_of_their_size() {
    let mut checked = 0;
    for (dumps, truth) in scenarios() {
        let modules: HashMap<u64, &Value> =
            rows(&truth, "modules").iter().map(|module| (hex(&module["base"]), module)).collect();
        if modules.is_empty() {
            continue;
        }
        for path in dumps {
            gather(&path, &Limits::default(), |found| {
                let listed = &found.evidence.images[..found.dump.modules.modules.len()];
                for image in listed {
                    let module = modules[&image.range.start()];
                    let expected = module["size"].as_u64().unwrap();
                    assert_eq!(image.range.size(), expected, "{}: {}", path.display(), image.path);
                    let name = file_name(module["path"].as_str().unwrap());
                    assert_eq!(image.name().to_lowercase(), name, "{}", path.display());
                    assert!(image.mapped, "{}: {}", path.display(), image.path);
                    checked += 1;
                }
            });
        }
    }
    println!("{checked} modules");
}

#[test]
fn every_image_page_of_the_walk_belongs_to_the_image_of_its_file() {
    let (mut named, mut unnamed) = (0, 0);
    for (dumps, truth) in scenarios() {
        let walk = rows(&truth, "walk");
        let images: Vec<(u64, String)> = walk
            .iter()
            .filter(|row| row["type"] == "image" && row["file"].is_string())
            .map(|row| (hex(&row["base"]), file_name(row["file"].as_str().unwrap())))
            .collect();
        for path in dumps.iter().filter(|_| !images.is_empty()) {
            gather(path, &Limits::default(), |found| {
                if found.map.source != MapSource::MemoryInfo {
                    return;
                }
                let pieces = found.pieces();
                for (base, file) in &images {
                    let (kind, claim) = found.winner(&pieces, *base);
                    assert_eq!(kind, RegionKind::Image, "{}: {base:#x}", path.display());
                    let Some((_, Subject::Image(row))) = claim else {
                        panic!("{}: no image claims {base:#x}", path.display());
                    };
                    let image = &found.evidence.images[row as usize];
                    if image.module.is_some() {
                        assert_eq!(image.name().to_lowercase(), *file, "{}", path.display());
                        named += 1;
                    } else {
                        unnamed += 1;
                    }
                }
            });
        }
    }
    println!("{named} regions of listed images, {unnamed} of unlisted ones");
}

#[test]
fn a_wow64_full_dump_has_all_headers() {
    let Some(path) = corpus_dump("fizzbuzz_wow64.dmp") else { return };
    gather(&path, &Limits::default(), |found| {
        let modules = &found.dump.modules;
        // 16 entries, the program twice.
        assert_eq!((modules.modules.len(), modules.repeated), (15, 1));
        let listed = &found.evidence.images[..15];
        assert!(listed.iter().all(|image| image.has_header && image.sections.len() >= 2));
        let machines = |machine| {
            let of = |image: &&Image| image.header.is_some_and(|header| header.machine == machine);
            listed.iter().filter(of).count()
        };
        assert_eq!((machines(0x8664), machines(0x14c)), (4, 11));
        let ntdll = listed.iter().find(|image| image.range.start() == 0x77ae_0000).unwrap();
        let sections: Vec<_> = ntdll
            .sections
            .iter()
            .map(|section| (section.usage, section.range.size(), section.protect.0))
            .collect();
        let name = |name: &[u8; 8]| Use::Section(*name);
        assert_eq!(
            sections,
            [
                (name(b".text\0\0\0"), 0xfe000, 0x20),
                (name(b"RT\0\0\0\0\0\0"), 0x1000, 0x20),
                (name(b".rdata\0\0"), 0x2f000, 0x02),
                (name(b".data\0\0\0"), 0xc000, 0x04),
                (name(b".pdata\0\0"), 0x13000, 0x02),
                (name(b".rsrc\0\0\0"), 0x5b000, 0x02),
                (name(b".reloc\0\0"), 0x1000, 0x02),
            ]
        );
        let pieces = found.pieces();
        let at = |address| found.winner(&pieces, address).1.map(|(usage, _)| usage);
        assert_eq!(at(0x77ae_0000), Some(Use::Named("PE header")));
        assert_eq!(at(0x77ae_1000), Some(Use::Section(*b".text\0\0\0")));
        // The apiset schema of Windows 7: an image that no list names.
        let unlisted = &found.evidence.images[15..];
        assert_eq!(unlisted.len(), 1);
        assert_eq!(unlisted[0].range.start(), 0x4_0000);
    })
    .unwrap();
}

/// A page of a section has the section's protection, PAGE_WRITECOPY counting
/// as writable.
#[test]
fn sections_of_headers_agree_with_the_map() {
    let access = |protect: u32| (protect & 0xf0 != 0, protect & 0xcc != 0);
    let (mut agree, mut differ) = (0_u64, Vec::new());
    let folders = ["corpus", "scenarios", "dotnet"];
    let dirs = folders.into_iter().filter_map(support::shared_or_skip);
    for path in dirs.flat_map(|dir| support::dumps_in(&dir)) {
        gather(&path, &Limits::default(), |found| {
            let with_header = found.evidence.images.iter().filter(|image| image.has_header);
            for image in with_header.filter(|_| found.map.source == MapSource::MemoryInfo) {
                for section in &image.sections {
                    let mut regions = found.map.regions_in(section.range);
                    let same = regions.all(|region| {
                        region.state == State::Commit
                            && region.memory_type == Some(MemoryType::Image)
                            && access(region.protect.0) == access(section.protect.0)
                    });
                    if same {
                        agree += 1;
                    } else {
                        differ.push(format!(
                            "{}: {} {:?}",
                            path.display(),
                            image.name(),
                            section.usage.text(|_| "")
                        ));
                    }
                }
            }
        });
    }
    println!("{agree} sections agree, {} differ", differ.len());
    // Programs may change the protection of a section.
    assert!(differ.len() as u64 * 20 <= agree, "{differ:#?}");
}

#[test]
fn hidden_doubled_and_copied_images_are_found() {
    let Some(dir) = support::shared_or_skip("scenarios") else { return };
    gather(&dir.join("x64-images.full.dmp.zst"), &Limits::default(), |found| {
        let unlisted: Vec<_> = found.evidence.images[9..]
            .iter()
            .map(|image| (image.range.start(), image.range.size(), image.name()))
            .collect();
        assert_eq!(
            unlisted,
            [
                (0x3_1000_0000, 0x46000, "plug_c-x64.dll"),
                (0x3_2000_0000, 0x56000, "plug_d-x64.dll"),
                (0x7fff_fe93_0000, 0x26000, "plug_a-x64.dll"),
                // Unlinked from the loader's list; a copy of plug_d.
                (0x7fff_fe97_0000, 0x56000, "plug_d-x64.dll"),
            ]
        );
        let double = found.image_at(0x7fff_fe93_0000).unwrap();
        let loaded = found.image_at(0x3_0000_0000).unwrap();
        let stamp = |image: &Image| image.header.map(|h| (h.timestamp, h.size_of_image));
        assert_eq!(stamp(double), stamp(loaded));
        let data: Vec<_> = found
            .evidence
            .data_images
            .iter()
            .map(|data| (data.range.start(), data.memory_type, data.layout, data.name.as_str()))
            .filter(|(start, ..)| *start != 0x7fff_fe30_0000)
            .collect();
        assert_eq!(
            data,
            [
                (0x7fff_fe92_0000, MemoryType::Mapped, DataLayout::Flat, "plug_a-x64.dll"),
                (0x7fff_fe96_0000, MemoryType::Mapped, DataLayout::Flat, "plug_d-x64.dll"),
                (0x7fff_fea7_0000, MemoryType::Private, DataLayout::Image, "plug_a-x64.dll"),
            ]
        );
        let pieces = found.pieces();
        let at = |address| {
            let (kind, claim) = found.winner(&pieces, address);
            (kind, claim.map(|(usage, _)| usage))
        };
        let named = |name| Some(Use::Named(name));
        let as_data = (RegionKind::MappedFile, named("PE file mapped as data"));
        assert_eq!(at(0x7fff_fe92_0000), as_data);
        let manual = (RegionKind::Private, named("PE image in private memory"));
        assert_eq!(at(0x7fff_fea7_1000), manual);
        // Unloaded once, and mapped again by hand since.
        let unloaded: Vec<_> = found
            .evidence
            .claims
            .iter()
            .filter(|claim| claim.source == EvidenceSource::UnloadedModuleList)
            .map(|claim| (claim.range.start(), claim.kind))
            .collect();
        assert_eq!(unloaded, [(0x3_1000_0000, None)]);
    })
    .unwrap();
}

#[test]
fn without_headers_sections_are_runs_of_one_protection() {
    let Some(dir) = support::shared_or_skip("scenarios") else { return };
    let check = |name: &str, depth, expected: &str| {
        gather(&dir.join(name), &Limits { depth, ..Limits::default() }, |found| {
            assert_eq!(found.evidence.images.len(), 13);
            let claims = &found.evidence.claims;
            let runs: Vec<_> =
                claims.iter().filter(|claim| matches!(claim.usage, Use::SectionRun(_))).collect();
            assert!(runs.len() > 50);
            for claim in runs {
                assert_eq!(claim.confidence, Confidence::Heuristic);
                assert_eq!(claim.detail.to_string(), expected);
            }
            for image in &found.evidence.images {
                assert!(!image.has_header && image.sections.len() >= 3, "{}", image.path);
                assert_eq!(image.sections[0].usage, Use::SectionRun(1));
            }
        })
        .unwrap();
    };
    let not_captured = "named by protection, header not captured";
    check("x64-images.info.dmp", Depth::Headers, not_captured);
    let not_read = "named by protection, header not read";
    check("x64-images.full.dmp.zst", Depth::Streams, not_read);
}

#[test]
fn windows_11_makes_images_larger_than_the_list_says() {
    let Some(path) = corpus_dump("electron.dmp") else { return };
    gather(&path, &Limits::default(), |found| {
        let extensions: Vec<_> = found
            .evidence
            .claims
            .iter()
            .filter(|claim| claim.usage == Use::Named("image extension"))
            .collect();
        assert_eq!(extensions.len(), 72);
        assert!(extensions.iter().all(|claim| claim.range.size() == 0x3000));
        assert!(found.evidence.images.iter().all(|image| image.mapped));
    })
    .unwrap();
}

/// Every dump there is: what is counted must fit, and nothing may panic.
#[test]
fn every_dump_gives_a_row_for_every_module() {
    let folders = ["corpus", "scenarios", "dotnet"];
    let dirs = folders.into_iter().filter_map(support::shared_or_skip);
    let (mut images, mut with_header, mut unlisted, mut data) = (0, 0, 0, 0);
    for path in dirs.flat_map(|dir| support::dumps_in(&dir)) {
        gather(&path, &Limits::default(), |found| {
            let listed = found.dump.modules.modules.len();
            let rows = &found.evidence.images;
            for (image, at) in rows.iter().take(listed).zip(0_u32..) {
                assert_eq!(image.module, Some(at));
            }
            for image in rows.iter().skip(listed) {
                assert_eq!(image.module, None);
            }
            images += rows.len();
            unlisted += rows.len() - listed;
            with_header += rows.iter().filter(|image| image.has_header).count();
            data += found.evidence.data_images.len();
            let pieces: u64 = found.pieces().iter().map(|piece| piece.range.size()).sum();
            let regions: u64 = found.map.iter().map(|region| region.range.size()).sum();
            assert_eq!(pieces, regions, "{}", path.display());
        });
    }
    println!("{images} images, {with_header} with a header, {unlisted} unlisted, {data} as data");
}
