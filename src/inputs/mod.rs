//! Which dumps a run over many is about: files, folders, patterns and lists of
//! them become one [`Input`] after the other, in an order that depends on
//! their names only. Nothing is held for those that were handed out.
//!
//! What a file is, is seen when it is opened, by its content: no file is
//! opened twice, and no name decides.

mod list;
mod shard;
mod walk;

pub use list::{Separator, read_list};
pub use shard::{Shard, fnv1a};

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::source::{FileFormat, Source};

/// One file to look at: a name to show, and a way to open it.
#[derive(Debug)]
pub struct Input {
    name: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// The user named it: it has to be a dump.
    Named,
    /// It lies in a folder: it may be anything.
    Found,
    StandardInput,
    /// It could not be looked at.
    Refused(Error),
    PassedOver(Reason),
}

/// What opening an input gives.
#[derive(Debug)]
pub enum Opened {
    /// Bytes, of a dump or of something that has to be one.
    Source(Source),
    /// A file in a folder that is no dump and does not say that it is one.
    PassedOver(Reason),
}

/// Why something in a folder is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its content is no dump, and its name does not say so either.
    NotADump(FileFormat),
    /// A link to a folder; they are followed on request.
    LinkToFolder,
    /// A pipe, a device, a socket: to read it might never end.
    Special,
}

impl Input {
    /// A file that was named: what it holds has to be a dump.
    pub fn named(path: impl Into<PathBuf>) -> Input {
        Input { name: path.into(), way: Way::Named }
    }

    /// A file of a folder: it is passed over when it is no dump.
    pub fn found(path: impl Into<PathBuf>) -> Input {
        Input { name: path.into(), way: Way::Found }
    }

    /// Standard input as one dump, shown as `-`.
    pub fn standard_input() -> Input {
        Input { name: "-".into(), way: Way::StandardInput }
    }

    /// Something that could not be looked at, such as a folder that may not
    /// be listed.
    pub fn refused(path: impl Into<PathBuf>, error: Error) -> Input {
        Input { name: path.into(), way: Way::Refused(error) }
    }

    fn passed_over(path: impl Into<PathBuf>, reason: Reason) -> Input {
        Input { name: path.into(), way: Way::PassedOver(reason) }
    }

    /// The path as it was given or found; `-` for standard input.
    pub fn name(&self) -> &OsStr {
        self.name.as_os_str()
    }

    /// The file, for those that have one.
    pub fn path(&self) -> Option<&Path> {
        matches!(self.way, Way::Named | Way::Found).then_some(&*self.name)
    }

    /// `named` or `found` for a file, as [`of_kind`](Self::of_kind) takes it;
    /// `None` for all else.
    pub fn kind(&self) -> Option<&'static str> {
        match self.way {
            Way::Named => Some("named"),
            Way::Found => Some("found"),
            Way::StandardInput | Way::Refused(_) | Way::PassedOver(_) => None,
        }
    }

    /// The file again, in another process.
    pub fn of_kind(kind: &str, path: impl Into<PathBuf>) -> Input {
        if kind == "found" { Input::found(path) } else { Input::named(path) }
    }

    /// Opens it for positioned reads.
    ///
    /// # Errors
    /// It cannot be read. That it is no dump is seen by who reads it, unless
    /// it lies in a folder.
    pub fn open(self) -> Result<Opened> {
        match self.way {
            Way::Named => Source::open_positioned(&self.name).map(Opened::Source),
            Way::Found => found(&self.name),
            Way::StandardInput => Source::from_reader(io::stdin().lock()).map(Opened::Source),
            Way::Refused(error) => Err(error),
            Way::PassedOver(reason) => Ok(Opened::PassedOver(reason)),
        }
    }
}

/// What to do with links to folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// They are passed over: they may lead in circles, or out of the folder.
    #[default]
    PassOver,
    /// They are followed; one that leads back to a folder above is an error.
    Follow,
}

/// The inputs that `paths` lead to: files as they are, what lies in folders,
/// and what patterns with `*`, `?` or `[` match where no file is called so.
/// `-` is standard input.
pub fn find(
    paths: impl Iterator<Item = io::Result<PathBuf>> + Send + 'static,
    links: Links,
    shard: Option<Shard>,
) -> impl Iterator<Item = Input> + Send + 'static {
    let all = paths.flat_map(move |path| match path {
        Ok(path) => expand(path, links),
        Err(error) => {
            let error = Error::io("cannot read the list of files", error);
            Box::new(std::iter::once(Input::refused("", error)))
        }
    });
    all.filter(move |input| shard.is_none_or(|shard| shard.has(input.name())))
}

type Inputs = Box<dyn Iterator<Item = Input> + Send>;

fn expand(path: PathBuf, links: Links) -> Inputs {
    let one = |input| -> Inputs { Box::new(std::iter::once(input)) };
    if path.as_os_str() == "-" {
        return one(Input::standard_input());
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Box::new(walk::below(&path, links)),
        Ok(_) => one(Input::named(path)),
        Err(_) => match pattern(&path) {
            Some(matches) => Box::new(matches.flat_map(move |found| match found {
                Ok(path) if path.is_dir() => Box::new(walk::below(&path, links)),
                Ok(path) => one(Input::named(path)),
                Err(error) => {
                    let path = error.path().to_owned();
                    one(Input::refused(path, Error::io("cannot list the folder", error.into())))
                }
            })),
            None => one(Input::named(path)),
        },
    }
}

/// What the path matches as a pattern; `None` when it is none, or matches
/// nothing: then it is the name of a file that is not there.
fn pattern(path: &Path) -> Option<impl Iterator<Item = glob::GlobResult> + Send + use<>> {
    let text = path.to_str().filter(|text| text.contains(['*', '?', '[']))?;
    let mut matches = glob::glob(text).ok()?.peekable();
    matches.peek().is_some().then_some(matches)
}

fn found(path: &Path) -> Result<Opened> {
    let source = Source::open_positioned(path)?;
    let head = source.slice_clipped(0, 4096);
    if head.starts_with(b"MDMP") {
        return Ok(Opened::Source(source));
    }
    let format = FileFormat::of(head);
    let archive = matches!(format, FileFormat::Archive(_));
    if archive || says_dump(path) {
        return Ok(Opened::Source(source));
    }
    Ok(Opened::PassedOver(Reason::NotADump(format)))
}

/// A file with such a name should have been a dump: an empty one, for which
/// there was no room, must not go unnoticed.
fn says_dump(path: &Path) -> bool {
    let suffix = path.extension().and_then(OsStr::to_str).unwrap_or("");
    ["dmp", "mdmp", "hdmp"].iter().any(|known| suffix.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
