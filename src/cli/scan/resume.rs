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

use crate::cli::Format;

/// How many rows there are of each path: names that are not Unicode may look
/// alike.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<String, u64>);

impl Held {
    pub(super) fn add(&mut self, path: String) {
        *self.0.entry(path).or_default() += 1;
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.values().sum()
    }

    /// The rows of members of archives.
    pub(super) fn members(&self) -> Held {
        let of_member =
            |(path, count): (&String, &u64)| path.contains("!/").then(|| (path.clone(), *count));
        Held(self.0.iter().filter_map(of_member).collect())
    }

    /// Whether there was such a row, which from now on counts no more.
    pub(super) fn take(&mut self, path: &str) -> bool {
        let left = self.0.get_mut(path).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    /// The inputs that have no row yet. An archive is read again, and the
    /// rows that its members have are [taken](Self::take) away.
    pub(super) fn skip(
        mut self,
        inputs: impl Iterator<Item = Input>,
    ) -> impl Iterator<Item = Input> {
        inputs.filter(move |input| {
            let name = input.name().to_string_lossy();
            !self.take(&name)
        })
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
    let mut held = Held::default();
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
    let mut last = [0];
    let mut opened = File::open(file)?;
    if size > 0 {
        opened.seek(SeekFrom::End(-1))?;
        opened.read_exact(&mut last)?;
        opened.rewind()?;
    }
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(opened);
    let columns = rows.headers().map_err(io::Error::other)?.clone();
    if size > 0 && columns.get(0) != Some("path") {
        return Err(foreign());
    }
    let mut whole = rows.position().byte();
    let mut record = csv::StringRecord::new();
    while rows.read_record(&mut record).map_err(io::Error::other)? {
        let end = rows.position().byte();
        // The last one may be cut within a cell, or before its line end.
        let cut = record.len() != columns.len() || (end >= size && last != *b"\n");
        if cut {
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
