//! Parquet files of `scan`: one row a dump, lists of objects for what was
//! asked for beside the columns. Nothing is unsigned: Spark has no such type.
//! Sizes and addresses are INT64; an address in the upper half, such as
//! Linux' `[vsyscall]`, is negative there.
//!
//! A row group is written when it is full, so that memory follows its size and
//! not the file's.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::{Type, TypePtr};

use crate::report::scan::{COLUMNS, Nested, ScanRow, Unit, Value};

/// Rows of a group. With lists, fewer when they have many items.
const GROUP_ROWS: usize = 8_192;
const GROUP_ITEMS: usize = 200_000;

/// One file that is being written.
pub struct Part<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    nested: Vec<Nested>,
    waiting: Vec<ScanRow>,
    items: usize,
    rows: u64,
}

impl<W: Write + Send> std::fmt::Debug for Part<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<W: Write + Send> Part<W> {
    /// Begins a file of rows that have these lists.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn new(out: W, nested: &[Nested]) -> io::Result<Part<W>> {
        let schema = schema(nested).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("dumpmap {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties));
        Ok(Part {
            writer: writer.map_err(failed)?,
            nested: nested.to_vec(),
            waiting: Vec::new(),
            items: 0,
            rows: 0,
        })
    }

    /// One more row.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn add(&mut self, row: ScanRow) -> io::Result<()> {
        self.rows += 1;
        self.items += row.nested.iter().map(|items| items.len()).sum::<usize>();
        self.waiting.push(row);
        if self.waiting.len() >= GROUP_ROWS || self.items >= GROUP_ITEMS {
            self.group().map_err(failed)?;
        }
        Ok(())
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what waits, and the end of the file.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.waiting.is_empty() {
            self.group().map_err(failed)?;
        }
        self.writer.into_inner().map_err(failed)
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        self.items = 0;
        let mut group = self.writer.next_row_group()?;
        for column in &COLUMNS {
            let mut leaf = Leaf::default();
            for row in &rows {
                match column.of(row) {
                    Value::Words(words) => {
                        let words = words.iter().map(|word| Value::Text(word));
                        leaf.list(words);
                    }
                    Value::Null if column.unit == Unit::Words => leaf.no_list(),
                    value => leaf.value(value, 0, 1),
                }
            }
            write(group.next_column()?, leaf, column.unit)?;
        }
        for (at, nested) in self.nested.iter().enumerate() {
            for (number, field) in nested.fields().iter().enumerate() {
                let mut leaf = Leaf::default();
                for row in &rows {
                    match row.nested.get(at) {
                        Some(items) => leaf.list(items.column(number)),
                        None => leaf.no_list(),
                    }
                }
                write(group.next_column()?, leaf, field.unit)?;
            }
        }
        group.close()?;
        Ok(())
    }
}

/// The paths that a file of [`Part`] holds.
///
/// # Errors
/// It cannot be read, or has no column `path`.
pub fn paths(file: &Path) -> io::Result<Vec<String>> {
    use ::parquet::record::RowAccessor;
    let reader = SerializedFileReader::new(File::open(file)?).map_err(failed)?;
    let all = reader.metadata().file_metadata().schema().clone();
    let path: Vec<TypePtr> =
        all.get_fields().iter().filter(|field| field.name() == "path").cloned().collect();
    let only = Type::group_type_builder(all.name()).with_fields(path).build().map_err(failed)?;
    let rows = reader.get_row_iter(Some(only)).map_err(failed)?;
    rows.map(|row| row.and_then(|row| row.get_string(0).cloned()).map_err(failed)).collect()
}

/// Values of one leaf, with the levels that say where they belong.
#[derive(Default)]
struct Leaf {
    longs: Vec<i64>,
    doubles: Vec<f64>,
    texts: Vec<ByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Leaf {
    /// One value; a null is defined one level less.
    fn value(&mut self, value: Value<'_>, repetition: i16, defined: i16) {
        let known = match value {
            Value::Number(number) => self.longs.try_push(number),
            // The same 64 bits: see the module's text.
            Value::Address(hex) => self.longs.keep(hex.address.cast_signed()),
            Value::Time(seconds) => self.longs.keep(i64::from(seconds) * 1_000),
            Value::Percent(percent) => self.doubles.keep(percent),
            Value::Text(text) => self.texts.keep(ByteArray::from(text)),
            Value::Null | Value::Words(_) => false,
        };
        self.definition.push(if known { defined } else { defined - 1 });
        self.repetition.push(repetition);
    }

    /// A list: defined at 1, its items at 2, what they hold at 3.
    fn list<'v>(&mut self, values: impl Iterator<Item = Value<'v>>) {
        let mut first = true;
        for value in values {
            self.value(value, i16::from(!std::mem::take(&mut first)), 3);
        }
        if first {
            self.definition.push(1);
            self.repetition.push(0);
        }
    }

    fn no_list(&mut self) {
        self.definition.push(0);
        self.repetition.push(0);
    }
}

/// Pushes, and says that there is a value now.
trait Keep<T> {
    fn keep(&mut self, value: T) -> bool;
}

impl<T> Keep<T> for Vec<T> {
    fn keep(&mut self, value: T) -> bool {
        self.push(value);
        true
    }
}

trait TryPush {
    /// No figure of a dump is as large; one that claims to be is not known.
    fn try_push(&mut self, number: u64) -> bool;
}

impl TryPush for Vec<i64> {
    fn try_push(&mut self, number: u64) -> bool {
        i64::try_from(number).is_ok_and(|number| self.keep(number))
    }
}

fn write(
    column: Option<SerializedColumnWriter<'_>>,
    leaf: Leaf,
    unit: Unit,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("fewer columns than the schema has".into());
    let mut column = column.ok_or_else(missing)?;
    let Leaf { longs, doubles, texts, definition, repetition } = leaf;
    let (definition, repetition) = (Some(&definition[..]), Some(&repetition[..]));
    match physical(unit) {
        Physical::DOUBLE => {
            column.typed::<DoubleType>().write_batch(&doubles, definition, repetition)?
        }
        Physical::BYTE_ARRAY => {
            column.typed::<ByteArrayType>().write_batch(&texts, definition, repetition)?
        }
        _ => column.typed::<Int64Type>().write_batch(&longs, definition, repetition)?,
    };
    column.close()
}

fn physical(unit: Unit) -> Physical {
    match unit {
        Unit::Percent => Physical::DOUBLE,
        Unit::Text | Unit::Words => Physical::BYTE_ARRAY,
        Unit::Bytes | Unit::Count | Unit::Id | Unit::Time | Unit::Address => Physical::INT64,
    }
}

fn schema(nested: &[Nested]) -> Result<TypePtr, ParquetError> {
    let mut fields = Vec::new();
    for column in &COLUMNS {
        let name = column.parquet;
        fields.push(match column.unit {
            Unit::Words => list(name, leaf("element", Unit::Text)?)?,
            unit => leaf(name, unit)?,
        });
    }
    for of in nested {
        let inside = of.fields().iter().map(|field| leaf(field.parquet, field.unit));
        let element = Type::group_type_builder("element")
            .with_repetition(Repetition::REQUIRED)
            .with_fields(inside.collect::<Result<_, _>>()?)
            .build()?;
        fields.push(list(of.parquet(), Arc::new(element))?);
    }
    Ok(Arc::new(Type::group_type_builder("dumps").with_fields(fields).build()?))
}

fn leaf(name: &str, unit: Unit) -> Result<TypePtr, ParquetError> {
    let logical = match unit {
        Unit::Text | Unit::Words => Some(LogicalType::String),
        Unit::Time => Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
        _ => None,
    };
    let leaf = Type::primitive_type_builder(name, physical(unit))
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(leaf))
}

/// `optional group NAME (LIST) { repeated group list { element } }`.
fn list(name: &str, element: TypePtr) -> Result<TypePtr, ParquetError> {
    let items = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![element])
        .build()?;
    let list = Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(items)])
        .build()?;
    Ok(Arc::new(list))
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other.to_string()),
        },
        other => io::Error::other(other.to_string()),
    }
}
