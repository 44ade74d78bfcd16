//! Stacks of Linux and Android threads: the mapping that holds the descriptor
//! of the thread list, or else the stack pointer, and the inaccessible
//! mapping below it.
//!
//! The kernel joins neighbouring anonymous mappings of equal protection, so
//! that a mapping without a visible guard may hold more than one stack, or
//! other things too: then it is a guess and says so.

use std::collections::HashMap;

use super::{Pointer, Pointers, Stack, push};
use crate::addr::AddressRange;
use crate::dump::Dump;
use crate::evidence::{
    Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use,
};
use crate::map::{MapSource, MemoryType, Origin, Protection, Region, RegionMap};

/// glibc's and Android's default; larger ones are asked for.
const PAGE: u64 = 0x1000;
/// A larger inaccessible mapping is something else that a guard was joined
/// with, such as the unused end of a malloc arena.
const LARGEST_GUARD: u64 = 1 << 20;

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    pointers: &Pointers,
    evidence: &mut Evidence,
) {
    let mut found: Vec<(u32, Found)> = Vec::new();
    let mut users: HashMap<u64, u32> = HashMap::new();
    for (pointer, thread) in pointers.0.iter().zip(0_u32..) {
        if let Some(of_thread) = look(dump, map, pointer) {
            let count = users.entry(of_thread.stack.range.start()).or_default();
            *count = count.saturating_add(1);
            found.push((thread, of_thread));
        }
    }
    for (thread, mut of_thread) in found {
        if users.get(&of_thread.stack.range.start()).is_some_and(|count| *count > 1) {
            of_thread.stack.confidence = Confidence::Heuristic;
            of_thread.detail = Detail::Words("several threads have their stacks in this mapping");
        }
        add(evidence, thread, of_thread);
    }
}

struct Found {
    stack: Stack,
    guard: Option<AddressRange>,
    source: EvidenceSource,
    detail: Detail,
}

fn add(evidence: &mut Evidence, thread: u32, found: Found) {
    let row = u32::try_from(evidence.stacks.len()).unwrap_or(u32::MAX);
    let confidence = found.stack.confidence;
    if let Some(guard) = found.guard {
        evidence.claims.push(Claim {
            range: guard,
            kind: Some(RegionKind::Stack),
            usage: Use::Named("stack guard"),
            subject: Subject::Stack(row),
            confidence,
            source: found.source,
            detail: Detail::Words("inaccessible mapping right below the stack"),
        });
    }
    push(evidence, Stack { thread: Some(thread), ..found.stack }, found.source, found.detail);
}

fn look(dump: &Dump<'_>, map: &RegionMap<'_>, pointer: &Pointer) -> Option<Found> {
    let address = pointer.descriptor.map(AddressRange::start).or(pointer.stack_pointer)?;
    let region = map.find(address).filter(|region| region.origin != Origin::Gap);
    let mapping = region.filter(|_| map.source != MapSource::Rebuilt);
    let found = match mapping {
        Some(region) => of_mapping(dump, map, &region),
        None => None,
    };
    let found = match (found, pointer.descriptor) {
        (Some(found), _) => found,
        (None, Some(range)) => Found {
            stack: Stack::bare(range, dump.system.width, Confidence::Recorded),
            guard: None,
            source: EvidenceSource::ThreadList,
            detail: Detail::Words("the stack memory that the writer of the dump chose"),
        },
        (None, None) => return None,
    };
    Some(Found { stack: found.stack.with_pointer(pointer.stack_pointer), ..found })
}

/// The stack that is this mapping; `None` when it is no memory for a stack.
fn of_mapping(dump: &Dump<'_>, map: &RegionMap<'_>, region: &Region) -> Option<Found> {
    let name = name_of(dump, region);
    let is_private = region.memory_type == Some(MemoryType::Private);
    let is_stack_memory = is_private
        && (region.protect == Protection::READ_WRITE
            || region.protect == Protection::EXECUTE_READ_WRITE);
    if !is_stack_memory || name == "[heap]" {
        return None;
    }
    let guard = guard_below(map, region);
    let (confidence, detail) = match (guard, is_stack_name(name)) {
        (_, true) => (Confidence::Recorded, "the maps text names the mapping a stack"),
        (Some(_), false) => (
            Confidence::Derived,
            "the mapping with the thread's stack memory, above an inaccessible one",
        ),
        (None, false) => (
            Confidence::Heuristic,
            "the mapping with the thread's stack memory; no guard below, so it may hold more",
        ),
    };
    let stack = Stack {
        limit: Some(region.range.start()),
        allocation_base: region.allocation_base,
        committed: Some(region.range.size()),
        guard: Some(guard.map_or(0, AddressRange::size)),
        ..Stack::bare(region.range, dump.system.width, confidence)
    };
    let source = match map.source {
        MapSource::LinuxMaps => EvidenceSource::LinuxMaps,
        _ => EvidenceSource::MemoryInfoList,
    };
    Some(Found { stack, guard, source, detail: Detail::Words(detail) })
}

/// The guard right below a stack.
fn guard_below(map: &RegionMap<'_>, region: &Region) -> Option<AddressRange> {
    let last = region.range.start().checked_sub(1)?;
    let below = map.find(last).filter(|below| {
        below.origin != Origin::Gap
            && below.memory_type == Some(MemoryType::Private)
            && below.protect == Protection::NO_ACCESS
    })?;
    match below.range.size() <= LARGEST_GUARD {
        true => Some(below.range),
        false => AddressRange::spanning(last.checked_sub(PAGE.saturating_sub(1))?, last),
    }
}

/// `[stack]` of the main thread, `[stack:tid]` of Linux 3.4 to 4.4, and
/// Android's names for the stacks of threads.
fn is_stack_name(name: &str) -> bool {
    name == "[stack]" || name.starts_with("[stack:") || name.starts_with("[anon:stack_and_tls:")
}

fn name_of<'d>(dump: &'d Dump<'_>, region: &Region) -> &'d str {
    let Origin::LinuxMap(line) = region.origin else { return "" };
    let maps = dump.linux.maps.as_ref().map_or(&[][..], |maps| &maps.maps);
    let line = usize::try_from(line).ok().and_then(|line| maps.get(line));
    line.map_or("", |line| line.name.as_str())
}
