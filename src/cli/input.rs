//! Opens a dump and analyses it.

use std::io;
use std::path::Path;

#[cfg(feature = "archives")]
use dumpmap::archive;
use dumpmap::error::Error;
use dumpmap::limits::{self, Limits};
use dumpmap::report::{Input, Privacy};
use dumpmap::source::Source;
use dumpmap::{Analysis, analyze};

use super::{Depth, Failure, Options, at_path};

/// Opens `path`, or reads standard input for `-`. Of an archive, the only dump
/// in it, or the one that `path` names.
pub(super) fn open(path: &Path, options: &Options) -> Result<Source, Failure> {
    source(path, options).map_err(|error| at_path(path, error))
}

/// As [`open`], with the error alone.
#[cfg(feature = "archives")]
pub(super) fn source(path: &Path, options: &Options) -> Result<Source, Error> {
    let limits = limits(options);
    if path.as_os_str() == "-" {
        let source = Source::from_reader(io::stdin().lock())?;
        archive::open_dump_in(source, path.as_os_str(), &limits)
    } else {
        archive::open_dump(path, &limits)
    }
}

/// As [`open`], with the error alone.
#[cfg(not(feature = "archives"))]
pub(super) fn source(path: &Path, _options: &Options) -> Result<Source, Error> {
    if path.as_os_str() == "-" {
        Source::from_reader(io::stdin().lock())
    } else {
        Source::open(path)
    }
}

/// Analyses an opened dump at the depth asked for.
pub(super) fn load<'s>(
    source: &'s Source,
    path: &Path,
    options: &Options,
) -> Result<Analysis<'s>, Failure> {
    analyze(source, &limits(options)).map_err(|error| at_path(path, error))
}

/// The limits at the depth asked for.
pub(super) fn limits(options: &Options) -> Limits {
    limits_or(options, limits::Depth::default())
}

/// As [`limits`], with another depth where none is asked for.
pub(super) fn limits_or(options: &Options, default: limits::Depth) -> Limits {
    let depth = match options.depth {
        None => default,
        Some(Depth::Streams) => limits::Depth::Streams,
        Some(Depth::Headers) => limits::Depth::Headers,
        Some(Depth::Walk) => limits::Depth::Walk,
    };
    let limits = Limits { depth, ..Limits::default() };
    #[cfg(feature = "archives")]
    let limits = match options.max_unpacked {
        Some(unpacked) => Limits { unpacked, unpacked_ratio: u64::MAX, ..limits },
        None => limits,
    };
    limits
}

/// Whether names are shown.
pub(super) fn privacy(options: &Options) -> Privacy {
    if options.redact { Privacy::Redacted } else { Privacy::Full }
}

/// What the reports are made from.
pub(super) fn input<'a>(
    analysis: &'a Analysis<'a>,
    path: &'a Path,
    options: &Options,
) -> Input<'a> {
    let path = analysis.dump.source.name().unwrap_or(path.as_os_str());
    Input { analysis, path, privacy: privacy(options) }
}
