//! One made dump for each kind of exception: what it is called, what is said of it.

use dumpmap::crash::{Access, Crash, Place};
use dumpmap::synth::windows::{Allocation, Capture, Process};
use dumpmap::synth::{
    Architecture, Context, DumpBuilder, Exception, PAGE_EXECUTE_READ, PAGE_GUARD, PAGE_NOACCESS,
    PAGE_READONLY, PAGE_READWRITE, Platform, Region, UnloadedModule,
};

use crate::crash;

fn raised(code: u32, parameters: &[u64]) -> Exception {
    Exception { parameters: parameters.to_vec(), ..Exception::new(1, code, 0x40_1000) }
}

fn of_windows(code: u32, parameters: &[u64]) -> Crash {
    crash(&DumpBuilder::windows_x64().exception(raised(code, parameters)))
}

#[test]
fn windows_codes_in_words() {
    let cases: [(u32, &[u64], &str, &str); 24] = [
        (
            0xc000_0005,
            &[0, 0x10],
            "EXCEPTION_ACCESS_VIOLATION_READ",
            "access violation reading 0x10",
        ),
        (
            0xc000_0005,
            &[1, 0x24],
            "EXCEPTION_ACCESS_VIOLATION_WRITE",
            "access violation writing 0x24",
        ),
        (
            0xc000_0005,
            &[8, 0x50],
            "EXCEPTION_ACCESS_VIOLATION_EXEC",
            "access violation executing 0x50",
        ),
        (0xc000_0005, &[7, 0x50], "EXCEPTION_ACCESS_VIOLATION", "access violation at 0x50"),
        (0xc000_0005, &[], "EXCEPTION_ACCESS_VIOLATION", "access violation"),
        (
            0xc000_0006,
            &[0, 0x7ff0_0000, 0xffff_ffff_c000_009c],
            "EXCEPTION_IN_PAGE_ERROR_READ / STATUS_DEVICE_DATA_ERROR",
            "in-page error reading 0x7ff00000: the page could not be read, NTSTATUS 0xc000009c",
        ),
        (
            0xc000_0374,
            &[0x7ff0_0000],
            "STATUS_HEAP_CORRUPTION",
            "heap corruption: the heap manager found a damaged heap",
        ),
        (
            0xc000_0409,
            &[2],
            "EXCEPTION_STACK_BUFFER_OVERRUN / FAST_FAIL_STACK_COOKIE_CHECK_FAILURE",
            "fail fast, code 2: a buffer on the stack was overrun: its security cookie was overwritten",
        ),
        (
            0xc000_0409,
            &[7],
            "EXCEPTION_STACK_BUFFER_OVERRUN / FAST_FAIL_FATAL_APP_EXIT",
            "fail fast, code 7: the program ended itself: abort, an uncaught C++ exception, a Rust \
             panic",
        ),
        (
            0xc000_0409,
            &[0x1234],
            "EXCEPTION_STACK_BUFFER_OVERRUN / 0x00001234",
            "fail fast, code 4660: the program ended itself",
        ),
        (0xc000_00fd, &[1, 0x50], "EXCEPTION_STACK_OVERFLOW", "stack overflow writing 0x50"),
        (0xc000_00fd, &[], "EXCEPTION_STACK_OVERFLOW", "stack overflow"),
        (
            0x8000_0001,
            &[1, 0x50],
            "EXCEPTION_GUARD_PAGE",
            "first access to a guard page, writing 0x50",
        ),
        (0xc000_0017, &[], "STATUS_NO_MEMORY", "out of memory: an allocation failed"),
        (
            0xc000_0017,
            &[0x600_0000],
            "STATUS_NO_MEMORY",
            "out of memory: an allocation failed: 0x6000000 bytes (96 MiB) were asked for",
        ),
        (
            0xe000_0008,
            &[0x1000],
            "Out of Memory",
            "out of memory: an allocation failed: 0x1000 bytes (4 KiB) were asked for",
        ),
        (
            0xe06d_7363,
            &[0x1993_0520, 1, 2, 3],
            "Unhandled C++ Exception",
            "a C++ exception was not caught",
        ),
        (
            0xe043_4352,
            &[0xffff_ffff_8000_4003],
            "MANAGED_EXCEPTION_CODE_V4",
            "a .NET exception was not caught: HRESULT 0x80004003, NullReferenceException",
        ),
        (
            0x8000_0003,
            &[0],
            "EXCEPTION_BREAKPOINT",
            "breakpoint: an assertion, or a debugger's break",
        ),
        (0xc000_0135, &[], "STATUS_DLL_NOT_FOUND", "a DLL that the program needs was not found"),
        (0x0eed_fade, &[], "DELPHI_EXCEPTION", "a Delphi exception was not caught"),
        (0x2047_4343, &[], "GCC_EXCEPTION", "a C++ exception of GCC's runtime was not caught"),
        (0xcfff_ffff, &[], "APPLICATION_HANG", "the program did not respond and was ended"),
        (0xe123_4567, &[], "unknown 0xe1234567", "an exception was not handled"),
    ];
    for (code, parameters, name, message) in cases {
        let crash = of_windows(code, parameters);
        assert_eq!((crash.name.as_str(), crash.message.as_str()), (name, message), "{code:#x}");
        assert_eq!(crash.signature, format!("{name} | no-module"));
    }
    assert_eq!(of_windows(0xe000_0008, &[0x1000]).requested, Some(0x1000));
    assert_eq!(of_windows(0xc000_0409, &[7]).status, Some(7));
}

#[test]
fn linux_signals_in_words() {
    let cases = [
        (
            11,
            1,
            0x24,
            "SIGSEGV / SEGV_MAPERR",
            "segmentation fault at 0x24: no memory is mapped there",
        ),
        (
            11,
            2,
            0x9000,
            "SIGSEGV / SEGV_ACCERR",
            "segmentation fault at 0x9000: the memory does not allow the access",
        ),
        (
            11,
            0x80,
            0,
            "SIGSEGV / SI_KERNEL",
            "segmentation fault: a general protection fault, the address is not known",
        ),
        (
            7,
            2,
            0x9000,
            "SIGBUS / BUS_ADRERR",
            "bus error at 0x9000: the file behind the mapping does not reach that far",
        ),
        (6, 0xffff_fffa, 0, "SIGABRT / SI_TKILL", "the program aborted itself"),
        (8, 1, 0x40_1000, "SIGFPE / FPE_INTDIV", "integer division by zero"),
        (4, 2, 0x40_1000, "SIGILL / ILL_ILLOPN", "illegal instruction"),
    ];
    for (signal, flags, address, name, message) in cases {
        let exception = Exception { flags, ..Exception::new(1, signal, address) };
        let crash = crash(&DumpBuilder::linux_x64().exception(exception));
        assert_eq!((crash.name.as_str(), crash.message.as_str()), (name, message));
        assert_eq!(crash.accessed.is_some(), matches!(signal, 7 | 11) && flags != 0x80, "{name}");
    }
}

#[test]
fn a_jump_to_nowhere_on_linux_is_an_attempt_to_execute() {
    let context = Context::at(0x1234, 0x7fff_0000);
    let exception = Exception { flags: 1, context, ..Exception::new(1, 11, 0x1234) };
    let crash = crash(&DumpBuilder::linux_x64().exception(exception));
    assert_eq!(crash.access, Some(Access::Execute));
    assert_eq!(crash.message, "segmentation fault executing 0x1234: no memory is mapped there");
}

#[test]
fn macos_exceptions_in_words() {
    let mac = || DumpBuilder::with_system(Architecture::Amd64, Platform::MacOs, (13, 0, 0));
    let cases = [
        (1, 1, 0x45, "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS", Some(0x45)),
        (1, 0xd, 0, "EXC_BAD_ACCESS / EXC_I386_GPFLT", None),
        (3, 1, 0x1000, "EXC_ARITHMETIC / EXC_I386_DIV", None),
        (0x4350_6e78, 0, 0x1000, "UNCAUGHT_NS_EXCEPTION", None),
    ];
    for (code, flags, address, name, accessed) in cases {
        let exception = Exception { flags, ..Exception::new(1, code, address) };
        let crash = crash(&mac().exception(exception));
        assert_eq!((crash.name.as_str(), crash.accessed), (name, accessed));
    }
    // A limit has numbers in its name; the signature leaves them out.
    let parameters = vec![11, 0x2300_0000_0000_0000, 0];
    let exception = Exception { parameters, ..Exception::new(1, 11, 0) };
    let crash = crash(&mac().exception(exception));
    assert!(crash.signature.starts_with("EXC_RESOURCE / "), "{}", crash.signature);
    assert_eq!(crash.signature.matches(" / ").count(), 1, "{}", crash.signature);
}

#[test]
fn dumps_on_request_record_no_crash() {
    let none = |dump: &DumpBuilder| crate::with(dump.build(), |_, crash| crash.is_none());
    assert!(none(&DumpBuilder::windows_x64()));
    assert!(none(&DumpBuilder::windows_x64().exception(raised(0x0517_a7ed, &[]))));
    assert!(none(&DumpBuilder::windows_x64().exception(raised(0, &[]))));
    assert!(none(&DumpBuilder::linux_x64().exception(raised(0xffff_ffff, &[]))));
}

/// A map with one region of each sort; a stack, a heap and an image in it.
fn explained(how: u64, address: impl Fn(&dumpmap::synth::windows::Layout) -> u64) -> Crash {
    let layout = Process::x64()
        .allocate(Allocation::private().commit(0x4000, PAGE_READONLY).reserve(0xc000))
        .allocate(Allocation::private().commit(0x4000, PAGE_READWRITE | PAGE_GUARD))
        .allocate(Allocation::private().commit(0x4000, PAGE_NOACCESS))
        .lay_out();
    let exception = Exception {
        parameters: vec![how, address(&layout)],
        ..Exception::new(0x1000, 0xc000_0005, layout.images[0].module.base + 0x1000)
    };
    let gone = UnloadedModule::new(r"C:\App\gone.dll", 0x7fff_0000_0000, 0x1_0000);
    crash(&layout.dump(Capture::Small).unloaded(gone).exception(exception))
}

#[test]
fn the_address_explained_by_the_map() {
    let place = |crash: &Crash| crash.fault.expect("an access").place;
    let says = |crash: &Crash, place_: Place, words: &str| {
        let sentences = crash.explanation.join("; ");
        assert_eq!(place(crash), place_, "{sentences}");
        assert!(sentences.contains(words), "{sentences} lacks {words}");
    };
    says(&explained(1, |_| 0), Place::Null, "a null pointer");
    says(&explained(1, |_| 0xfff8), Place::Null, "a field at +0xfff8 of a null pointer");
    says(&explained(1, |_| 0x1234_5678_9abc_def0), Place::NonCanonical, "not canonical");
    says(&explained(0, |_| u64::MAX), Place::NonCanonical, "a general protection fault");
    says(&explained(1, |_| u64::MAX), Place::Kernel, "an address of the kernel");
    says(&explained(1, |_| 0xffff_8000_0000_0000), Place::Kernel, "an address of the kernel");
    says(&explained(1, |of| of.allocations[0]), Place::NotWritable, "(PAGE_READONLY)");
    says(&explained(0, |of| of.allocations[0] + 0x4000), Place::Reserved, "reserved memory");
    says(&explained(0, |of| of.allocations[1]), Place::Guard, "a guard page");
    says(&explained(0, |of| of.allocations[2]), Place::NoAccess, "pages without access");
    says(&explained(0, |of| of.allocations[0]), Place::Accessible, "which allows it");
    says(
        &explained(8, |of| of.threads[0].stack.pointer),
        Place::NotExecutable,
        "cannot be executed (PAGE_READWRITE), of the stack of thread 4096",
    );
    says(
        &explained(0, |of| of.threads[0].stack.limit - 0x1000),
        Place::Guard,
        "a guard page, of the stack of thread 4096",
    );
    says(&explained(8, |of| of.heaps[0].address), Place::NotExecutable, "of the heap at 0x");
    says(
        &explained(1, |of| of.images[0].module.base + 0x1010),
        Place::NotWritable,
        "section .text at app.exe+0x1010",
    );
    says(
        &explained(8, |_| 0x7fff_0000_1000),
        Place::Free,
        "gone.dll was there (+0x1000) until it was unloaded",
    );
}

#[test]
fn without_a_map_nothing_is_made_up() {
    let crash = of_windows(0xc000_0005, &[1, 0x7fff_1234]);
    assert_eq!(crash.fault.expect("an access").place, Place::Unknown);
    assert_eq!(
        crash.explanation[0],
        "cannot tell what is there: the dump has no map of the address space"
    );
}

#[test]
fn fill_patterns_and_the_end_of_the_stack() {
    let x86 = |address, map: &[Region]| {
        let context = Context::at(0x40_1000, 0x20_0800);
        let exception = Exception { context, ..raised(0xc000_0005, &[0, address]) };
        let dump = DumpBuilder::windows_x86().regions(map.iter().copied()).exception(exception);
        crash(&dump).explanation.join("; ")
    };
    assert!(x86(0xdddd_dde1, &[]).contains("0xdddddde1 is 0xdddddddd + 0x4: likely what Visual"));
    assert!(x86(0xffff_ffff_feee_feee, &[]).contains("0xfeeefeee is 0xfeeefeee: likely"));
    assert!(!x86(0xdddd_eddd, &[]).contains("likely"));
    let map = [
        Region::free(0, 0x20_0000),
        Region::commit(0x20_0000, 0x1000, PAGE_READWRITE),
        Region::commit(0x40_0000, 0x2000, PAGE_EXECUTE_READ),
    ];
    assert!(x86(0x1f_fff8, &map).contains("likely a stack overflow"));
    assert!(!x86(0x10_0000, &map).contains("stack overflow"));
}

/// A throw of the Visual C++ runtime: `std::bad_alloc`, which is a `std::exception`.
#[test]
fn types_of_cpp_exceptions() {
    const BASE: u64 = 0x1_4000_0000;
    let types = [".?AVbad_alloc@std@@", ".?AVexception@std@@"];
    for dump in [DumpBuilder::windows_x64(), DumpBuilder::windows_x86()] {
        let wide = dump.system.as_ref().unwrap().architecture == Architecture::Amd64;
        let (base, throw) = if wide { (BASE, BASE + 0x2000) } else { (0, 0x40_2000) };
        let at = |offset: u64| ((throw + offset - base) as u32).to_le_bytes();
        let mut bytes = vec![0_u8; 0x400];
        let mut put = |offset: usize, what: &[u8]| {
            bytes[offset..offset + what.len()].copy_from_slice(what);
        };
        put(12, &at(0x20));
        put(0x20, &2_u32.to_le_bytes());
        for (place, name) in types.iter().enumerate() {
            let (catchable, descriptor) = (0x80 + 0x20 * place, 0x100 + 0x80 * place);
            put(0x24 + 4 * place, &at(catchable as u64));
            put(catchable + 4, &at(descriptor as u64));
            put(descriptor + if wide { 16 } else { 8 }, name.as_bytes());
        }
        let parameters = [0x1993_0520, 0x7000, throw, base];
        let count = if wide { 4 } else { 3 };
        let dump = dump.memory(throw, bytes).exception(raised(0xe06d_7363, &parameters[..count]));
        let crash = crash(&dump);
        assert_eq!(crash.message, "a C++ exception was not caught: std::bad_alloc");
        assert_eq!(crash.explanation[0], "the exception is a std::bad_alloc, a std::exception");
    }
}

#[test]
fn what_a_delay_load_wanted() {
    let mut info = vec![0_u8; 0x80];
    let mut put = |offset: usize, what: &[u8]| {
        info[offset..offset + what.len()].copy_from_slice(what);
    };
    put(24, &0x9040_u64.to_le_bytes());
    put(32, &1_u64.to_le_bytes());
    put(40, &0x9060_u64.to_le_bytes());
    put(0x40, b"missing.dll");
    put(0x60, b"Create");
    let of = |code| {
        let dump = DumpBuilder::windows_x64().memory(0x9000, info.clone());
        crash(&dump.exception(raised(code, &[0x9000]))).message
    };
    assert_eq!(of(0xc06d_007e), "a delay-loaded DLL was not found: missing.dll");
    assert_eq!(
        of(0xc06d_007f),
        "a function of a delay-loaded DLL was not found: missing.dll!Create"
    );
}
