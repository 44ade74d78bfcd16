//! Exception codes in words. Sources: winnt.h and ntstatus.h; the Visual C++
//! runtime, .NET, Chromium, Delphi and GCC for their own; signal.h and
//! mach/exception_types.h.

/// A code of Windows.
pub(super) struct Known {
    pub(super) code: u32,
    /// Its name, used where the `minidump` crate has none.
    pub(super) name: &'static str,
    pub(super) words: &'static str,
}

const fn known(code: u32, name: &'static str, words: &'static str) -> Known {
    Known { code, name, words }
}

/// Codes whose parameters say nothing that is put into words elsewhere.
const WINDOWS: [Known; 54] = [
    known(0x0eed_face, "BORLAND_CPP_EXCEPTION", "a Borland C++ exception was not caught"),
    known(0x0eed_fade, "DELPHI_EXCEPTION", "a Delphi exception was not caught"),
    known(0x2047_4343, "GCC_EXCEPTION", "a C++ exception of GCC's runtime was not caught"),
    known(0x4000_001f, "STATUS_WX86_BREAKPOINT", "breakpoint in 32-bit code on 64-bit Windows"),
    known(0x4001_0005, "DBG_CONTROL_C", "Ctrl+C"),
    known(0x406d_1388, "MS_VC_EXCEPTION", "a thread told a debugger its name, and none listened"),
    known(0x8000_0001, "EXCEPTION_GUARD_PAGE", "first access to a guard page"),
    known(0x8000_0002, "EXCEPTION_DATATYPE_MISALIGNMENT", "access to a misaligned address"),
    known(0x8000_0003, "EXCEPTION_BREAKPOINT", "breakpoint: an assertion, or a debugger's break"),
    known(0x8000_0004, "EXCEPTION_SINGLE_STEP", "single step of a debugger"),
    known(0x8000_0026, "STATUS_LONGJUMP", "a longjmp went wrong"),
    known(0xc000_0005, "EXCEPTION_ACCESS_VIOLATION", "access violation"),
    known(0xc000_0006, "EXCEPTION_IN_PAGE_ERROR", "in-page error: a page could not be read"),
    known(0xc000_0008, "EXCEPTION_INVALID_HANDLE", "use of an invalid handle"),
    known(0xc000_000d, "STATUS_INVALID_PARAMETER", "a function got an invalid parameter"),
    known(0xc000_0017, "STATUS_NO_MEMORY", "out of memory: an allocation failed"),
    known(0xc000_001d, "EXCEPTION_ILLEGAL_INSTRUCTION", "illegal instruction"),
    known(
        0xc000_0025,
        "EXCEPTION_NONCONTINUABLE_EXCEPTION",
        "the program tried to go on after a fatal exception",
    ),
    known(
        0xc000_0026,
        "EXCEPTION_INVALID_DISPOSITION",
        "an exception handler gave an invalid answer",
    ),
    known(0xc000_007b, "STATUS_INVALID_IMAGE_FORMAT", "a DLL is no valid image for this process"),
    known(0xc000_008c, "EXCEPTION_BOUNDS_EXCEEDED", "array index out of bounds"),
    known(0xc000_008d, "EXCEPTION_FLT_DENORMAL_OPERAND", "floating-point: denormal operand"),
    known(0xc000_008e, "EXCEPTION_FLT_DIVIDE_BY_ZERO", "floating-point: division by zero"),
    known(0xc000_008f, "EXCEPTION_FLT_INEXACT_RESULT", "floating-point: inexact result"),
    known(0xc000_0090, "EXCEPTION_FLT_INVALID_OPERATION", "floating-point: invalid operation"),
    known(0xc000_0091, "EXCEPTION_FLT_OVERFLOW", "floating-point: overflow"),
    known(0xc000_0092, "EXCEPTION_FLT_STACK_CHECK", "floating-point: stack overflow or underflow"),
    known(0xc000_0093, "EXCEPTION_FLT_UNDERFLOW", "floating-point: underflow"),
    known(0xc000_0094, "EXCEPTION_INT_DIVIDE_BY_ZERO", "integer division by zero"),
    known(0xc000_0095, "EXCEPTION_INT_OVERFLOW", "integer overflow"),
    known(0xc000_0096, "EXCEPTION_PRIV_INSTRUCTION", "privileged instruction"),
    known(0xc000_009a, "STATUS_INSUFFICIENT_RESOURCES", "the system had no resources left"),
    known(0xc000_00fd, "EXCEPTION_STACK_OVERFLOW", "stack overflow"),
    known(
        0xc000_012d,
        "STATUS_COMMITMENT_LIMIT",
        "out of memory: the system's commit limit was reached",
    ),
    known(0xc000_0135, "STATUS_DLL_NOT_FOUND", "a DLL that the program needs was not found"),
    known(
        0xc000_0138,
        "STATUS_ORDINAL_NOT_FOUND",
        "a DLL lacks a function (by number) that the program needs",
    ),
    known(
        0xc000_0139,
        "STATUS_ENTRYPOINT_NOT_FOUND",
        "a DLL lacks a function that the program needs",
    ),
    known(0xc000_013a, "STATUS_CONTROL_C_EXIT", "ended by Ctrl+C"),
    known(0xc000_0142, "STATUS_DLL_INIT_FAILED", "a DLL could not initialise itself"),
    known(0xc000_0144, "STATUS_UNHANDLED_EXCEPTION", "an exception was not handled"),
    known(
        0xc000_0194,
        "EXCEPTION_POSSIBLE_DEADLOCK",
        "possible deadlock: a critical section was not left",
    ),
    known(
        0xc000_0374,
        "STATUS_HEAP_CORRUPTION",
        "heap corruption: the heap manager found a damaged heap",
    ),
    known(
        0xc000_0409,
        "STATUS_STACK_BUFFER_OVERRUN",
        "stack buffer overrun, or a fail-fast without a code",
    ),
    known(
        0xc000_0417,
        "STATUS_INVALID_CRUNTIME_PARAMETER",
        "a C runtime function got an invalid parameter",
    ),
    known(
        0xc000_041d,
        "STATUS_FATAL_USER_CALLBACK_EXCEPTION",
        "an exception was not handled in a callback from the kernel",
    ),
    known(0xc000_0420, "STATUS_ASSERTION_FAILURE", "an assertion failed"),
    known(0xc000_0602, "STATUS_FAIL_FAST_EXCEPTION", "fail fast: the program ended itself"),
    known(0xc06d_007e, "VCPP_MODULE_NOT_FOUND", "a delay-loaded DLL was not found"),
    known(
        0xc06d_007f,
        "VCPP_PROCEDURE_NOT_FOUND",
        "a function of a delay-loaded DLL was not found",
    ),
    known(0xcfff_ffff, "APPLICATION_HANG", "the program did not respond and was ended"),
    known(0xe000_0008, "OUT_OF_MEMORY", "out of memory: an allocation failed"),
    known(0xe043_4352, "CLR_EXCEPTION", "a .NET exception was not caught"),
    known(
        0xe043_4f4d,
        "COMPLUS_EXCEPTION",
        "a .NET exception was not caught (.NET Framework before 4)",
    ),
    known(0xe06d_7363, "UNHANDLED_CPP_EXCEPTION", "a C++ exception was not caught"),
];

/// What is known of a code of Windows.
pub(super) fn windows(code: u32) -> Option<&'static Known> {
    WINDOWS.iter().find(|known| known.code == code)
}

/// What a subcode of `__fastfail` means, for those that ordinary programs
/// run into; the name of every one is in the exception's name.
pub(super) fn fast_fail(subcode: u32) -> Option<&'static str> {
    Some(match subcode {
        0 | 2 => "a buffer on the stack was overrun: its security cookie was overwritten",
        1 => "an object's table of virtual functions is damaged",
        10 | 64 => "Control Flow Guard: an indirect call to an address that is no valid target",
        3 => "a linked list is damaged: freed or overwritten memory",
        4 => "the stack pointer lies outside the stack",
        5 => "a function got an invalid argument",
        6 => "the security cookie could not be set up",
        7 => "the program ended itself: abort, an uncaught C++ exception, a Rust panic",
        8 => "an index is out of range",
        13 | 48 => "a thread's registers were to be set to something not allowed",
        14 => "a reference count is invalid",
        18 | 38 => "longjmp to something that no setjmp wrote",
        21 => "the chain of exception handlers is damaged",
        25 => "delay loading found its protected data changed",
        29 => "a balanced tree is damaged: freed or overwritten memory",
        35 | 50 => "the heap manager found a damaged heap",
        36 => "a lock is in an invalid state",
        57 => "the return address is not the one that the shadow stack has",
        65 => "a cast to a class that the object is not of",
        71 => "AddressSanitizer found an error",
        72 => "a .NET exception was not caught (native AOT)",
        _ => return None,
    })
}

/// A signal of Linux and its code: what happened.
pub(super) fn signal(number: u32, code: u32) -> &'static str {
    match (number, code) {
        (4, _) => "illegal instruction",
        (5, _) => "breakpoint or trap: an assertion, or a debugger's break",
        (6, _) => "the program aborted itself",
        (7, 1) => "bus error: the address is misaligned",
        (7, 2) => "bus error: the file behind the mapping does not reach that far",
        (7, _) => "bus error",
        (8, 1) => "integer division by zero",
        (8, 2) => "integer overflow",
        (8, 3) => "floating-point: division by zero",
        (8, _) => "arithmetic error",
        (11, 1) => "segmentation fault: no memory is mapped there",
        (11, 2) => "segmentation fault: the memory does not allow the access",
        (11, 0x80) => "segmentation fault: a general protection fault, the address is not known",
        (11, 8 | 9) => "segmentation fault: the pointer's memory tag is wrong",
        (11, _) => "segmentation fault",
        (16, _) => "stack fault",
        (24, _) => "the limit of processor time was reached",
        (25, _) => "the limit of file sizes was reached",
        (31, _) => "a system call that is not allowed",
        _ => "ended by a signal",
    }
}

/// An exception of macOS and its code: what happened.
pub(super) fn mach(exception: u32, code: u32) -> &'static str {
    match (exception, code) {
        (1, 1) => "bad access: no memory is mapped there",
        (1, 2) => "bad access: the memory does not allow it",
        (1, 0xd) => "general protection fault: a misused or non-canonical address",
        (1, _) => "bad access",
        (2, _) => "illegal instruction",
        (3, 1) => "division by zero",
        (3, _) => "arithmetic error",
        (4, _) => "an emulated instruction",
        (5, _) => "software exception",
        (6, _) => "breakpoint or trap: an assertion, or a debugger's break",
        (0 | 10, _) => "ended by a signal",
        (11, _) => "a limit of resources was reached",
        (12, _) => "a guarded resource was misused",
        (NS_EXCEPTION, _) => "an Objective-C exception was not caught",
        _ => "exception",
    }
}

/// Crashpad's own code, `CPnx`, for an uncaught NSException.
pub(super) const NS_EXCEPTION: u32 = 0x4350_6e78;

/// What debug heaps fill memory with, and what that means.
const FILLS: [(u32, &str); 9] = [
    (0xabab_abab, "what a debugged Windows heap puts behind a block"),
    (0xbaad_f00d, "what a debugged Windows heap fills new memory with"),
    (0xcccc_cccc, "what debug builds of Visual C++ fill the stack with"),
    (0xcdcd_cdcd, "what Visual C++'s debug heap fills new memory with"),
    (0xdddd_dddd, "what Visual C++'s debug heap fills freed memory with"),
    (0xe5e5_e5e5, "what Firefox's allocator fills freed memory with"),
    (0xefef_efef, "what Chromium's allocator fills freed memory with"),
    (0xfdfd_fdfd, "what Visual C++'s debug heap puts around a block"),
    (0xfeee_feee, "what a debugged Windows heap fills freed memory with"),
];

/// An address that is a fill pattern, or at most a page above one: the
/// pattern and what it means. A heuristic: an address can look like it.
pub(super) fn fill(address: u64, pointer_bytes: usize) -> Option<(u64, &'static str)> {
    const NEAR: u64 = 0x1000;
    FILLS.iter().find_map(|(fill, words)| {
        let fill = u64::from(*fill);
        let pattern = if pointer_bytes == 4 { fill } else { fill << 32 | fill };
        (pattern <= address && address - pattern < NEAR).then_some((pattern, *words))
    })
}
