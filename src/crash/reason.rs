//! The exception in words, by system: what happened, to which address, how.

use super::thread::CrashThread;
use super::{codes, pointed};
use crate::dump::{Arch, Dump, Exception, Platform};
use crate::size::human;

/// How memory was accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It was read.
    Read,
    /// It was written.
    Write,
    /// It was to be executed.
    Execute,
}

impl Access {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Execute => "execute",
        }
    }

    fn participle(self) -> &'static str {
        match self {
            Access::Read => "reading",
            Access::Write => "writing",
            Access::Execute => "executing",
        }
    }
}

/// What the exception record says.
#[derive(Clone, Debug, Default)]
pub(super) struct Reason {
    pub(super) name: String,
    pub(super) message: String,
    pub(super) explanation: Vec<String>,
    pub(super) accessed: Option<u64>,
    /// Whether `accessed` stands for an address that the processor kept to
    /// itself.
    pub(super) is_address_lost: bool,
    pub(super) access: Option<Access>,
    pub(super) instruction: Option<u64>,
    pub(super) requested: Option<u64>,
    pub(super) status: Option<u32>,
}

/// The exception's name: the `minidump` crate's, else ours.
pub fn name(dump: &Dump<'_>, exception: &Exception) -> String {
    let ours = match dump.system.platform {
        Platform::Windows => codes::windows(exception.code).map(|known| known.name),
        Platform::MacOs | Platform::Ios if exception.code == codes::NS_EXCEPTION => {
            Some("UNCAUGHT_NS_EXCEPTION")
        }
        _ => None,
    };
    match ours {
        Some(ours) if exception.reason.starts_with("unknown ") => ours.to_owned(),
        _ => exception.reason.clone(),
    }
}

pub(super) fn of(dump: &Dump<'_>, exception: &Exception, thread: &CrashThread) -> Reason {
    let mut reason = match dump.system.platform {
        Platform::Windows => windows(dump, exception, thread),
        Platform::Linux | Platform::Android => linux(exception, thread),
        Platform::MacOs | Platform::Ios => macos(exception, thread),
        _ => Reason {
            message: format!("exception {:#x}", exception.code),
            instruction: thread.instruction(),
            ..Reason::default()
        },
    };
    reason.name = name(dump, exception);
    reason
}

fn windows(dump: &Dump<'_>, exception: &Exception, thread: &CrashThread) -> Reason {
    let known = codes::windows(exception.code);
    let words = known.map_or("an exception was not handled", |known| known.words);
    let parameter = |at: usize| exception.parameters.get(at).copied();
    let mut reason = Reason {
        message: words.to_owned(),
        // Programs that build the record themselves leave 0.
        instruction: match exception.address {
            0 => thread.instruction(),
            address => Some(address),
        },
        ..Reason::default()
    };
    match exception.code {
        0xc000_0005 | 0xc000_0006 | 0x8000_0001 | 0xc000_00fd => {
            memory_access(dump, exception, &mut reason);
        }
        0xc000_0409 => {
            reason.status = parameter(0).map(low);
            if let Some(subcode) = reason.status {
                let words = codes::fast_fail(subcode);
                let words = words.unwrap_or("the program ended itself");
                reason.message = format!("fail fast, code {subcode}: {words}");
            }
        }
        0xe000_0008 => reason.requested = parameter(0),
        // RtlAllocateHeap with HEAP_GENERATE_EXCEPTIONS gives the size alone.
        0xc000_0017 if exception.parameters.len() == 1 => reason.requested = parameter(0),
        // Before .NET 4 the HRESULT was the only parameter too.
        0xe043_4352 | 0xe043_4f4d => {
            reason.status = parameter(0).map(low);
            if let Some(status) = reason.status {
                reason.message = format!("{words}: HRESULT {status:#010x}{}", hresult(status));
            }
        }
        0xe06d_7363 => {
            let types = pointed::thrown_types(dump, exception);
            if let Some(thrown) = types.first() {
                reason.message = format!("{words}: {thrown}");
            }
            if types.len() > 1 {
                reason.explanation.push(format!("the exception is a {}", types.join(", a ")));
            }
        }
        0xc06d_007e | 0xc06d_007f => {
            if let Some(wanted) = pointed::delay_load(dump, exception) {
                reason.message = format!("{words}: {wanted}");
            }
        }
        _ => {}
    }
    if let Some(bytes) = reason.requested {
        reason.message = format!("{words}: {bytes:#x} bytes ({}) were asked for", human(bytes));
    }
    reason
}

/// Access violation, in-page error, guard page and stack overflow: what was
/// tried, and where.
fn memory_access(dump: &Dump<'_>, exception: &Exception, reason: &mut Reason) {
    let [how, address, ..] = exception.parameters.as_slice() else { return };
    let address = dump.system.width.mask(*address);
    reason.access = match how {
        0 => Some(Access::Read),
        1 => Some(Access::Write),
        8 => Some(Access::Execute),
        _ => None,
    };
    reason.accessed = Some(address);
    let doing = reason.access.map_or("at", Access::participle);
    // Windows tells "reading -1" for every general protection fault.
    reason.is_address_lost = exception.code == 0xc000_0005
        && dump.system.arch == Arch::Amd64
        && address == u64::MAX
        && reason.access == Some(Access::Read);
    reason.message = match exception.code {
        _ if reason.is_address_lost => {
            "access violation: the processor did not say at which address".into()
        }
        0xc000_0005 => format!("access violation {doing} {address:#x}"),
        0xc000_0006 => format!("in-page error {doing} {address:#x}: the page could not be read"),
        0x8000_0001 => format!("first access to a guard page, {doing} {address:#x}"),
        _ => format!("stack overflow {doing} {address:#x}"),
    };
    if exception.code == 0xc000_0006 {
        reason.status = exception.parameters.get(2).copied().map(low);
        if let Some(status) = reason.status {
            reason.message.push_str(&format!(", NTSTATUS {status:#010x}"));
        }
    }
}

fn linux(exception: &Exception, thread: &CrashThread) -> Reason {
    let words = codes::signal(exception.code, exception.flags);
    let accessed = exception.crash_address.filter(|_| matches!(exception.code, 7 | 11));
    let mut reason = accessing(words, accessed, thread);
    // Older Breakpad wrote no signal code, and 0 for an unknown address.
    if (exception.flags, accessed) == (0, Some(0)) && reason.access.is_none() {
        let words = "the dump has no signal code: 0 may stand for an address that is not known";
        reason.explanation.push(words.to_owned());
    }
    reason
}

fn macos(exception: &Exception, thread: &CrashThread) -> Reason {
    let words = codes::mach(exception.code, exception.flags);
    let is_access = exception.code == 1 && exception.flags != 0xd;
    accessing(words, exception.crash_address.filter(|_| is_access), thread)
}

/// Signals and Mach exceptions do not say how memory was accessed. Only an
/// access to the very instruction is an attempt to execute it.
fn accessing(words: &str, accessed: Option<u64>, thread: &CrashThread) -> Reason {
    let instruction = thread.instruction();
    let executes = accessed.is_some() && accessed == instruction;
    let access = executes.then_some(Access::Execute);
    let message = match accessed {
        None => words.to_owned(),
        Some(address) => {
            let doing = access.map_or("at", Access::participle);
            match words.split_once(": ") {
                Some((what, why)) => format!("{what} {doing} {address:#x}: {why}"),
                None => format!("{words} {doing} {address:#x}"),
            }
        }
    };
    Reason { message, accessed, access, instruction, ..Reason::default() }
}

/// NTSTATUS, HRESULT and fail-fast codes have 32 bits; the rest is undefined.
fn low(parameter: u64) -> u32 {
    (parameter & 0xffff_ffff) as u32
}

/// The HRESULTs that .NET exceptions have most.
fn hresult(status: u32) -> &'static str {
    match status {
        0x8000_4003 => ", NullReferenceException",
        0x8007_000e => ", OutOfMemoryException",
        0x8007_0002 => ", FileNotFoundException",
        0x8007_0057 => ", ArgumentException",
        0x8013_1500 => ", Exception",
        0x8013_1501 => ", SystemException",
        0x8013_1502 => ", ArgumentOutOfRangeException",
        0x8013_1506 => ", ExecutionEngineException",
        0x8013_1508 => ", IndexOutOfRangeException",
        0x8013_1509 => ", InvalidOperationException",
        0x8013_1513 => ", MissingMethodException",
        0x8013_1515 => ", NotSupportedException",
        0x8013_1522 => ", TypeLoadException",
        0x8013_1534 => ", TypeInitializationException",
        0x8013_1577 => ", KeyNotFoundException",
        0x8013_1623 => ", a call of Environment.FailFast",
        _ => "",
    }
}
