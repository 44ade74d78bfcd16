//! JSON: one document, indented; or one compact object a line.

use std::io::{self, Write};

use serde::Serialize;

/// The document, indented by two blanks, with a newline at the end.
///
/// # Errors
/// `out` cannot be written.
pub fn document<T: Serialize>(report: &T, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")
}

/// One object a line.
///
/// # Errors
/// `out` cannot be written.
pub fn lines<T: Serialize>(
    rows: impl IntoIterator<Item = T>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for row in rows {
        serde_json::to_writer(&mut *out, &row)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// The document in one line, without a newline.
///
/// # Errors
/// Never in practice: the views have no map with other keys than strings.
pub fn compact<T: Serialize>(report: &T) -> io::Result<String> {
    Ok(serde_json::to_string(report)?)
}
