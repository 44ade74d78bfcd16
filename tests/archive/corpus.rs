//! Collected dumps, packed: their streams say the same from within an archive.

use dumpmap::limits::Depth;
use dumpmap::source::Source;

use crate::formats::{all, at, summary};
use crate::pack::{self, DEFLATE, Member};
use crate::support::{dumps_in, read_dump, shared_or_skip};

/// Larger ones would take the test minutes.
const LARGEST: usize = 64 << 20;

fn compare(folder: &str) -> (usize, usize) {
    let Some(dir) = shared_or_skip(folder) else { return (0, 0) };
    let (mut compared, mut prefixes) = (0, 0);
    for path in dumps_in(&dir) {
        let dump = read_dump(&path);
        if dump.len() > LARGEST || !dump.starts_with(b"MDMP") || dump.len() < 32 {
            continue;
        }
        let expected = summary(&Source::from_bytes(dump.as_slice()), Depth::Streams);
        let archives = [pack::zip_of(&[Member::new("a.dmp", &dump, DEFLATE)]), pack::gz(&dump)];
        for archive in archives {
            let (seen, _) = all(&archive, &at(Depth::Streams));
            let source = seen[0].1.as_ref().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let same = summary(source, Depth::Streams) == expected;
            assert!(same, "{}: another answer from within an archive", path.display());
            prefixes += usize::from(!source.is_whole());
        }
        compared += 1;
    }
    (compared, prefixes)
}

#[test]
fn collected_dumps() {
    let (compared, _) = compare("corpus");
    assert!(compared == 0 || compared > 100, "{compared}");
}

#[test]
fn scenario_dumps() {
    let (compared, prefixes) = compare("scenarios");
    assert!(compared == 0 || prefixes > 5, "{compared} dumps, {prefixes} prefixes");
}
