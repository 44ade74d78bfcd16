//! Collected dumps: every exception stream against its raw bytes and against the `minidump` crate,
//! and a table of crashes that were looked at by hand.

use dumpmap::crash::{Access, Crash, Place, Trust};
use minidump::{Minidump, MinidumpException, MinidumpSystemInfo};

use crate::raw::Raw;
use crate::support::{dumps_in, read_dump, shared_or_skip};
use crate::with;

/// Every dump of the corpus with a whole stream 6: its path, its bytes, the stream.
fn each(mut check: impl FnMut(&str, &[u8], &Raw)) {
    let Some(corpus) = shared_or_skip("corpus") else { return };
    let mut dumps = 0;
    for path in dumps_in(&corpus) {
        let bytes = read_dump(&path);
        let Some(raw) = Raw::of(&bytes) else { continue };
        let name = path.strip_prefix(&corpus).unwrap().to_string_lossy().replace('\\', "/");
        check(&name, &bytes, &raw);
        dumps += 1;
    }
    assert!(dumps >= 80, "{dumps} dumps with an exception stream");
}

/// Codes of dumps on request, by platform.
fn is_request(raw: &Raw) -> bool {
    match (raw.platform, raw.code) {
        (0x8201 | 0x8203, 0xffff_ffff) | (2, 0x0517_a7ed) | (0x8101 | 0x8102, 0x4350_7378) => true,
        (_, 0) => raw.parameters.iter().all(|parameter| *parameter == 0),
        _ => false,
    }
}

/// What was accessed, from the record alone.
fn accessed(raw: &Raw) -> Option<u64> {
    match (raw.platform, raw.code) {
        (2, 0xc000_0005 | 0xc000_0006 | 0x8000_0001 | 0xc000_00fd) => {
            raw.parameters.get(1).map(|address| raw.masked(*address))
        }
        (0x8201 | 0x8203, 7 | 11) if raw.flags as i32 >= 0 => Some(raw.address),
        (0x8101 | 0x8102, 1) if raw.flags != 0xd => Some(raw.address),
        _ => None,
    }
}

#[test]
fn the_record_is_what_the_bytes_say() {
    each(|name, bytes, raw| {
        with(bytes.to_vec(), |analysis, crash| {
            let exception = analysis.dump.exception.as_ref().expect("stream 6");
            assert_eq!(exception.parameters, raw.parameters, "{name}");
            let Some(crash) = crash else {
                return assert!(is_request(raw), "{name}: {raw:x?}");
            };
            assert!(!is_request(raw), "{name}: {raw:x?}");
            assert_eq!((crash.code, crash.thread.id), (raw.code, raw.thread), "{name}");
            assert_eq!(crash.accessed, accessed(raw), "{name}");
            if raw.platform == 2 && raw.address != 0 {
                assert_eq!(crash.instruction, Some(raw.masked(raw.address)), "{name}");
            }
            sound(name, &crash);
        });
    });
}

/// What holds of every crash.
fn sound(name: &str, crash: &Crash) {
    assert!(!crash.name.is_empty() && !crash.message.is_empty(), "{name}");
    let chained = crash.frames.iter().filter(|of| of.trust == Trust::FramePointer).count();
    assert!(crash.frames.len() - chained <= 64 && chained <= 1024, "{name}");
    assert!(crash.signature.starts_with(crash.name.split(" / ").next().unwrap()), "{name}");
    assert!(!crash.signature.contains(['\\', '/']) || crash.name.contains('/'), "{name}");
    assert_eq!(crash.fault.is_some(), crash.accessed.is_some(), "{name}");
    for part in crash.signature.split(" | ").skip(1) {
        assert_eq!(part, part.to_lowercase(), "{name}");
    }
}

#[test]
fn the_minidump_crate_agrees() {
    let mut compared = 0;
    each(|name, bytes, raw| {
        let Ok(dump) = Minidump::read(bytes) else { return };
        let (Ok(system), Ok(exception)) =
            (dump.get_stream::<MinidumpSystemInfo>(), dump.get_stream::<MinidumpException<'_>>())
        else {
            return;
        };
        let reason = exception.get_crash_reason(system.os, system.cpu).to_string();
        let address = exception.get_crash_address(system.os, system.cpu);
        with(bytes.to_vec(), |_, crash| {
            let Some(crash) = crash else { return };
            compared += 1;
            let ours = reason.starts_with("unknown ") || crash.name.starts_with("EXC_CRASH / ");
            assert!(crash.name == reason || ours, "{name}: {} and {reason}", crash.name);
            match crash.address {
                Some(ours) => assert_eq!(ours, raw.masked(address), "{name}"),
                // A signal that somebody sent is about no address.
                None => assert!(matches!(raw.platform, 0x8201 | 0x8203), "{name}"),
            }
        });
    });
    assert!(compared == 0 || compared >= 70, "{compared} dumps compared");
}

/// Thread, what was accessed and how, what is there, and the first frames.
type Row = (&'static str, u32, Option<(u64, Option<Access>, Place)>, &'static str);

/// From the streams' bytes, the module lists and, for places, the maps: by hand.
const BY_HAND: [Row; 17] = [
    (
        "google__breakpad/minidump2.dmp",
        3096,
        Some((0x45, Some(Access::Write), Place::Null)),
        "EXCEPTION_ACCESS_VIOLATION_WRITE | test_app.exe+0x208e",
    ),
    // Breakpad's own stack walk, in its test data: 0x40429e, 0x404200, 0x4053ec.
    (
        "google__breakpad/24b0ea77-minidump2.dmp",
        3060,
        Some((0x45, Some(Access::Write), Place::Null)),
        "EXCEPTION_ACCESS_VIOLATION_WRITE | test_app.exe+0x429e | test_app.exe+0x4200 | test_app.exe+0x53ec",
    ),
    (
        "google__breakpad/minidump1.dmp",
        4684,
        Some((0xdddd_dde1, Some(Access::Read), Place::Unknown)),
        "EXCEPTION_ACCESS_VIOLATION_READ | gklayout.dll+0x221515",
    ),
    (
        "google__breakpad/minidump_32bit_crash_addr.dmp",
        3060,
        Some((0x45, Some(Access::Write), Place::Null)),
        "EXCEPTION_ACCESS_VIOLATION_WRITE | test_app.exe+0x429e",
    ),
    (
        "google__breakpad/ascii_read_av.dmp",
        4204,
        Some((0x4141_4141, Some(Access::Read), Place::Unknown)),
        "EXCEPTION_ACCESS_VIOLATION_READ | ",
    ),
    (
        "google__breakpad/exec_av_on_stack.dmp",
        6920,
        Some((0x3d_f944, Some(Access::Execute), Place::Unknown)),
        "EXCEPTION_ACCESS_VIOLATION_EXEC | no-module | crashme1.exe+0x10ae",
    ),
    (
        "google__breakpad/stack_exhaustion.dmp",
        5744,
        Some((0x10_2000, Some(Access::Read), Place::Unknown)),
        "EXCEPTION_STACK_OVERFLOW | ",
    ),
    (
        "google__breakpad/write_av_non_canonical.dmp",
        4488,
        Some((u64::MAX, Some(Access::Read), Place::NonCanonical)),
        "EXCEPTION_ACCESS_VIOLATION_READ | crash.exe+0x1331",
    ),
    (
        "google__breakpad/linux_jmp_to_0.dmp",
        35413,
        Some((0, Some(Access::Execute), Place::Null)),
        "SIGSEGV | no-module | driver+0x213f",
    ),
    (
        "google__breakpad/linux_write_to_nonwritable_module.dmp",
        111_036,
        Some((0x41_0000, None, Place::Accessible)),
        "SIGSEGV | ",
    ),
    (
        "google__breakpad/linux_write_to_under_4k.dmp",
        110_993,
        Some((0xf93, None, Place::Null)),
        "SIGSEGV | ",
    ),
    ("google__breakpad/linux_raise_sigabrt.dmp", 23526, None, "SIGABRT | "),
    ("google__breakpad/linux_divide_by_zero.dmp", 20043, None, "SIGFPE | "),
    (
        "aprilandjan__node-rs-minidump/mac-electron-gpu.dmp",
        35_994_946,
        None,
        "EXC_CRASH / SIGSEGV | ",
    ),
    (
        "getsentry__symbolic/crash_macos.dmp",
        775,
        Some((0x45, None, Place::Null)),
        "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS | ",
    ),
    (
        "mozilla-services__minidump-stackwalk/windows-aarch64.dmp",
        11276,
        None,
        "EXCEPTION_BREAKPOINT | xul.dll+0x32c46f8 | xul.dll+0x3eea8c | xul.dll+0x793f64",
    ),
    (
        "zuohuiyang__dump-analyzer-mcp-server/electron.dmp",
        22280,
        Some((0, Some(Access::Write), Place::Null)),
        "EXCEPTION_ACCESS_VIOLATION_WRITE | electron.exe+0x3e5e10",
    ),
];

#[test]
fn crashes_that_were_looked_at_by_hand() {
    let Some(corpus) = shared_or_skip("corpus") else { return };
    for (name, thread, fault, signature) in BY_HAND {
        with(read_dump(&corpus.join(name)), |_, crash| {
            let crash = crash.expect("a crash");
            assert_eq!(crash.thread.id, thread, "{name}");
            let found = crash.fault.map(|found| (found.address, crash.access, found.place));
            assert_eq!(found, fault, "{name}: {:?}", crash.explanation);
            assert!(crash.signature.starts_with(signature), "{name}: {}", crash.signature);
        });
    }
}
