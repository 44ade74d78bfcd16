//! The stacks of the threads. Sources, best first: TEB (DeallocationStack to
//! StackBase), the maps text of Linux, the descriptor in the thread list, the
//! allocation around the stack pointer. Never a guard page alone.
//!
//! A thread of which none of these is known (no TEB, no descriptor, a stack
//! pointer that hits nothing) has no row: a stack that nobody has seen is not
//! invented.

mod linux;
mod shape;
#[cfg(test)]
mod tests;
mod windows;

use super::survey::Survey;
use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::addr::AddressRange;
use crate::dump::{Dump, Platform, PointerWidth};
use crate::evidence::environment::Teb;
use crate::map::RegionMap;

/// One stack. A WOW64 thread has two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Index of the thread in the thread list; `None` for a stack that was
    /// recognised by shape and that no thread claims.
    pub thread: Option<u32>,
    /// 64-bit or 32-bit stack.
    pub width: PointerWidth,
    /// The TEB it comes from.
    pub teb: Option<u64>,
    /// The whole stack: reserved, guard and committed parts.
    pub range: AddressRange,
    /// One past the highest byte: StackBase.
    pub base: u64,
    /// The lowest committed byte: StackLimit of the TEB, else the lowest
    /// committed byte above the guard; `None` when the map does not say.
    pub limit: Option<u64>,
    /// Allocation base.
    pub allocation_base: Option<u64>,
    /// Committed bytes, guard pages not counted; `None` when not known.
    pub committed: Option<u64>,
    /// Bytes of guard pages; `None` when not known.
    pub guard: Option<u64>,
    /// Stack pointer, when it lies in this stack.
    pub stack_pointer: Option<u64>,
    /// Bytes from the stack pointer to the base.
    pub used: Option<u64>,
    /// How it is known.
    pub confidence: Confidence,
}

impl Stack {
    /// A stack of which only its range is known, which ends at its base.
    fn bare(range: AddressRange, width: PointerWidth, confidence: Confidence) -> Stack {
        Stack {
            thread: None,
            width,
            teb: None,
            range,
            base: range.end(),
            limit: None,
            allocation_base: None,
            committed: None,
            guard: None,
            stack_pointer: None,
            used: None,
            confidence,
        }
    }

    /// Takes the thread's stack pointer, if it lies in this stack.
    fn with_pointer(mut self, stack_pointer: Option<u64>) -> Stack {
        let inside = |pointer: &u64| self.range.contains(*pointer) && *pointer <= self.base;
        self.stack_pointer = stack_pointer.filter(inside);
        self.used = self.stack_pointer.and_then(|pointer| self.base.checked_sub(pointer));
        self
    }
}

/// What the streams say of each thread's stack, in the order of the threads.
#[derive(Debug)]
pub(super) struct Pointers(Vec<Pointer>);

/// What the streams say of one thread's stack.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    /// Of its registers.
    stack_pointer: Option<u64>,
    /// The stack memory that the writer chose.
    descriptor: Option<AddressRange>,
}

impl Pointers {
    /// Reads the registers of every thread.
    pub(super) fn of(dump: &Dump<'_>) -> Pointers {
        let width = dump.system.width;
        let pointer = |thread| Pointer {
            stack_pointer: dump
                .registers(thread)
                .map(|registers| width.mask(registers.stack_pointer))
                .filter(|pointer| *pointer != 0),
            descriptor: AddressRange::new(width.mask(thread.stack.0), thread.stack.1)
                .filter(|range| range.start() != 0 && range.last() <= width.mask(u64::MAX)),
        };
        Pointers(dump.threads.iter().map(pointer).collect())
    }

    /// The addresses whose allocations will be wanted.
    pub(super) fn addresses(&self, tebs: &[Teb]) -> Vec<u64> {
        let bases = tebs.iter().filter_map(|teb| teb.stack_base.checked_sub(1));
        let descriptors = self.0.iter().filter_map(|pointer| Some(pointer.descriptor?.last()));
        let pointers = self.0.iter().filter_map(|pointer| pointer.stack_pointer);
        bases.chain(descriptors).chain(pointers).collect()
    }
}

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    pointers: &Pointers,
    survey: &Survey,
    evidence: &mut Evidence,
) {
    match dump.system.platform {
        Platform::Windows => {
            windows::gather(dump, map, pointers, survey, evidence);
            shape::gather(dump, survey, evidence);
        }
        Platform::Linux | Platform::Android => linux::gather(dump, map, pointers, evidence),
        _ => descriptors(dump, pointers, evidence),
    }
}

/// Where nothing but the thread list is known: macOS, and dumps that do not
/// say what they are of.
fn descriptors(dump: &Dump<'_>, pointers: &Pointers, evidence: &mut Evidence) {
    for (pointer, thread) in pointers.0.iter().zip(0_u32..) {
        let Some(range) = pointer.descriptor else { continue };
        let stack = Stack {
            thread: Some(thread),
            ..Stack::bare(range, dump.system.width, Confidence::Recorded)
        };
        let detail = Detail::Words("the stack memory that the writer of the dump chose");
        push(
            evidence,
            stack.with_pointer(pointer.stack_pointer),
            EvidenceSource::ThreadList,
            detail,
        );
    }
}

/// Adds a row and the claim of its whole range.
fn push(evidence: &mut Evidence, stack: Stack, source: EvidenceSource, detail: Detail) {
    let usage = Use::Plain;
    push_as(evidence, stack, source, detail, usage);
}

fn push_as(
    evidence: &mut Evidence,
    stack: Stack,
    source: EvidenceSource,
    detail: Detail,
    usage: Use,
) {
    let Ok(row) = u32::try_from(evidence.stacks.len()) else { return };
    evidence.claims.push(Claim {
        range: stack.range,
        kind: Some(RegionKind::Stack),
        usage,
        subject: Subject::Stack(row),
        confidence: stack.confidence,
        source,
        detail,
    });
    evidence.stacks.push(stack);
}
