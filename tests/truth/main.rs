//! Dumps of processes that wrote down what they did, against what they wrote.
//!
//! A scenario is a program that made a memory layout on purpose, with a truth file beside its dumps:
//! what it made, and what VirtualQueryEx and the thread, module and heap functions said of it when
//! the dump was written (`fixtures/README.md`). Some lie in `fixtures/scenarios`, all of them in the
//! shared folder. The library is asked, not the program.

#[path = "../support/mod.rs"]
mod support;

mod data;
mod explained;
mod items;
mod known;
mod linux;
mod streams;

use data::{Case, each_dotnet, each_linux, each_windows};

/// What does not agree, one line each: dump, what, expected and found.
type Wrong = Vec<String>;

#[test]
fn regions_are_what_virtual_query_said() {
    each_windows(streams::regions);
}

#[test]
fn sums_by_state_and_type_are_what_virtual_query_said() {
    each_windows(streams::sums);
}

#[test]
fn pieces_cover_the_range_once() {
    each_windows(pieces);
    each_linux(pieces);
}

#[test]
fn threads_and_their_stacks() {
    each_windows(streams::threads);
}

#[test]
fn modules_and_unloaded_modules() {
    each_windows(streams::modules);
}

#[test]
fn exceptions() {
    each_windows(streams::exception);
}

#[test]
fn what_the_programs_made() {
    each_windows(items::items);
}

#[test]
fn linux_maps_are_those_of_proc() {
    each_linux(linux::maps);
}

#[test]
fn what_the_linux_programs_made() {
    each_linux(linux::items);
}

#[test]
fn labels_by_structure_are_right() {
    each_windows(explained::windows);
    each_dotnet(explained::windows);
    each_linux(explained::linux);
}

/// Sizes out are sizes in: the pieces are disjoint, in order, and the rows add up to the range.
fn pieces(case: &Case<'_>, wrong: &mut Wrong) {
    let mut next = None;
    for piece in &case.pieces {
        if next.is_some_and(|next| piece.range.start() < next) {
            wrong.push(format!("piece {} begins before {next:x?}", piece.range));
        }
        if !piece.region.range.covers(piece.range) {
            wrong.push(format!("piece {} reaches out of its region", piece.range));
        }
        next = Some(piece.range.end());
    }
    let audit = case.analysis.totals.audit;
    let sum: u64 = case.pieces.iter().map(|piece| piece.range.size()).sum();
    if audit.accounted != audit.range_size || sum != audit.range_size || audit.overlaps != 0 {
        wrong.push(format!("pieces of {sum:#x} bytes, {audit:x?}"));
    }
}
