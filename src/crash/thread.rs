//! The thread that crashed: its registers, and how full its stack was.

use crate::addr::AddressRange;
use crate::dump::{Dump, Exception, Registers, Thread};
use crate::evidence::Evidence;
use crate::map::{MapSource, RegionMap};
use crate::size::human;

/// The thread that crashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashThread {
    /// Its id.
    pub id: u32,
    /// Its place in the thread list; `None` when the list does not have it.
    pub index: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// Its registers at the exception, in the processor's order; empty when
    /// the dump has none.
    pub registers: Vec<(&'static str, u64)>,
    /// The three of them that lead to frames.
    pub pointers: Option<Registers>,
    /// Its stack, when one is known that holds the stack pointer.
    pub stack: Option<StackState>,
    /// Whether stacks of it are known, and none holds its stack pointer.
    pub is_off_stack: bool,
}

/// EXCEPTION_STACK_OVERFLOW.
pub(super) const STACK_OVERFLOW: u32 = 0xc000_00fd;

/// How full a stack was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackState {
    /// The whole stack: reserved, guard and committed parts.
    pub range: AddressRange,
    /// The lowest committed byte.
    pub limit: Option<u64>,
    /// Bytes from the stack pointer to the base.
    pub used: u64,
    /// Bytes from the stack's lowest address to the stack pointer; `None`
    /// where it may go further down: without a map, and for the main thread
    /// of Linux, whose stack grows.
    pub left: Option<u64>,
}

impl CrashThread {
    pub(super) fn of(
        dump: &Dump<'_>,
        map: &RegionMap<'_>,
        evidence: &Evidence,
        exception: &Exception,
    ) -> CrashThread {
        let index = dump.threads.iter().position(|thread| thread.id == exception.thread_id);
        let unlisted = unlisted(exception);
        let thread = index.and_then(|at| dump.threads.get(at)).unwrap_or(&unlisted);
        let index = index.and_then(|at| u32::try_from(at).ok());
        let pointers = dump.registers(thread);
        let own = || evidence.stacks.iter().filter(|stack| stack.thread == index);
        let with_pointer = || own().find(|stack| stack.used.is_some());
        let stack = index.and_then(|_| with_pointer()).and_then(|stack| {
            let used = stack.used?;
            let left = stack.stack_pointer?.checked_sub(stack.range.start())?;
            let grows =
                map.source == MapSource::LinuxMaps && dump.process.id == Some(exception.thread_id);
            let is_whole = map.source != MapSource::Rebuilt || stack.allocation_base.is_some();
            let left = (is_whole && !grows).then_some(left);
            Some(StackState { range: stack.range, limit: stack.limit, used, left })
        });
        CrashThread {
            id: exception.thread_id,
            index,
            name: thread.name.clone(),
            registers: dump.context(thread).map(|context| context.registers).unwrap_or_default(),
            pointers,
            stack,
            is_off_stack: index.is_some()
                && pointers.is_some()
                && stack.is_none()
                && own().next().is_some(),
        }
    }

    /// Where it was.
    pub fn instruction(&self) -> Option<u64> {
        self.pointers.map(|pointers| pointers.instruction_pointer)
    }

    /// The value of a register.
    pub(super) fn register(&self, name: &str) -> Option<u64> {
        self.registers.iter().find(|(of, _)| *of == name).map(|(_, value)| *value)
    }

    pub(super) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("thread {} ({name})", self.id),
            None => format!("thread {}", self.id),
        }
    }
}

/// A thread that only the exception stream knows: its registers are there.
fn unlisted(exception: &Exception) -> Thread {
    Thread {
        id: exception.thread_id,
        suspend_count: 0,
        priority: (0, 0),
        teb: 0,
        stack: (0, 0),
        stack_offset: 0,
        context: None,
        name: None,
        info: None,
    }
}

/// What the state of the stack adds to the reason.
pub(super) fn explain(thread: &CrashThread, code: u32) -> Vec<String> {
    let mut out = Vec::new();
    if thread.is_off_stack {
        out.push("the stack pointer lies outside every known stack of the thread".to_owned());
    }
    if let Some(stack) = thread.stack.filter(|_| code == STACK_OVERFLOW) {
        let used = format!("{} used {} of its stack", thread.title(), human(stack.used));
        out.push(match stack.left {
            Some(left) => format!(
                "{used} of {}; {} are left below the stack pointer",
                human(stack.range.size()),
                human(left)
            ),
            None => used,
        });
    }
    out
}
