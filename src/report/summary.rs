//! `summary`: VMMap's table, the free memory, findings, issues and the audit.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{
    DumpView, Hex, Input, IssueView, Names, ProtectionIs, RangeView, SCHEMA_VERSION, issue_count,
    issues, shell_word,
};
use crate::evidence::RegionKind;
use crate::rules::{Finding, Severity};
use crate::totals::aside::SetAside;
use crate::totals::strip::Strip;
use crate::totals::{Free, Row};
use crate::unexplained::dominant;

/// The document of `summary`.
#[derive(Debug, Serialize)]
pub struct SummaryReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// Why memory ran out, in one word.
    pub verdict: &'static str,
    /// What the verdict rests on.
    pub signals: Vec<Cow<'a, str>>,
    /// What a person should know.
    pub findings: Vec<FindingView<'a>>,
    /// The sums.
    pub summary: SummaryView,
    /// The proof that they add up.
    pub audit: AuditView,
    /// Memory counters of the process and the system, where the dump has them.
    pub counters: CountersView,
    /// How many issues there are, listed or not.
    pub issue_count: u64,
    /// What is wrong with the file.
    pub issues: Vec<IssueView>,
    /// The picture of the address space.
    #[serde(skip)]
    pub strip: &'a Strip,
}

/// The sums.
#[derive(Clone, Debug, Serialize)]
pub struct SummaryView {
    /// The addresses that the map covers.
    pub range: Option<RangeView>,
    /// One row a kind that has bytes, in VMMap's order.
    pub kinds: Vec<RowView>,
    /// All kinds except free memory.
    pub total: RowView,
    /// Free memory; null when the map does not know it.
    pub free: Option<FreeView>,
    /// Giant reservations of a 64-bit process by use, the largest first. The
    /// rows of `kinds` include them; tables for people show them apart.
    pub set_aside: Vec<SetAsideView>,
    /// The family of equal allocations that has at least half of the private
    /// memory that nobody explains; null without one.
    pub unexplained_family: Option<DominantView>,
}

/// Allocations that look alike, and nobody explains.
#[derive(Clone, Debug, Serialize)]
pub struct DominantView {
    /// Bytes of one allocation.
    pub size: u64,
    /// PAGE_* names of the memory that nobody explains; null for several.
    pub protect: Option<String>,
    /// The same in short: `RW`; `mixed` for several.
    #[serde(skip)]
    pub access: String,
    /// How many allocations.
    pub allocations: u64,
    /// Committed bytes that nobody explains.
    pub bytes: u64,
}

/// Giant reservations of one use.
#[derive(Clone, Debug, Serialize)]
pub struct SetAsideView {
    /// What they are used for; null where nobody says it.
    #[serde(rename = "use")]
    pub usage: Option<String>,
    /// What they are.
    #[serde(serialize_with = "one_kind")]
    pub kind: RegionKind,
    /// Reserved bytes; on Linux those of mappings without memory.
    pub size: u64,
    /// Allocations.
    pub allocations: u64,
    /// The most reserved bytes of one of them.
    pub largest: u64,
    /// Its base.
    pub largest_address: Hex,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RowView {
    /// The kind; not there in the total.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "kind_word")]
    pub kind: Option<RegionKind>,
    /// All of it, reserved included.
    pub size: u64,
    /// Committed bytes.
    pub committed: Option<u64>,
    /// Reserved bytes.
    pub reserved: Option<u64>,
    /// Committed private bytes.
    pub private: Option<u64>,
    /// Bytes whose contents the dump holds.
    pub captured: u64,
    /// VirtualQuery regions.
    pub blocks: u64,
    /// Allocations.
    pub allocations: Option<u64>,
    /// The largest allocation.
    pub largest: Option<u64>,
    /// Committed private bytes that a stream or checked structures explain.
    pub by_structure: Option<u64>,
    /// Those that a pattern explains.
    pub by_heuristic: Option<u64>,
    /// Those that nobody explains.
    pub unexplained: Option<u64>,
    /// Bytes of `size` in giant reservations.
    pub set_aside: u64,
    /// The largest allocation without what is set aside of it.
    #[serde(skip)]
    pub largest_kept: Option<u64>,
}

/// Free memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FreeView {
    /// Free bytes that an allocation can use.
    pub size: u64,
    /// Blocks of them.
    pub blocks: u64,
    /// The largest block.
    pub largest: u64,
    /// Where it begins.
    pub largest_address: super::Hex,
    /// All free bytes, as `!address` counts them.
    pub raw_size: u64,
    /// The largest free region, as `!address` counts it.
    pub raw_largest: u64,
    /// Bytes in blocks under 1 MiB.
    pub tiny: u64,
    /// (free - largest) / free, in percent.
    pub fragmentation: Option<f64>,
}

/// The proof that the rows add up.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AuditView {
    /// Bytes of the range.
    pub range_size: u64,
    /// Bytes that the rows account for.
    pub accounted: u64,
    /// Regions that overlapped others.
    pub overlaps: u64,
    /// Runs of bytes that no record describes.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Bytes of `accounted` in giant reservations.
    pub set_aside: u64,
}

/// What a person should know.
#[derive(Clone, Debug, Serialize)]
pub struct FindingView<'a> {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad it is.
    #[serde(serialize_with = "severity_word")]
    pub severity: Severity,
    /// One sentence.
    pub message: Cow<'a, str>,
    /// What lies behind it.
    pub details: Vec<Cow<'a, str>>,
    /// Where it is.
    pub ranges: Vec<RangeView>,
    /// Its numbers by name.
    #[serde(serialize_with = "as_map")]
    pub numbers: &'a [(&'static str, u64)],
    /// What to do next.
    pub next: String,
}

/// Memory counters.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CountersView {
    /// Of the process: stream 22.
    pub process: Option<ProcessCounters>,
    /// Of the system: stream 21.
    pub system: Option<SystemCounters>,
}

/// The process' own counters, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ProcessCounters {
    /// PrivateUsage.
    pub private: u64,
    /// Pagefile usage.
    pub pagefile: u64,
    /// Working set.
    pub working_set: u64,
    /// Its peak.
    pub peak_working_set: u64,
    /// Virtual size.
    pub virtual_size: Option<u64>,
}

/// The system's counters, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SystemCounters {
    /// Physical memory.
    pub physical: u64,
    /// Physical memory that was free.
    pub available: u64,
    /// Commit charge.
    pub committed: u64,
    /// Commit limit.
    pub commit_limit: u64,
}

impl<'a> SummaryReport<'a> {
    /// The document for one analysis.
    pub fn of(input: &Input<'a>) -> SummaryReport<'a> {
        let analysis = input.analysis;
        let totals = &analysis.totals;
        SummaryReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(input),
            verdict: analysis.verdict.as_str(),
            signals: analysis.signals.iter().map(|signal| input.text(signal)).collect(),
            findings: analysis.findings.iter().map(|found| finding(input, found)).collect(),
            summary: SummaryView {
                range: analysis.map.range.map(|range| RangeView::of(input, range)),
                kinds: RegionKind::ALL
                    .into_iter()
                    .zip(&totals.kinds)
                    .filter_map(|(kind, row)| Some(row_view(Some(kind), (*row)?)))
                    .collect(),
                total: row_view(None, totals.total),
                free: totals.free.map(|free| free_view(input, &free)),
                set_aside: set_aside(input, &totals.set_aside),
                unexplained_family: dominant(analysis).map(|family| DominantView {
                    size: family.size,
                    protect: family.protect.map(|protect| protect.name()),
                    access: family.protect.map_or_else(|| "mixed".into(), ProtectionIs::short),
                    allocations: family.allocations,
                    bytes: family.bytes,
                }),
            },
            audit: AuditView {
                range_size: totals.audit.range_size,
                accounted: totals.audit.accounted,
                overlaps: totals.audit.overlaps,
                gaps: totals.audit.gaps,
                gap_bytes: totals.audit.gap_bytes,
                set_aside: totals.total.set_aside,
            },
            counters: counters(input),
            issue_count: issue_count(input),
            issues: issues(input),
            strip: &totals.strip,
        }
    }
}

fn row_view(kind: Option<RegionKind>, row: Row) -> RowView {
    RowView {
        kind,
        size: row.size,
        committed: row.committed,
        reserved: row.reserved,
        private: row.private,
        captured: row.captured,
        blocks: row.blocks,
        allocations: row.allocations,
        largest: row.largest,
        by_structure: row.shares.map(|shares| shares.structure),
        by_heuristic: row.shares.map(|shares| shares.heuristic),
        unexplained: row.shares.map(|shares| shares.unexplained),
        set_aside: row.set_aside,
        largest_kept: row.largest_kept,
    }
}

/// Mappings of Linux with one name become one row.
fn set_aside(input: &Input<'_>, found: &[SetAside]) -> Vec<SetAsideView> {
    if found.is_empty() {
        return Vec::new();
    }
    let names = Names::of(input);
    let mut rows: Vec<SetAsideView> = Vec::new();
    for aside in found {
        let usage = aside.usage.map(|usage| names.usage(&usage).into_owned());
        let (largest, address) = aside.largest;
        let same = |row: &&mut SetAsideView| row.kind == aside.kind && row.usage == usage;
        if let Some(row) = rows.iter_mut().find(same) {
            row.size = row.size.saturating_add(aside.size);
            row.allocations += aside.allocations;
            if largest > row.largest {
                (row.largest, row.largest_address) = (largest, input.hex(address));
            }
            continue;
        }
        rows.push(SetAsideView {
            usage,
            kind: aside.kind,
            size: aside.size,
            allocations: aside.allocations,
            largest,
            largest_address: input.hex(address),
        });
    }
    rows.sort_by_key(|row| (Reverse(row.size), row.largest_address.address));
    rows
}

fn free_view(input: &Input<'_>, free: &Free) -> FreeView {
    FreeView {
        size: free.size,
        blocks: free.blocks,
        largest: free.largest,
        largest_address: input.hex(free.largest_address),
        raw_size: free.raw_size,
        raw_largest: free.raw_largest,
        tiny: free.tiny,
        // One decimal: more would differ between machines in the last digit.
        fragmentation: free.fragmentation().map(|percent| (percent * 10.0).round() / 10.0),
    }
}

fn finding<'a>(input: &Input<'a>, found: &'a Finding) -> FindingView<'a> {
    FindingView {
        rule: found.rule,
        severity: found.severity,
        message: input.text(&found.message),
        details: found.details.iter().map(|detail| input.text(detail)).collect(),
        ranges: found.ranges.iter().map(|range| RangeView::of(input, *range)).collect(),
        numbers: &found.numbers,
        next: found.next.replace("DUMP", &shell_word(&input.owned(path_text(input)))),
    }
}

fn path_text(input: &Input<'_>) -> String {
    input.path.to_string_lossy().into_owned()
}

fn counters(input: &Input<'_>) -> CountersView {
    let dump = &input.analysis.dump;
    CountersView {
        process: dump.vm_counters.map(|counters| ProcessCounters {
            private: counters.private,
            pagefile: counters.pagefile.0,
            working_set: counters.working_set.0,
            peak_working_set: counters.working_set.1,
            virtual_size: counters.virtual_size.map(|(size, _)| size),
        }),
        system: dump.system_memory.map(|memory| SystemCounters {
            physical: memory.physical,
            available: memory.available,
            committed: memory.committed,
            commit_limit: memory.commit_limit,
        }),
    }
}

fn kind_word<S: Serializer>(kind: &Option<RegionKind>, serializer: S) -> Result<S::Ok, S::Error> {
    kind.map(RegionKind::as_str).serialize(serializer)
}

fn one_kind<S: Serializer>(kind: &RegionKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

fn severity_word<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.as_str())
}

fn as_map<S: Serializer>(pairs: &&[(&str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in *pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}
