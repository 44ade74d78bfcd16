//! Members of a zip archive.

use std::cell::Cell;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use ::zip::read::ZipFileEntry;
use ::zip::result::ZipError;
use ::zip::{CompressionMethod, ZipArchive};
use flate2::bufread::DeflateDecoder;

use super::Reader;
use super::bounded::Bounded;
use super::compressed::{BUFFER, Checked, Zstd, last_of};
use super::dump::Size;
use super::walk::{Entry, Place, Walk, damaged};
use crate::error::{Error, Result};

/// What is read to open an archive: its directory. The crate keeps several
/// times as much in memory.
const DIRECTORY: u64 = 32 << 20;

pub(super) fn members(
    input: Reader<'_>,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> Result<ControlFlow<()>> {
    let left = Cell::new(DIRECTORY);
    let bounded =
        Bounded { input: BufReader::new(input), left: &left, too_much: "it is larger than 32 MiB" };
    let mut zip = ZipArchive::new(bounded).map_err(|error| {
        Error::archive(
            format!("the directory of the zip archive cannot be read: {error}"),
            "is the file whole? it is at its end; `zip -FF` rebuilds it",
        )
    })?;
    left.set(u64::MAX);
    if zip.has_duplicate_names() && walk.fail(place, "", duplicates()).is_break() {
        return Ok(ControlFlow::Break(()));
    }
    for index in 0..zip.len() {
        if member(&mut zip, index, input, place, walk).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn member<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    index: usize,
    input: Reader<'_>,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> ControlFlow<()> {
    let entry = match zip.by_index_data(index) {
        Ok(entry) => entry,
        Err(error) => return walk.fail(place, "", unreadable(error)),
    };
    let name = match entry.name() {
        Ok(name) => name.into_owned(),
        Err(_) => String::from_utf8_lossy(entry.name_raw()).into_owned(),
    };
    if entry.is_dir() || !walk.wants(place, &name) {
        return ControlFlow::Continue(());
    }
    if entry.encrypted() {
        let error = Error::archive("encrypted", "unpack it with its password and give the dump");
        return walk.fail(place, &name, error);
    }
    let size = size(&entry, input.file.len());
    let (method, crc) = (entry.compression(), entry.crc32());
    let known = [
        CompressionMethod::Stored,
        CompressionMethod::Deflated,
        CompressionMethod::DEFLATE64,
        CompressionMethod::ZSTD,
    ];
    if !known.contains(&method) {
        return walk.fail(place, &name, unknown(method));
    }
    if method == CompressionMethod::ZSTD {
        match zip.by_index_raw(index) {
            Ok(packed) => {
                let content = Zstd::new(BufReader::new(packed));
                let entry = Entry::of(&name, size);
                walk.member(place, entry, &mut Checked::new(content, crc))
            }
            Err(error) => walk.fail(place, &name, unreadable(error)),
        }
    } else {
        match zip.by_index(index) {
            Ok(mut content) => {
                let (start, packed) = (content.data_start(), content.compressed_size());
                let last = || last(input, method, start?, packed, place);
                let entry = Entry { name: &name, size, last: &last };
                walk.member(place, entry, &mut content)
            }
            Err(error) => walk.fail(place, &name, unreadable(error)),
        }
    }
}

/// The last four bytes of a member.
fn last(
    mut input: Reader<'_>,
    method: CompressionMethod,
    start: u64,
    packed: u64,
    place: Place<'_>,
) -> Option<[u8; 4]> {
    match method {
        CompressionMethod::Stored => input.last(start, packed),
        CompressionMethod::Deflated => {
            input.seek(SeekFrom::Start(start)).ok()?;
            let packed = BufReader::with_capacity(BUFFER, input.take(packed));
            last_of(&mut DeflateDecoder::new(packed), place)
        }
        _ => None,
    }
}

/// The stated size, when the packed bytes are there and can have it.
fn size(entry: &ZipFileEntry<'_>, end: u64) -> Size {
    let (packed, size) = (entry.compressed_size(), entry.size());
    let there = entry.header_start().checked_add(packed).is_some_and(|last| last <= end);
    let most = match entry.compression() {
        CompressionMethod::Stored => packed,
        // Neither can do better than 258 bytes for two bits, nor Deflate64
        // than 65,538 for three codes of a bit and 16 bits of length.
        CompressionMethod::ZSTD | CompressionMethod::DEFLATE64 => packed.saturating_mul(40_000),
        _ => packed.saturating_mul(1_040),
    };
    if there && size <= most { Size::Stated(size) } else { Size::Unknown }
}

fn unreadable(error: ZipError) -> Error {
    damaged(error)
}

fn unknown(method: CompressionMethod) -> Error {
    Error::archive(
        format!("packed with a method that is not read ({method})"),
        "unpack it with a tool that knows it, such as 7-Zip, and give the dump",
    )
}

fn duplicates() -> Error {
    Error::archive(
        "several members have one name; the last of each is read",
        "unpack the archive for the others, under other names",
    )
}
