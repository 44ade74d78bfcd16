//! CSV of any rows that have a JSON form: a column a name, in the same order
//! and under the same names, so that there is one list of columns. Unknown is
//! an empty cell; lists are joined by `; `, their objects' values by blanks.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::sanitize;
use crate::report::scan::{COLUMNS, ScanRow, Value};
use crate::report::time;

/// A heading of the names of `R`, then one line a row.
///
/// # Errors
/// `out` cannot be written.
pub fn rows<R: Serialize>(
    rows: impl IntoIterator<Item = R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = Lines::new(out);
    for row in rows {
        lines.row(&serde_json::to_vec(&row)?)?;
    }
    lines.finish()
}

/// Rows that come one at a time, as JSON objects.
pub struct Lines<'o> {
    writer: csv::Writer<&'o mut dyn Write>,
    headed: bool,
}

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("headed", &self.headed).finish_non_exhaustive()
    }
}

impl<'o> Lines<'o> {
    /// Writes to `out`.
    pub fn new(out: &'o mut dyn Write) -> Lines<'o> {
        Lines { writer: csv::Writer::from_writer(out), headed: false }
    }

    /// Writes to `out`, below a heading that may be there already.
    pub fn below(out: &'o mut dyn Write, headed: bool) -> Lines<'o> {
        Lines { headed, ..Lines::new(out) }
    }

    /// One row; the first gives the heading.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn row(&mut self, json: &[u8]) -> io::Result<()> {
        let Node::Object(fields) = serde_json::from_slice(json)? else { return Ok(()) };
        if !self.headed {
            self.headed = true;
            self.writer.write_record(fields.iter().map(|(name, _)| name))?;
        }
        self.writer.write_record(fields.iter().map(|(_, value)| cell(value)))?;
        Ok(())
    }

    /// The heading of rows of `scan`, unless it is there.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn scan_heading(&mut self) -> io::Result<()> {
        if !self.headed {
            self.headed = true;
            self.writer.write_record(COLUMNS.iter().map(|column| column.name))?;
        }
        Ok(())
    }

    /// One row of `scan`, without the way over JSON.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn scan_row(&mut self, row: &ScanRow) -> io::Result<()> {
        self.scan_heading()?;
        for column in &COLUMNS {
            match column.of(row) {
                Value::Null => self.writer.write_field("")?,
                Value::Number(number) => self.writer.write_field(number.to_string())?,
                Value::Percent(percent) => self.writer.write_field(percent.to_string())?,
                Value::Time(seconds) => {
                    self.writer.write_field(time::iso(seconds).unwrap_or_default())?;
                }
                Value::Text(text) => self.writer.write_field(&*sanitize::csv(text))?,
                Value::Address(hex) => self.writer.write_field(hex.to_string())?,
                Value::Words(words) => self.writer.write_field(words.join("; "))?,
            }
        }
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Numbers and words of ours stay as they are: a minus sign is no formula.
fn cell(value: &Node) -> String {
    match value {
        Node::Plain(text) => text.clone(),
        other => sanitize::csv(&flat(other)).into_owned(),
    }
}

fn flat(value: &Node) -> String {
    let joined = |items: Vec<String>, separator| {
        let items: Vec<String> = items.into_iter().filter(|item| !item.is_empty()).collect();
        items.join(separator)
    };
    match value {
        Node::Null => String::new(),
        Node::Plain(text) | Node::Text(text) => text.clone(),
        Node::List(items) => joined(items.iter().map(flat).collect(), "; "),
        Node::Object(fields) => joined(fields.iter().map(|(_, value)| flat(value)).collect(), " "),
    }
}

/// A JSON value that keeps the order of its members.
enum Node {
    Null,
    /// A number or a truth value.
    Plain(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_names_of_the_json() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        lines
            .row(br#"{"b":"=x","a":-1,"list":[{"z":"s","y":null,"x":2}],"none":null,"q":"a\"b"}"#)
            .unwrap();
        lines.finish().unwrap();
        let expected = "b,a,list,none,q\n'=x,-1,s 2,,\"a\"\"b\"\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
