//! Where an answer goes: standard output, or a file that appears only when it
//! is whole and never takes the place of an input.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anstream::{AutoStream, ColorChoice};
use dumpmap::render::Paint;

use super::{Color, Failure, Options, at_path};

const BUFFER: usize = 64 << 10;

/// Calls `write` with where the answer goes and whether it may have colours.
pub(super) fn write(
    options: &Options,
    inputs: &[&Path],
    write: impl FnOnce(&mut dyn Write, Paint) -> io::Result<()>,
) -> Result<(), Failure> {
    match &options.output {
        None => to_stdout(options, write),
        Some(path) if path.as_os_str() == "-" => to_stdout(options, write),
        Some(path) => to_file(options, path, inputs, write),
    }
}

/// One line on standard error.
pub(super) fn complain(message: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "dumpmap: {message}")
}

fn to_stdout(
    options: &Options,
    write: impl FnOnce(&mut dyn Write, Paint) -> io::Result<()>,
) -> Result<(), Failure> {
    let stdout = io::stdout().lock();
    let choice = match options.color {
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
        Color::Auto => AutoStream::choice(&stdout),
    };
    let written = if choice == ColorChoice::Never {
        // Around std's own buffer, which looks for the last newline of every write.
        let mut out = BufWriter::with_capacity(BUFFER, raw(stdout));
        write(&mut out, Paint::Plain).and_then(|()| out.flush())
    } else {
        let mut out = BufWriter::with_capacity(BUFFER, AutoStream::new(stdout, choice));
        write(&mut out, Paint::Colour).and_then(|()| out.flush())
    };
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::BrokenPipe,
        _ => Failure::Message(format!("cannot write to standard output: {error}")),
    })
}

fn raw(stdout: io::StdoutLock<'_>) -> impl Write {
    stdout
}

/// As [`write`], to a file.
pub(super) fn to_file(
    options: &Options,
    path: &Path,
    inputs: &[&Path],
    write: impl FnOnce(&mut dyn Write, Paint) -> io::Result<()>,
) -> Result<(), Failure> {
    check_target(path, inputs)?;
    let paint = if options.color == Color::Always { Paint::Colour } else { Paint::Plain };
    replace(path, |out| write(out, paint))
}

/// Writes a file that appears only when it is whole; until then an older one
/// of that name stays.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| at_path(path, format!("cannot write the file: {error}"));
    let metadata = fs::metadata(path);
    // A device or a pipe cannot be replaced.
    if metadata.is_ok_and(|metadata| !metadata.is_file()) {
        let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        return write(&mut out).and_then(|()| out.flush()).map_err(failed);
    }
    // Through links: the target is replaced, the link stays.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (temporary, file) = beside(&target).map_err(failed)?;
    let mut out = BufWriter::with_capacity(BUFFER, file);
    let written = write(&mut out).and_then(|()| out.flush());
    drop(out);
    let renamed = written.and_then(|()| fs::rename(&temporary, &target));
    renamed.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error)
    })
}

/// Refuses a target that is an input or a folder.
pub(super) fn check_target(path: &Path, inputs: &[&Path]) -> Result<(), Failure> {
    if let Some(input) = inputs.iter().find(|input| same_file(input, path)) {
        let input = input.to_string_lossy();
        return Err(at_path(path, format!("is the input {input}; give it another name")));
    }
    if path.is_dir() {
        return Err(at_path(path, "is a folder; give the name of a file"));
    }
    Ok(())
}

/// A new file beside `target`, on the same file system.
fn beside(target: &Path) -> io::Result<(PathBuf, File)> {
    let name = target.file_name().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
    for attempt in 0..100 {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{attempt}.part", std::process::id()));
        let temporary = target.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (temporary, file)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Whether both names lead to one file, through links of either kind.
fn same_file(input: &Path, output: &Path) -> bool {
    let canonical = fs::canonicalize(input).ok().zip(fs::canonicalize(output).ok());
    canonical.is_some_and(|(input, output)| input == output) || same_inode(input, output)
}

#[cfg(unix)]
fn same_inode(input: &Path, output: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path| fs::metadata(path).map(|of: fs::Metadata| (of.dev(), of.ino())).ok();
    id(input).is_some_and(|input| id(output) == Some(input))
}

/// Hard links: the rename replaces one name and leaves the input's alone.
#[cfg(not(unix))]
fn same_inode(_input: &Path, _output: &Path) -> bool {
    false
}
