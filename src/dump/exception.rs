//! Why the process died, or why the dump was asked for. Source:
//! MINIDUMP_EXCEPTION_STREAM (168 bytes, stream 6); the reason is named with
//! the `minidump` crate, which knows the codes of each system.

use minidump::system_info::{Cpu, Os};
use minidump::{Endian, MinidumpException, MinidumpStream};

use super::bytes::{index, u32_at, u64_at};
use super::strings::location;
use super::{Arch, Platform, StreamReader, SystemInfo, stream_type};

const SIZE: usize = 168;
/// The signal code of faults that the kernel knows no address of.
const SI_KERNEL: u32 = 0x80;
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
    /// that is about no address or that a process sent, and a general
    /// protection fault on Linux, of which the kernel knows no address and
    /// the record says 0.
    pub crash_address: Option<u64>,
    /// Whether a crash was recorded. False for a dump on request: 0xffffffff
    /// on Linux and Android (Breakpad, Crashpad), 0x0517a7ed on Windows and
    /// 0x43507378 on macOS (Crashpad), and code 0 without a parameter
    /// other than 0 (writers that want a thread named, not a reason). A breakpoint (0x80000003) is a
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
    if let (Platform::MacOs | Platform::Ios, Some(signal)) = (system.platform, mac_signal(record)) {
        return Some(format!("EXC_CRASH / {signal}"));
    }
    let exception = MinidumpException::read(record, &[], Endian::Little, None).ok()?;
    Some(exception.get_crash_reason(os, cpu).to_string())
}

/// Crashpad on macOS takes EXC_CRASH apart into the exception behind it. Where
/// a signal was raised by a call (abort), that is 0; the original is in the
/// parameters, the signal in the top byte of the second.
fn mac_signal(record: &[u8; SIZE]) -> Option<&'static str> {
    const EXC_CRASH: u64 = 10;
    if u32_at(record, 8)? != 0 || u64_at(record, 0x28)? != EXC_CRASH {
        return None;
    }
    Some(match (u64_at(record, 0x30)? >> 24) & 0xff {
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        10 => "SIGBUS",
        11 => "SIGSEGV",
        12 => "SIGSYS",
        _ => return None,
    })
}

fn is_crash(code: u32, parameters: &[u64], platform: Platform) -> bool {
    match (platform, code) {
        (Platform::Linux | Platform::Android, 0xffff_ffff) => false,
        (Platform::Windows, 0x0517_a7ed) => false,
        (Platform::MacOs | Platform::Ios, 0x4350_7378) => false,
        (_, 0) => parameters.iter().any(|parameter| *parameter != 0),
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
        (Platform::Linux | Platform::Android, signal) => {
            // SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV. In others, and in
            // those that kill and its kin sent (negative codes), the union
            // that holds the address holds the sender. Code 0 is such a one
            // too, but older Breakpad always wrote it, and it is the more frequent.
            let faults = matches!(signal, 4 | 5 | 7 | 8 | 11) && exception.flags <= 0x7fff_ffff;
            let unknown = exception.flags == SI_KERNEL && exception.address == 0;
            (faults && !unknown).then_some(exception.address)
        }
        _ => Some(exception.address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, longs, messages, read, words};

    const WINDOWS: (u16, u32) = (9, 2);
    const LINUX: (u16, u32) = (9, 0x8201);
    const MAC: (u16, u32) = (9, 0x8101);

    fn record(code: u32, flags: u32, address: u64, parameters: &[u64]) -> Vec<u8> {
        let count = u32::try_from(parameters.len()).unwrap();
        let mut bytes = words([7, 0, code, flags, 0, 0]);
        bytes.extend(longs([address]));
        bytes.extend(words([count, 0]));
        bytes.extend(longs(parameters.iter().copied()));
        bytes.resize(SIZE, 0);
        bytes
    }

    fn exception((arch, platform): (u16, u32), record: &[u8]) -> Exception {
        let dump = Bytes::new().system(arch, platform).stream(6, record).finish();
        read(&dump, |dump| dump.exception.clone().unwrap())
    }

    #[test]
    fn a_read_of_null_on_windows() {
        let found = exception(WINDOWS, &record(0xc000_0005, 0, 0x1_4000_1000, &[0, 0x10]));
        assert_eq!(found.reason, "EXCEPTION_ACCESS_VIOLATION_READ");
        assert_eq!((found.address, found.crash_address), (0x1_4000_1000, Some(0x10)));
        assert_eq!((found.thread_id, found.is_crash), (7, true));
        assert_eq!(found.parameters, [0, 0x10]);
    }

    #[test]
    fn sign_extended_addresses_of_32_bit_processes() {
        let parameters = [1, 0xffff_ffff_9fff_0000];
        let found = exception((0, 2), &record(0xc000_0005, 0, 0xffff_ffff_8000_1000, &parameters));
        assert_eq!((found.address, found.crash_address), (0x8000_1000, Some(0x9fff_0000)));
    }

    #[test]
    fn which_address_a_reason_is_about() {
        let cases = [
            (WINDOWS, 0x8000_0001, 0, 5, vec![1, 9], Some(9)),
            (WINDOWS, 0xc000_0006, 0, 5, vec![0, 9, 0xc000_0185], Some(9)),
            (WINDOWS, 0xc000_0005, 0, 5, vec![], Some(5)),
            (WINDOWS, 0xc000_00fd, 0, 5, vec![1, 9], Some(5)),
            (LINUX, 11, 1, 5, vec![], Some(5)),
            (LINUX, 11, 0, 0, vec![], Some(0)),
            (LINUX, 11, SI_KERNEL, 0, vec![], None),
            (LINUX, 11, 0xffff_fffa, 5, vec![], None),
            (LINUX, 6, 0xffff_fffa, 0x3e8_0000_39be, vec![], None),
            (MAC, 1, 1, 5, vec![], Some(5)),
        ];
        for (system, code, flags, address, parameters, expected) in cases {
            let found = exception(system, &record(code, flags, address, &parameters));
            assert_eq!(found.crash_address, expected, "{code:#x} {flags:#x}");
            assert!(found.is_crash);
        }
    }

    #[test]
    fn dumps_on_request_are_no_crashes() {
        let requests = [
            (LINUX, 0xffff_ffff),
            ((12, 0x8203), 0xffff_ffff),
            (WINDOWS, 0x0517_a7ed),
            (MAC, 0x4350_7378),
            (WINDOWS, 0),
        ];
        for (system, code) in requests {
            let found = exception(system, &record(code, 0, 5, &[]));
            assert_eq!((found.is_crash, found.crash_address), (false, None), "{code:#x}");
        }
        // The same numbers elsewhere, and a debugger's break.
        for (system, code) in [(WINDOWS, 0xffff_ffff), (LINUX, 0x0517_a7ed), (WINDOWS, 0x8000_0003)]
        {
            assert!(exception(system, &record(code, 0, 5, &[])).is_crash, "{code:#x}");
        }
    }

    #[test]
    fn an_abort_on_macos_is_named_by_its_signal() {
        let found = exception(MAC, &record(0, 0, 5, &[10, 0x600_0000, 0]));
        assert_eq!((found.reason.as_str(), found.is_crash), ("EXC_CRASH / SIGABRT", true));
    }

    #[test]
    fn more_parameters_than_fit() {
        let mut bytes = record(0xc000_0005, 0, 1, &[0; 15]);
        bytes[0x20..0x24].copy_from_slice(&0xffff_ffff_u32.to_le_bytes());
        let dump = Bytes::new().system(9, 2).stream(6, bytes).finish();
        read(&dump, |dump| {
            assert_eq!(dump.exception.as_ref().unwrap().parameters.len(), 15);
            assert_eq!(messages(dump).len(), 1, "{:?}", messages(dump));
        });
    }

    #[test]
    fn a_short_stream_gives_what_is_there() {
        let whole = record(0xc000_0005, 0, 0x1234, &[1, 0x10]);
        let mut counts = Vec::new();
        for size in [0, 8, 12, 0x20, 0x30, 0x38, 160, 168] {
            let dump = Bytes::new().system(9, 2).stream(6, &whole[..size]).finish();
            read(&dump, |dump| {
                let found = dump.exception.as_ref();
                counts.push((found.map(|found| (found.code, found.address)), messages(dump).len()));
            });
        }
        let (code, address) = (0xc000_0005, 0x1234);
        let expected = [
            (None, 0),
            (None, 1),
            (Some((code, 0)), 1),
            (Some((code, address)), 1),
            (Some((code, address)), 1),
            (Some((code, address)), 1),
            (Some((code, address)), 1),
            (Some((code, address)), 0),
        ];
        assert_eq!(counts, expected);
    }

    #[test]
    fn no_code_of_any_system_panics() {
        let platforms = [0, 2, 0x8101, 0x8102, 0x8201, 0x8202, 0x8203, 0x8206, 0xffff];
        let codes = (0..64).chain([0xc000_0005, 0xc000_0006, 0xc000_0409, 0x8007_000e, u32::MAX]);
        for (platform, code) in platforms.iter().flat_map(|p| codes.clone().map(move |c| (*p, c))) {
            for flags in [0, 1, 7, 0x80, 0x2000_0000, 0x6000_0000, u32::MAX] {
                for value in [0, 1, u64::MAX] {
                    let found = exception((9, platform), &record(code, flags, value, &[value; 15]));
                    assert!(!found.reason.is_empty());
                }
            }
        }
    }
}
