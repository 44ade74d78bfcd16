//! Who called whom, without symbols and without unwind tables: the registers,
//! the chain of frame pointers where it holds, and what else on the stack
//! looks like a return address.
//!
//! A value of the stack leaves this file only when it is an address of code.

use super::code::{CodeIndex, CodePlace};
use super::thread::CrashThread;
use crate::dump::bytes::{u32_at, u64_at};
use crate::dump::{Arch, MemoryReader, PointerWidth};
use crate::evidence::Confidence;
use crate::limits::Depth;

/// Frames of one stack.
const FRAMES: usize = 64;
/// Bytes of the stack that are looked at.
const STACK: u64 = 64 << 10;

/// How a frame was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The instruction pointer.
    Context,
    /// The link register: the caller, where the instruction pointer is in no
    /// code. Where no frame pointer leads on it is only a guess: it may be
    /// left over from the last call.
    LinkRegister,
    /// The value at the stack pointer, where the instruction pointer is in no
    /// code: the caller of a bad function pointer.
    StackTop,
    /// The chain of frame pointers. Functions without one are missing.
    FramePointer,
    /// A value on the stack that looks like a return address. May be left
    /// over from a call that is long done.
    Scan,
}

impl Trust {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Trust::Context => "context",
            Trust::LinkRegister => "link-register",
            Trust::StackTop => "stack-top",
            Trust::FramePointer => "frame-pointer",
            Trust::Scan => "scan",
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The instruction pointer, or the return address.
    pub instruction: u64,
    /// How it was found.
    pub trust: Trust,
    /// How well it is known. A scanned one is [`Confidence::Heuristic`] when
    /// a call precedes it, [`Confidence::Fallback`] when the code there is
    /// not captured.
    pub confidence: Confidence,
    /// Where it is.
    pub place: CodePlace,
}

pub(super) fn walk(
    codes: &CodeIndex<'_>,
    thread: &CrashThread,
    recorded: Option<u64>,
) -> Vec<Frame> {
    let mut walk = Walk { codes, reader: codes.dump.captured.reader(), frames: Vec::new() };
    let Some(pointers) = thread.pointers else {
        if let Some(instruction) = recorded {
            walk.push(instruction, Trust::Context, Confidence::Recorded);
        }
        return walk.frames;
    };
    walk.push(pointers.instruction_pointer, Trust::Context, Confidence::Recorded);
    if codes.dump.limits.depth < Depth::Headers {
        return walk.frames;
    }
    let stack = Captured::of(codes, thread, pointers.stack_pointer);
    let in_code = codes.is_code(pointers.instruction_pointer);
    let mut next = stack.start;
    if !in_code
        && matches!(codes.dump.system.arch, Arch::X86 | Arch::Amd64)
        && stack.start == pointers.stack_pointer
        && let Some(caller) = stack.word(stack.start)
        && walk.is_return(caller)
    {
        walk.push(caller, Trust::StackTop, Confidence::Derived);
        next = stack.start.saturating_add(stack.width());
    }
    let chain = walk.chain(&stack, pointers.frame_pointer);
    if (!in_code || chain.returns.is_empty())
        && let Some(link) = thread.register("lr").map(strip)
        && chain.returns.first() != Some(&link)
        && walk.is_return(link)
    {
        let confidence = if in_code { Confidence::Heuristic } else { Confidence::Derived };
        walk.push(link, Trust::LinkRegister, confidence);
    }
    for address in &chain.returns {
        walk.push(*address, Trust::FramePointer, Confidence::Derived);
    }
    if !chain.is_whole {
        walk.scan(&stack, next.max(chain.end));
    }
    walk.frames
}

struct Walk<'a, 'c> {
    codes: &'c CodeIndex<'a>,
    reader: MemoryReader<'c, 'a>,
    frames: Vec<Frame>,
}

/// The return addresses that frame pointers lead to.
#[derive(Debug, Default)]
struct Chain {
    returns: Vec<u64>,
    /// The first byte above the last of its frames.
    end: u64,
    /// Whether it ends as chains do at the start of a thread.
    is_whole: bool,
}

impl Walk<'_, '_> {
    fn push(&mut self, instruction: u64, trust: Trust, confidence: Confidence) {
        if self.frames.len() < FRAMES {
            // The lowest bit of an address of ARM is the instruction set.
            let instruction = match self.codes.dump.system.arch {
                Arch::Arm => instruction & !1,
                _ => instruction,
            };
            let place = self.codes.place(instruction);
            self.frames.push(Frame { instruction, trust, confidence, place });
        }
    }

    /// Code with a call before it, as far as that can be seen.
    fn is_return(&mut self, address: u64) -> bool {
        self.codes.is_code(address)
            && self.codes.follows_call(address, &mut self.reader) != Some(false)
    }

    /// Follows [frame] -> caller's frame, [frame + 1] -> return address. Each
    /// frame lies above the one before, which also ends any cycle. On x64 the
    /// register is as often something else: one good link may be chance.
    fn chain(&mut self, stack: &Captured, mut frame: u64) -> Chain {
        let mut chain = Chain::default();
        let least = match self.codes.dump.system.arch {
            Arch::X86 | Arch::Arm64 => 1,
            Arch::Amd64 => 2,
            _ => return chain,
        };
        let width = stack.width();
        while chain.returns.len() < FRAMES && frame.is_multiple_of(width) {
            let words = (stack.word(frame), stack.word(frame.saturating_add(width)));
            let (Some(caller), Some(address)) = words else { break };
            let address = self.strip_authentication(address);
            if !self.is_return(address) {
                break;
            }
            chain.returns.push(address);
            chain.end = frame.saturating_add(2 * width);
            if caller == 0 {
                chain.is_whole = true;
                break;
            }
            if caller <= frame {
                break;
            }
            frame = caller;
        }
        if chain.returns.len() < least {
            return Chain::default();
        }
        chain
    }

    /// ARM64 signs return addresses in the bits that user addresses lack.
    fn strip_authentication(&self, address: u64) -> u64 {
        match self.codes.dump.system.arch {
            Arch::Arm64 if !self.codes.is_code(address) => strip(address),
            _ => address,
        }
    }

    fn scan(&mut self, stack: &Captured, from: u64) {
        let width = stack.width();
        let Some(mut at) = from.checked_next_multiple_of(width) else { return };
        while self.frames.len() < FRAMES
            && let Some(value) = stack.word(at)
        {
            if self.codes.is_code(value) {
                match self.codes.follows_call(value, &mut self.reader) {
                    Some(true) => self.push(value, Trust::Scan, Confidence::Heuristic),
                    None => self.push(value, Trust::Scan, Confidence::Fallback),
                    Some(false) => {}
                }
            }
            at = at.saturating_add(width);
        }
    }
}

/// The lower 47 bits: all that user addresses have.
fn strip(address: u64) -> u64 {
    address & 0x7fff_ffff_ffff
}

/// The captured bytes of the stack from the stack pointer up.
struct Captured {
    start: u64,
    bytes: Vec<u8>,
    pointers: PointerWidth,
}

impl Captured {
    /// At most [`STACK`] bytes, not above the stack's base. When the stack
    /// ran over, the page of the stack pointer may be missing: then from the
    /// lowest committed byte on.
    fn of(codes: &CodeIndex<'_>, thread: &CrashThread, pointer: u64) -> Captured {
        let pointers = codes.dump.system.width;
        let memory = &codes.dump.captured;
        let limit = thread.stack.and_then(|stack| stack.limit).filter(|limit| *limit > pointer);
        let start = match limit {
            Some(limit) if memory.find(pointer).is_none() => limit,
            _ => pointer,
        };
        let above = thread.stack.map_or(u64::MAX, |stack| stack.range.end());
        let size = above.saturating_sub(start).min(STACK);
        let bytes = memory.bytes_at(start, usize::try_from(size).unwrap_or(0));
        Captured { start, bytes, pointers }
    }

    fn width(&self) -> u64 {
        self.pointers.bytes() as u64
    }

    /// The pointer at an address, when it lies in these bytes.
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        match self.pointers {
            PointerWidth::Bits32 => u32_at(&self.bytes, at).map(u64::from),
            PointerWidth::Bits64 => u64_at(&self.bytes, at),
        }
    }
}
