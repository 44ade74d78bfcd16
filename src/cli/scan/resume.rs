//! What an earlier run has written already: the paths of its whole rows. A row
//! that was cut in the middle is taken away.
//!
//! Until it is complete, the output of a run lies beside its place, as
//! `FILE.partial`: a run that was killed leaves that, and the next goes on
//! with it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use dumpmap::inputs::Input;
use dumpmap::render::sanitize;
use dumpmap::report::scan::COLUMNS;

use crate::cli::Format;

/// How many rows there are of each path: names that are not Unicode may look
/// alike.
#[derive(Debug, Default)]
pub(super) struct Held {
    rows: HashMap<String, u64>,
    /// Whether the paths are as CSV has them.
    escaped: bool,
}

impl Held {
    pub(super) fn add(&mut self, path: String) {
        *self.rows.entry(path).or_default() += 1;
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows.values().sum()
    }

    /// The inputs that have no row yet. An archive is read again: its rows are
    /// those of its members, which [`take`](Self::take) knows.
    pub(super) fn skip(
        mut self,
        inputs: impl Iterator<Item = Input>,
    ) -> impl Iterator<Item = Input> {
        inputs.filter(move |input| !self.take(&input.name().to_string_lossy()))
    }

    /// The rows of members of archives alone.
    pub(super) fn members(&self) -> Held {
        let members = self.rows.iter().filter(|(path, _)| path.contains("!/"));
        let rows = members.map(|(path, count)| (path.clone(), *count)).collect();
        Held { rows, escaped: self.escaped }
    }

    /// Whether there is a row of this path, which then counts for one.
    pub(super) fn take(&mut self, path: &str) -> bool {
        let path = if self.escaped { sanitize::csv(path) } else { path.into() };
        match self.rows.get_mut(&*path) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// `FILE.partial`.
pub(super) fn partial(output: &Path) -> PathBuf {
    let mut name = OsString::from(output.as_os_str());
    name.push(".partial");
    name.into()
}

/// Opens `file` for more rows behind the whole ones that it holds; and whether
/// there is anything before them.
pub(super) fn open(file: &Path, format: Format) -> io::Result<(File, bool, Held)> {
    let mut held = Held { escaped: format == Format::Csv, ..Held::default() };
    let whole = match format {
        Format::Csv => csv_rows(file, &mut held)?,
        _ => json_rows(file, &mut held)?,
    };
    let mut opened = OpenOptions::new().write(true).open(file)?;
    opened.set_len(whole)?;
    opened.seek(SeekFrom::End(0))?;
    Ok((opened, whole > 0, held))
}

/// Bytes of the whole lines. A line that is no row is somebody else's file.
fn json_rows(file: &Path, held: &mut Held) -> io::Result<u64> {
    let mut lines = BufReader::new(File::open(file)?);
    let (mut whole, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let size = lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(whole);
        }
        let row: serde_json::Value = serde_json::from_slice(&line).map_err(|_| foreign())?;
        let path = row.get("path").and_then(serde_json::Value::as_str).ok_or_else(foreign)?;
        held.add(path.to_owned());
        whole += size as u64;
    }
}

/// Bytes of the whole records; the heading is one.
fn csv_rows(file: &Path, held: &mut Held) -> io::Result<u64> {
    let size = fs::metadata(file)?.len();
    let mut opened = BufReader::new(File::open(file)?);
    let mut heading = Vec::new();
    opened.read_until(b'\n', &mut heading)?;
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let expected = format!("{}\n", names.join(","));
    if heading != expected.as_bytes() {
        // A heading that was cut is no row yet.
        return if expected.as_bytes().starts_with(&heading) { Ok(0) } else { Err(foreign()) };
    }
    let mut opened = opened.into_inner();
    opened.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    opened.read_exact(&mut last)?;
    opened.rewind()?;
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(opened);
    let mut whole = heading.len() as u64;
    let mut record = csv::StringRecord::new();
    while rows.read_record(&mut record).map_err(io::Error::other)? {
        let end = rows.position().byte();
        // The last one may be cut within a cell, or before its line end.
        if record.len() != names.len() || (end >= size && last != *b"\n") {
            break;
        }
        held.add(record.get(0).unwrap_or("").to_owned());
        whole = end;
    }
    Ok(whole)
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it holds no rows of scan; give another file")
}
