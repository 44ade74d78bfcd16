//! VMMap for crash dumps: rebuilds the address space of a process from its
//! minidump, says what every byte of it was for and how that is known, and
//! what a person should conclude. No live process, no debugger, no symbols.
//!
//! ```text
//! Source ──> Dump ──> RegionMap ──> Evidence ──> sweep ──> Totals ──> findings
//! bytes      facts    the address   claims       answers   sums       what to
//!                     space                                           conclude
//! ```
//!
//! ```
//! use dumpmap::{analyze, evidence::RegionKind, limits::Limits, source::Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = Source::open("fixtures/windows-x64.dmp".as_ref())?;
//! let analysis = analyze(&source, &Limits::default())?;
//! println!("{} bytes of heap", analysis.totals.row(RegionKind::Heap).size);
//! for piece in analysis.pieces() {
//!     println!("{} {} ({})", piece.range, piece.kind.as_str(), piece.confidence.as_str());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`analyze`] runs all of it. Facts, claims and conclusions are different
//! types: a gatherer adds claims and never edits a region, and only
//! [`classify`] concludes. It fails only when there is no dump. Damage to the
//! file is an [`issue`]; what a person should know of the process is a finding
//! of [`rules`].
//!
//! - A [`source::Source`] borrows nothing; [`dump::Dump`], [`map::RegionMap`]
//!   and [`Analysis`] borrow from it. Nothing is kept per region.
//! - What a dump does not say is `None`, never 0.
//! - Text from a dump is hostile; [`render::sanitize`] escapes it.
//! - [`report`] has the stable, serialisable view; before 1.0 the other types
//!   may change with a minor version.
//! - Limits: user-mode minidumps, little-endian; no symbols, no unwinding.
//!
//! `docs/` in the repository explains the parts (`architecture.md`) and the
//! arithmetic of every number (`semantics.md`).

pub mod addr;
pub mod analysis;
#[cfg(feature = "archives")]
pub mod archive;
pub mod batch;
pub mod classify;
pub mod crash;
pub mod diff;
pub mod dump;
pub mod error;
pub mod evidence;
pub mod explained;
pub mod fits;
pub mod inputs;
pub mod issue;
pub mod limits;
pub mod map;
pub mod owner;
pub mod policy;
pub mod render;
pub mod report;
pub mod reservation;
pub mod rules;
pub mod size;
pub mod source;
#[cfg(feature = "symbols")]
pub mod symbols;
pub mod synth;
pub mod totals;
pub mod unexplained;

pub use analysis::{Analysis, analyze, analyze_with};
