//! The thread that crashed ran out of stack.

use super::common::{is_linux, is_windows, thread_title};
use super::{Facts, Finding, Rule, Severity, Threshold, Unit};
use crate::addr::AddressRange;
use crate::dump::{Exception, PointerWidth};
use crate::evidence::stacks::Stack;
use crate::map::{MemoryType, Origin, Protection};
use crate::size::human;

const REACH: Threshold = Threshold::new(
    "reach",
    (64 << 10, Unit::Bytes),
    "judgement: how far below the stack pointer one function call writes; larger frames are probed page by page",
);

pub(super) const RULE: Rule = Rule {
    id: "stack-overflow",
    severity: Severity::Error,
    title: "the thread that crashed ran out of stack",
    manual: include_str!("stack_overflow.md"),
    thresholds: &[REACH],
    check,
};

const STATUS_STACK_OVERFLOW: u32 = 0xc000_00fd;

fn check(facts: Facts<'_>) -> Vec<Finding> {
    let Some(exception) = facts.dump.exception.as_ref().filter(|exception| exception.is_crash)
    else {
        return Vec::new();
    };
    let Some(overflow) = find(facts, exception) else { return Vec::new() };
    let mut details = vec![overflow.how];
    let mut numbers = Vec::new();
    let mut ranges = Vec::new();
    if let Some(stack) = overflow.stack {
        let used = stack.used.map_or("all".into(), human);
        details.push(format!(
            "its stack, {:#x} to {:#x}, is {} in size, {used} of it used",
            stack.range.start(),
            stack.base,
            human(stack.range.size())
        ));
        numbers.push(("stack_size", stack.range.size()));
        numbers.extend(stack.used.map(|used| ("stack_used", used)));
        ranges.push(stack.range);
    }
    let title = match overflow.thread {
        Some(thread) => thread_title(facts, thread),
        None => format!("{:#x}", exception.thread_id),
    };
    vec![Finding {
        details,
        ranges,
        numbers,
        next: "look for recursion in its frames: dumpmap crash DUMP; see all stacks: dumpmap stacks DUMP".into(),
        ..RULE.finding(format!("thread {title} ran out of stack"))
    }]
}

/// The thread that ran out of stack.
#[derive(Clone, Debug)]
struct Overflow<'a> {
    /// Its place in the thread list, if it is there.
    thread: Option<u32>,
    how: String,
    stack: Option<&'a Stack>,
}

/// The thread that ran out of stack, by its place in the thread list.
pub(super) fn overflowed_thread(facts: Facts<'_>) -> Option<u32> {
    let crash = facts.dump.exception.as_ref().filter(|exception| exception.is_crash);
    find(facts, crash?)?.thread
}

fn find<'a>(facts: Facts<'a>, exception: &Exception) -> Option<Overflow<'a>> {
    let threads = facts.dump.threads.iter().zip(0_u32..);
    let mut crashed = threads.filter(|(thread, _)| thread.id == exception.thread_id);
    let crashed = crashed.next();
    let thread = crashed.map(|(_, at)| at);
    let pointer = crashed.and_then(|(thread, _)| facts.dump.registers(thread));
    let pointer = pointer.map(|registers| facts.map.width.mask(registers.stack_pointer));
    let stacks = || {
        let of_thread = move |stack: &&Stack| thread.is_some() && stack.thread == thread;
        facts.evidence.stacks.iter().filter(of_thread)
    };
    if is_windows(facts) && exception.code == STATUS_STACK_OVERFLOW {
        // In a 64-bit dump of a WOW64 process the smaller half overflows.
        let inside = stacks().find(|stack| stack.stack_pointer.is_some());
        let stack = inside.or_else(|| stacks().next());
        return Some(Overflow {
            thread,
            how: "exception 0xc00000fd, STATUS_STACK_OVERFLOW".into(),
            stack,
        });
    }
    if !is_memory_fault(facts, exception) {
        return None;
    }
    let fault = exception.crash_address?;
    let pointer = pointer?;
    let reach = facts.value(&RULE, &REACH);
    let near = fault.abs_diff(pointer) <= reach;
    for stack in stacks() {
        let hit = match beyond(stack) {
            _ if stack.base <= fault => None,
            Some(limit) if fault >= stack.range.start() && fault < limit => {
                // A stray pointer into the unused part of a healthy stack is
                // no overflow.
                let room = limit - stack.range.start();
                (pointer < limit || room <= reach)
                    .then_some("lies in the guard or the reserved part of its stack")
            }
            _ => {
                let below = stack.range.start().checked_sub(fault);
                let close = below
                    .is_some_and(|below| below > 0 && below <= guard_of(facts, stack).max(reach));
                (close && near).then_some("lies right below its stack")
            }
        };
        if let Some(where_) = hit {
            let how = format!("the address of the fault, {fault:#x}, {where_}");
            return Some(Overflow { thread, how, stack: Some(stack) });
        }
    }
    let guard = guard_mapping(facts, fault).filter(|_| near)?;
    let how = format!(
        "the address of the fault, {fault:#x}, lies in the guard at {:#x} below the memory that the stack pointer came from",
        guard.start()
    );
    Some(Overflow { thread, how, stack: None })
}

/// Access violation and guard page on Windows, SIGSEGV and SIGBUS on Linux.
fn is_memory_fault(facts: Facts<'_>, exception: &Exception) -> bool {
    match exception.code {
        0xc000_0005 | 0x8000_0001 => is_windows(facts),
        7 | 11 => is_linux(facts),
        // EXC_BAD_ACCESS
        1 => !is_windows(facts) && !is_linux(facts),
        _ => false,
    }
}

/// The lowest byte that can be used: below are guard and reserve.
fn beyond(stack: &Stack) -> Option<u64> {
    stack.limit.filter(|limit| *limit > stack.range.start())
}

/// On Linux the guard is a mapping of its own, below the stack.
fn guard_of(facts: Facts<'_>, stack: &Stack) -> u64 {
    if is_linux(facts) { stack.guard.unwrap_or(0) } else { 0 }
}

/// Linux: an inaccessible mapping right below one that can be written, where
/// no thread's stack is known.
fn guard_mapping(facts: Facts<'_>, fault: u64) -> Option<AddressRange> {
    const LARGEST: u64 = 1 << 20;
    let is_private = |region: &crate::map::Region| {
        region.origin != Origin::Gap && region.memory_type == Some(MemoryType::Private)
    };
    let guard = facts.map.find(fault).filter(|guard| {
        is_linux(facts)
            && is_private(guard)
            && guard.protect == Protection::NO_ACCESS
            && guard.range.size() <= LARGEST
    })?;
    let above = facts.map.find(guard.range.last().checked_add(1)?)?;
    (is_private(&above) && above.protect == Protection::READ_WRITE).then_some(guard.range)
}

/// Whether an address lies so little below a stack that a thread which ran
/// out of it would have it for its stack pointer.
pub(super) fn is_just_below(facts: Facts<'_>, stack: &Stack, pointer: u64) -> bool {
    let below = stack.range.start().checked_sub(pointer);
    below.is_some_and(|below| below <= facts.value(&RULE, &REACH))
}

/// Stacks of the process's own width: the 64-bit ones of WOW64 threads are
/// the system's business.
pub(super) fn is_own(facts: Facts<'_>, stack: &Stack) -> bool {
    stack.width == facts.map.width
        && !(facts.evidence.environment.wow64 && stack.width == PointerWidth::Bits64)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{finding, findings};
    use crate::synth::windows::{Capture, Process, ThreadPlan};
    use crate::synth::{
        Context, DumpBuilder, Exception, Mapping, Memory, Stack, Thread, maps_text, stream,
    };

    const ID: &str = "stack-overflow";

    /// A thread whose stack of 1 MiB has all but four pages committed.
    fn deep() -> (DumpBuilder, u64, u64) {
        let plan = ThreadPlan {
            commit: 0xf_c000,
            used: 0xf_b800,
            guard: Some(0x1000),
            ..ThreadPlan::new(7)
        };
        let layout = Process::x64().thread(plan).lay_out();
        let stack = layout.threads[1].stack;
        (layout.dump(Capture::Small), stack.allocation_base, stack.pointer)
    }

    fn with(mut dump: DumpBuilder, code: u32, fault: u64, pointer: u64) -> DumpBuilder {
        dump.exception = Some(Exception {
            parameters: vec![1, fault],
            context: Context::at(0x1000, pointer),
            ..Exception::new(7, code, 0x1000)
        });
        dump
    }

    #[test]
    fn by_the_exceptions_code() {
        let (dump, base, pointer) = deep();
        let found = finding(ID, &with(dump, 0xc000_00fd, base, pointer));
        assert!(found.message.starts_with("thread 0x7"), "{found:?}");
        assert_eq!(found.numbers[0], ("stack_size", 0x10_0000));
    }

    #[test]
    fn by_the_address_of_the_fault() {
        let (dump, base, pointer) = deep();
        let cases = [
            (base + 0x10, pointer, true),       // reserved page, little room left
            (base - 0x100, base + 0x40, true),  // below the stack, SP at its end
            (base - 0x100, pointer, true),      // the same, SP some pages above
            (base - 0x20_0000, pointer, false), // far away
            (pointer + 0x10, pointer, false),   // inside
            (0x24, pointer, false),             // null
        ];
        for (fault, pointer, fires) in cases {
            let dump = with(dump.clone(), 0xc000_0005, fault, pointer);
            assert_eq!(!findings(ID, &dump).is_empty(), fires, "{fault:#x} {pointer:#x}");
        }
        let healthy = Process::x64().thread(ThreadPlan::new(7)).lay_out();
        let stack = healthy.threads[1].stack;
        let dump =
            with(healthy.dump(Capture::Small), 0xc000_0005, stack.allocation_base, stack.pointer);
        assert!(findings(ID, &dump).is_empty(), "a stray pointer into a healthy stack");
    }

    #[test]
    fn the_guard_of_a_linux_thread() {
        let maps = [
            Mapping::new(0x7f00_0000_0000, 0x7f00_0000_1000, "---p", ""),
            Mapping::new(0x7f00_0000_1000, 0x7f00_0080_1000, "rw-p", ""),
        ];
        let dump_of = |fault: u64, pointer: u64| {
            let mut dump = DumpBuilder::linux_x64();
            dump.raw.push((stream::LINUX_MAPS, maps_text(&maps).into_bytes()));
            dump.thread(Thread {
                stack: Stack::Captured(Memory::new(0x7f00_0000_1000, vec![0; 64])),
                context: Context::at(0x1000, pointer),
                ..Thread::new(7)
            })
            .exception(Exception {
                flags: 2,
                context: Context::at(0x1000, pointer),
                ..Exception::new(7, 11, fault)
            })
        };
        assert_eq!(findings(ID, &dump_of(0x7f00_0000_0ff8, 0x7f00_0000_1000)).len(), 1);
        assert!(
            findings(ID, &dump_of(0x7f00_0000_0ff8, 0x7f00_0040_1000)).is_empty(),
            "far from SP"
        );
        assert!(findings(ID, &dump_of(0, 0x7f00_0000_1000)).is_empty());
    }
}
