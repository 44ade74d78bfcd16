//! `scan`: one flat row a dump, and what rows are summed up to. The columns
//! are one table, [`COLUMNS`]: JSON, CSV, text and Parquet all follow it.

mod clusters;
mod columns;
mod groups;
mod id;
mod nested;
mod order;
mod parse;

pub use columns::{COLUMNS, Column, Unit, Value, column};
pub use groups::{FigureView, GroupBy, GroupView, Groups, GroupsReport, OutlierView};
pub use nested::{Field, Items, Nested};
pub use order::{Order, Ordered};

use std::borrow::Cow;
use std::ffi::OsStr;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::dump::{arch, os_version, platform, writer};
use super::{Hex, Input, Privacy, issue_count, redact};
use crate::crash::Crash;
use crate::dump::Dump;
use crate::error::Error;
use crate::evidence::RegionKind;
use crate::issue::Issues;
use crate::limits::Depth;
use crate::rules::Severity;
use crate::totals::{Free, Row};

/// A word of ours, which a row read from JSON has a copy of.
pub type Word = Cow<'static, str>;

/// One dump, or a file that should have been one.
#[derive(Clone, Debug)]
pub struct ScanRow {
    /// Path as it was given or found, U+FFFD where it is not Unicode; of a
    /// dump in an archive `archive.zip!/path/in.dmp`; `-` for standard input.
    pub path: String,
    /// What it was, or why it could not be read.
    pub result: Result<Box<Scanned>, String>,
    /// The lists that were asked for; none of a file that is no dump.
    pub nested: Vec<Items>,
}

/// What is known of one dump.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// How much memory content was read.
    pub depth: Depth,
    /// SHA-256 of header, directory and streams, in hex; only on request.
    pub dump_id: Option<String>,
    /// Bytes of the file.
    pub file_size: u64,
    /// When the dump was written, in seconds since 1970 UTC.
    pub time: Option<u32>,
    /// Process id.
    pub process_id: Option<u32>,
    /// File name of the program.
    pub process_name: Option<String>,
    /// File version of the first module, which is the program.
    pub process_version: Option<String>,
    /// Operating system.
    pub platform: Word,
    /// Its version.
    pub os_version: Option<String>,
    /// Processor architecture.
    pub arch: Word,
    /// 32 or 64.
    pub pointer_bits: u32,
    /// Who wrote the dump.
    pub writer: Option<Word>,
    /// Where the map comes from.
    pub map_source: Word,
    /// Threads, modules, unloaded modules, stacks.
    pub counts: [u64; 4],
    /// Heaps; `None` where no memory was read.
    pub heaps: Option<u64>,
    /// All kinds except free memory.
    pub total: Row,
    /// By [`RegionKind::index`]; `None` where the dump, or the depth, cannot
    /// tell.
    pub kinds: [Option<Row>; RegionKind::ALL.len()],
    /// Free memory.
    pub free: Option<Free>,
    /// The recorded crash.
    pub crash: Option<ScannedCrash>,
    /// Why memory ran out, in one word.
    pub verdict: Word,
    /// Findings of severity error, warning, note.
    pub findings: [u64; 3],
    /// The ids of the rules that fired, each once, worst first.
    pub rules: Vec<Word>,
    /// How many issues the file has.
    pub issue_count: u64,
    /// The first of them.
    pub first_issue: Option<String>,
}

/// A recorded crash.
#[derive(Clone, Debug)]
pub struct ScannedCrash {
    /// Exception code or signal.
    pub code: u32,
    /// Its name.
    pub name: String,
    /// The address it is about.
    pub address: Option<Hex>,
    /// Which thread.
    pub thread_id: u32,
    /// Groups crashes over runs.
    pub signature: String,
}

impl ScanRow {
    /// The row of an analysed dump.
    pub fn of(input: &Input<'_>, nested: &[Nested]) -> ScanRow {
        let analysis = input.analysis;
        let dump = &analysis.dump;
        let count = |severity| {
            let found = analysis.findings.iter().filter(|of| of.severity == severity);
            found.count() as u64
        };
        let mut rules: Vec<Word> = Vec::new();
        for finding in &analysis.findings {
            if rules.iter().all(|rule| rule != finding.rule) {
                rules.push(finding.rule.into());
            }
        }
        let crash = Crash::of(dump, &analysis.map, &analysis.evidence);
        let reads = dump.limits.depth >= Depth::Headers;
        let version = dump.modules.modules.first().and_then(|module| module.version);
        let issues = issue_count(input);
        let scanned = Scanned {
            depth: dump.limits.depth,
            dump_id: None,
            file_size: dump.source.len(),
            time: Some(dump.header.time).filter(|time| *time != 0),
            process_id: dump.process.id,
            process_name: analysis.process_name().map(|name| input.text(name).into_owned()),
            process_version: version.map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}")),
            platform: platform(dump.system.platform).into(),
            os_version: os_version(dump).map(|text| text.into_owned()),
            arch: arch(dump.system.arch).into(),
            pointer_bits: dump.system.width.bits(),
            writer: writer(dump).map(Word::from),
            map_source: analysis.map.source.as_str().into(),
            counts: [
                dump.threads.len() as u64,
                dump.modules.modules.len() as u64,
                dump.unloaded_modules.len() as u64,
                analysis.evidence.stacks.len() as u64,
            ],
            heaps: reads.then_some(analysis.evidence.heaps.len() as u64),
            total: analysis.totals.total,
            kinds: RegionKind::ALL.map(|kind| analysis.known_row(kind)),
            free: analysis.totals.free,
            crash: crash.map(|crash| scanned_crash(input, crash)),
            verdict: analysis.verdict.as_str().into(),
            findings: [Severity::Error, Severity::Warning, Severity::Note].map(count),
            rules,
            issue_count: issues,
            first_issue: (issues > 0).then(|| first_issue(input)).flatten(),
        };
        ScanRow {
            path: path_text(input.path, input.privacy),
            result: Ok(Box::new(scanned)),
            nested: nested.iter().map(|of| Items::of(*of, input)).collect(),
        }
    }

    /// With the id of the dump: SHA-256 of its header, its directory and all
    /// streams in the order of the directory. Contents of memory are no part
    /// of it, so it costs what the streams cost.
    #[must_use]
    pub fn with_id(mut self, dump: &Dump<'_>) -> ScanRow {
        if let Ok(scanned) = &mut self.result {
            scanned.dump_id = Some(id::of(dump));
        }
        self
    }

    /// The row of a file that could not be read, or is no dump.
    pub fn failed(path: &OsStr, privacy: Privacy, error: &Error) -> ScanRow {
        ScanRow {
            path: path_text(path, privacy),
            result: Err(error.to_string()),
            nested: Vec::new(),
        }
    }

    /// `ok`; `partial` when the file has issues, so that something in it could
    /// not be read; `error` when there is no dump.
    pub fn status(&self) -> &'static str {
        match &self.result {
            Ok(dump) if dump.issue_count == 0 => "ok",
            Ok(_) => "partial",
            Err(_) => "error",
        }
    }

    /// What is known of the dump; `None` when there is none.
    pub fn dump(&self) -> Option<&Scanned> {
        self.result.as_deref().ok()
    }
}

/// A member for each of [`COLUMNS`], in their order, then the lists.
impl Serialize for ScanRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for column in &COLUMNS {
            map.serialize_entry(column.name, &column.of(self))?;
        }
        for items in &self.nested {
            map.serialize_entry(items.of.as_str(), items)?;
        }
        map.end()
    }
}

fn scanned_crash(input: &Input<'_>, crash: Crash) -> ScannedCrash {
    ScannedCrash {
        code: crash.code,
        name: crash.name,
        address: crash.address.map(|address| input.hex(address)),
        thread_id: crash.thread.id,
        signature: input.owned(crash.signature),
    }
}

/// The first of the lists that has any.
fn first_issue(input: &Input<'_>) -> Option<String> {
    let analysis = input.analysis;
    let lists: [&Issues; 3] =
        [&analysis.dump.issues, &analysis.map.issues, &analysis.evidence.issues];
    let first = lists.into_iter().find_map(|issues| issues.first())?;
    Some(input.owned(first.message.clone()))
}

fn path_text(path: &OsStr, privacy: Privacy) -> String {
    let lossy = path.to_string_lossy();
    match privacy {
        Privacy::Full => lossy.into_owned(),
        Privacy::Redacted => redact::redact(&lossy).into_owned(),
    }
}
