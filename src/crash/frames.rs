//! Who called whom, without symbols and without unwind tables: the registers,
//! the chain of frame pointers where it holds, and what else on the stack
//! looks like a return address.
//!
//! A value of the stack leaves this file only when it is an address of code.

use super::code::{CodeIndex, CodePlace};
use super::thread::CrashThread;
use crate::dump::bytes::{u32_at, u64_at};
use crate::dump::{Arch, MemoryReader, Platform, PointerWidth};
use crate::evidence::Confidence;
use crate::limits::Depth;
use crate::map::MapSource;

/// Frames of one stack, those of a chain of frame pointers apart.
const FRAMES: usize = 64;
/// Frames of one chain: who began a recursion matters more than its middle.
const CHAIN: usize = 1024;
/// Chains that lead nowhere before the scan looks for no more of them.
const CHAINS: usize = 64;
/// Bytes of the stack that are scanned.
const SCAN: u64 = 64 << 10;
/// Bytes of the stack that a chain may lead over.
const STACK: u64 = 1 << 20;

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
    /// The chain of frame pointers. Functions without one are missing. Where
    /// the chain was found by the scan it is [`Confidence::Heuristic`], and so
    /// are frames in memory that is not known to be code.
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
        && chain.returns.first().map(|of| of.address) != Some(link)
        && walk.is_return(link)
    {
        let confidence = if in_code { Confidence::Heuristic } else { Confidence::Derived };
        walk.push(link, Trust::LinkRegister, confidence);
    }
    walk.push_chain(&chain, Confidence::Derived);
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
    returns: Vec<Return>,
    /// The first byte above the last of its frames.
    end: u64,
    /// Whether it ends as chains do at the start of a thread.
    is_whole: bool,
}

#[derive(Clone, Copy, Debug)]
struct Return {
    address: u64,
    /// Whether code is known to be there: in a map without protections, code
    /// made at run time is not.
    is_code: bool,
    /// The first byte above its frame.
    end: u64,
}

impl Walk<'_, '_> {
    fn push(&mut self, instruction: u64, trust: Trust, confidence: Confidence) {
        // The lowest bit of an address of ARM is the instruction set.
        let instruction = match self.codes.dump.system.arch {
            Arch::Arm => instruction & !1,
            _ => instruction,
        };
        let place = self.codes.place(instruction);
        self.frames.push(Frame { instruction, trust, confidence, place });
    }

    fn push_chain(&mut self, chain: &Chain, confidence: Confidence) {
        for of in &chain.returns {
            let confidence = if of.is_code { confidence } else { Confidence::Heuristic };
            self.push(of.address, Trust::FramePointer, confidence);
        }
    }

    /// Code with a call before it, as far as that can be seen.
    fn is_return(&mut self, address: u64) -> bool {
        self.codes.is_code(address)
            && self.codes.follows_call(address, &mut self.reader) != Some(false)
    }

    /// The chain that a register begins. On x64 it is as often something
    /// else: one good link may be chance, unless a call is seen before it.
    fn chain(&mut self, stack: &Captured, frame: u64) -> Chain {
        let least = match self.codes.dump.system.arch {
            Arch::X86 | Arch::Arm64 => 1,
            Arch::Amd64 => 2,
            _ => return Chain::default(),
        };
        let chain = self.links(stack, frame);
        let known = chain.returns.iter().filter(|of| of.is_code).count();
        let is_seen =
            |first: &Return| self.codes.follows_call(first.address, &mut self.reader) == Some(true);
        match known >= least || chain.returns.first().is_some_and(is_seen) {
            true => chain,
            false => Chain::default(),
        }
    }

    /// Follows [frame] -> caller's frame, [frame + 1] -> return address. Each
    /// frame lies above the one before, which also ends any cycle. Frames of
    /// code made at run time count only between others.
    fn links(&mut self, stack: &Captured, mut frame: u64) -> Chain {
        let mut chain = Chain::default();
        let width = stack.width();
        while chain.returns.len() < CHAIN && frame.is_multiple_of(width) {
            let words = (stack.word(frame), stack.word(frame.saturating_add(width)));
            let (Some(caller), Some(address)) = words else { break };
            if (caller, address) == (0, 0) {
                let last = chain.returns.last();
                chain.is_whole = last.is_some_and(|of| of.is_code && self.begins_threads(of));
                break;
            }
            let address = self.strip_authentication(address);
            let is_code = self.is_return(address);
            if !is_code && !self.may_be_made(address, stack) {
                break;
            }
            let end = frame.saturating_add(2 * width);
            let of = Return { address, is_code, end };
            chain.returns.push(of);
            if caller == 0 {
                chain.is_whole = is_code && self.begins_threads(&of);
                break;
            }
            if caller <= frame {
                break;
            }
            frame = caller;
        }
        let known = chain.returns.iter().rposition(|of| of.is_code).map_or(0, |at| at + 1);
        chain.returns.truncate(known);
        chain.end = chain.returns.last().map_or(0, |of| of.end);
        chain
    }

    /// Whether code made at run time may be at an address: memory that no
    /// module has, in a map that does not know what can be executed.
    fn may_be_made(&self, address: u64, stack: &Captured) -> bool {
        const LOWEST: u64 = 0x1_0000;
        self.codes.map.source == MapSource::Rebuilt
            && self.codes.place(address).module.is_none()
            && address >= LOWEST
            && address == strip(address)
            && stack.word(address).is_none()
    }

    /// Whether a return address is in a module that starts threads. A frame
    /// pointer of 0 anywhere else is a register used for another thing.
    fn begins_threads(&self, of: &Return) -> bool {
        const STARTERS: [&str; 8] = [
            "libc.",
            "libc-",
            "libpthread",
            "ld-",
            "linker",
            "libdyld.",
            "dyld",
            "libsystem_pthread.",
        ];
        let name = self.codes.place(of.address).name;
        match self.codes.dump.system.platform {
            Platform::Windows => name.eq_ignore_ascii_case("ntdll.dll"),
            _ => STARTERS.iter().any(|starter| name.starts_with(starter)),
        }
    }

    /// ARM64 signs return addresses in the bits that user addresses lack.
    fn strip_authentication(&self, address: u64) -> u64 {
        match self.codes.dump.system.arch {
            Arch::Arm64 if !self.codes.is_code(address) => strip(address),
            _ => address,
        }
    }

    /// What looks like return addresses, up to where a chain of frame
    /// pointers begins that leads to the start of the thread.
    fn scan(&mut self, stack: &Captured, from: u64) {
        let width = stack.width();
        let end = from.saturating_add(SCAN);
        let Some(mut at) = from.checked_next_multiple_of(width) else { return };
        // Elsewhere functions without one are many, and what the loader left
        // on the stack of the main thread looks like a chain.
        let system = &self.codes.dump.system;
        let has_chains = match system.arch {
            Arch::X86 => system.platform == Platform::Windows,
            arch => arch == Arch::Arm64,
        };
        let mut chains = 0;
        while self.frames.len() < FRAMES
            && at < end
            && let Some(value) = stack.word(at)
        {
            if has_chains && value > at && chains < CHAINS {
                let chain = self.links(stack, at);
                let has_callers = chain.returns.len() > 1;
                if chain.is_whole && has_callers {
                    return self.push_chain(&chain, Confidence::Heuristic);
                }
                chains += usize::from(has_callers);
            }
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
