//! What the command line names as inputs, for commands over many dumps.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use dumpmap::inputs::{self, Input, Links, Separator, Shard};

use super::{Failure, at_path};

#[derive(Debug, Args)]
pub(super) struct Inputs {
    /// Dumps, archives, folders with dumps anywhere below, patterns such as
    /// 'a/**/*.dmp'; - reads one dump from standard input
    #[arg(value_name = "PATH", required_unless_present_any = ["files_from", "files0_from"])]
    pub(super) paths: Vec<PathBuf>,
    /// Also the paths in a file, one a line; - reads them from standard input
    #[arg(long, value_name = "FILE")]
    pub(super) files_from: Option<PathBuf>,
    /// As --files-from, with a NUL byte after each path
    #[arg(long, value_name = "FILE", conflicts_with = "files_from")]
    pub(super) files0_from: Option<PathBuf>,
    /// Follows links to folders
    #[arg(long)]
    pub(super) follow: bool,
    /// Only part I of N, by a hash of the path, to share the work between
    /// machines: 1/4 to 4/4
    #[arg(long, value_name = "I/N")]
    pub(super) shard: Option<Shard>,
    /// How many dumps are read at the same time; without it as many as there
    /// are processors
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

type Found = Box<dyn Iterator<Item = Input> + Send>;
type Paths = Box<dyn Iterator<Item = io::Result<PathBuf>> + Send>;

impl Inputs {
    /// The inputs, found as they are asked for.
    pub(super) fn find(&self) -> Result<Found, Failure> {
        let list: Paths = match (&self.files_from, &self.files0_from) {
            (Some(path), _) => Box::new(inputs::read_list(open(path)?, Separator::Line)),
            (None, Some(path)) => Box::new(inputs::read_list(open(path)?, Separator::Nul)),
            (None, None) => Box::new(std::iter::empty()),
        };
        let links = if self.follow { Links::Follow } else { Links::PassOver };
        let paths = self.paths.clone().into_iter().map(Ok).chain(list);
        Ok(Box::new(inputs::find(paths, links, self.shard)))
    }

    /// The files that are named on the command line: no output may take the
    /// place of one.
    pub(super) fn files(&self) -> Vec<&Path> {
        let lists = [&self.files_from, &self.files0_from].into_iter().flatten();
        self.paths.iter().chain(lists).map(PathBuf::as_path).collect()
    }

    pub(super) fn workers(&self) -> usize {
        self.jobs.map_or_else(processors, Into::into)
    }
}

/// How many dumps are read at the same time where nobody says so.
pub(super) fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path)
        .map_err(|error| at_path(path, format!("cannot read the list of files: {error}")))?;
    Ok(Box::new(BufReader::new(file)))
}
