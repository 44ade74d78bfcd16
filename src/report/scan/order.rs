//! Rows in the order of a column, the first of them, or all.

use std::cmp::Ordering;

use super::{Column, ScanRow, Value};

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

/// Takes rows and keeps those that are asked for: memory follows `top`.
#[derive(Debug)]
pub struct Ordered {
    order: Order,
    rows: Vec<(usize, ScanRow)>,
    seen: usize,
}

impl Ordered {
    /// No rows yet.
    pub fn new(order: Order) -> Ordered {
        Ordered { order, rows: Vec::new(), seen: 0 }
    }

    /// One more.
    pub fn add(&mut self, row: ScanRow) {
        self.rows.push((self.seen, row));
        self.seen += 1;
        if let Some(top) = self.order.top
            && self.rows.len() >= top.saturating_mul(2).max(1024)
        {
            self.sort();
        }
    }

    /// The rows in their order. Equal ones stay in the order in which they came.
    pub fn finish(mut self) -> impl Iterator<Item = ScanRow> {
        self.sort();
        self.rows.into_iter().map(|(_, row)| row)
    }

    fn sort(&mut self) {
        let Order { column, reverse, top } = self.order;
        let figure = column.is_figure() || column.of_time();
        self.rows.sort_by(|(first_at, first), (second_at, second)| {
            let (a, b) = (column.of(first), column.of(second));
            let known = (a == Value::Null).cmp(&(b == Value::Null));
            let order = compare(&a, &b);
            let order = if figure != reverse { order.reverse() } else { order };
            known.then(order).then(first_at.cmp(second_at))
        });
        if let Some(top) = top {
            self.rows.truncate(top);
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
