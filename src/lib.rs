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
//! [`analyze`] runs all of it. Facts, claims and conclusions are different
//! types: a gatherer adds claims and never edits a region, and only
//! [`classify`] concludes.

pub mod addr;
pub mod analysis;
pub mod classify;
pub mod dump;
pub mod error;
pub mod evidence;
pub mod issue;
pub mod limits;
pub mod map;
pub mod render;
pub mod report;
pub mod rules;
pub mod size;
pub mod source;
pub mod synth;
pub mod totals;

pub use analysis::{Analysis, analyze, analyze_with};
