//! Images against dumps of programs that wrote down what they had mapped, and
//! against every other dump there is.

mod support;

use std::path::Path;

use dumpmap::dump::Dump;
use dumpmap::evidence::{self, Evidence};
use dumpmap::limits::Limits;
use dumpmap::map::RegionMap;
use dumpmap::source::Source;

/// Gathers the evidence of a dump and hands it over; `None` when it is no dump.
fn with_evidence<T>(
    path: &Path,
    then: impl FnOnce(&Dump<'_>, &RegionMap<'_>, &Evidence) -> T,
) -> Option<T> {
    let source = Source::open(&support::unpacked_path(path)).unwrap();
    let dump = Dump::read(&source, &Limits::default()).ok()?;
    let map = RegionMap::build(&dump);
    let evidence = evidence::gather(&dump, &map);
    Some(then(&dump, &map, &evidence))
}

#[test]
fn explore() {
    for folder in ["corpus", "scenarios", "dotnet"] {
        let Some(dir) = support::shared_or_skip(folder) else { continue };
        for path in support::dumps_in(&dir) {
            let t = std::time::Instant::now();
            with_evidence(&path, |dump, map, e| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let listed = dump.modules.modules.len();
                let headers = e.images.iter().filter(|i| i.has_header).count();
                let unlisted = e.images.len() - listed;
                let sections: usize = e.images.iter().map(|i| i.sections.len()).sum();
                let unmapped = e.images.iter().filter(|i| !i.mapped).count();
                let ext = e
                    .claims
                    .iter()
                    .filter(|c| c.usage == evidence::Use::Named("image extension"))
                    .count();
                let arenas = e
                    .claims
                    .iter()
                    .filter(|c| c.usage == evidence::Use::Named("malloc arena"))
                    .count();
                println!(
                    "{name}: {:?} listed {listed} headers {headers} unlisted {unlisted} unmapped {unmapped} sections {sections} data {} ext {ext} arenas {arenas} claims {} {:?}",
                    map.source,
                    e.data_images.len(),
                    e.claims.len(),
                    t.elapsed()
                );
                for i in e.images.iter().skip(listed).take(8) {
                    println!(
                        "    + {:x} {:x} {:?} {:?} {}",
                        i.range.start(),
                        i.range.size(),
                        i.path,
                        i.named_by,
                        i.sections.len()
                    );
                }
                for d in &e.data_images {
                    println!(
                        "    d {:x} {:x} {:?} {:?} {}",
                        d.range.start(),
                        d.range.size(),
                        d.memory_type,
                        d.layout,
                        d.name
                    );
                }
                let issues = {
                    let mut v: Vec<_> = Vec::new();
                    std::mem::swap(&mut v, &mut e.issues.clone().into_vec());
                    v
                };
                for i in issues.iter().take(4) {
                    println!("    ! {}", i.message);
                }
            });
        }
    }
}
