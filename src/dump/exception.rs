//! Why the process died, or why the dump was asked for. Source:
//! MINIDUMP_EXCEPTION_STREAM (168 bytes, stream 6), named with the `minidump`
//! crate.

/// Stream 6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The thread that raised it.
    pub thread_id: u32,
    /// The exception code, the signal on Linux, the Mach exception on macOS.
    pub code: u32,
    /// Its flags; on Linux the signal's code.
    pub flags: u32,
    /// The address of the instruction on Windows, of the access on Linux.
    pub address: u64,
    /// At most 15 parameters; a larger count is an issue.
    pub parameters: Vec<u64>,
    /// Where the registers are: offset and size in the file.
    pub context: Option<(u64, u64)>,
    /// The reason in words, as the `minidump` crate names it.
    pub reason: String,
    /// The address that the reason is about, when there is one.
    pub crash_address: Option<u64>,
    /// Whether a crash was recorded: false for a dump on request
    /// (0xffffffff on Linux, 0x0517a7ed of Crashpad, 0x80000003 is a crash).
    pub is_crash: bool,
}

pub(super) fn read(
    _reader: &mut super::StreamReader<'_, '_>,
    _system: &super::SystemInfo,
) -> Option<Exception> {
    None
}
