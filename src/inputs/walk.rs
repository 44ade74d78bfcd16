//! Files below a folder, sorted by name in each folder.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use super::{Input, Links, Reason};
use crate::error::Error;

/// Every file below `folder`, at any depth. A folder that cannot be listed and
/// a link that leads nowhere or in a circle are refused inputs.
pub(super) fn below(folder: &Path, links: Links) -> impl Iterator<Item = Input> + Send + 'static {
    let walk = WalkDir::new(folder).follow_links(links == Links::Follow).sort_by_file_name();
    walk.into_iter().filter_map(|entry| match entry {
        Ok(entry) => input(entry),
        Err(error) => Some(refused(error)),
    })
}

fn input(entry: DirEntry) -> Option<Input> {
    let kind = entry.file_type();
    if kind.is_dir() {
        return None;
    }
    let path = entry.into_path();
    if kind.is_file() {
        return Some(Input::found(path));
    }
    if !kind.is_symlink() {
        return Some(Input::passed_over(path, Reason::Special));
    }
    Some(match path.metadata() {
        Ok(target) if target.is_file() => Input::found(path),
        Ok(target) if target.is_dir() => Input::passed_over(path, Reason::LinkToFolder),
        Ok(_) => Input::passed_over(path, Reason::Special),
        Err(error) => Input::refused(path, Error::io("cannot follow the link", error)),
    })
}

fn refused(error: walkdir::Error) -> Input {
    let path = error.path().unwrap_or(Path::new("")).to_owned();
    if let Some(above) = error.loop_ancestor() {
        let above = above.to_string_lossy().into_owned();
        let error = std::io::Error::other(format!("it leads in a circle, back to {above}"));
        return Input::refused(path, Error::io("cannot follow the link", error));
    }
    let error = error.into_io_error().unwrap_or_else(|| std::io::Error::other("unknown reason"));
    Input::refused(path, Error::io("cannot list the folder", error))
}
