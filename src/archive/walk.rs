//! The way through an archive: what a member is, and what is done with it.

use std::ffi::OsStr;
use std::io::Read;
use std::ops::ControlFlow;

use super::dump::{Size, streams, whole};
use super::meter::Meter;
use super::unpacking::Unpacking;
use super::{Found, Reader, SEPARATOR, cab, cannot_read, compressed, joined, seven_zip, tar, zip};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::source::{FileFormat, Source};

/// What tells a member's format.
const HEAD: u64 = 4096;

/// An archive in an archive is looked into, one in that is not.
const DEEPEST: u8 = 2;

/// What is wanted of the dumps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal<'a> {
    /// That they are there.
    Names,
    /// Their streams.
    Streams,
    /// All of them.
    Whole,
    /// All of the one with this name, and nothing of the others.
    Member(&'a str),
}

type Visit<'a> = dyn FnMut(&str, Result<Source>) -> ControlFlow<()> + 'a;

/// One pass over an archive.
pub(super) struct Walk<'a> {
    goal: Goal<'a>,
    limits: &'a Limits,
    archive: &'a OsStr,
    visit: &'a mut Visit<'a>,
    found: Found,
}

/// What an archive says of a member.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) size: Size,
    /// Its last four bytes, from another place than where it is read: `None`
    /// where they cannot be had for less than unpacking what is packed in it.
    pub(super) last: &'a dyn Fn() -> Option<[u8; 4]>,
}

impl<'a> Entry<'a> {
    /// Of a member whose last bytes cannot be had.
    pub(super) fn of(name: &'a str, size: Size) -> Entry<'a> {
        Entry { name, size, last: &|| None }
    }
}

/// Where a member is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    meter: &'a Meter,
    /// The archives in the archive that it is in, each with a separator
    /// behind it.
    within: &'a str,
    /// Archives and compressed files around it.
    depth: u8,
    /// Whether it is the content of a compressed file.
    compressed: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        goal: Goal<'a>,
        limits: &'a Limits,
        archive: &'a OsStr,
        visit: &'a mut Visit<'a>,
    ) -> Walk<'a> {
        Walk { goal, limits, archive, visit, found: Found::default() }
    }

    /// Goes through a whole file.
    ///
    /// # Errors
    /// It cannot be read, or is no archive.
    pub(super) fn file(mut self, input: Reader<'_>) -> Result<Found> {
        let mut head = Vec::new();
        input.take(HEAD).read_to_end(&mut head).map_err(cannot_read)?;
        let packed = input.file.len();
        let meter = Meter::new(packed, self.limits);
        let place = Place { meter: &meter, within: "", depth: 0, compressed: false };
        let found = FileFormat::of(&head);
        let Some(format) = found.archive() else {
            let dump =
                || Error::not_a_dump("this is a dump, not an archive", "give its path alone");
            return Err(found.refusal().unwrap_or_else(dump));
        };
        let _ = match format {
            ".gz" => {
                let content = Entry::of("", gzip_size(input.last(0, packed)));
                self.member(place.content(), content, &mut compressed::gzip(input))
            }
            ".zst" => {
                let content = Entry::of("", zstd_size(&head));
                self.member(place.content(), content, &mut compressed::zstd(input))
            }
            ".tar" => tar::members_seeking(input, place.inside(), &mut self),
            _ => self.container(format, input, place.inside())?,
        };
        Ok(self.found)
    }

    /// Goes through an archive that has a directory. Its members are at `inside`.
    fn container(
        &mut self,
        format: &str,
        input: Reader<'_>,
        inside: Place<'_>,
    ) -> Result<ControlFlow<()>> {
        match format {
            ".zip" => zip::members(input, inside, self),
            ".7z" => seven_zip::members(input, inside, self),
            _ => cab::members(input, inside, self),
        }
    }

    /// Whether a member of this name need be looked at.
    pub(super) fn wants(&self, place: Place<'_>, name: &str) -> bool {
        let Goal::Member(wanted) = self.goal else { return true };
        let rest = wanted.strip_prefix(place.within).and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR))
    }

    /// Looks at one member, whatever it is.
    pub(super) fn member(
        &mut self,
        place: Place<'_>,
        entry: Entry<'_>,
        reader: &mut dyn Read,
    ) -> ControlFlow<()> {
        let Entry { name, size, .. } = entry;
        if let Err(error) = place.meter.member() {
            self.fail(place, "", error)?;
            return ControlFlow::Break(());
        }
        let mut member = Unpacking::new(reader, place.meter);
        if let Err(error) = member.fill(HEAD) {
            return self.fail(place, name, error);
        }
        let found = FileFormat::of(member.head());
        match found.archive() {
            _ if found == FileFormat::Minidump => self.dump(place, name, size, member),
            Some(format) => match self.inner(format, place, entry, member) {
                Ok(flow) => flow,
                Err(error) => self.fail(place, name, error),
            },
            None => {
                if let Some(damage) = member.damage() {
                    let error = damaged(damage);
                    return self.fail(place, name, error);
                }
                if let (Goal::Member(_), Some(refusal)) = (self.goal, found.refusal()) {
                    return self.fail(place, name, refusal);
                }
                self.skip();
                ControlFlow::Continue(())
            }
        }
    }

    fn dump(
        &mut self,
        place: Place<'_>,
        name: &str,
        size: Size,
        mut member: Unpacking<'_>,
    ) -> ControlFlow<()> {
        let source = match self.goal {
            Goal::Names => member.lend(),
            Goal::Streams => streams(&mut member, size, self.limits),
            Goal::Whole | Goal::Member(_) => match size {
                Size::Stated(size) => place.meter.allow(size).and_then(|()| whole(&mut member)),
                Size::Hint { .. } | Size::Unknown => whole(&mut member),
            },
        };
        let source = match source {
            Ok(source) => source,
            Err(error) => return self.fail(place, name, error),
        };
        let name = format!("{}{name}", place.within);
        self.found.dumps = self.found.dumps.saturating_add(1);
        let source = source.named(joined(self.archive, &name));
        (self.visit)(&name, Ok(source))
    }

    /// A member that is an archive itself.
    fn inner(
        &mut self,
        format: &str,
        place: Place<'_>,
        entry: Entry<'_>,
        mut member: Unpacking<'_>,
    ) -> Result<ControlFlow<()>> {
        let name = entry.name;
        // `.tar.gz` is one format to people, and so it is here.
        let tar_in_stream = format == ".tar" && place.compressed;
        if place.depth >= DEEPEST && !tar_in_stream {
            return Err(Error::archive(
                "an archive in an archive in an archive",
                "unpack the outer ones and give this one",
            ));
        }
        let within = place.within_of(name);
        let inside = Place { within: &within, ..place.inside() };
        match format {
            ".gz" => {
                // Who wants all of it need not know.
                let ask = matches!(self.goal, Goal::Streams);
                let size = gzip_size(ask.then(entry.last).flatten());
                let mut reader = compressed::gzip(member.replay().map_err(cannot_read)?);
                let content = Entry::of(name, size);
                Ok(self.member(place.content(), content, &mut reader))
            }
            ".zst" => {
                let content = Entry::of(name, zstd_size(member.head()));
                let mut reader = compressed::zstd(member.replay().map_err(cannot_read)?);
                Ok(self.member(place.content(), content, &mut reader))
            }
            ".tar" => {
                let depth = if tar_in_stream { place.depth } else { inside.depth };
                let inside = Place { depth, ..inside };
                Ok(tar::members(&mut member.replay().map_err(cannot_read)?, inside, self))
            }
            _ => {
                let unpacked = whole(&mut member)?;
                if let Some(damage) = unpacked.damage() {
                    return Err(damaged(damage));
                }
                self.container(format, Reader::of(&unpacked), inside)
            }
        }
    }

    /// A member, or all of an archive, that cannot be read.
    pub(super) fn fail(&mut self, place: Place<'_>, name: &str, error: Error) -> ControlFlow<()> {
        self.found.failed = self.found.failed.saturating_add(1);
        let mut name = format!("{}{name}", place.within);
        if name.ends_with(SEPARATOR) && name.len() == place.within.len() {
            name.truncate(name.len().saturating_sub(SEPARATOR.len()));
        }
        (self.visit)(&name, Err(error))
    }

    /// A member that is neither a dump nor an archive.
    pub(super) fn skip(&mut self) {
        self.found.skipped = self.found.skipped.saturating_add(1);
    }
}

impl Place<'_> {
    /// Of the members of an archive here.
    fn inside(self) -> Self {
        Place { depth: self.depth.saturating_add(1), compressed: false, ..self }
    }

    /// Of the content of a compressed file here.
    fn content(self) -> Self {
        Place { compressed: true, ..self.inside() }
    }

    /// What the names in the archive `name` begin with.
    fn within_of(self, name: &str) -> String {
        if name.is_empty() {
            return self.within.to_owned();
        }
        format!("{}{name}{SEPARATOR}", self.within)
    }

    /// Counts bytes that were unpacked and thrown away.
    ///
    /// # Errors
    /// As [`Meter::spend`].
    pub(super) fn spend(&self, bytes: u64) -> Result<()> {
        self.meter.spend(bytes)
    }
}

/// The last four bytes of gzip are the low bits of the size, of its last part
/// alone.
fn gzip_size(last: Option<[u8; 4]>) -> Size {
    last.map_or(Size::Unknown, |last| Size::Hint {
        size: u32::from_le_bytes(last).into(),
        mask: u32::MAX.into(),
    })
}

fn zstd_size(head: &[u8]) -> Size {
    compressed::zstd_content_size(head)
        .map_or(Size::Unknown, |size| Size::Hint { size, mask: u64::MAX })
}

/// What could not be decoded at all.
pub(super) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::archive(
        format!("cannot be unpacked: {what}"),
        "get the file again, or unpack it with another tool",
    )
}
