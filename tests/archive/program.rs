//! The program: an archive, or `archive!/member`, wherever a dump can be given.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::formats::{full, small};
use crate::pack::{self, DEFLATE, Member};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("archive-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn with(self, name: &str, bytes: &[u8]) -> Folder {
        fs::write(self.0.join(name), bytes).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumpmap"));
        command.current_dir(&self.0).args(args).stdin(Stdio::null());
        command
    }

    /// Exit code, what it printed, what it complained.
    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        answer(self.command(args))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn answer(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Every command that takes one dump, with what else it needs.
const COMMANDS: [&[&str]; 9] = [
    &["summary"],
    &["regions"],
    &["explain", "0x10000"],
    &["crash"],
    &["stacks"],
    &["images"],
    &["heaps"],
    &["fits", "64M"],
    &["streams"],
];

#[test]
fn every_command_says_the_same_of_a_dump_in_an_archive() {
    let dump = full();
    let folder = Folder::new()
        .with("app.dmp", &dump)
        .with("app.dmp.gz", &pack::gz(&dump))
        .with("one.zip", &pack::zip(&[("read.me", b"x"), ("d/app.dmp", &dump)]))
        .with("two.7z", &pack::seven_zip(&[("app.dmp", &dump), ("b.dmp", &small())]));
    for command in COMMANDS {
        let ask = |path: &str| {
            let mut args = vec![command[0], path, "-f", "json"];
            args.extend(&command[1..]);
            if command[0] == "regions" {
                args[3] = "csv";
            }
            let (code, out, complaint) = folder.run(&args);
            assert_eq!((code, complaint.as_str()), (Some(0), ""), "{command:?} {path}");
            out
        };
        let expected = ask("app.dmp");
        let named = |name: &str| expected.replace("app.dmp", name);
        assert_eq!(ask("app.dmp.gz"), named("app.dmp.gz"), "{command:?}");
        assert_eq!(ask("one.zip"), named("one.zip!/d/app.dmp"), "{command:?}");
        assert_eq!(ask("one.zip!/d/app.dmp"), named("one.zip!/d/app.dmp"), "{command:?}");
        assert_eq!(ask("two.7z!/app.dmp"), named("two.7z!/app.dmp"), "{command:?}");
    }
}

/// `check` and `scan` answer for every dump in an archive, or the one named.
#[test]
fn many_dumps_of_an_archive() {
    let two = pack::zip(&[("a.dmp", &small()), ("b.txt", b"x"), ("c.dmp", &full())]);
    let folder = Folder::new().with("two.zip", &two);
    let paths = |command: &str, path: &str| -> Vec<String> {
        let (code, out, _) = folder.run(&[command, path, "-f", "jsonl"]);
        assert!(matches!(code, Some(0 | 1)), "{command} {path}: {code:?}");
        let rows = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|row| row["path"].as_str().unwrap().to_owned()).collect()
    };
    for command in ["check", "scan"] {
        assert_eq!(paths(command, "two.zip"), ["two.zip!/a.dmp", "two.zip!/c.dmp"]);
        assert_eq!(paths(command, "two.zip!/c.dmp"), ["two.zip!/c.dmp"]);
    }
}

#[test]
fn what_cannot_be_opened_says_what_to_do() {
    let folder = Folder::new()
        .with("two.zip", &pack::zip(&[("a.dmp", &small()), ("b\u{1b}[2J\n.dmp", &small())]))
        .with("none.zip", &pack::zip(&[("a.txt", b"x"), ("b.txt", b"y")]))
        .with(
            "locked.zip",
            &pack::zip_of(&[Member { flags: 1, ..Member::new("a.dmp", &small(), DEFLATE) }]),
        )
        .with("cut.zip", &pack::zip(&[("a.dmp", &small())])[..2000])
        .with("large.zip", &pack::zip(&[("a.dmp", &full())]))
        .with("a.rar", b"Rar!\x1a\x07\x01\0")
        .with("a.dmp", &small());
    let complaint = |args: &[&str]| {
        let (code, out, complaint) = folder.run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        complaint
    };
    assert_eq!(
        complaint(&["two.zip"]),
        "dumpmap: two.zip: 2 dumps in this archive: a.dmp, b\\u{1b}[2J\\u{a}.dmp; choose one, as \
         ARCHIVE!/MEMBER\n"
    );
    assert_eq!(
        complaint(&["none.zip"]),
        "dumpmap: none.zip: no minidump in this archive; it has 2 other files; was another file \
         meant?\n"
    );
    assert_eq!(
        complaint(&["locked.zip"]),
        "dumpmap: locked.zip: no dump in this archive can be read: a.dmp: encrypted; unpack it \
         with its password and give the dump\n"
    );
    assert!(complaint(&["cut.zip"]).contains("is the file whole?"));
    assert!(complaint(&["two.zip!/c.dmp"]).contains("no dump named c.dmp in this archive"));
    assert!(complaint(&["a.dmp!/a"]).contains("this is a dump, not an archive"));
    assert!(complaint(&["none.zip!/a.txt"]).contains("not a minidump"));
    assert!(complaint(&["a.rar"]).contains("a .rar file, not a dump; unpack it"));
    assert!(
        complaint(&["large.zip", "--max-unpacked", "1M"]).contains("unpacks to more than 1 MiB")
    );
    let (code, ..) = folder.run(&["large.zip", "--max-unpacked", "1G"]);
    assert_eq!(code, Some(0));
}

#[test]
fn an_archive_from_standard_input() {
    let folder = Folder::new();
    let mut command = folder.command(&["-", "-f", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let archive = pack::zip(&[("in.dmp", &small())]);
    child.stdin.take().unwrap().write_all(&archive).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["dump"]["path"], "-!/in.dmp");
}

/// A folder or file whose name has the separator in it is what it is.
#[test]
fn a_path_that_exists_comes_first() {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("odd!")).unwrap();
    let folder = folder.with("odd!/a.dmp", &small());
    assert_eq!(folder.run(&["odd!/a.dmp"]).0, Some(0));
}

/// What is unpacked to a file is gone afterwards, and lies where the user wants it.
#[cfg(unix)]
#[test]
fn nothing_stays_behind() {
    let folder = Folder::new().with("large.zip", &pack::zip(&[("a.dmp", &full())]));
    let temporary = folder.0.join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = folder.command(&["large.zip"]);
    command.env("TMPDIR", &temporary);
    assert_eq!(answer(command).0, Some(0));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    fs::remove_dir(&temporary).unwrap();
    let mut command = folder.command(&["large.zip"]);
    command.env("TMPDIR", &temporary);
    let (code, _, complaint) = answer(command);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("set TMPDIR"), "{complaint}");
}

/// Killed in the middle of unpacking, the program leaves nothing either.
#[cfg(target_os = "linux")]
#[test]
fn nothing_stays_behind_a_kill() {
    use std::os::unix::process::ExitStatusExt;
    let mut dump = full();
    dump.resize(256 << 20, 0);
    let folder = Folder::new().with("large.zip", &pack::zip(&[("a.dmp", &dump)]));
    let temporary = folder.0.canonicalize().unwrap().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = folder.command(&["large.zip"]);
    let mut child = command.env("TMPDIR", &temporary).stdout(Stdio::null()).spawn().unwrap();
    let handles = PathBuf::from(format!("/proc/{}/fd", child.id()));
    let unpacks = || {
        let links = fs::read_dir(&handles).ok()?.flatten();
        links
            .filter_map(|link| fs::read_link(link.path()).ok())
            .find(|to| to.starts_with(&temporary))
    };
    while unpacks().is_none() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it was seen to unpack");
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended before it was killed");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}
