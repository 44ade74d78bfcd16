//! What the integration tests share: the data folders, unpacked dumps, the built program.
//!
//! Each test file is a program of its own and uses a part of this.
#![allow(dead_code, reason = "each test program uses another part of this module")]

pub(crate) mod heaps;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The scenario dumps are packed with `--long=27`.
const WINDOW_LOG_MAX: u32 = 27;

/// A folder of the data that lies beside the project and is too big for it:
/// `corpus`, `scenarios`, `dotnet`, `bench`. `None` where there is none.
///
/// `DUMPMAP_SHARED` names another parent than `../shared`.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let parent = std::env::var_os("DUMPMAP_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let dir = parent.join(folder).canonicalize().ok()?;
    dir.is_dir().then_some(dir)
}

/// Like [`shared`], and says so when a test is skipped for want of the folder.
pub(crate) fn shared_or_skip(folder: &str) -> Option<PathBuf> {
    let dir = shared(folder);
    if dir.is_none() {
        skip(&format!("no shared folder `{folder}` (set DUMPMAP_SHARED)"));
    }
    dir
}

/// Says once per reason that something was not tested, past the test harness's capture.
pub(crate) fn skip(reason: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if said.insert(reason.to_owned()) {
        let _ = writeln!(io::stderr(), "skipped: {reason}");
    }
}

/// Every `*.dmp` and `*.dmp.zst` below `dir`, in a fixed order.
pub(crate) fn dumps_in(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            found.extend(dumps_in(&path));
        } else if name.ends_with(".dmp") || name.ends_with(".dmp.zst") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The whole dump, unpacked where it is `.zst`. For small ones; see [`unpacked_path`].
pub(crate) fn read_dump(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    open_dump(path)
        .and_then(|mut reader| reader.read_to_end(&mut bytes))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    bytes
}

/// `path` itself, or where its unpacked copy lies.
///
/// The copy is made once, under another name, and renamed into place: tests that run at the
/// same time share it and never see half of it.
pub(crate) fn unpacked_path(path: &Path) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if path.extension() != Some(OsStr::new("zst")) {
        return path.to_owned();
    }
    let packed = fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut key = DefaultHasher::new();
    (path, packed.len(), packed.modified().ok()).hash(&mut key);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unpacked");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let unpacked = dir.join(format!("{:016x}-{stem}", key.finish()));

    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !unpacked.exists() {
        let partial = dir.join(format!("{:016x}.{}.part", key.finish(), std::process::id()));
        let unpack = || -> io::Result<()> {
            fs::create_dir_all(&dir)?;
            io::copy(&mut open_dump(path)?, &mut File::create(&partial)?)?;
            fs::rename(&partial, &unpacked)
        };
        if let Err(e) = unpack() {
            // Another test program was faster, and holds the file open (Windows).
            let _ = fs::remove_file(&partial);
            assert!(unpacked.exists(), "{}: {e}", path.display());
        }
    }
    unpacked
}

fn open_dump(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if path.extension() != Some(OsStr::new("zst")) {
        return Ok(Box::new(BufReader::new(file)));
    }
    let mut decoder = zstd::stream::read::Decoder::new(file)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(Box::new(decoder))
}

/// What a run of the program gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// `None`: ended by a signal.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the built `dumpmap`, with nothing on stdin and no colour settings from outside.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_dumpmap"))
        .args(args)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .expect("the built program starts");
    Output {
        status: output.status.code(),
        stdout: utf8(output.stdout, "stdout"),
        stderr: utf8(output.stderr, "stderr"),
    }
}

fn utf8(bytes: Vec<u8>, stream: &str) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| panic!("{stream} is not UTF-8: {e}"))
}
