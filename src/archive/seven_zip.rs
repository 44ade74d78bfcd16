//! Members of a 7z archive. They are packed in blocks, in which each byte
//! needs those before it.

use std::io::{self, Read};
use std::ops::ControlFlow;

use sevenz_rust2::{Archive as Directory, ArchiveEntry, BlockDecoder, Error as SevenZip, Password};

use super::Reader;
use super::compressed::BUFFER;
use super::dump::Size;
use super::walk::{Entry, Place, Walk, damaged};
use crate::error::{Error, Result};

/// What one decoder may keep, in KiB: 7-Zip's best level has a dictionary of
/// 256 MiB.
const MEMORY: usize = 320 << 10;

pub(super) fn members(
    mut input: Reader<'_>,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> Result<ControlFlow<()>> {
    let password = Password::empty();
    let directory =
        Directory::read_with_memory_limit(&mut input, &password, MEMORY).map_err(unopened)?;
    for index in 0..directory.blocks.len() {
        let block = BlockDecoder::new_with_memory_limit(
            1, MEMORY, index, &directory, &password, &mut input,
        );
        if members_of(block, encrypted(&directory, index), place, walk).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    for (file, block) in directory.files.iter().zip(&directory.stream_map.file_block_index) {
        if block.is_none() && !file.is_directory() {
            walk.skip();
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn members_of(
    block: BlockDecoder<'_, Reader<'_>>,
    encrypted: bool,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> ControlFlow<()> {
    let entries: Vec<ArchiveEntry> = block.entries().to_vec();
    let wanted = |walk: &Walk<'_>, entry: &ArchiveEntry| {
        entry.has_stream() && walk.wants(place, entry.name())
    };
    let Some(last) = entries.iter().rposition(|entry| wanted(walk, entry)) else {
        return ControlFlow::Continue(());
    };
    if encrypted {
        return fail_all(&entries, 0, &locked, place, walk);
    }
    let mut at = 0_usize;
    let mut flow = ControlFlow::Continue(());
    let mut limit = None;
    let decoded = block.for_each_entries(&mut |entry, content| {
        let this = at;
        at = at.saturating_add(1);
        if wanted(walk, entry) {
            let member = Entry::of(entry.name(), Size::Stated(entry.size()));
            flow = walk.member(place, member, content);
        } else if !entry.is_directory() && !entry.has_stream() {
            walk.skip();
        }
        if flow.is_break() || this >= last {
            return Ok(false);
        }
        // The next member needs these bytes; the crate would not count them.
        if let Err(error) = drain(content, place)? {
            limit = Some(error);
            return Ok(false);
        }
        Ok(true)
    });
    flow?;
    match (limit, decoded) {
        (Some(error), _) => walk.fail(place, "", error),
        (None, Ok(_)) => ControlFlow::Continue(()),
        (None, Err(error)) => {
            let error = words(&error);
            fail_all(&entries, at, &|| damaged(&error), place, walk)
        }
    }
}

/// Every member from `first` on cannot be read.
fn fail_all(
    entries: &[ArchiveEntry],
    first: usize,
    error: &dyn Fn() -> Error,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> ControlFlow<()> {
    for entry in entries.get(first..).unwrap_or(&[]) {
        if entry.has_stream() && walk.wants(place, entry.name()) {
            walk.fail(place, entry.name(), error())?;
        }
    }
    ControlFlow::Continue(())
}

fn drain(content: &mut dyn Read, place: Place<'_>) -> Result<Result<()>, SevenZip> {
    let mut chunk = vec![0; BUFFER];
    loop {
        match content.read(&mut chunk) {
            Ok(0) => return Ok(Ok(())),
            Ok(got) => {
                if let Err(error) = place.spend(u64::try_from(got).unwrap_or(u64::MAX)) {
                    return Ok(Err(error));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn encrypted(directory: &Directory, block: usize) -> bool {
    let file = directory.stream_map.block_first_file_index.get(block);
    file.is_some_and(|file| directory.is_file_encrypted(*file))
}

fn locked() -> Error {
    Error::archive("encrypted", "unpack it with its password and give the dump")
}

fn unopened(error: SevenZip) -> Error {
    if is_locked(&error) {
        return locked();
    }
    Error::archive(
        format!("the directory of the 7z archive cannot be read: {}", words(&error)),
        "is the file whole? it is at its end",
    )
}

/// Passwords are not read, so the crate is built without its ciphers.
fn is_locked(error: &SevenZip) -> bool {
    match error {
        SevenZip::PasswordRequired => true,
        SevenZip::UnsupportedCompressionMethod(method) => method.starts_with("AES"),
        _ => false,
    }
}

/// The crate's own text is the name of its variant.
fn words(error: &SevenZip) -> String {
    match error {
        SevenZip::Io(error, _) | SevenZip::MaybeBadPassword(error) => error.to_string(),
        SevenZip::Other(what) | SevenZip::Unsupported(what) => what.to_string(),
        SevenZip::UnsupportedCompressionMethod(method) => {
            format!("packed with {method}, which is not read")
        }
        SevenZip::ChecksumVerificationFailed => "a checksum is wrong".into(),
        SevenZip::NextHeaderCrcMismatch => "its checksum is wrong".into(),
        SevenZip::MaxMemLimited { actaul_kb, .. } => format!("unpacking needs {actaul_kb} KiB"),
        other => format!("{other:?}"),
    }
}
