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

mod claim;
pub mod environment;
pub mod heaps;
pub mod images;
mod linux;
pub mod managed;
pub mod stacks;
mod system_regions;

pub use claim::{Claim, Confidence, Detail, EvidenceSource, RegionKind, Subject, Use};

use crate::dump::Dump;
use crate::issue::Issues;
use crate::map::RegionMap;
use environment::Environment;
use heaps::Heap;
use images::Image;
use managed::Managed;
use stacks::Stack;

/// Everything that was gathered: claims, and the tables they point into.
#[derive(Debug, Default)]
pub struct Evidence {
    /// In the order of the gatherers. [`Subject`] indexes the tables below.
    pub claims: Vec<Claim>,
    /// Images: those of the module list in its order, then unlisted ones.
    pub images: Vec<Image>,
    /// Stacks: at least one a thread, in the order of the thread list.
    pub stacks: Vec<Stack>,
    /// Heaps, in the order of the PEB's list.
    pub heaps: Vec<Heap>,
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
    images::gather(dump, map, &mut evidence);
    stacks::gather(dump, map, &mut evidence);
    heaps::gather(dump, map, &mut evidence);
    managed::gather(dump, map, &mut evidence);
    linux::gather(dump, map, &mut evidence);
    system_regions::gather(dump, map, &mut evidence);
    evidence
}
