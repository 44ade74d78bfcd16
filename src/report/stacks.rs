//! `stacks`: one row a stack.

use std::borrow::Cow;

use serde::Serialize;

use super::{DumpView, Hex, Input, Lazy, SCHEMA_VERSION};
use crate::dump::PointerWidth;
use crate::evidence::Confidence;
use crate::evidence::images::Places;
use crate::evidence::stacks::Stack;

/// The document of `stacks`.
#[derive(Debug, Serialize)]
pub struct StacksReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// In the order of the thread list; a WOW64 thread has two.
    pub stacks: Lazy<'a, StackView<'a>>,
    /// What the table and the line below it say of all.
    #[serde(skip)]
    pub sums: StackSums,
}

/// The stacks taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackSums {
    /// Bytes, reserved included.
    pub size: u64,
    /// Committed bytes; `None` when one is not known.
    pub committed: Option<u64>,
    /// Whether some are of the other pointer width.
    pub both_widths: bool,
    /// Whether some are only likely.
    pub unsure: bool,
}

/// One stack.
#[derive(Clone, Debug, Serialize)]
pub struct StackView<'a> {
    /// Its thread; null for one that no thread claims.
    pub thread_id: Option<u32>,
    /// The thread's name.
    pub name: Option<Cow<'a, str>>,
    /// 32 or 64.
    pub bits: u32,
    /// The TEB that gives it.
    pub teb: Option<Hex>,
    /// One past the highest byte: StackBase.
    pub base: Hex,
    /// The lowest committed byte: StackLimit.
    pub limit: Option<Hex>,
    /// Where its allocation begins.
    pub allocation_base: Option<Hex>,
    /// Bytes, reserved included.
    pub size: u64,
    /// Committed bytes, guard pages not counted.
    pub committed: Option<u64>,
    /// Bytes of guard pages.
    pub guard: Option<u64>,
    /// Bytes from the stack pointer to the base.
    pub used: Option<u64>,
    /// The stack pointer, when it lies in this stack.
    pub stack_pointer: Option<Hex>,
    /// Where the thread began.
    pub start_address: Option<Hex>,
    /// The same as module and offset.
    pub start: Option<String>,
    /// How the stack is known.
    pub confidence: &'static str,
}

impl<'a> StacksReport<'a> {
    /// The document for one analysis.
    pub fn of(input: &Input<'a>) -> StacksReport<'a> {
        let (evidence, input) = (&input.analysis.evidence, *input);
        let places = Places::of(&evidence.images);
        StacksReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(&input),
            stacks: Lazy::of(&evidence.stacks, move |stack| view(&input, stack, &places)),
            sums: sums(&evidence.stacks, input.analysis.map.width),
        }
    }
}

fn sums(stacks: &[Stack], width: PointerWidth) -> StackSums {
    let committed = stacks.iter().map(|stack| stack.committed);
    StackSums {
        size: stacks.iter().fold(0, |sum, stack| sum.saturating_add(stack.range.size())),
        committed: committed.reduce(|sum, bytes| Some(sum?.saturating_add(bytes?))).flatten(),
        both_widths: stacks.iter().any(|stack| stack.width != width),
        unsure: stacks.iter().any(|stack| stack.confidence >= Confidence::Heuristic),
    }
}

fn view<'a>(input: &Input<'a>, stack: &Stack, places: &Places<'_>) -> StackView<'a> {
    let thread = stack.thread.and_then(|at| input.analysis.dump.threads.get(at as usize));
    let info = thread.and_then(|thread| thread.info.as_deref());
    let start = info.map(|info| info.start_address).filter(|address| *address != 0);
    StackView {
        thread_id: thread.map(|thread| thread.id),
        name: thread.and_then(|thread| thread.name.as_deref()).map(|name| input.text(name)),
        bits: stack.width.bits(),
        teb: stack.teb.map(|teb| input.hex(teb)),
        base: input.hex(stack.base),
        limit: stack.limit.map(|limit| input.hex(limit)),
        allocation_base: stack.allocation_base.map(|base| input.hex(base)),
        size: stack.range.size(),
        committed: stack.committed,
        guard: stack.guard,
        used: stack.used,
        stack_pointer: stack.stack_pointer.map(|pointer| input.hex(pointer)),
        start_address: start.map(|address| input.hex(address)),
        start: start.and_then(|address| places.name(address)).map(|name| input.owned(name)),
        confidence: stack.confidence.as_str(),
    }
}
