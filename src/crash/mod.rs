//! Why the process died: the exception in words, the address it is about
//! explained by the map, the thread it hit, and who called it.
//!
//! Pure: the same dump gives the same answer. Nothing here prints contents of
//! memory; of a stack only the values that are addresses of code leave it.

mod call;
mod code;
mod codes;
mod fault;
mod frames;
mod pointed;
mod reason;
mod signature;
mod thread;

pub use code::{CodePlace, Module};
pub use fault::{Fault, Place};
pub use frames::{Frame, Trust};
pub use pointed::thrown_types;
pub use reason::{Access, name};
pub use thread::{CrashThread, StackState};

use crate::dump::Dump;
use crate::evidence::Evidence;
use crate::map::RegionMap;

/// What is known of a crash.
#[derive(Clone, Debug, PartialEq)]
pub struct Crash {
    /// The exception code, the signal on Linux, the Mach exception on macOS.
    pub code: u32,
    /// Its name: `EXCEPTION_ACCESS_VIOLATION_WRITE`, `SIGSEGV / SEGV_MAPERR`.
    pub name: String,
    /// What happened, in one sentence without a full stop.
    pub message: String,
    /// What the map, the stack and the parameters say about it, one sentence
    /// each.
    pub explanation: Vec<String>,
    /// The address that the reason is about: what was accessed, else the
    /// instruction.
    pub address: Option<u64>,
    /// What was accessed, where the reason is an access to memory.
    pub accessed: Option<u64>,
    /// How.
    pub access: Option<Access>,
    /// The instruction that did it.
    pub instruction: Option<u64>,
    /// Bytes of the allocation that failed, where they are recorded.
    pub requested: Option<u64>,
    /// NTSTATUS of an in-page error, HRESULT of a .NET exception, the subcode
    /// of a fail-fast.
    pub status: Option<u32>,
    /// What the map says of the accessed address.
    pub fault: Option<Fault>,
    /// The thread it happened on.
    pub thread: CrashThread,
    /// Where it was, and who called it: the crashing instruction first.
    pub frames: Vec<Frame>,
    /// The same for the same crash of two runs: see [`signature`](self) in
    /// the sources for its parts.
    pub signature: String,
}

impl Crash {
    /// The crash that a dump records; `None` when it records none: no
    /// exception stream, or a dump on request.
    pub fn of(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &Evidence) -> Option<Crash> {
        let exception = dump.exception.as_ref().filter(|exception| exception.is_crash)?;
        let thread = CrashThread::of(dump, map, evidence, exception);
        let reason = reason::of(dump, exception, &thread);
        let codes = code::CodeIndex::of(dump, map, evidence);
        let fault = reason.accessed.map(|address| {
            fault::of(dump, map, evidence, address, reason.access, reason.is_address_lost)
        });
        let frames = frames::walk(&codes, &thread, reason.instruction);
        let mut explanation = reason.explanation;
        // By the time a stack overflow is raised its guard page is no guard any more.
        let blamed = reason.access.filter(|_| exception.code != thread::STACK_OVERFLOW);
        if let Some(fault) = &fault {
            explanation.extend(fault::explain(&codes, fault, blamed, &thread));
        }
        explanation.extend(thread::explain(&thread, exception.code));
        explanation.extend(code::explain(&codes, frames.first()));
        let signature = signature::of(&reason.name, &frames);
        Some(Crash {
            code: exception.code,
            name: reason.name,
            message: reason.message,
            explanation,
            address: exception.crash_address,
            accessed: reason.accessed,
            access: reason.access,
            instruction: reason.instruction,
            requested: reason.requested,
            status: reason.status,
            fault,
            thread,
            frames,
            signature,
        })
    }
}
