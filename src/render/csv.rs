//! CSV of any rows that have a JSON form: a column a name, in the same order
//! and under the same names, so that there is one list of columns. Unknown is
//! an empty cell; lists are joined by `; `.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::sanitize;

/// A heading of the names of `R`, then one line a row.
///
/// # Errors
/// `out` cannot be written.
pub fn rows<R: Serialize>(rows: &[R], out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Lines::new(out);
    for row in rows {
        lines.row(&serde_json::to_vec(row)?)?;
    }
    lines.finish()
}

/// Rows that come one at a time, as JSON objects.
pub struct Lines<'o> {
    writer: csv::Writer<&'o mut dyn Write>,
    headed: bool,
}

impl<'o> Lines<'o> {
    /// Writes to `out`.
    pub fn new(out: &'o mut dyn Write) -> Lines<'o> {
        Lines { writer: csv::Writer::from_writer(out), headed: false }
    }

    /// One row; the first gives the heading.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn row(&mut self, json: &[u8]) -> io::Result<()> {
        let Fields(fields) = serde_json::from_slice(json)?;
        if !self.headed {
            self.headed = true;
            self.writer.write_record(fields.iter().map(|(name, _)| name))?;
        }
        self.writer.write_record(fields.iter().map(|(_, value)| cell(value)))?;
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

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => sanitize::csv(text).into_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(item).collect();
            sanitize::csv(&items.join("; ")).into_owned()
        }
        other => other.to_string(),
    }
}

/// An item of a list: an object gives its values.
fn item(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) => {
            let values: Vec<String> = object.values().map(item).collect();
            values.join(" ")
        }
        other => other.to_string(),
    }
}

/// The members of a JSON object in the order of the text.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
