//! The columns of a row: name, unit and value, in the order in which all
//! formats have them.

use serde::{Serialize, Serializer};

use super::{ScanRow, Scanned, ScannedCrash};
use crate::evidence::RegionKind;
use crate::report::{Hex, time};
use crate::totals::{Free, Row};

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in JSON, CSV and on the command line: that of `summary -f
    /// json`, with `_` for the dot.
    pub name: &'static str,
    /// Its name in Parquet: OpenTelemetry's where it has one; sizes end in
    /// `_bytes`.
    pub parquet: &'static str,
    /// What it counts.
    pub unit: Unit,
    read: fn(&ScanRow) -> Value<'_>,
}

/// What a column counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// A number that names something, such as a process id.
    Id,
    /// Percent, with one decimal.
    Percent,
    /// Seconds since 1970 UTC; text in JSON and CSV.
    Time,
    /// Text.
    Text,
    /// An address: `0x` and digits in JSON, a number in Parquet.
    Address,
    /// A list of words.
    Words,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'r> {
    /// Not known, or there is none.
    Null,
    /// Bytes, things, ids, seconds.
    Number(u64),
    /// Percent.
    Percent(f64),
    /// Seconds since 1970 UTC.
    Time(u32),
    /// Text.
    Text(&'r str),
    /// An address.
    Address(Hex),
    /// Words.
    Words(&'r [&'static str]),
}

impl Column {
    /// Its value in a row.
    pub fn of<'r>(&self, row: &'r ScanRow) -> Value<'r> {
        (self.read)(row)
    }

    /// Whether its values are numbers that can be summed up and compared.
    pub fn is_figure(&self) -> bool {
        matches!(self.unit, Unit::Bytes | Unit::Count | Unit::Percent)
    }

    /// Whether its values are times.
    pub fn of_time(&self) -> bool {
        self.unit == Unit::Time
    }
}

impl Value<'_> {
    /// As a whole number; `None` for what is none, or not known.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_none(),
            Value::Number(number) => serializer.serialize_u64(*number),
            Value::Percent(percent) => serializer.serialize_f64(*percent),
            Value::Time(seconds) => time::iso(*seconds).serialize(serializer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Address(hex) => hex.serialize(serializer),
            Value::Words(words) => words.serialize(serializer),
        }
    }
}

/// The column of that name, in JSON or in Parquet.
pub fn column(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name == name || column.parquet == name)
}

/// A column of dumps: null in the row of a file that is none.
macro_rules! dump {
    ($name:literal, $parquet:literal, $unit:ident, $read:expr) => {
        Column {
            name: $name,
            parquet: $parquet,
            unit: Unit::$unit,
            read: |row| {
                let read: fn(&Scanned) -> Value<'_> = $read;
                row.dump().map_or(Value::Null, read)
            },
        }
    };
}

macro_rules! kind {
    ($kind:ident, $name:literal, $parquet:literal, $read:expr) => {
        dump!($name, $parquet, Bytes, |dump| {
            let read: fn(&Row) -> Option<u64> = $read;
            let row = dump.kinds[RegionKind::$kind.index()].as_ref();
            number(row.and_then(read))
        })
    };
}

macro_rules! free {
    ($name:literal, $parquet:literal, $unit:ident, $read:expr) => {
        dump!($name, $parquet, $unit, |dump| {
            let read: fn(&Free) -> Value<'_> = $read;
            dump.free.as_ref().map_or(Value::Null, read)
        })
    };
}

macro_rules! crash {
    ($name:literal, $unit:ident, $read:expr) => {
        dump!($name, $name, $unit, |dump| {
            let read: fn(&ScannedCrash) -> Value<'_> = $read;
            dump.crash.as_ref().map_or(Value::Null, read)
        })
    };
}

/// Every column.
pub static COLUMNS: [Column; 69] = [
    Column { name: "path", parquet: "path", unit: Unit::Text, read: |row| Value::Text(&row.path) },
    Column {
        name: "status",
        parquet: "status",
        unit: Unit::Text,
        read: |row| Value::Text(row.status()),
    },
    Column {
        name: "error",
        parquet: "error",
        unit: Unit::Text,
        read: |row| text(row.result.as_ref().err().map(String::as_str)),
    },
    dump!("depth", "depth", Text, |dump| Value::Text(dump.depth.as_str())),
    dump!("dump_id", "dump_id", Text, |dump| text(dump.dump_id.as_deref())),
    dump!("file_size", "file_size_bytes", Bytes, |dump| Value::Number(dump.file_size)),
    dump!("time", "time", Time, |dump| dump.time.map_or(Value::Null, Value::Time)),
    dump!("process_id", "process_pid", Id, |dump| number(dump.process_id.map(u64::from))),
    dump!("process_name", "process_executable_name", Text, |dump| text(
        dump.process_name.as_deref()
    )),
    dump!("process_version", "process_version", Text, |dump| text(dump.process_version.as_deref())),
    dump!("platform", "os_type", Text, |dump| Value::Text(dump.platform)),
    dump!("os_version", "os_version", Text, |dump| text(dump.os_version.as_deref())),
    dump!("arch", "host_arch", Text, |dump| Value::Text(dump.arch)),
    dump!("pointer_bits", "pointer_bits", Id, |dump| Value::Number(dump.pointer_bits.into())),
    dump!("writer", "writer", Text, |dump| text(dump.writer)),
    dump!("map_source", "map_source", Text, |dump| Value::Text(dump.map_source)),
    dump!("threads", "thread_count", Count, |dump| Value::Number(dump.counts[0])),
    dump!("modules", "module_count", Count, |dump| Value::Number(dump.counts[1])),
    dump!("unloaded_modules", "unloaded_module_count", Count, |dump| Value::Number(dump.counts[2])),
    dump!("stacks", "stack_count", Count, |dump| Value::Number(dump.counts[3])),
    dump!("heaps", "heap_count", Count, |dump| number(dump.heaps)),
    dump!("total_size", "total_size_bytes", Bytes, |dump| Value::Number(dump.total.size)),
    dump!("total_committed", "total_committed_bytes", Bytes, |dump| number(dump.total.committed)),
    dump!("total_reserved", "total_reserved_bytes", Bytes, |dump| number(dump.total.reserved)),
    dump!("total_private", "total_private_bytes", Bytes, |dump| number(dump.total.private)),
    dump!("total_captured", "total_captured_bytes", Bytes, |dump| Value::Number(
        dump.total.captured
    )),
    dump!("total_blocks", "total_blocks", Count, |dump| Value::Number(dump.total.blocks)),
    dump!("total_allocations", "total_allocations", Count, |dump| number(dump.total.allocations)),
    kind!(Image, "image_size", "image_size_bytes", |row| Some(row.size)),
    kind!(Image, "image_committed", "image_committed_bytes", |row| row.committed),
    kind!(Image, "image_private", "image_private_bytes", |row| row.private),
    kind!(MappedFile, "mapped_file_size", "mapped_file_size_bytes", |row| Some(row.size)),
    kind!(MappedFile, "mapped_file_committed", "mapped_file_committed_bytes", |row| row.committed),
    kind!(Shareable, "shareable_size", "shareable_size_bytes", |row| Some(row.size)),
    kind!(Shareable, "shareable_committed", "shareable_committed_bytes", |row| row.committed),
    kind!(Mapped, "mapped_size", "mapped_size_bytes", |row| Some(row.size)),
    kind!(Mapped, "mapped_committed", "mapped_committed_bytes", |row| row.committed),
    kind!(Heap, "heap_size", "heap_size_bytes", |row| Some(row.size)),
    kind!(Heap, "heap_committed", "heap_committed_bytes", |row| row.committed),
    kind!(Heap, "heap_private", "heap_private_bytes", |row| row.private),
    kind!(ManagedHeap, "managed_heap_size", "managed_heap_size_bytes", |row| Some(row.size)),
    kind!(ManagedHeap, "managed_heap_committed", "managed_heap_committed_bytes", |row| row
        .committed),
    kind!(ManagedHeap, "managed_heap_private", "managed_heap_private_bytes", |row| row.private),
    kind!(Stack, "stack_size", "stack_size_bytes", |row| Some(row.size)),
    kind!(Stack, "stack_committed", "stack_committed_bytes", |row| row.committed),
    kind!(Stack, "stack_private", "stack_private_bytes", |row| row.private),
    kind!(Private, "private_size", "private_size_bytes", |row| Some(row.size)),
    kind!(Private, "private_committed", "private_committed_bytes", |row| row.committed),
    kind!(Private, "private_private", "private_private_bytes", |row| row.private),
    kind!(Unusable, "unusable_size", "unusable_size_bytes", |row| Some(row.size)),
    kind!(Unknown, "unknown_size", "unknown_size_bytes", |row| Some(row.size)),
    kind!(Unknown, "unknown_committed", "unknown_committed_bytes", |row| row.committed),
    free!("free_size", "free_size_bytes", Bytes, |free| Value::Number(free.size)),
    free!("free_blocks", "free_blocks", Count, |free| Value::Number(free.blocks)),
    free!("free_largest", "free_largest_bytes", Bytes, |free| Value::Number(free.largest)),
    free!("free_tiny", "free_tiny_bytes", Bytes, |free| Value::Number(free.tiny)),
    free!("free_fragmentation", "free_fragmentation_percent", Percent, |free| {
        // One decimal: more would differ between machines in the last digit.
        let percent = free.fragmentation().map(|percent| (percent * 10.0).round() / 10.0);
        percent.map_or(Value::Null, Value::Percent)
    }),
    crash!("exception_code", Id, |crash| Value::Number(crash.code.into())),
    crash!("exception_name", Text, |crash| Value::Text(&crash.name)),
    crash!("exception_address", Address, |crash| crash.address.map_or(Value::Null, Value::Address)),
    crash!("exception_thread_id", Id, |crash| Value::Number(crash.thread_id.into())),
    crash!("signature", Text, |crash| Value::Text(&crash.signature)),
    dump!("verdict", "verdict", Text, |dump| Value::Text(dump.verdict)),
    dump!("errors", "error_count", Count, |dump| Value::Number(dump.findings[0])),
    dump!("warnings", "warning_count", Count, |dump| Value::Number(dump.findings[1])),
    dump!("notes", "note_count", Count, |dump| Value::Number(dump.findings[2])),
    dump!("rules", "rules", Words, |dump| Value::Words(&dump.rules)),
    dump!("issue_count", "issue_count", Count, |dump| Value::Number(dump.issue_count)),
    dump!("first_issue", "first_issue", Text, |dump| text(dump.first_issue.as_deref())),
];

fn number(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::Null, Value::Number)
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, Value::Text)
}
