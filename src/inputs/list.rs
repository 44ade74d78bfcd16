//! Lists of paths, one after the other, as `find -print0` and other programs
//! write them.

use std::io::{self, BufRead};
use std::path::PathBuf;

/// What ends a path in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// The end of a line; a carriage return before it is no part of the path.
    Line,
    /// A NUL byte: for names with line ends in them.
    Nul,
}

/// The paths of a list, as they are read. Empty ones are left out. A read that
/// fails is the last item.
pub fn read_list<R: BufRead>(
    mut list: R,
    separator: Separator,
) -> impl Iterator<Item = io::Result<PathBuf>> {
    let mut first = true;
    let mut failed = false;
    std::iter::from_fn(move || {
        while !failed {
            let mut bytes = Vec::new();
            let end = if separator == Separator::Nul { 0 } else { b'\n' };
            match list.read_until(end, &mut bytes) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    failed = true;
                    return Some(Err(error));
                }
            }
            if std::mem::take(&mut first) {
                // PowerShell's `>` writes UTF-16.
                if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
                    failed = true;
                    let what =
                        "it is UTF-16; write it as UTF-8 (PowerShell: Out-File -Encoding utf8)";
                    return Some(Err(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
                if bytes.starts_with(b"\xef\xbb\xbf") {
                    bytes.drain(..3);
                }
            }
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
            if separator == Separator::Line && bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !bytes.is_empty() {
                let path = path(bytes);
                failed = path.is_err();
                return Some(path);
            }
        }
        None
    })
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Ok(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> io::Result<PathBuf> {
    let text = String::from_utf8(bytes).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8; write it as UTF-8")
    })?;
    Ok(text.into())
}
