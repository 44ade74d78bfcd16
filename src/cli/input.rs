//! Opens a dump and analyses it.

use std::io;
use std::path::Path;

use dumpmap::limits::{self, Limits};
use dumpmap::report::{Input, Privacy};
use dumpmap::source::Source;
use dumpmap::{Analysis, analyze};

use super::{Depth, Failure, Options, at_path};

/// Opens `path`, or reads standard input for `-`.
pub(super) fn open(path: &Path) -> Result<Source, Failure> {
    let source = if path.as_os_str() == "-" {
        Source::from_reader(io::stdin().lock())
    } else {
        Source::open(path)
    };
    source.map_err(|error| at_path(path, error))
}

/// Analyses an opened dump at the depth asked for.
pub(super) fn load<'s>(
    source: &'s Source,
    path: &Path,
    options: &Options,
) -> Result<Analysis<'s>, Failure> {
    let depth = match options.depth {
        Depth::Streams => limits::Depth::Streams,
        Depth::Headers => limits::Depth::Headers,
        Depth::Walk => limits::Depth::Walk,
    };
    let limits = Limits { depth, ..Limits::default() };
    analyze(source, &limits).map_err(|error| at_path(path, error))
}

/// What the reports are made from.
pub(super) fn input<'a>(
    analysis: &'a Analysis<'a>,
    path: &'a Path,
    options: &Options,
) -> Input<'a> {
    let privacy = if options.redact { Privacy::Redacted } else { Privacy::Full };
    Input { analysis, path: path.as_os_str(), privacy }
}
