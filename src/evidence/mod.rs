//! Who says what about which bytes, and how it is known. A gatherer adds
//! claims and the rows of its table; it never edits a region and concludes
//! nothing.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

mod allocators;
mod claim;
pub mod environment;
pub mod executable;
pub mod heaps;
pub mod images;
mod linux;
pub mod malloc;
pub mod managed;
mod sanitizers;
mod shapes;
pub mod stacks;
mod survey;
mod system_regions;

pub use claim::{Claim, Confidence, Detail, EvidenceSource, RegionKind, Subject, Use};
pub use sanitizers::SANITIZER_SHADOW;

use crate::dump::Dump;
use crate::issue::Issues;
use crate::map::RegionMap;
use environment::Environment;
use executable::Executable;
use heaps::Heap;
use images::{DataImage, Image};
use malloc::MallocHeap;
use managed::Managed;
use stacks::Stack;

/// Everything that was gathered: claims, and the tables they point into.
#[derive(Debug, Default)]
pub struct Evidence {
    /// In the order of the gatherers. [`Subject`] indexes the tables below.
    pub claims: Vec<Claim>,
    /// Images: those of the module list in its order, then unlisted ones.
    pub images: Vec<Image>,
    /// PE files that are in memory, but not as images, in address order.
    pub data_images: Vec<DataImage>,
    /// Stacks in the order of the thread list, two for a WOW64 thread, none
    /// where nothing is known of one; then those that no thread claims.
    pub stacks: Vec<Stack>,
    /// Heaps, in the order of the PEB's list.
    pub heaps: Vec<Heap>,
    /// Heaps of glibc's malloc, by the maps of Linux: the brk heap, then the
    /// windows of arenas, those that only a header tells at the end.
    pub malloc: Vec<MallocHeap>,
    /// Executable memory that is no image's, and images with pages that are
    /// writable and executable, in address order.
    pub executable: Vec<Executable>,
    /// .NET: its heaps and threads. `None` without a runtime's module.
    pub managed: Option<Managed>,
    /// PEBs, TEBs and process parameters.
    pub environment: Environment,
    /// Structures in memory that contradict the streams.
    pub issues: Issues,
}

impl Evidence {
    /// Adds a claim.
    pub(crate) fn claim(&mut self, claim: Claim) {
        self.claims.push(claim);
    }
}

/// Asks every gatherer. Later ones may read the tables of earlier ones; the
/// order decides nothing else than ties.
pub fn gather(dump: &Dump<'_>, map: &RegionMap<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    environment::gather(dump, map, &mut evidence);
    let pointers = stacks::Pointers::of(dump);
    let mut survey = survey::Survey::of(dump, map, pointers.addresses(&evidence.environment.tebs));
    images::gather(dump, map, &survey, &mut evidence);
    stacks::gather(dump, map, &pointers, &survey, &mut evidence);
    heaps::gather(dump, map, &mut evidence);
    managed::gather(dump, map, &mut evidence);
    allocators::gather(dump, map, &mut evidence);
    linux::gather(dump, map, &mut evidence);
    sanitizers::gather(dump, map, &mut evidence);
    system_regions::gather(dump, map, &survey, &mut evidence);
    evidence.executable = std::mem::take(&mut survey.executable.found);
    evidence
}
