//! The rows of an archive: one a dump in it.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::{Options, Outcome, row};
use crate::analysis::Analysis;
use crate::archive::{for_each_dump_of, joined};
use crate::error::{Error, Result};
use crate::inputs::Reason;
use crate::source::{FileFormat, Source};

pub(super) fn is_archive(source: &Source) -> bool {
    FileFormat::of(source.slice_clipped(0, 4096)).archive().is_some()
}

/// Dumps and members that cannot be read give rows, others are passed over.
pub(super) fn rows<W, R>(
    name: &OsStr,
    archive: &Source,
    options: &Options,
    work: &W,
    put: &mut dyn FnMut(Outcome<R>),
) where
    W: Fn(&OsStr, Result<&Analysis<'_>>) -> R,
{
    let through = || {
        for_each_dump_of(archive, name, &options.limits, &mut |member, dump| {
            let name = joined(name, member);
            put(Outcome::Row(match dump {
                Ok(source) => row(&name, &source, options, work),
                Err(error) => work(&name, Err(error)),
            }));
            if options.stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
    };
    // A mistake of ours in one archive must not keep the others from their rows.
    let found = catch_unwind(AssertUnwindSafe(through));
    match found.unwrap_or_else(|_| Err(Error::internal())) {
        Ok(found) => {
            for _ in 0..found.skipped {
                put(Outcome::PassedOver(Reason::NotADump(FileFormat::Other)));
            }
        }
        Err(error) => put(Outcome::Row(work(name, Err(error)))),
    }
}
