//! What rows become, in the order of a column: the first of them, or all.

use std::cmp::Ordering;

use super::{Column, ScanRow, Value, Word};

/// Which rows are kept, and in what order.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The column: figures largest first, words from A to Z, what is not known
    /// last.
    pub column: &'static Column,
    /// The other way around; what is not known stays last.
    pub reverse: bool,
    /// How many are kept.
    pub top: Option<usize>,
}

/// Takes one thing a row and keeps those of the rows that are asked for, with
/// the cells that they are sorted by: memory follows `top`, or the rows.
#[derive(Debug)]
pub struct Ordered<T> {
    order: Order,
    rows: Vec<Kept<T>>,
    seen: usize,
    /// How many of `rows` are in their order: `top` of them, or none.
    sorted: usize,
}

#[derive(Debug)]
struct Kept<T> {
    cell: Cell,
    seen: usize,
    of_row: T,
}

/// A [`Value`] of its own.
#[derive(Debug)]
enum Cell {
    Plain(Value<'static>),
    Text(Box<str>),
    Words(Box<[Word]>),
}

impl<T> Ordered<T> {
    /// No rows yet.
    pub fn new(order: Order) -> Ordered<T> {
        Ordered { order, rows: Vec::new(), seen: 0, sorted: 0 }
    }

    /// One more; `of_row` is called when it may be among the first.
    ///
    /// # Errors
    /// Those of `of_row`.
    pub fn add<E>(
        &mut self,
        row: &ScanRow,
        of_row: impl FnOnce() -> Result<T, E>,
    ) -> Result<(), E> {
        let value = self.order.column.of(row);
        let seen = self.seen;
        self.seen += 1;
        // The last one wanted so far is not behind it.
        let last = self.sorted.checked_sub(1).and_then(|last| self.rows.get(last));
        if last.is_some_and(|last| self.order.of(&last.cell.value(), &value).is_le()) {
            return Ok(());
        }
        self.rows.push(Kept { cell: Cell::of(value), seen, of_row: of_row()? });
        if let Some(top) = self.order.top
            && self.rows.len() >= top.saturating_mul(2).max(1024)
        {
            self.sort();
        }
        Ok(())
    }

    /// What was made of the rows, in their order. Equal ones stay in the order
    /// in which they came.
    pub fn finish(mut self) -> impl ExactSizeIterator<Item = T> {
        self.sort();
        self.rows.into_iter().map(|kept| kept.of_row)
    }

    fn sort(&mut self) {
        let order = self.order;
        self.rows.sort_by(|first, second| {
            let by_cell = order.of(&first.cell.value(), &second.cell.value());
            by_cell.then(first.seen.cmp(&second.seen))
        });
        if let Some(top) = order.top {
            self.rows.truncate(top);
            self.sorted = self.rows.len();
        }
    }
}

impl Order {
    /// How two rows with these cells stand.
    fn of(&self, first: &Value<'_>, second: &Value<'_>) -> Ordering {
        let figure = self.column.is_figure() || self.column.of_time();
        let known = (*first == Value::Null).cmp(&(*second == Value::Null));
        let order = compare(first, second);
        known.then(if figure != self.reverse { order.reverse() } else { order })
    }
}

impl Cell {
    fn of(value: Value<'_>) -> Cell {
        match value {
            Value::Text(text) => Cell::Text(text.into()),
            Value::Words(words) => Cell::Words(words.into()),
            Value::Null => Cell::Plain(Value::Null),
            Value::Number(number) => Cell::Plain(Value::Number(number)),
            Value::Percent(percent) => Cell::Plain(Value::Percent(percent)),
            Value::Time(seconds) => Cell::Plain(Value::Time(seconds)),
            Value::Address(hex) => Cell::Plain(Value::Address(hex)),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Cell::Plain(value) => *value,
            Cell::Text(text) => Value::Text(text),
            Cell::Words(words) => Value::Words(words),
        }
    }
}

fn compare(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Percent(a), Value::Percent(b)) => a.total_cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Address(a), Value::Address(b)) => a.address.cmp(&b.address),
        (Value::Words(a), Value::Words(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
