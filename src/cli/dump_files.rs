//! The dumps that paths lead to: files as they are given, and those below
//! folders that begin as a minidump does, whatever they are called.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file to read, or what could not be looked at.
pub(super) type Found = Result<PathBuf, (PathBuf, io::Error)>;

/// Folders are walked in the order of names. Links to folders are not
/// followed: they may lead in circles.
pub(super) fn find(paths: &[PathBuf]) -> Vec<Found> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, &mut found);
        } else {
            found.push(Ok(path.clone()));
        }
    }
    found
}

fn walk(top: &Path, found: &mut Vec<Found>) {
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.iter().map(fs::DirEntry::path).collect(),
            Err(error) => {
                found.push(Err((folder, error)));
                continue;
            }
        };
        paths.sort();
        let mut below = Vec::new();
        for path in paths {
            // A pipe or a device would block; a broken link leads nowhere.
            let is_link = path.is_symlink();
            if path.is_dir() && !is_link {
                below.push(path);
            } else if path.is_file() {
                match is_dump(&path) {
                    Ok(true) => found.push(Ok(path)),
                    Ok(false) => {}
                    Err(error) => found.push(Err((path, error))),
                }
            }
        }
        folders.extend(below.into_iter().rev());
    }
}

fn is_dump(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut head)?;
    Ok(head == b"MDMP")
}
