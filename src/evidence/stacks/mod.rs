//! The stacks of the threads. Sources, best first: TEB (DeallocationStack to
//! StackBase), the maps text of Linux, the descriptor in the thread list, the
//! allocation around the stack pointer. Never a guard page alone.

use super::{Confidence, Evidence};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
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

pub(super) fn gather(_dump: &Dump<'_>, _map: &RegionMap<'_>, _evidence: &mut Evidence) {}
