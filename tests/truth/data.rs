//! The truth files and their dumps.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dumpmap::classify::Piece;
use dumpmap::evidence::RegionKind;
use dumpmap::limits::Limits;
use dumpmap::map::Region;
use dumpmap::source::Source;
use dumpmap::{Analysis, analyze};
use serde_json::Value;

use crate::{Wrong, known, support};

/// One dump and the truth about it.
pub(crate) struct Case<'a> {
    /// File name of the dump.
    pub(crate) dump: &'a str,
    /// How much of the process it holds: `info`, `mini`, `normal`, `rw`, `full`, `fullni`, `dbghelp`;
    /// empty for Linux.
    pub(crate) flavour: &'a str,
    /// The truth file. Linux: null when the program is not one of ours.
    pub(crate) truth: &'a Value,
    /// Linux: the lines of /proc/PID/maps.
    pub(crate) maps: &'a Value,
    pub(crate) analysis: &'a Analysis<'a>,
    pub(crate) pieces: Vec<Piece>,
}

impl Case<'_> {
    /// What the bytes of a range are. Bytes that no region has are left out.
    pub(crate) fn kinds(&self, base: u64, size: u64) -> BTreeSet<RegionKind> {
        self.pieces_in(base, size).map(|piece| piece.kind).collect()
    }

    /// The pieces that have a byte of a range.
    pub(crate) fn pieces_in(&self, base: u64, size: u64) -> impl Iterator<Item = &Piece> {
        let last = base + (size.max(1) - 1);
        let first = self.pieces.partition_point(|piece| piece.range.last() < base);
        self.pieces[first..].iter().take_while(move |piece| piece.range.start() <= last)
    }

    /// Regions and gaps.
    pub(crate) fn regions(&self) -> Vec<Region> {
        self.analysis.map.iter().collect()
    }

    /// Whether the dump has a stream 16.
    pub(crate) fn has_memory_info(&self) -> bool {
        self.analysis.dump.memory_info.is_some()
    }

    /// Whether the dump holds the contents of private memory.
    pub(crate) fn has_private_memory(&self) -> bool {
        matches!(self.flavour, "rw" | "full" | "fullni" | "dbghelp")
    }
}

/// A number of a truth file: an integer, or an address as a string.
pub(crate) fn number(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().expect("not negative"),
        Value::String(text) => {
            u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a hex number")
        }
        other => panic!("not a number: {other}"),
    }
}

/// A text of a truth file; empty where it has none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// The entries of a list of a truth file; none where it has no such list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Checks every dump of every Windows scenario.
pub(crate) fn each_windows(check: impl Fn(&Case<'_>, &mut Wrong)) {
    each(".truth.json", |name| !name.starts_with("lx-"), check);
}

/// Checks every dump of a Linux process.
pub(crate) fn each_linux(check: impl Fn(&Case<'_>, &mut Wrong)) {
    each(".maps.json", |_| true, check);
}

/// Checks every dump of every .NET process.
pub(crate) fn each_dotnet(check: impl Fn(&Case<'_>, &mut Wrong)) {
    if let Some(folder) = support::shared_or_skip("dotnet") {
        each_in(&[folder], ".truth.json", |_| true, check);
    }
}

fn each(suffix: &str, wanted: impl Fn(&str) -> bool, check: impl Fn(&Case<'_>, &mut Wrong)) {
    each_in(&folders(), suffix, wanted, check);
}

fn each_in(
    folders: &[PathBuf],
    suffix: &str,
    wanted: impl Fn(&str) -> bool,
    check: impl Fn(&Case<'_>, &mut Wrong),
) {
    let mut wrong = Wrong::new();
    let mut dumps = 0;
    for folder in folders {
        for path in files_in(folder) {
            let name = file_name(&path);
            let Some(stem) = name.strip_suffix(suffix).filter(|_| wanted(&name)) else { continue };
            let truth = read_json(&folder.join(format!("{stem}.truth.json")));
            let maps = read_json(&folder.join(format!("{stem}.maps.json")));
            for dump in dumps_of(folder, stem) {
                one(&dump, &truth, &maps, &check, &mut wrong);
                dumps += 1;
            }
        }
    }
    assert!(dumps > 0, "no dump was checked");
    let wrong: Vec<String> = wrong.into_iter().filter(|line| !known::is_known(line)).collect();
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn one(
    path: &Path,
    truth: &Value,
    maps: &Value,
    check: impl Fn(&Case<'_>, &mut Wrong),
    wrong: &mut Wrong,
) {
    let dump = file_name(path);
    let source = Source::open(&support::unpacked_path(path)).expect("a file that can be read");
    let analysis = analyze(&source, &Limits::default()).expect("a dump");
    let flavour = dump.trim_end_matches(".zst").trim_end_matches(".dmp");
    let flavour = flavour.rsplit_once('.').map_or("", |(_, flavour)| flavour);
    let pieces = analysis.pieces().collect();
    let mut found = Wrong::new();
    let case = Case { dump: &dump, flavour, truth, maps, analysis: &analysis, pieces };
    check(&case, &mut found);
    wrong.extend(found.into_iter().map(|line| format!("{dump}: {line}")));
}

/// The fixtures, and the shared scenarios where they are.
fn folders() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    [Some(fixtures), support::shared_or_skip("scenarios")].into_iter().flatten().collect()
}

/// `STEM.dmp`, `STEM.FLAVOUR.dmp` and their packed forms.
fn dumps_of(folder: &Path, stem: &str) -> Vec<PathBuf> {
    let belongs = |name: &str| {
        let rest = name.strip_prefix(stem).unwrap_or("").trim_end_matches(".zst");
        rest.starts_with('.') && rest.ends_with(".dmp") && rest.matches('.').count() <= 2
    };
    files_in(folder).into_iter().filter(|path| belongs(&file_name(path))).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder that can be read");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    files
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

fn read_json(path: &Path) -> Value {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).expect("JSON"),
        Err(_) => Value::Null,
    }
}
