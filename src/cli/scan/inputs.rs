//! What the command line names as inputs.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use dumpmap::inputs::{self, Input, Links, Separator};

use super::Scan;
use crate::cli::{Failure, at_path};

type Paths = Box<dyn Iterator<Item = io::Result<PathBuf>> + Send>;

/// The inputs, found as they are asked for.
pub(super) fn of(args: &Scan) -> Result<impl Iterator<Item = Input> + Send + use<>, Failure> {
    let list: Paths = match (&args.files_from, &args.files0_from) {
        (Some(path), _) => Box::new(inputs::read_list(open(path)?, Separator::Line)),
        (None, Some(path)) => Box::new(inputs::read_list(open(path)?, Separator::Nul)),
        (None, None) => Box::new(std::iter::empty()),
    };
    let links = if args.follow { Links::Follow } else { Links::PassOver };
    let paths = args.paths.clone().into_iter().map(Ok).chain(list);
    Ok(inputs::find(paths, links, args.shard))
}

/// The files that are named on the command line: no output may take the place
/// of one.
pub(super) fn files(args: &Scan) -> Vec<&Path> {
    let lists = [&args.files_from, &args.files0_from].into_iter().flatten();
    args.paths.iter().chain(lists).map(PathBuf::as_path).collect()
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path)
        .map_err(|error| at_path(path, format!("cannot read the list of files: {error}")))?;
    Ok(Box::new(BufReader::new(file)))
}
