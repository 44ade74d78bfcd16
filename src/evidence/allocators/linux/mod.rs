//! Reservations of engines on Linux: runs of anonymous private mappings that
//! follow each other, with the sizes, places and access of known ones, beside
//! a module that makes them. The kernel joins neighbours of one access, so a
//! reservation is looked for between the ends of mappings and not only in
//! whole runs.
//!
//! Not known here: Go, whose programs no name tells; .NET, of which no dump
//! with maps was seen.

mod java;
mod mozilla;
mod partition;
mod v8;

use super::claim;
use crate::addr::AddressRange;
use crate::dump::{Dump, LinuxMap};
use crate::evidence::Evidence;
use crate::evidence::images::Image;
use crate::map::{Origin, RegionMap};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Names of files that hold Chromium: the browsers' programs, the libraries
/// of those that embed it, and the library that comes with each of them.
const CHROMIUM: &[&str] = &[
    "chrome",
    "chromium",
    "chromium-browser",
    "headless_shell",
    "msedge",
    "brave",
    "opera",
    "vivaldi-bin",
    "electron",
    "libcef.so",
    "libffmpeg.so",
];
const NODE: &[&str] = &["node", "nodejs", "libnode.so"];
const JAVA: &[&str] = &["libjvm.so"];
const GECKO: &[&str] = &["libxul.so"];

/// What a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Nothing,
    Read,
    ReadWrite,
    /// And anything else.
    Execute,
}

/// One mapping: anonymous and private, or code of a file that is mapped once
/// more in the middle of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    range: AddressRange,
    access: Access,
    anonymous: bool,
}

impl Line {
    fn size(&self) -> u64 {
        self.range.size()
    }
}

pub(super) fn gather(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &mut Evidence) {
    let have = |known: &[&str]| evidence.images.iter().any(|image| is_one_of(image, known));
    let (chromium, node, java, gecko) = (have(CHROMIUM), have(NODE), have(JAVA), have(GECKO));
    if !chromium && !node && !java && !gecko {
        return;
    }
    let lines = lines(dump, map);
    let mut claims = Vec::new();
    if chromium {
        claims.extend(anonymous_runs(&lines).flat_map(partition::claims));
        claims.extend(v8::sandboxes(&lines));
    }
    if chromium || node {
        claims.extend(runs(&lines).flat_map(v8::code_ranges));
    }
    if node {
        claims.extend(v8::pages(&lines));
    }
    if java {
        claims.extend(java::claims(&lines));
    }
    if gecko {
        claims.extend(mozilla::claims(&lines));
    }
    evidence.claims.extend(claims);
}

/// `libnode.so.108` is a `libnode.so`.
fn is_one_of(image: &Image, known: &[&str]) -> bool {
    let name = image.name();
    known.iter().any(|known| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| {
            rest.is_empty() || (known.ends_with(".so") && rest.starts_with('.'))
        })
    })
}

/// The mappings in address order, disjoint, those of other files left out.
fn lines(dump: &Dump<'_>, map: &RegionMap<'_>) -> Vec<Line> {
    let Some(text) = dump.linux.maps.as_ref() else { return Vec::new() };
    let line = |region: crate::map::Region| {
        let Origin::LinuxMap(at) = region.origin else { return None };
        let line = text.maps.get(usize::try_from(at).ok()?)?;
        let anonymous = line.name.is_empty() && line.inode == 0;
        let code = line.execute && !line.write;
        let wanted = !line.shared && (anonymous || code);
        wanted.then(|| Line { range: region.range, access: access(line), anonymous })
    };
    map.iter().filter_map(line).collect()
}

fn access(line: &LinuxMap) -> Access {
    match (line.read, line.write, line.execute) {
        (_, _, true) => Access::Execute,
        (false, false, false) => Access::Nothing,
        (_, true, false) => Access::ReadWrite,
        (true, false, false) => Access::Read,
    }
}

/// Mappings that follow each other.
fn runs(lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    lines.chunk_by(|line, next| line.range.end() == next.range.start())
}

/// The same, with no file between them.
fn anonymous_runs(lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    let together = |line: &Line, next: &Line| {
        line.range.end() == next.range.start() && line.anonymous && next.anonymous
    };
    lines.chunk_by(together).filter(|run| run.iter().all(|line| line.anonymous))
}

/// The mappings of a run from the one at place `first` up to the end of the
/// one that ends at `size` bytes from there; `None` where none ends there.
fn window(run: &[Line], first: usize, size: u64) -> Option<(&[Line], AddressRange)> {
    let start = run.get(first)?.range.start();
    let end = start.checked_add(size)?;
    let place = run.partition_point(|line| line.range.end() < end);
    let exact = run.get(place)?.range.end() == end;
    let lines = run.get(first..=place).filter(|_| exact)?;
    Some((lines, AddressRange::between(start, end)?))
}

fn range_of(run: &[Line]) -> Option<AddressRange> {
    AddressRange::spanning(run.first()?.range.start(), run.last()?.range.last())
}
