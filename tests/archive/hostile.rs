//! Archives that are cut, damaged, locked, or lie: an answer in words, and none that is wrong.

use std::time::{Duration, Instant};

use cab::CompressionType;
use dumpmap::analyze;
use dumpmap::limits::{Depth, Limits};
use dumpmap::source::Source;

use crate::formats::{Seen, all, at, full, small, summary};
use crate::pack::{self, DEFLATE, LZMA, Member, STORED, ZSTD};

/// The only failure of an archive whose other members are fine.
#[track_caller]
fn failure(archive: &[u8], limits: &Limits) -> (String, String) {
    let (seen, found) = all(archive, limits);
    match found {
        Err(error) => (String::new(), error),
        Ok(_) => {
            let mut failed = seen.into_iter().filter_map(|(name, dump)| Some((name, dump.err()?)));
            let first = failed.next().expect("a failure");
            assert_eq!(failed.next(), None);
            first
        }
    }
}

fn one_of_each(dump: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let members: pack::Members<'_> = &[("a.dmp", dump)];
    vec![
        ("gz", pack::gz(dump)),
        ("zst", pack::zst(dump)),
        ("zip", pack::zip(members)),
        ("zip, zstd", pack::zip_of(&[Member::new("a.dmp", dump, ZSTD)])),
        ("7z", pack::seven_zip(members)),
        ("cab", pack::cab(members, CompressionType::MsZip)),
        ("cab, LZX", pack::cab_lzx(members)),
        ("tar", pack::tar(members)),
        ("tar.gz", pack::gz(&pack::tar(members))),
        ("gz in a zip", pack::zip(&[("a.dmp.gz", &pack::gz(dump))])),
        ("gz in a cab", pack::cab(&[("a.dmp.gz", &pack::gz(dump))], CompressionType::MsZip)),
        ("gz in a tar", pack::tar(&[("a.dmp.gz", &pack::gz(dump))])),
    ]
}

/// A dump that comes out other than it was must say so, or the archive must.
#[track_caller]
fn check_honest(what: &str, seen: &Seen, dump: &[u8], depth: Depth) {
    let said = seen.iter().any(|(_, dump)| dump.is_err());
    for (name, source) in seen {
        let Ok(source) = source else { continue };
        let Ok(analysis) = analyze(source, &at(depth)) else { continue };
        let issues = analysis.dump.issues.clone().into_vec();
        let had = source.slice(0, source.len().min(dump.len() as u64));
        let same = had == Some(dump) || !source.is_whole();
        assert!(
            same || said || !issues.is_empty(),
            "{what}: {name}: {} bytes, and nothing is said",
            source.len()
        );
    }
}

#[test]
fn archives_cut_at_many_places() {
    let dump = small();
    for (format, archive) in one_of_each(&dump) {
        for cut in (0..600).chain((600..archive.len()).step_by(archive.len() / 60)) {
            let Some(part) = archive.get(..cut) else { break };
            for depth in [Depth::Streams, Depth::Headers] {
                let what = format!("{format} cut at {cut} of {}", archive.len());
                let (seen, found) = all(part, &at(depth));
                check_honest(&what, &seen, &dump, depth);
                let fine = seen.iter().any(|(_, dump)| dump.is_ok());
                let said = found.is_err() || seen.iter().any(|(_, dump)| dump.is_err());
                assert!(fine || said || cut < 600, "{what}: nothing was said");
            }
        }
    }
}

#[test]
fn bits_flipped_at_many_places() {
    let dump = small();
    for (format, archive) in one_of_each(&dump) {
        let mut seed = 1_u64;
        for round in 0..300 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // Every other time in the headers, at either end.
            let near = (seed >> 33) as usize;
            let place = match round % 4 {
                0 => near % 64.min(archive.len()),
                1 => archive.len() - 1 - near % 128.min(archive.len()),
                _ => near % archive.len(),
            };
            let mut damaged = archive.clone();
            damaged[place] ^= 1 << (seed >> 60 & 7);
            for depth in [Depth::Streams, Depth::Headers] {
                let (seen, _) = all(&damaged, &at(depth));
                // Stored bytes of a tar have no checksum; the others do.
                if format != "tar" {
                    check_honest(&format!("{format}, bit at {place}"), &seen, &dump, depth);
                }
            }
        }
    }
}

#[test]
fn locked_members_are_named() {
    let locked = Member { flags: 0x801, ..Member::new("a/secret.dmp", &small(), DEFLATE) };
    let open = Member::new("open.dmp", &small(), DEFLATE);
    let (name, error) = failure(&pack::zip_of(&[locked, open]), &at(Depth::Headers));
    assert_eq!(name, "a/secret.dmp");
    assert_eq!(error, "encrypted; unpack it with its password and give the dump");
    // Made with py7zr: a dump of 48 bytes, the password is x; then with its name locked, too.
    let (name, error) = failure(&hex(LOCKED_7Z), &at(Depth::Headers));
    assert_eq!((name.as_str(), error.starts_with("encrypted; ")), ("in.dmp", true), "{error}");
    let (name, error) = failure(&hex(LOCKED_7Z_NAMES), &at(Depth::Headers));
    assert_eq!((name.as_str(), error.starts_with("encrypted; ")), ("", true), "{error}");
}

#[test]
fn unknown_methods_are_named() {
    let member = Member::new("a.dmp", &small(), LZMA);
    let (name, error) = failure(&pack::zip_of(&[member]), &at(Depth::Headers));
    assert_eq!(name, "a.dmp");
    assert!(
        error.starts_with("packed with a method that is not read (") && error.contains("7-Zip"),
        "{error}"
    );
    let mut quantum = pack::cab(&[("a.dmp", &small())], CompressionType::None);
    quantum[42] = 2;
    let (name, error) = failure(&quantum, &at(Depth::Headers));
    assert_eq!(name, "a.dmp");
    assert!(error.starts_with("packed with Quantum"), "{error}");
}

#[test]
fn an_archive_in_an_archive_in_an_archive_is_not_opened() {
    let inner = pack::zip(&[("a.dmp", &small())]);
    let middle = pack::zip(&[("inner.zip", &inner), ("b.dmp", &small())]);
    let outer = pack::zip(&[("middle.zip", &middle)]);
    let (name, error) = failure(&outer, &at(Depth::Headers));
    assert_eq!(name, "middle.zip!/inner.zip");
    assert!(error.starts_with("an archive in an archive in an archive; "), "{error}");
    let (seen, _) = all(&outer, &at(Depth::Headers));
    assert_eq!(seen[1].0, "middle.zip!/b.dmp");
}

/// Names lead nowhere: they are text, to be escaped by whoever shows it.
#[test]
fn names_are_only_text() {
    for name in ["/etc/passwd", "../../up.dmp", r"C:\windows\a.dmp", "a\u{1b}[2J\n.dmp", "", "!/x"]
    {
        let (seen, found) = all(&pack::zip(&[(name, &small())]), &at(Depth::Headers));
        assert_eq!(found.map(|found| found.dumps), Ok(1), "{name}");
        assert_eq!(seen[0].0, name);
        if !name.is_empty() {
            let (seen, _) = all(&pack::tar(&[(name, &small())]), &at(Depth::Headers));
            assert_eq!(seen[0].0, name, "tar");
        }
    }
}

#[test]
fn several_members_of_one_name_are_told() {
    let member = |dump: &[u8]| Member::new("a.dmp", dump, DEFLATE);
    let archive = pack::zip_of(&[member(&small()), member(&full())]);
    let (name, error) = failure(&archive, &at(Depth::Streams));
    assert_eq!(name, "");
    assert!(error.starts_with("several members have one name"), "{error}");
}

/// The sizes that an archive states are believed only as far as its bytes go.
#[test]
fn stated_sizes_that_cannot_be() {
    let dump = full();
    let expected = summary(&Source::from_bytes(dump.as_slice()), Depth::Streams);
    for stated in [0, 1, 100, dump.len() as u64 - 1, 1 << 40, 1 << 62, u64::MAX] {
        for method in [STORED, DEFLATE, ZSTD] {
            let honest = Member { zip64: true, ..Member::new("a.dmp", &dump, method) };
            let lie = Member { stated_size: stated, ..honest };
            let (seen, _) = all(&pack::zip_of(&[lie]), &at(Depth::Streams));
            // The crate for zip refuses a member that is longer than it says.
            let Ok(source) = &seen[0].1 else {
                assert!(stated < dump.len() as u64, "{stated}: {:?}", seen[0].1);
                continue;
            };
            if stated > 1 << 39 {
                assert_eq!(summary(source, Depth::Streams), expected, "{stated}, method {method}");
            }
            assert!(source.len() <= dump.len() as u64, "{stated}: {}", source.len());
        }
    }
    let lie = Member { stated_packed: 1 << 50, zip64: true, ..Member::new("a.dmp", &dump, STORED) };
    all(&pack::zip_of(&[lie]), &at(Depth::Headers)).1.unwrap();
    let mut tar = pack::tar(&[("a.dmp", &dump)]);
    tar[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 =
        tar[..148].iter().chain(&[b' '; 8]).chain(&tar[156..512]).map(|b| u32::from(*b)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let (seen, _) = all(&tar, &at(Depth::Streams));
    assert!(seen[0].1.as_ref().unwrap().len() <= tar.len() as u64);
}

#[test]
fn a_dump_larger_than_allowed() {
    let limits = Limits { unpacked: 1 << 20, ..at(Depth::Headers) };
    for (format, archive) in one_of_each(&full()) {
        let (_, error) = failure(&archive, &limits);
        assert!(
            error.starts_with("unpacks to more than 1 MiB; ") && error.contains("--max-unpacked"),
            "{format}: {error}"
        );
    }
}

/// 2 GiB of zeros in 64 KiB of zstd: the answer comes early, and in little memory.
#[test]
fn a_bomb() {
    let start = Instant::now();
    let mut bomb = b"\x28\xb5\x2f\xfd\x80\x58".to_vec();
    bomb.extend(u32::MAX.to_le_bytes());
    let head = &small()[..4096];
    bomb.extend((4096_u32 << 3).to_le_bytes()[..3].iter().chain(head));
    for _ in 0..(2_u64 << 30 >> 17) {
        bomb.extend((0x20000_u32 << 3 | 2).to_le_bytes()[..3].iter().chain(&[0]));
    }
    let zip = pack::zip(&[("bomb.dmp.zst", &bomb)]);
    for archive in [&bomb, &zip] {
        let (_, error) = failure(archive, &at(Depth::Headers));
        assert!(error.contains("as none with dumps does"), "{error}");
    }
    let limits = Limits { unpacked_ratio: u64::MAX, unpacked: 32 << 20, ..at(Depth::Headers) };
    assert!(failure(&bomb, &limits).1.starts_with("unpacks to more than 32 MiB"));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// Members that share their bytes, as the bombs do that need no nesting.
#[test]
fn members_that_overlap() {
    let first = Member::new("0.dmp", &small(), DEFLATE);
    let others = (1..2000_usize).map(|at| Member {
        name: format!("{at}.dmp").into(),
        shares: Some(at),
        ..first.clone()
    });
    let members: Vec<Member> = std::iter::once(first.clone()).chain(others).collect();
    let limits = Limits { members: 500, ..at(Depth::Streams) };
    let (seen, found) = all(&pack::zip_of(&members), &limits);
    assert_eq!(found.map(|found| (found.dumps, found.failed)), Ok((500, 1)));
    let last = seen.last().unwrap().1.as_ref().unwrap_err();
    assert!(last.starts_with("only the first 500 members are looked at; "), "{last}");
}

/// A cabinet whose member begins behind its folder ends programs that use the crate `cab`.
#[test]
fn cabinets_that_lie() {
    let honest = pack::cab(&[("a.dmp", &small()), ("b.dmp", &small())], CompressionType::MsZip);
    let files = u32::from_le_bytes(honest[16..20].try_into().unwrap()) as usize;
    let mut behind = honest.clone();
    behind[files + 4..files + 8].copy_from_slice(&0x7000_0000_u32.to_le_bytes());
    let (seen, _) = all(&behind, &at(Depth::Headers));
    let errors: Vec<_> = seen.iter().filter_map(|(_, dump)| dump.as_ref().err()).collect();
    assert!(errors.iter().any(|error| error.contains("its folder ends before it")), "{errors:?}");
    let mut longer = honest.clone();
    longer[files..files + 4].copy_from_slice(&0x7000_0000_u32.to_le_bytes());
    let (seen, _) = all(&longer, &at(Depth::Headers));
    let analysis = analyze(seen[0].1.as_ref().unwrap(), &at(Depth::Headers)).unwrap();
    assert!(!analysis.dump.issues.clone().into_vec().is_empty());
    let mut no_folder = honest;
    no_folder[files + 8] = 9;
    assert!(failure(&no_folder, &at(Depth::Headers)).1.contains("a folder that is not there"));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

const LOCKED_7Z: &str = "
    377abcaf271c00042c5724449f00000000000000140000000000000049979fbf332cdd9fd763fc0f37dcab3ac650
    8d427f4f0765c97ff02ddaff2c11910a4f4dcf65eb2a2e474436cf85d302733416b801006a010406000109300a01
    324cdfe400070b0100022406f1070112530f01c348d494a7666f783477035f7369bc010001000c303000080a01b1
    87aa7c00000501190400000000110f0069006e002e0064006d0070000000140a010020b37890867cdd0115060100
    2080808100000017063001096f00070b010001212101180c6b0000";

const LOCKED_7Z_NAMES: &str = "
    377abcaf271c0004809559e2a000000000000000280000000000000061eff3c4aa49b7da7950f03cdbebef7321db
    3cb339a95b8b8ba8b610b703a1d3f55256b9432cd7653b7ef51cd408cbf409171b883a52cf64e14bf8290bd9437e
    dc16f5823bd53d0eea132d5800180234427b662437529a26610e7203261b2e3db5afdbd52b44708a370f722d25bd
    73b17b53383bb0bcc0434c532f3040e2cddc5af14f1d14e7b3534146624145b724c1595c582a82ebc86341de8da9
    f3885fcbad43c09917063001097000070b0100012406f1070112530f3eac160b88bdb99fa53da49778d95e6f0c6b
    0000";
