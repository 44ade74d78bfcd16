//! Stacks of Windows threads. The TEB decides; without it the thread list's
//! descriptor, which ends at StackBase in the dumps of every known writer;
//! without that the private allocation around the stack pointer.

use super::{Pointer, Pointers, Stack, push};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth, stream_type};
use crate::evidence::environment::Teb;
use crate::evidence::survey::{Allocation, Survey};
use crate::evidence::{Confidence, Detail, Evidence, EvidenceSource};
use crate::map::{MapSource, MemoryType, Protection, RegionMap, State};

const PAGE: u64 = 0x1000;
/// No stack is larger; a TEB that says so is damaged.
const LARGEST: u64 = 1 << 40;
/// Without a TEB an allocation that is larger is not taken for a stack.
const LARGEST_UNSURE: u64 = 4 << 30;
const BELOW_4_GIB: u64 = 1 << 32;

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    pointers: &Pointers,
    survey: &Survey,
    evidence: &mut Evidence,
) {
    let tebs = std::mem::take(&mut evidence.environment.tebs);
    let mut next = tebs.iter().peekable();
    let mut look = Look { map, survey, steps: 4_000_000 };
    evidence.stacks.reserve(pointers.0.len());
    evidence.claims.reserve(pointers.0.len());
    for (pointer, thread) in pointers.0.iter().zip(0_u32..) {
        let rows = evidence.stacks.len();
        while let Some(teb) = next.next_if(|teb| teb.thread == thread) {
            match look.teb_stack(teb) {
                Ok(stack) => {
                    let detail = teb_detail(teb, pointer.descriptor);
                    let stack = stack.with_pointer(pointer.stack_pointer);
                    push(evidence, stack, EvidenceSource::Teb, detail);
                }
                Err(why) => evidence.issues.add(Some(stream_type::THREAD_LIST), None, || {
                    format!(
                        "TEB at {:#x}: stack {:#x} to {:#x} {why}; not used",
                        teb.address,
                        teb.deallocation_stack.unwrap_or(teb.stack_limit),
                        teb.stack_base
                    )
                }),
            }
        }
        let wow64 = evidence.environment.wow64;
        let known = evidence.stacks.get(rows..).unwrap_or(&[]);
        for found in look.without_teb(dump, wow64, *pointer, known).into_iter().flatten() {
            let stack = Stack { thread: Some(thread), ..found.stack };
            let stack = stack.with_pointer(pointer.stack_pointer);
            push(evidence, stack, found.source, found.detail);
        }
    }
    evidence.environment.tebs = tebs;
}

/// What the claim says beside "TEB".
fn teb_detail(teb: &Teb, descriptor: Option<AddressRange>) -> Detail {
    if let Some(fiber) = teb.fiber {
        return Detail::At("DeallocationStack to StackBase, switched to the fiber at", fiber);
    }
    match descriptor {
        Some(range) if range.end() == teb.stack_base => Detail::At(
            "DeallocationStack to StackBase; the thread list agrees, and begins at",
            range.start(),
        ),
        _ => Detail::At("DeallocationStack to StackBase of the TEB at", teb.address),
    }
}

struct Found {
    stack: Stack,
    source: EvidenceSource,
    detail: Detail,
}

/// Looks at the map on behalf of all threads, with one bound for all.
struct Look<'a, 's> {
    map: &'a RegionMap<'s>,
    survey: &'a Survey,
    /// Regions that may still be looked at. Real stacks have three; a forged
    /// dump can name one allocation of a million regions in every thread.
    steps: u64,
}

impl Look<'_, '_> {
    fn teb_stack(&mut self, teb: &Teb) -> Result<Stack, &'static str> {
        let (base, limit) = (teb.stack_base, teb.stack_limit);
        let last = base.checked_sub(1).ok_or("is empty")?;
        let allocation = self.survey.allocation(last).copied();
        let low = teb
            .deallocation_stack
            .or(allocation.map(|allocation| allocation.range.start()))
            .unwrap_or(limit);
        if !(low <= limit && limit <= base && low < base) {
            return Err("is out of order");
        }
        if !low.is_multiple_of(PAGE) || !limit.is_multiple_of(PAGE) {
            return Err("is not made of pages");
        }
        // The 64-bit stacks of WOW64 threads begin a little below the end of
        // their last page.
        let end = base.checked_next_multiple_of(PAGE).unwrap_or(base);
        let range = AddressRange::between(low, end).ok_or("is empty")?;
        if range.size() > LARGEST {
            return Err("is larger than any stack");
        }
        if self.map.source == MapSource::MemoryInfo
            && !allocation.is_some_and(|allocation| allocation.range.covers(range))
        {
            return Err("does not lie in one allocation");
        }
        let stack = Stack {
            thread: Some(teb.thread),
            teb: Some(teb.address),
            base,
            limit: Some(limit),
            allocation_base: Some(low),
            // The TEB's own account, where no map has a better one.
            committed: base.checked_sub(limit),
            ..Stack::bare(range, teb.width, Confidence::Derived)
        };
        Ok(match allocation {
            Some(allocation) => self.measured(stack, &allocation),
            None => stack,
        })
    }

    /// What the streams say of a thread beside its stacks that are `known`
    /// from TEBs: a native stack, and the 32-bit one of a WOW64 thread.
    fn without_teb(
        &mut self,
        dump: &Dump<'_>,
        wow64: bool,
        pointer: Pointer,
        known: &[Stack],
    ) -> [Option<Found>; 2] {
        let width = dump.system.width;
        let native_known = known.iter().any(|stack| stack.width == width);
        let other_known = known.iter().any(|stack| stack.width != width);
        let (other, native) = match pointer.descriptor {
            Some(range) if is_32_bit_stack(dump, wow64, pointer, range, known) => {
                (Some(range), None)
            }
            native => (None, native),
        };
        let native = match (native, pointer.stack_pointer) {
            _ if native_known => None,
            (Some(range), _) => Some(self.descriptor_stack(range, width)),
            (None, Some(pointer)) => self.pointer_stack(pointer, width),
            (None, None) => None,
        };
        let other = other.filter(|_| !other_known);
        [native, other.map(|range| self.descriptor_stack(range, PointerWidth::Bits32))]
    }

    fn descriptor_stack(&mut self, descriptor: AddressRange, width: PointerWidth) -> Found {
        let source = EvidenceSource::ThreadList;
        let allocation = self.survey.allocation(descriptor.last()).copied().filter(|allocation| {
            allocation.memory_type == Some(MemoryType::Private)
                && allocation.range.covers(descriptor)
                && allocation.range.size() <= LARGEST_UNSURE
        });
        let whole = allocation.and_then(|allocation| {
            let end = descriptor.end().checked_next_multiple_of(PAGE)?;
            let end = end.min(allocation.range.end());
            Some((allocation, AddressRange::between(allocation.range.start(), end)?))
        });
        let Some((allocation, range)) = whole else {
            let stack = Stack::bare(descriptor, width, Confidence::Recorded);
            let detail = Detail::Words(
                "the stack memory that the writer of the dump chose; no TEB, so there may be more",
            );
            return Found { stack, source, detail };
        };
        let base = descriptor.end();
        let stack = Stack {
            base,
            limit: self.lowest_committed(&allocation, descriptor.last()),
            allocation_base: Some(range.start()),
            ..Stack::bare(range, width, Confidence::Recorded)
        };
        let detail = Detail::At(
            "no TEB; the allocation around the stack memory that the writer chose, from",
            descriptor.start(),
        );
        Found { stack: self.measured(stack, &allocation), source, detail }
    }

    /// The allocation around a stack pointer, when it is private, read-write,
    /// and more than guard pages.
    fn pointer_stack(&mut self, pointer: u64, width: PointerWidth) -> Option<Found> {
        let allocation = self.survey.allocation(pointer).copied().filter(|allocation| {
            allocation.memory_type == Some(MemoryType::Private)
                && allocation.protect == Protection::READ_WRITE
                && allocation.committed > 0
                && allocation.range.size() <= LARGEST_UNSURE
        })?;
        self.map.find(pointer).filter(|region| region.state == State::Commit)?;
        let range = allocation.range;
        let stack = Stack {
            limit: self.lowest_committed(&allocation, range.last()),
            allocation_base: Some(range.start()),
            ..Stack::bare(range, width, Confidence::Heuristic)
        };
        Some(Found {
            stack: self.measured(stack, &allocation),
            source: EvidenceSource::ThreadContext,
            detail: Detail::At("no TEB; the allocation around the stack pointer", pointer),
        })
    }

    /// Adds committed and guard bytes of its range.
    fn measured(&mut self, stack: Stack, allocation: &Allocation) -> Stack {
        if stack.range == allocation.range {
            let (committed, guard) = (Some(allocation.committed), Some(allocation.guard));
            return Stack { committed, guard, ..stack };
        }
        let (mut committed, mut guard) = (0_u64, 0_u64);
        for region in self.map.regions_in(stack.range) {
            let Some(steps) = self.steps.checked_sub(1) else {
                return Stack { committed: None, guard: None, ..stack };
            };
            self.steps = steps;
            let part = region.range.intersect(stack.range).map_or(0, AddressRange::size);
            match (region.state, region.protect.is_guard()) {
                (State::Commit, true) => guard = guard.saturating_add(part),
                (State::Commit, false) => committed = committed.saturating_add(part),
                _ => {}
            }
        }
        Stack { committed: Some(committed), guard: Some(guard), ..stack }
    }

    /// The lowest byte that is committed without a guard all the way up to
    /// `from`.
    fn lowest_committed(&mut self, allocation: &Allocation, from: u64) -> Option<u64> {
        let end = allocation.first.saturating_add(allocation.regions);
        let mut lowest = None;
        for index in (allocation.first..end).rev() {
            self.steps = self.steps.checked_sub(1)?;
            let region = self.map.get(index)?;
            if region.range.start() > from {
                continue;
            }
            let usable = region.state == State::Commit
                && !region.protect.is_guard()
                && region.protect.is_readable();
            if !usable {
                break;
            }
            lowest = Some(region.range.start());
        }
        lowest
    }
}

/// Whether a descriptor is of the 32-bit stack of a WOW64 thread: in 64-bit
/// dumps of such processes it is, while the registers are the 64-bit ones.
fn is_32_bit_stack(
    dump: &Dump<'_>,
    wow64: bool,
    pointer: Pointer,
    descriptor: AddressRange,
    known: &[Stack],
) -> bool {
    let mut native = known.iter().filter(|stack| stack.width == PointerWidth::Bits64);
    let teb_is_low = known.iter().any(|stack| stack.teb.is_some_and(|teb| teb < BELOW_4_GIB));
    dump.system.width == PointerWidth::Bits64
        && (wow64 || teb_is_low)
        && descriptor.end() <= BELOW_4_GIB
        && !pointer.stack_pointer.is_some_and(|pointer| descriptor.contains(pointer))
        && !native.any(|stack| stack.range.overlaps(descriptor))
}
