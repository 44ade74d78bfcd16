//! Every format gives back what was put in, under the name it was put in with.

use std::ops::ControlFlow;

use cab::CompressionType;
use dumpmap::analyze;
use dumpmap::archive::{Found, for_each_dump_of};
use dumpmap::limits::{Depth, Limits};
use dumpmap::report::{Input, Privacy, SummaryReport};
use dumpmap::source::Source;
use dumpmap::synth::PAGE_READWRITE;
use dumpmap::synth::windows::{Allocation, Capture, Process};

use crate::pack::{self, DEFLATE, DEFLATE64, Member, STORED, ZSTD};

/// A dump with 12 MiB of contents behind its streams, a third of it zeros.
pub(crate) fn full() -> Vec<u8> {
    let contents: Vec<u8> =
        (0..8_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let large = Allocation::private().commit(12 << 20, PAGE_READWRITE).bytes(0, contents);
    Process::x64().allocate(large).lay_out().dump(Capture::Full).build()
}

/// A dump of some hundred KiB.
pub(crate) fn small() -> Vec<u8> {
    Process::x86().lay_out().dump(Capture::Full).build()
}

pub(crate) fn at(depth: Depth) -> Limits {
    Limits { depth, ..Limits::default() }
}

/// The dumps of an archive and its failures, by name.
pub(crate) type Seen = Vec<(String, Result<Source, String>)>;

pub(crate) fn all(archive: &[u8], limits: &Limits) -> (Seen, Result<Found, String>) {
    let mut seen = Vec::new();
    let found =
        for_each_dump_of(&Source::from_bytes(archive), "x".as_ref(), limits, &mut |name, dump| {
            seen.push((name.to_owned(), dump.map_err(|error| error.to_string())));
            ControlFlow::Continue(())
        });
    (seen, found.map_err(|error| error.to_string()))
}

/// The summary as JSON, with nothing in it of where the dump came from.
pub(crate) fn summary(source: &Source, depth: Depth) -> String {
    let analysis = analyze(source, &at(depth)).unwrap();
    let path = "x.dmp".as_ref();
    let input = Input { analysis: &analysis, path, privacy: Privacy::Full };
    serde_json::to_string_pretty(&SummaryReport::of(&input)).unwrap()
}

/// The archive, and the names of the dumps in it.
fn archives(dump: &[u8], other: &[u8]) -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let members: pack::Members<'_> =
        &[("a/one.dmp", dump), ("readme.txt", b"no dump"), ("two.dmp", other)];
    let names = vec!["a/one.dmp", "two.dmp"];
    let by = |method| {
        let members: Vec<_> =
            members.iter().map(|(name, bytes)| Member::new(name, bytes, method)).collect();
        pack::zip_of(&members)
    };
    let zip64 = Member { zip64: true, ..Member::new("one.dmp", dump, DEFLATE) };
    let outer: pack::Members<'_> = &[
        ("in.zip", &pack::zip(members)),
        ("two.dmp.gz", &pack::gz(other)),
        ("one.dmp.gz", &pack::gz(dump)),
        ("parts.dmp.gz", &[pack::gz(&dump[..5000]), pack::gz(&dump[5000..])].concat()),
        ("t.tar.gz", &pack::gz(&pack::tar(members))),
    ];
    let nested = vec![
        "in.zip!/a/one.dmp",
        "in.zip!/two.dmp",
        "two.dmp.gz",
        "one.dmp.gz",
        "parts.dmp.gz",
        "t.tar.gz!/a/one.dmp",
        "t.tar.gz!/two.dmp",
    ];
    vec![
        (".gz", pack::gz(dump), vec![""]),
        (".gz in two parts", [pack::gz(&dump[..5000]), pack::gz(&dump[5000..])].concat(), vec![""]),
        (".zst", pack::zst(dump), vec![""]),
        (".zst of a pipe", pack::zst_of_pipe(dump), vec![""]),
        (
            ".zst in two frames",
            [pack::zst(&dump[..5000]), pack::zst(&dump[5000..])].concat(),
            vec![""],
        ),
        ("zip, stored", by(STORED), names.clone()),
        ("zip, Deflate", by(DEFLATE), names.clone()),
        ("zip, Deflate64", by(DEFLATE64), names.clone()),
        ("zip, zstd", by(ZSTD), names.clone()),
        ("zip64", pack::zip_of(&[zip64]), vec!["one.dmp"]),
        ("7z", pack::seven_zip(members), names.clone()),
        ("7z, solid", pack::seven_zip_solid(members), names.clone()),
        ("cab, stored", pack::cab(members, CompressionType::None), names.clone()),
        ("cab, MSZIP", pack::cab(members, CompressionType::MsZip), names.clone()),
        ("cab, LZX", pack::cab_lzx(members), names.clone()),
        ("tar", pack::tar(members), names.clone()),
        ("tar.gz", pack::gz(&pack::tar(members)), names.clone()),
        ("tar.zst", pack::zst(&pack::tar(members)), names),
        ("zip of archives", pack::zip(outer), nested.clone()),
        ("7z of archives", pack::seven_zip(outer), nested.clone()),
        ("cab of archives", pack::cab(outer, CompressionType::MsZip), nested.clone()),
        ("tar of archives", pack::tar(outer), nested.clone()),
        ("tar.zst of archives", pack::zst(&pack::tar(outer)), nested),
    ]
}

#[test]
fn what_was_packed_comes_back() {
    let (dump, other) = (full(), small());
    for (format, archive, names) in archives(&dump, &other) {
        let (seen, found) = all(&archive, &at(Depth::Headers));
        let found = found.unwrap_or_else(|error| panic!("{format}: {error}"));
        assert_eq!((found.dumps as usize, found.failed), (names.len(), 0), "{format}: {seen:?}");
        assert_eq!(seen.iter().map(|(name, _)| name).collect::<Vec<_>>(), names, "{format}");
        for (name, source) in &seen {
            let source = source.as_ref().unwrap_or_else(|error| panic!("{format}: {error}"));
            let packed = if name.contains("two") { &other } else { &dump };
            assert!(source.is_whole(), "{format}: {name}");
            assert!(source.slice(0, source.len()) == Some(&packed[..]), "{format}: {name}");
        }
    }
}

/// A prefix gives the same answer as the whole dump, and says the same of the file.
#[test]
fn the_streams_of_an_archive_say_what_the_dump_says() {
    let (dump, other) = (full(), small());
    let whole = |dump: &[u8]| summary(&Source::from_bytes(dump), Depth::Streams);
    let expected = (whole(&dump), whole(&other));
    for (format, archive, names) in archives(&dump, &other) {
        let (seen, found) = all(&archive, &at(Depth::Streams));
        assert_eq!(found.map(|found| found.dumps as usize), Ok(names.len()), "{format}");
        for (name, source) in &seen {
            let source = source.as_ref().unwrap_or_else(|error| panic!("{format}: {error}"));
            let two = name.contains("two");
            assert_eq!(source.is_whole(), two, "{format}: {name}");
            let expected = if two { &expected.1 } else { &expected.0 };
            assert_eq!(&summary(source, Depth::Streams), expected, "{format}: {name}");
        }
    }
}

/// A dump that may not unpack to its end, and need not.
#[test]
fn a_packed_dump_is_unpacked_as_far_as_its_streams() {
    let (dump, limits) = (full(), Limits { unpacked: 4 << 20, ..at(Depth::Streams) });
    let gz = pack::gz(&dump);
    let members: pack::Members<'_> = &[("a.txt", b"x"), ("a.dmp.gz", &gz), ("b.dmp.gz", &gz)];
    let by = |method| {
        let members: Vec<_> =
            members.iter().map(|(name, bytes)| Member::new(name, bytes, method)).collect();
        pack::zip_of(&members)
    };
    let archives = [
        ("gz", gz.clone()),
        ("zip, stored", by(STORED)),
        ("zip, Deflate", by(DEFLATE)),
        ("tar", pack::tar(members)),
        ("cab, stored", pack::cab(members, CompressionType::None)),
        ("cab, MSZIP", pack::cab(members, CompressionType::MsZip)),
        ("cab, LZX", pack::cab_lzx(members)),
    ];
    for (format, archive) in archives {
        let (seen, found) = all(&archive, &limits);
        let dumps = if format == "gz" { 1 } else { 2 };
        assert_eq!(found.map(|found| (found.dumps, found.failed)), Ok((dumps, 0)), "{format}");
        for (name, source) in &seen {
            let source = source.as_ref().unwrap_or_else(|error| panic!("{format}: {error}"));
            assert_eq!(source.len(), dump.len() as u64, "{format}: {name}");
            assert!(source.unpacked() < 1 << 20, "{format}: {name}: {}", source.unpacked());
        }
    }
    // One that is shorter than it says has to be, to be sure.
    let short = pack::zip(&[("a.dmp.gz", &pack::gz(&dump[..dump.len() - 9]))]);
    assert!(all(&short, &limits).0[0].1.is_err());
    let (seen, _) = all(&short, &at(Depth::Streams));
    assert_eq!(seen[0].1.as_ref().unwrap().len(), dump.len() as u64 - 9);
}

/// What lies behind the streams is there and was not read: three facts, three answers.
#[test]
fn contents_behind_a_prefix_are_not_read() {
    use dumpmap::dump::ReadError;
    let (seen, _) = all(&pack::zip(&[("a.dmp", &full())]), &at(Depth::Streams));
    let source = seen[0].1.as_ref().unwrap();
    let analysis = analyze(source, &at(Depth::Streams)).unwrap();
    let captured = &analysis.dump.captured;
    let last = captured.ranges().last().unwrap().range;
    assert_eq!(captured.array::<8>(last.start()), Err(ReadError::NotRead));
    assert_eq!(captured.array::<8>(8), Err(ReadError::NotCaptured));
    assert_eq!(analysis.dump.issues.clone().into_vec(), []);
}

/// Calls of programs are packed with the addresses of their targets, and get
/// their distances back.
#[test]
fn calls_in_lzx_keep_their_targets() {
    let mut dump = small();
    let size = dump.len() as i32;
    let start = dump.len() / 2;
    for at in (start..dump.len() - 20).step_by(20) {
        let here = at as i32;
        // To the first byte, to itself, near both ends of what is translated, and far away.
        let distances =
            [-here, 0, 1 - here, -here - 1, size - here - 1, size - here, size - 1, size, i32::MIN];
        let distance = distances[at / 20 % distances.len()];
        dump[at] = 0xe8;
        dump[at + 1..at + 5].copy_from_slice(&distance.to_le_bytes());
    }
    for size in [size, 12_000_000, 1, 0] {
        let packed = pack::cab_lzx_calls(&[("a.dmp", &dump)], size);
        let (seen, _) = all(&packed, &at(Depth::Headers));
        let source = seen[0].1.as_ref().unwrap();
        assert!(source.is_whole());
        assert!(source.slice(0, source.len()) == Some(&dump[..]), "size {size}");
    }
}

#[test]
fn a_break_ends_it() {
    let archive = pack::zip(&[("a.dmp", &small()), ("b.dmp", &small())]);
    let mut names = Vec::new();
    let found = for_each_dump_of(
        &Source::from_bytes(archive),
        "x".as_ref(),
        &at(Depth::Headers),
        &mut |name, _| {
            names.push(name.to_owned());
            ControlFlow::Break(())
        },
    );
    assert_eq!((names, found.unwrap().dumps), (vec!["a.dmp".to_owned()], 1));
}

#[test]
fn other_files_are_counted_and_no_failure() {
    let archive =
        pack::zip(&[("a.txt", b"x"), ("folder/", b""), ("empty", b""), ("b.elf", b"\x7fELF")]);
    let (seen, found) = all(&archive, &at(Depth::Headers));
    assert_eq!(seen.len(), 0);
    assert_eq!(found, Ok(Found { dumps: 0, failed: 0, skipped: 3 }));
}
