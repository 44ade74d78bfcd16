//! The figures that assertions are about: the numbers of `summary -f json`, by
//! their names there. `summary.` and `kinds.` in front may be left out.

use crate::analysis::Analysis;
use crate::evidence::RegionKind;
use crate::map::MapSource;
use crate::rules::Verdict;
use crate::size::human;
use crate::totals::{Free, Row};

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    unit: FigureUnit,
    read: Read,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureUnit {
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// Tenths of hundredths.
    Percent,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What a figure is in one dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureValue {
    /// Bytes, things, or tenths of a percent.
    Number(u64),
    /// A word.
    Word(&'static str),
}

/// How a figure is read from an analysis.
#[derive(Clone, Copy, Debug)]
enum Read {
    Plain(fn(&Analysis<'_>) -> Option<u64>),
    Free(fn(&Free) -> Option<u64>),
    Total(fn(&Row) -> Option<u64>),
    Kind(RegionKind, fn(&Row) -> Option<u64>),
    Word(fn(&Analysis<'_>) -> &'static str),
}

type Field<T> = (&'static str, FigureUnit, fn(&T) -> Option<u64>);
type Plain = (&'static str, FigureUnit, fn(&Analysis<'_>) -> Option<u64>);
type Words = (&'static str, &'static [&'static str], fn(&Analysis<'_>) -> &'static str);

use FigureUnit::{Bytes, Count, Percent};

const PLAIN: &[Plain] = &[
    ("dump.file_size", Bytes, |a| Some(a.dump.source.len())),
    ("dump.threads", Count, |a| Some(a.dump.threads.len() as u64)),
    ("dump.modules", Count, |a| Some(a.dump.modules.modules.len() as u64)),
    ("dump.unloaded_modules", Count, |a| Some(a.dump.unloaded_modules.len() as u64)),
    ("dump.captured", Bytes, |a| Some(a.dump.captured.bytes)),
    ("dump.pointer_bits", Count, |a| Some(u64::from(a.dump.system.width.bits()))),
    ("range.size", Bytes, |a| a.map.range.map(|range| range.size())),
    ("audit.range_size", Bytes, |a| Some(a.totals.audit.range_size)),
    ("audit.accounted", Bytes, |a| Some(a.totals.audit.accounted)),
    ("audit.overlaps", Count, |a| Some(a.totals.audit.overlaps)),
    ("audit.gaps", Count, |a| Some(a.totals.audit.gaps)),
    ("audit.gap_bytes", Bytes, |a| Some(a.totals.audit.gap_bytes)),
    ("audit.set_aside", Bytes, |a| Some(a.totals.total.set_aside)),
    ("counters.process.private", Bytes, |a| Some(a.dump.vm_counters?.private)),
    ("counters.process.pagefile", Bytes, |a| Some(a.dump.vm_counters?.pagefile.0)),
    ("counters.process.working_set", Bytes, |a| Some(a.dump.vm_counters?.working_set.0)),
    ("counters.process.peak_working_set", Bytes, |a| Some(a.dump.vm_counters?.working_set.1)),
    ("counters.process.virtual_size", Bytes, |a| Some(a.dump.vm_counters?.virtual_size?.0)),
    ("counters.system.physical", Bytes, |a| Some(a.dump.system_memory?.physical)),
    ("counters.system.available", Bytes, |a| Some(a.dump.system_memory?.available)),
    ("counters.system.committed", Bytes, |a| Some(a.dump.system_memory?.committed)),
    ("counters.system.commit_limit", Bytes, |a| Some(a.dump.system_memory?.commit_limit)),
    ("issue_count", Count, |a| {
        Some(a.dump.issues.total() + a.map.issues.total() + a.evidence.issues.total())
    }),
];

const WORDS: &[Words] = &[
    (
        "verdict",
        &[
            Verdict::Exhausted.as_str(),
            Verdict::Fragmented.as_str(),
            Verdict::CommitLimit.as_str(),
            Verdict::LargeRequest.as_str(),
            Verdict::NearLimit.as_str(),
            Verdict::None.as_str(),
            Verdict::Unknown.as_str(),
        ],
        |a| a.verdict.as_str(),
    ),
    (
        "dump.map_source",
        &[
            MapSource::MemoryInfo.as_str(),
            MapSource::LinuxMaps.as_str(),
            MapSource::Rebuilt.as_str(),
        ],
        |a| a.map.source.as_str(),
    ),
];

const FREE: &[Field<Free>] = &[
    ("size", Bytes, |free| Some(free.size)),
    ("blocks", Count, |free| Some(free.blocks)),
    ("largest", Bytes, |free| Some(free.largest)),
    ("raw_size", Bytes, |free| Some(free.raw_size)),
    ("raw_largest", Bytes, |free| Some(free.raw_largest)),
    ("tiny", Bytes, |free| Some(free.tiny)),
    ("fragmentation", Percent, |free| free.fragmentation().map(|all| (all * 10.0).round() as u64)),
];

const ROW: &[Field<Row>] = &[
    ("size", Bytes, |row| Some(row.size)),
    ("committed", Bytes, |row| row.committed),
    ("reserved", Bytes, |row| row.reserved),
    ("private", Bytes, |row| row.private),
    ("captured", Bytes, |row| Some(row.captured)),
    ("blocks", Count, |row| Some(row.blocks)),
    ("allocations", Count, |row| row.allocations),
    ("largest", Bytes, |row| row.largest),
    ("by_structure", Bytes, |row| Some(row.shares?.structure)),
    ("by_heuristic", Bytes, |row| Some(row.shares?.heuristic)),
    ("unexplained", Bytes, |row| Some(row.shares?.unexplained)),
    ("set_aside", Bytes, |row| Some(row.set_aside)),
];

impl Figure {
    /// The figure of that name.
    pub fn find(name: &str) -> Option<Figure> {
        let short = name.strip_prefix("summary.").unwrap_or(name);
        let kinds = short.strip_prefix("kinds.");
        if let Some((_, unit, read)) = PLAIN.iter().find(|(known, ..)| *known == short) {
            return Some(Figure { unit: *unit, read: Read::Plain(*read) });
        }
        if let Some((_, words, read)) = WORDS.iter().find(|(known, ..)| *known == short) {
            return Some(Figure { unit: FigureUnit::Word(words), read: Read::Word(*read) });
        }
        let (group, field) = kinds.unwrap_or(short).split_once('.')?;
        if group == "free" && kinds.is_none() {
            let (_, unit, read) = FREE.iter().find(|(known, ..)| *known == field)?;
            return Some(Figure { unit: *unit, read: Read::Free(*read) });
        }
        let (_, unit, read) = ROW.iter().find(|(known, ..)| *known == field)?;
        if group == "total" && kinds.is_none() {
            return Some(Figure { unit: *unit, read: Read::Total(*read) });
        }
        let kind = RegionKind::ALL.into_iter().find(|kind| kind.as_str() == group)?;
        Some(Figure { unit: *unit, read: Read::Kind(kind, *read) })
    }

    /// What it counts.
    pub fn unit(&self) -> FigureUnit {
        self.unit
    }

    /// What it is in this dump; `None` when the dump cannot tell.
    pub fn of(&self, analysis: &Analysis<'_>) -> Option<FigureValue> {
        let totals = &analysis.totals;
        let number = match self.read {
            Read::Word(read) => return Some(FigureValue::Word(read(analysis))),
            Read::Plain(read) => read(analysis),
            Read::Free(read) => totals.free.as_ref().and_then(read),
            Read::Total(read) => read(&totals.total),
            Read::Kind(kind, read) => analysis.known_row(kind).as_ref().and_then(read),
        };
        number.map(FigureValue::Number)
    }

    /// A value of this figure, for people.
    pub fn text(&self, value: FigureValue) -> String {
        match (value, self.unit) {
            (FigureValue::Word(word), _) => word.into(),
            (FigureValue::Number(bytes), Bytes) => human(bytes),
            (FigureValue::Number(tenths), Percent) => format!("{}.{} %", tenths / 10, tenths % 10),
            (FigureValue::Number(number), _) => number.to_string(),
        }
    }
}

/// The names of all figures; `KIND` stands for every kind of memory.
pub fn known_figures() -> String {
    let group = |name: &str, fields: Vec<&str>| format!("{name}.{{{}}}", fields.join(","));
    let kinds: Vec<&str> = RegionKind::ALL.into_iter().map(RegionKind::as_str).collect();
    let mut names: Vec<String> = vec![
        group("free", FREE.iter().map(|field| field.0).collect()),
        group("total", ROW.iter().map(|field| field.0).collect()),
        format!("kinds.KIND with the fields of total (KIND: {})", kinds.join(",")),
    ];
    names.extend(WORDS.iter().map(|word| word.0.to_owned()));
    names.extend(PLAIN.iter().map(|plain| plain.0.to_owned()));
    names.join(", ")
}
