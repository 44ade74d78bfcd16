//! A folder of Parquet files. Each appears under its name when it is complete;
//! what a run that was killed left unfinished is written again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use dumpmap::render::parquet::{Part, paths};
use dumpmap::report::scan::{Nested, ScanRow};

use super::resume::Held;

/// Rows of one file.
const ROWS: u64 = 131_072;

/// The folder that is being filled.
pub(super) struct Parts {
    folder: PathBuf,
    nested: Vec<Nested>,
    next: u64,
    current: Option<(Part<BufWriter<File>>, PathBuf)>,
}

impl Parts {
    /// In a new or empty folder; with what an earlier run left there, when
    /// this one goes on with it.
    pub(super) fn open(
        folder: &Path,
        nested: &[Nested],
        goes_on: Option<&mut Held>,
    ) -> io::Result<Parts> {
        fs::create_dir_all(folder)?;
        let mut next = 0;
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
        files.sort();
        let complete: Vec<&PathBuf> = files.iter().filter(|path| number(path).is_some()).collect();
        match goes_on {
            None if files.is_empty() => {}
            None => {
                let what = "the folder is not empty; give another, or --resume to add to it";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
            Some(held) => {
                for file in &complete {
                    for path in paths(file)? {
                        held.add(path);
                    }
                    next = next.max(number(file).map_or(0, |number| number + 1));
                }
            }
        }
        Ok(Parts { folder: folder.to_owned(), nested: nested.to_vec(), next, current: None })
    }

    /// One more row.
    pub(super) fn add(&mut self, row: ScanRow) -> io::Result<()> {
        let (mut part, path) = match self.current.take() {
            Some(current) => current,
            None => self.begin()?,
        };
        part.add(row)?;
        let full = part.rows() >= ROWS;
        self.current = Some((part, path));
        if full { self.complete() } else { Ok(()) }
    }

    /// Completes the last file. A run without rows leaves one without rows:
    /// readers find the columns there.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.current.is_none() && self.next == 0 {
            self.current = Some(self.begin()?);
        }
        self.complete()
    }

    fn begin(&mut self) -> io::Result<(Part<BufWriter<File>>, PathBuf)> {
        let path = self.folder.join(format!("part-{:05}.parquet", self.next));
        self.next += 1;
        let file = BufWriter::new(File::create(unfinished(&path))?);
        Ok((Part::new(file, &self.nested)?, path))
    }

    fn complete(&mut self) -> io::Result<()> {
        let Some((part, path)) = self.current.take() else { return Ok(()) };
        part.finish()?.flush()?;
        fs::rename(unfinished(&path), path)
    }
}

/// Readers of a folder of Parquet pass over names that begin with a dot.
fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// The number in `part-00000.parquet`.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()
}
