//! Dumps inside archives and compressed files: finds them, and unpacks what
//! an analysis needs of them. Formats are told apart by content.
//!
//! At [`Depth::Streams`] a dump is decoded to the last byte that its streams
//! name and no further: a full dump has them in its first thousandth. At
//! other depths it is unpacked into memory, or, when it is large, into a
//! temporary file without a name, which is gone when the process is.
//!
//! No name from an archive ever becomes a path. What an archive claims of
//! itself is checked against bytes; [`Limits`] bounds what it can cost.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use dumpmap::limits::{Depth, Limits};
//!
//! let limits = Limits { depth: Depth::Streams, ..Limits::default() };
//! let found = dumpmap::archive::for_each_dump("dumps.zip".as_ref(), &limits, &mut |name, dump| {
//!     match dump {
//!         Ok(source) => println!("{name}: {} bytes", source.len()),
//!         Err(error) => println!("{name}: {error}"),
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! println!("{} dumps, {} other files", found.dumps, found.skipped);
//! # Ok::<(), dumpmap::error::Error>(())
//! ```

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::as_conversions)
)]

mod bounded;
mod cab;
mod compressed;
mod dump;
mod lzx;
mod meter;
mod seven_zip;
mod store;
mod tar;
mod unpacking;
mod walk;
mod zip;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::limits::{Depth, Limits};
use crate::source::{FileFormat, Source};
use walk::{Goal, Walk};

/// What is between an archive and a member's name: `dumps.zip!/app/one.dmp`.
pub const SEPARATOR: &str = "!/";

/// What was in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Members that are dumps.
    pub dumps: u64,
    /// Members that could not be read.
    pub failed: u64,
    /// Members that are something else; folders are not counted.
    pub skipped: u64,
}

/// Calls `visit` for each dump in a file, in the order of the archive, with
/// one of them unpacked at a time. The name is the member's, `inner.zip!/one.dmp`
/// in an archive within it, and empty when the file itself is the dump or its
/// only content. The source is named `path!/member`, as reports show it.
///
/// An error is a member that cannot be read, or, with an empty name, what ended
/// the reading of the archive. Members that are no dumps are counted, not visited.
/// A break ends it.
///
/// At [`Depth::Streams`] a source may be a prefix of its dump: only good for
/// an analysis at that depth.
///
/// # Errors
/// The file cannot be read, or is neither a dump nor an archive that can be
/// opened.
pub fn for_each_dump(
    path: &Path,
    limits: &Limits,
    visit: &mut dyn FnMut(&str, Result<Source>) -> ControlFlow<()>,
) -> Result<Found> {
    let file = Source::open_positioned(path)?;
    let found = FileFormat::of(file.slice_clipped(0, 4096));
    if found == FileFormat::Minidump {
        let _ = visit("", Ok(file));
        return Ok(Found { dumps: 1, ..Found::default() });
    }
    for_each_dump_of(&file, path.as_os_str(), limits, visit)
}

/// As [`for_each_dump`], for an archive that is open already and called `name`.
///
/// # Errors
/// As [`for_each_dump`]; also when it is a dump itself.
pub fn for_each_dump_of(
    archive: &Source,
    name: &OsStr,
    limits: &Limits,
    visit: &mut dyn FnMut(&str, Result<Source>) -> ControlFlow<()>,
) -> Result<Found> {
    let goal = if limits.depth == Depth::Streams { Goal::Streams } else { Goal::Whole };
    Walk::new(goal, limits, name, visit).file(Reader::of(archive))
}

/// Opens one dump: a file, the only dump of an archive, or `archive!/member`.
/// A dump in an archive is unpacked whole, whatever the depth.
///
/// # Errors
/// It cannot be read, is no dump, or the archive holds none or several; then
/// the error lists them.
pub fn open_dump(path: &Path, limits: &Limits) -> Result<Source> {
    match member(path, limits) {
        Some(member) => member,
        None => open_dump_in(Source::open(path)?, path.as_os_str(), limits),
    }
}

/// The dump that `archive!/member` names; `None` when the path is no such name,
/// or that of a file.
pub fn member(path: &Path, limits: &Limits) -> Option<Result<Source>> {
    let (archive, member) = split(path).filter(|_| !path.exists())?;
    let file = match Source::open_positioned(&archive) {
        Ok(file) => file,
        Err(error) => return Some(Err(error)),
    };
    Some(member_of(&file, archive.as_os_str(), &member, limits))
}

/// As [`open_dump`], for a file that is open already and called `name`.
///
/// # Errors
/// As [`open_dump`].
pub fn open_dump_in(file: Source, name: &OsStr, limits: &Limits) -> Result<Source> {
    match FileFormat::of(file.slice_clipped(0, 4096)).archive() {
        Some(_) => only_dump(&file, name, limits),
        None => Ok(file),
    }
}

/// `archive!/member`; the archive alone when the dump has no name in it.
pub fn joined(archive: &OsStr, member: &str) -> OsString {
    let mut name = archive.to_owned();
    if !member.is_empty() {
        name.push(SEPARATOR);
        name.push(member);
    }
    name
}

/// Splits `archive!/member` at the first separator that follows the name of a
/// file.
fn split(path: &Path) -> Option<(PathBuf, String)> {
    let text = path.to_str()?;
    text.match_indices(SEPARATOR).find_map(|(at, _)| {
        let (archive, rest) = text.split_at(at);
        let member = rest.strip_prefix(SEPARATOR)?;
        let archive = Path::new(archive);
        (archive.is_file() && !member.is_empty()).then(|| (archive.to_owned(), member.to_owned()))
    })
}

fn only_dump(archive: &Source, name: &OsStr, limits: &Limits) -> Result<Source> {
    let mut names = Vec::new();
    let mut failed = Vec::new();
    let mut list = |member: &str, dump: Result<Source>| {
        match dump {
            Ok(_) => names.push(member.to_owned()),
            Err(error) => failed.push(format!("{member}: {error}")),
        }
        ControlFlow::Continue(())
    };
    let found = Walk::new(Goal::Names, limits, name, &mut list).file(Reader::of(archive))?;
    match names.as_slice() {
        [member] => member_of(archive, name, member, limits),
        [] if failed.is_empty() => Err(Error::not_a_dump(
            format!("no minidump in this archive; it has {} other files", found.skipped),
            "was another file meant?",
        )),
        [] => Err(Error::damaged(format!(
            "no dump in this archive can be read: {}",
            some_of(&failed, "; ")
        ))),
        members => {
            let unread = match failed.as_slice() {
                [] => String::new(),
                failed => format!(", and what cannot be read: {}", some_of(failed, "; ")),
            };
            Err(Error::archive(
                format!(
                    "{} dumps in this archive: {}{unread}",
                    members.len(),
                    some_of(members, ", ")
                ),
                "choose one, as ARCHIVE!/MEMBER",
            ))
        }
    }
}

fn some_of(items: &[String], between: &str) -> String {
    const SHOWN: usize = 20;
    let shown = items.get(..SHOWN).unwrap_or(items).join(between);
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}{between}{more} more"),
    }
}

fn member_of(archive: &Source, name: &OsStr, member: &str, limits: &Limits) -> Result<Source> {
    let mut opened = None;
    let mut ended = None;
    let mut take = |found: &str, dump: Result<Source>| {
        if found == member {
            opened = Some(dump);
            return ControlFlow::Break(());
        }
        if let Err(error) = dump {
            ended = Some(error);
        }
        ControlFlow::Continue(())
    };
    let goal = Goal::Member(member);
    Walk::new(goal, limits, name, &mut take).file(Reader::of(archive))?;
    match (opened, ended) {
        (Some(dump), _) => dump,
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::archive(
            format!("no dump named {member} in this archive"),
            "give the archive alone to see what it has",
        )),
    }
}

fn cannot_read(error: io::Error) -> Error {
    Error::io("cannot read the file", error)
}

/// What an archive is read from: a file, or an archive that was unpacked. A copy
/// is at a place of its own.
#[derive(Clone, Copy)]
struct Reader<'s> {
    file: &'s Source,
    at: u64,
}

impl<'s> Reader<'s> {
    fn of(file: &'s Source) -> Reader<'s> {
        Reader { file, at: 0 }
    }

    /// The last four of the `size` bytes from `start` on.
    fn last(&self, start: u64, size: u64) -> Option<[u8; 4]> {
        let at = start.checked_add(size.checked_sub(4)?)?;
        let mut last = [0; 4];
        let got = self.file.read_at(at, &mut last).ok()?;
        (got == last.len()).then_some(last)
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(self.at, buffer)?;
        self.at = self.at.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
        Ok(got)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
