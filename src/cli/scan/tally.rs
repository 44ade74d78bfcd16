//! What a run saw, in one line for its end.

use std::collections::BTreeMap;
use std::fmt;

use dumpmap::inputs::Reason;
use dumpmap::report::scan::ScanRow;
use dumpmap::size::count;
use dumpmap::source::FileFormat;

/// Counts of rows by status, and of what was passed over.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ok: u64,
    partial: u64,
    failed: u64,
    passed_over: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn row(&mut self, row: &ScanRow) {
        match row.status() {
            "ok" => self.ok += 1,
            "partial" => self.partial += 1,
            _ => self.failed += 1,
        }
    }

    pub(super) fn passed_over(&mut self, reason: Reason) {
        *self.passed_over.entry(noun(reason)).or_default() += 1;
    }

    pub(super) fn rows(&self) -> u64 {
        self.ok + self.partial + self.failed
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed
    }
}

fn noun(reason: Reason) -> &'static str {
    match reason {
        Reason::LinkToFolder => "link to a folder",
        Reason::Special => "pipe or device",
        Reason::NotADump(FileFormat::Elf { core: true } | FileFormat::MachO { core: true }) => {
            "core file"
        }
        Reason::NotADump(FileFormat::KernelDump32 | FileFormat::KernelDump64) => "kernel dump",
        Reason::NotADump(_) => "other file",
    }
}

/// `3 dumps: 1 ok, 1 partial, 1 failed; passed over: 2 other files`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { ok, partial, failed, passed_over } = self;
        write!(f, "{}: {ok} ok, {partial} partial, {failed} failed", count(self.rows(), "dump"))?;
        for (at, (noun, number)) in passed_over.iter().enumerate() {
            let separator = if at == 0 { "; passed over: " } else { ", " };
            write!(f, "{separator}{}", plural(*number, noun))?;
        }
        Ok(())
    }
}

fn plural(number: u64, noun: &str) -> String {
    match noun.split_once(' ') {
        _ if number == 1 => count(number, noun),
        Some(("link", rest)) => format!("{} {rest}", count(number, "link")),
        Some(("pipe", _)) => format!("{number} pipes and devices"),
        _ => count(number, noun),
    }
}
