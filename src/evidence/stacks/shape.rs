//! Stacks that no thread claims, by the shape of their allocation: of threads
//! that the writer left out, of fibers, and the 64-bit ones of WOW64 threads
//! in 32-bit dumps.
//!
//! Seen on Windows 7 to 11: every thread stack has the shape, and every other
//! allocation with it was a stack of another kind. A program that puts guard
//! pages below its own memory is taken for one.

use super::{Stack, push_as};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::evidence::survey::{StackShape, Survey};
use crate::evidence::{Confidence, Detail, Evidence, EvidenceSource, Use};

pub(super) fn gather(dump: &Dump<'_>, survey: &Survey, evidence: &mut Evidence) {
    if survey.stacks.is_empty() {
        return;
    }
    let mut known: Vec<AddressRange> = evidence.stacks.iter().map(|stack| stack.range).collect();
    known.sort_unstable_by_key(|range| range.start());
    let mut known = known.into_iter().peekable();
    for shape in &survey.stacks {
        while known.next_if(|range| range.last() < shape.range.start()).is_some() {}
        if known.peek().is_some_and(|range| range.overlaps(shape.range)) {
            continue;
        }
        let wow64 = dump.system.width == PointerWidth::Bits32
            && evidence.environment.wow64
            && is_wow64_shape(shape);
        let (width, usage, detail) = match wow64 {
            true => (
                PointerWidth::Bits64,
                Use::Named("64-bit stack (WOW64)"),
                "256 KiB with three guard pages in a 32-bit process on 64-bit Windows, thread unknown",
            ),
            false => (
                dump.system.width,
                Use::Named("stack, thread unknown"),
                "reserved, guard and read-write pages in this order; no thread names it",
            ),
        };
        let stack = Stack {
            limit: Some(shape.limit),
            allocation_base: Some(shape.range.start()),
            committed: Some(shape.committed),
            guard: Some(shape.guard),
            ..Stack::bare(shape.range, width, Confidence::Heuristic)
        };
        push_as(evidence, stack, EvidenceSource::Shape, Detail::Words(detail), usage);
    }
    if survey.not_kept > 0 {
        evidence.issues.add(None, None, || {
            format!("{} more allocations with a telling shape were not looked at", survey.not_kept)
        });
    }
}

/// 32-bit stacks have two guard pages and other sizes.
fn is_wow64_shape(shape: &StackShape) -> bool {
    shape.range.size() == 0x4_0000 && shape.guard == 0x3000
}
