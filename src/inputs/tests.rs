use std::ffi::OsStr;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::*;

/// A folder of its own for one test, gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("dumpmap-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What becomes of each input, with its path below the folder.
fn seen(top: &Path, paths: &[PathBuf], links: Links) -> Vec<(String, String)> {
    let paths: Vec<io::Result<PathBuf>> = paths.iter().cloned().map(Ok).collect();
    find(paths.into_iter(), links, None)
        .map(|input| {
            let name = Path::new(input.name()).to_owned();
            let name = name.strip_prefix(top).unwrap_or(&name).to_string_lossy().replace('\\', "/");
            let what = match input.open() {
                Ok(Opened::Source(_)) => "source".to_owned(),
                Ok(Opened::PassedOver(reason)) => format!("{reason:?}"),
                Err(error) => error.to_string(),
            };
            (name, what)
        })
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned())).collect()
}

#[test]
fn folders_are_searched_by_content() {
    let folder = Folder::new("content");
    folder.write("b.bin", b"MDMP....");
    folder.write("a/deep/er.dmp", b"MDMP");
    folder.write("empty.dmp", b"");
    folder.write("notes.txt", b"hello");
    folder.write("text.DMP", b"hello");
    folder.write("core", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0");
    folder.write("all.zip", b"PK\x03\x04");
    let expected = [
        ("a/deep/er.dmp", "source"),
        ("all.zip", "source"),
        ("b.bin", "source"),
        ("core", "NotADump(Elf { core: true })"),
        ("empty.dmp", "source"),
        ("notes.txt", "NotADump(Other)"),
        ("text.DMP", "source"),
    ];
    let found = seen(&folder.0, std::slice::from_ref(&folder.0), Links::PassOver);
    assert_eq!(found, pairs(&expected));
}

#[test]
fn patterns_match_where_no_file_is_called_so() {
    let folder = Folder::new("pattern");
    folder.write("a/1.dmp", b"MDMP");
    folder.write("a/b/2.dmp", b"MDMP");
    folder.write("a/c.txt", b"hello");
    folder.write("[x].dmp", b"MDMP");
    let given = |text: &str| seen(&folder.0, &[folder.0.join(text)], Links::PassOver);
    assert_eq!(given("**/*.dmp").len(), 3);
    assert_eq!(given("a/*.dmp"), pairs(&[("a/1.dmp", "source")]));
    assert_eq!(given("[x].dmp"), pairs(&[("[x].dmp", "source")]));
    let nothing = given("*.nothing");
    assert!(nothing[0].1.starts_with("cannot read the file"), "{nothing:?}");
    // A folder that a pattern matches is searched.
    assert_eq!(given("?").len(), 3);
}

#[cfg(unix)]
#[test]
fn links_and_pipes_do_not_stop_a_walk() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("links");
    folder.write("a/1.dmp", b"MDMP");
    symlink("..", folder.0.join("a/loop")).unwrap();
    symlink("1.dmp", folder.0.join("a/same")).unwrap();
    symlink("nowhere", folder.0.join("a/broken")).unwrap();
    std::os::unix::net::UnixListener::bind(folder.0.join("socket")).unwrap();
    let top = std::slice::from_ref(&folder.0);
    let expected = [
        ("a/1.dmp", "source"),
        ("a/broken", "cannot follow the link: No such file or directory (os error 2)"),
        ("a/loop", "LinkToFolder"),
        ("a/same", "source"),
        ("socket", "Special"),
    ];
    assert_eq!(seen(&folder.0, top, Links::PassOver), pairs(&expected));
    let followed = seen(&folder.0, top, Links::Follow);
    let circle = followed.iter().find(|(name, _)| name == "a/loop").unwrap();
    assert!(circle.1.contains("leads in a circle"), "{followed:?}");
    assert_eq!(followed.len(), 5);
}

#[test]
fn lists_are_read_as_they_are_written() {
    let read = |bytes: &'static [u8], separator| -> Vec<Result<String, String>> {
        read_list(BufReader::with_capacity(3, bytes), separator)
            .map(|path| path.map(|path| path.to_string_lossy().into_owned()))
            .map(|path| path.map_err(|error| error.to_string()))
            .collect()
    };
    let paths =
        |paths: &[&str]| paths.iter().map(|path| Ok((*path).to_owned())).collect::<Vec<_>>();
    assert_eq!(read(b"a\r\n\nb c\n d", Separator::Line), paths(&["a", "b c", " d"]));
    assert_eq!(read(b"\xef\xbb\xbfa\n", Separator::Line), paths(&["a"]));
    assert_eq!(read(b"a\nb\0\0c\0", Separator::Nul), paths(&["a\nb", "c"]));
    let utf16 = read(b"\xff\xfea\0", Separator::Line);
    assert!(utf16.len() == 1 && utf16[0].as_ref().is_err_and(|what| what.contains("UTF-16")));
}

#[test]
fn shards_are_disjoint_and_stable() {
    let names: Vec<String> = (0..1000).map(|number| format!("dumps/{number}.dmp")).collect();
    for name in &names {
        let parts = ["1/3", "2/3", "3/3"].map(|text| text.parse::<Shard>().unwrap());
        let of = parts.iter().filter(|part| part.has(OsStr::new(name))).count();
        assert_eq!(of, 1, "{name}");
    }
    let first: Shard = "1/3".parse().unwrap();
    let count = names.iter().filter(|name| first.has(OsStr::new(name))).count();
    assert!((250..420).contains(&count), "{count}");
    assert_eq!(first.has(OsStr::new("a/b")), first.has(OsStr::new("a\\b")));
    // FNV-1a of "a" is 0xaf63dc4c8601ec8c.
    assert!("13/16".parse::<Shard>().unwrap().has(OsStr::new("a")));
    for wrong in ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", ""] {
        assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
    }
}
