//! Members of a tar archive, which has no directory: one header before each.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;

use ::tar::{Archive as Tar, Entries};

use super::Reader;
use super::bounded::Bounded;
use super::compressed::BUFFER;
use super::dump::Size;
use super::walk::{Entry, Place, Walk, damaged};
use crate::error::Result;

/// Headers, long names and attributes of one member. The crate keeps names of
/// any length in memory.
const HEADERS: u64 = 1 << 20;

fn bounded<R>(input: R, left: &Cell<u64>) -> Bounded<'_, R> {
    Bounded { input, left, too_much: "the header of a member is too long" }
}

/// Of a file: members that are not wanted are passed over.
pub(super) fn members_seeking(
    file: Reader<'_>,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> ControlFlow<()> {
    let left = Cell::new(HEADERS);
    let mut tar = Tar::new(bounded(BufReader::with_capacity(BUFFER, file), &left));
    match tar.entries_with_seek() {
        Ok(entries) => each(entries, &left, Rest::Passed { file }, place, walk),
        Err(error) => walk.fail(place, "", damaged(error)),
    }
}

/// Of a stream.
pub(super) fn members(
    input: &mut dyn Read,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> ControlFlow<()> {
    let left = Cell::new(HEADERS);
    let mut tar = Tar::new(bounded(&mut *input, &left));
    match tar.entries() {
        Ok(entries) => each(entries, &left, Rest::Read, place, walk)?,
        Err(error) => return walk.fail(place, "", damaged(error)),
    }
    // The checksum of what was read stands at the end.
    match drain(input, place) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => walk.fail(place, "", error),
    }
}

/// What becomes of the bytes of a member that nobody wanted.
#[derive(Clone, Copy)]
enum Rest<'s> {
    /// They are passed over, in this file.
    Passed { file: Reader<'s> },
    /// They are read, and count as unpacked.
    Read,
}

fn each<R: Read>(
    entries: Entries<'_, R>,
    left: &Cell<u64>,
    rest: Rest<'_>,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> ControlFlow<()> {
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => return walk.fail(place, "", damaged(error)),
        };
        left.set(u64::MAX);
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let (start, size) = (entry.raw_file_position(), entry.size());
            // The stored size of a sparse member is smaller than its own.
            let file = match rest {
                Rest::Passed { file } if !kind.is_gnu_sparse() => Some(file),
                Rest::Passed { .. } | Rest::Read => None,
            };
            let cut = file.is_some_and(|file| start.saturating_add(size) > file.file.len());
            let stated = if cut { Size::Unknown } else { Size::Stated(size) };
            let last = || file?.last(start, size);
            if walk.wants(place, &name) {
                let member = Entry { name: &name, size: stated, last: &last };
                walk.member(place, member, &mut entry)?;
            }
        }
        if let Rest::Read = rest
            && let Err(error) = drain(&mut entry, place)
        {
            return walk.fail(place, "", error);
        }
        left.set(HEADERS);
    }
    ControlFlow::Continue(())
}

fn drain(entry: &mut dyn Read, place: Place<'_>) -> Result<()> {
    let mut chunk = vec![0; BUFFER];
    loop {
        match entry.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(got) => place.spend(u64::try_from(got).unwrap_or(u64::MAX))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                place.spend(0)?;
                return Err(damaged(error));
            }
        }
    }
}
