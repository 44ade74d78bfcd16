//! Lists inside a row, on request: its regions, findings, threads, modules.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::{Unit, Value};
use crate::report::{By, Hex, Input, Names, rows};

/// A list that a row can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nested {
    /// The pieces of the map, as `regions` has them.
    Regions,
    /// The findings.
    Findings,
    /// The threads, with their stacks.
    Threads,
    /// The modules.
    Modules,
}

impl Nested {
    /// Its name in JSON, where `threads` and `modules` are counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Nested::Regions => "regions",
            Nested::Findings => "findings",
            Nested::Threads => "thread_list",
            Nested::Modules => "module_list",
        }
    }

    /// Its name on the command line and in Parquet.
    pub fn parquet(self) -> &'static str {
        match self {
            Nested::Regions => "regions",
            Nested::Findings => "findings",
            Nested::Threads => "threads",
            Nested::Modules => "modules",
        }
    }

    /// The columns of its items.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Nested::Regions => REGIONS,
            Nested::Findings => FINDINGS,
            Nested::Threads => THREADS,
            Nested::Modules => MODULES,
        }
    }
}

/// A column of the items of a list.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its name in Parquet.
    pub parquet: &'static str,
    /// What it counts.
    pub unit: Unit,
}

const fn field(name: &'static str, parquet: &'static str, unit: Unit) -> Field {
    Field { name, parquet, unit }
}

const REGIONS: &[Field] = &[
    field("base", "base", Unit::Address),
    field("size", "size_bytes", Unit::Bytes),
    field("state", "state", Unit::Text),
    field("type", "type", Unit::Text),
    field("protect", "protect", Unit::Text),
    field("allocation_base", "allocation_base", Unit::Address),
    field("kind", "kind", Unit::Text),
    field("use", "use", Unit::Text),
    field("name", "name", Unit::Text),
    field("thread_id", "thread_id", Unit::Id),
    field("confidence", "confidence", Unit::Text),
    field("captured", "captured_bytes", Unit::Bytes),
];

const FINDINGS: &[Field] = &[
    field("rule", "rule", Unit::Text),
    field("severity", "severity", Unit::Text),
    field("message", "message", Unit::Text),
    field("base", "base", Unit::Address),
];

const THREADS: &[Field] = &[
    field("thread_id", "thread_id", Unit::Id),
    field("name", "name", Unit::Text),
    field("stack_base", "stack_base", Unit::Address),
    field("stack_size", "stack_size_bytes", Unit::Bytes),
    field("stack_committed", "stack_committed_bytes", Unit::Bytes),
    field("stack_used", "stack_used_bytes", Unit::Bytes),
];

const MODULES: &[Field] = &[
    field("base", "base", Unit::Address),
    field("size", "size_bytes", Unit::Bytes),
    field("name", "name", Unit::Text),
    field("path", "path", Unit::Text),
    field("version", "version", Unit::Text),
    field("debug_id", "debug_id", Unit::Text),
];

/// The items of one list of one row: cells in rows of [`Nested::fields`].
#[derive(Clone, Debug)]
pub struct Items {
    /// Which list.
    pub of: Nested,
    cells: Vec<Cell>,
}

/// A value that is kept.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    Number(u64),
    Address(Hex),
    Word(&'static str),
    Text(Box<str>),
}

impl Items {
    /// The list of one analysis.
    pub fn of(of: Nested, input: &Input<'_>) -> Items {
        let mut items = Items { of, cells: Vec::new() };
        match of {
            Nested::Regions => items.regions(input),
            Nested::Findings => items.findings(input),
            Nested::Threads => items.threads(input),
            Nested::Modules => items.modules(input),
        }
        items
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cells.len() / self.of.fields().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The values of one field, of all items.
    pub fn column(&self, field: usize) -> impl Iterator<Item = Value<'_>> {
        self.cells.iter().skip(field).step_by(self.of.fields().len()).map(Cell::value)
    }

    fn regions(&mut self, input: &Input<'_>) {
        let names = Names::of(input);
        for row in rows(input, By::Piece) {
            let labels = names.labels(&row);
            let region = &row.region;
            self.cells.extend([
                Cell::Address(input.hex(row.range.start())),
                Cell::Number(row.range.size()),
                Cell::Word(region.state.as_str()),
                region.memory_type.map_or(Cell::Null, |of| Cell::Word(of.as_str())),
                text(Some(&*region.protect.name())),
                region.allocation_base.map_or(Cell::Null, |base| Cell::Address(input.hex(base))),
                Cell::Word(row.kind.as_str()),
                text(Some(&*labels.usage)),
                text(Some(&*labels.name)),
                labels.thread_id.map_or(Cell::Null, |id| Cell::Number(id.into())),
                Cell::Word(row.confidence.as_str()),
                Cell::Number(row.captured),
            ]);
        }
    }

    fn findings(&mut self, input: &Input<'_>) {
        for finding in &input.analysis.findings {
            let base = finding.ranges.first().map(|range| input.hex(range.start()));
            self.cells.extend([
                Cell::Word(finding.rule),
                Cell::Word(finding.severity.as_str()),
                text(Some(&*input.text(&finding.message))),
                base.map_or(Cell::Null, Cell::Address),
            ]);
        }
    }

    fn threads(&mut self, input: &Input<'_>) {
        let analysis = input.analysis;
        let mut stacks = vec![None; analysis.dump.threads.len()];
        for stack in &analysis.evidence.stacks {
            let slot = stack.thread.and_then(|at| stacks.get_mut(at as usize));
            if let Some(slot) = slot.filter(|slot| slot.is_none()) {
                *slot = Some(stack);
            }
        }
        let number = |number: Option<u64>| number.map_or(Cell::Null, Cell::Number);
        for (thread, stack) in analysis.dump.threads.iter().zip(stacks) {
            let name = thread.name.as_deref().map(|name| input.text(name));
            self.cells.extend([
                Cell::Number(thread.id.into()),
                text(name.as_deref()),
                stack.map_or(Cell::Null, |stack| Cell::Address(input.hex(stack.base))),
                number(stack.map(|stack| stack.range.size())),
                number(stack.and_then(|stack| stack.committed)),
                number(stack.and_then(|stack| stack.used)),
            ]);
        }
    }

    fn modules(&mut self, input: &Input<'_>) {
        for module in &input.analysis.dump.modules.modules {
            let version = module.version.map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}"));
            self.cells.extend([
                Cell::Address(input.hex(module.base)),
                Cell::Number(module.size.into()),
                text(Some(&*input.text(module.name()))),
                text(Some(&*input.text(&module.path))),
                text(version.as_deref()),
                text(module.debug_id.as_ref().map(|id| id.to_string()).as_deref()),
            ]);
        }
    }
}

/// Empty text is none.
fn text(text: Option<&str>) -> Cell {
    text.filter(|text| !text.is_empty()).map_or(Cell::Null, |text| Cell::Text(text.into()))
}

impl Cell {
    fn value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Number(number) => Value::Number(*number),
            Cell::Address(hex) => Value::Address(*hex),
            Cell::Word(word) => Value::Text(word),
            Cell::Text(text) => Value::Text(text),
        }
    }
}

/// A list of objects.
impl Serialize for Items {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.of.fields();
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for cells in self.cells.chunks(fields.len()) {
            list.serialize_element(&Item { fields, cells })?;
        }
        list.end()
    }
}

struct Item<'i> {
    fields: &'static [Field],
    cells: &'i [Cell],
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (field, cell) in self.fields.iter().zip(self.cells) {
            map.serialize_entry(field.name, &cell.value())?;
        }
        map.end()
    }
}
