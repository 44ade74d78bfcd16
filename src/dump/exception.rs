//! Why the process died, or why the dump was asked for. Source:
//! MINIDUMP_EXCEPTION_STREAM (168 bytes, stream 6); the reason is named with
//! the `minidump` crate, which knows the codes of each system.

use minidump::system_info::{Cpu, Os};
use minidump::{Endian, MinidumpException, MinidumpStream};

use super::bytes::{index, u32_at, u64_at};
use super::strings::location;
use super::{Arch, Platform, StreamReader, SystemInfo, stream_type};

const SIZE: usize = 168;
/// Parameters that fit the record.
const PARAMETERS: usize = 15;

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
    /// The address that the reason is about: what was accessed, for access
    /// violations and the memory signals of Linux and macOS; else the
    /// instruction. `None` where there is none: a dump on request, a signal
    /// that a process sent, and a general protection fault on Linux, where
    /// the kernel does not know the address and the record says 0.
    pub crash_address: Option<u64>,
    /// Whether a crash was recorded. False for a dump on request: 0xffffffff
    /// on Linux and Android (Breakpad, Crashpad), 0x0517a7ed on Windows and
    /// 0x43507378 on macOS (Crashpad), and a record of zeros (writers that
    /// want a thread named, not a reason). A breakpoint (0x80000003) is a
    /// crash; Breakpad's 0xc0000025 for a dump on request cannot be told
    /// from a real one.
    pub is_crash: bool,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>, system: &SystemInfo) -> Option<Exception> {
    const KIND: u32 = stream_type::EXCEPTION;
    let stream = reader.stream(KIND)?;
    let there = stream.bytes.len().min(SIZE);
    if there < 12 {
        reader.issue(KIND, stream.offset, || format!("{there} bytes hold no exception code"));
        return None;
    }
    if there < SIZE {
        reader.issue(KIND, stream.offset, || {
            format!("has {there} of {SIZE} bytes; what is missing reads as 0")
        });
    }
    // Zeros where the stream is short: every field can be read.
    let mut record = [0; SIZE];
    for (target, byte) in record.iter_mut().zip(stream.bytes) {
        *target = *byte;
    }
    let word = |at| u32_at(&record, at).unwrap_or(0);
    let count = index(word(0x20));
    if count > PARAMETERS {
        reader.issue(KIND, stream.offset, || {
            format!("the exception has {count} parameters; {PARAMETERS} fit and are used")
        });
    }
    let values = record.get(0x28..0xa0).unwrap_or(&[]).as_chunks::<8>().0;
    let parameters: Vec<u64> =
        values.iter().take(count).map(|value| u64::from_le_bytes(*value)).collect();
    let context = location(&record, 0xa0);
    let context = context.map(|(size, rva)| (u64::from(rva), u64::from(size)));
    if let Some((offset, size)) = context
        && offset.saturating_add(size) > reader.source.len()
    {
        reader.issue(KIND, stream.offset, || {
            format!("the registers, {size} bytes at {offset:#x}, lie past the end of the file")
        });
    }
    let code = word(8);
    let is_crash = is_crash(code, &parameters, system.platform);
    let mut exception = Exception {
        thread_id: word(0),
        code,
        flags: word(0xc),
        address: system.width.mask(u64_at(&record, 0x18).unwrap_or(0)),
        parameters,
        context: context.filter(|(offset, _)| *offset < reader.source.len()),
        reason: String::new(),
        crash_address: None,
        is_crash,
    };
    exception.reason = reason(&record, system).unwrap_or_else(|| format!("unknown {code:#010x}"));
    exception.crash_address = crash_address(&exception, system);
    Some(exception)
}

/// The exception's name. The crate's `get_crash_reason` indexes only the
/// first three of the fifteen parameters; its `print` must not be used, it
/// trusts the parameter count.
fn reason(record: &[u8; SIZE], system: &SystemInfo) -> Option<String> {
    let os = match system.platform {
        Platform::Windows => Os::Windows,
        Platform::MacOs => Os::MacOs,
        Platform::Ios => Os::Ios,
        Platform::Linux => Os::Linux,
        Platform::Android => Os::Android,
        Platform::Solaris => Os::Solaris,
        Platform::Fuchsia => Os::Unknown(0x8206),
        Platform::Unknown(number) => Os::Unknown(number),
    };
    let cpu = match system.arch {
        Arch::X86 => Cpu::X86,
        Arch::Amd64 => Cpu::X86_64,
        Arch::Arm => Cpu::Arm,
        Arch::Arm64 => Cpu::Arm64,
        Arch::Ppc => Cpu::Ppc,
        Arch::Ppc64 => Cpu::Ppc64,
        Arch::Sparc => Cpu::Sparc,
        Arch::Mips => Cpu::Mips,
        Arch::Mips64 => Cpu::Mips64,
        Arch::Riscv | Arch::Riscv64 | Arch::Ia64 => Cpu::Unknown(0),
        Arch::Unknown(number) => Cpu::Unknown(number),
    };
    let exception = MinidumpException::read(record, &[], Endian::Little, None).ok()?;
    Some(exception.get_crash_reason(os, cpu).to_string())
}

fn is_crash(code: u32, parameters: &[u64], platform: Platform) -> bool {
    match (platform, code) {
        (Platform::Linux | Platform::Android, 0xffff_ffff) => false,
        (Platform::Windows, 0x0517_a7ed) => false,
        (Platform::MacOs | Platform::Ios, 0x4350_7378) => false,
        (_, 0) => !parameters.is_empty(),
        _ => true,
    }
}

fn crash_address(exception: &Exception, system: &SystemInfo) -> Option<u64> {
    if !exception.is_crash {
        return None;
    }
    match (system.platform, exception.code) {
        // Access violation, in-page error and guard page: the second
        // parameter is the address, the first what was tried there.
        (Platform::Windows, 0xc000_0005 | 0xc000_0006 | 0x8000_0001) => {
            let accessed = exception.parameters.get(1).copied();
            Some(system.width.mask(accessed.unwrap_or(exception.address)))
        }
        // Signal codes of 0 and below come from kill and its kin; the union
        // that holds the address then holds the sender. 0x80 is SI_KERNEL.
        (Platform::Linux | Platform::Android, _) => {
            let sent = exception.flags == 0 || exception.flags > 0x7fff_ffff;
            let unknown = exception.flags == 0x80 && exception.address == 0;
            (!sent && !unknown).then_some(exception.address)
        }
        _ => Some(exception.address),
    }
}
