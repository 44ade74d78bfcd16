//! Where the fields of `_TEB`, `_PEB` and `_RTL_USER_PROCESS_PARAMETERS` are,
//! as data: one table a pointer width. ARM64 and x64 share theirs, ARM and
//! x86 too. Offsets without a remark hold from XP to Windows 11 24H2 (build
//! 26200); `since` is the first build that has the field.

use crate::dump::PointerWidth;
use crate::dump::bytes::{u32_at, u64_at};

/// Fields of `_TEB`.
#[derive(Debug)]
pub(super) struct TebLayout {
    pub(super) width: PointerWidth,
    /// The fields lie before `head` and from `tail` up to `read`; what is
    /// between them is not read.
    pub(super) head: usize,
    pub(super) tail: usize,
    pub(super) read: usize,
    /// Bytes of address space it takes, in whole pages. Windows 10 puts TEBs
    /// at this distance from each other.
    pub(super) pages: u64,
    pub(super) exception_list: usize,
    pub(super) stack_base: usize,
    pub(super) stack_limit: usize,
    /// FiberData, a union with Version: a fiber only with the flag below.
    pub(super) fiber_data: usize,
    pub(super) self_pointer: usize,
    pub(super) thread_id: usize,
    pub(super) peb: usize,
    pub(super) deallocation_stack: usize,
    /// GdiBatchCount; in a WOW64 TEB32 the address of the TEB64 (7 to 11).
    pub(super) gdi_batch_count: usize,
    /// SameTebFlags (Vista): bit 2 is HasFiberData.
    pub(super) flags: usize,
    /// WowTebOffset (10): from this TEB to the one of the other width.
    pub(super) wow_offset: usize,
}

pub(super) const TEB32: TebLayout = TebLayout {
    width: PointerWidth::Bits32,
    head: 0x34,
    tail: 0xe0c,
    read: 0xfe0,
    pages: 0x1000,
    exception_list: 0x0,
    stack_base: 0x4,
    stack_limit: 0x8,
    fiber_data: 0x10,
    self_pointer: 0x18,
    thread_id: 0x24,
    peb: 0x30,
    deallocation_stack: 0xe0c,
    gdi_batch_count: 0xf70,
    flags: 0xfca,
    wow_offset: 0xfdc,
};

pub(super) const TEB64: TebLayout = TebLayout {
    width: PointerWidth::Bits64,
    head: 0x68,
    tail: 0x1478,
    read: 0x1810,
    pages: 0x2000,
    exception_list: 0x0,
    stack_base: 0x8,
    stack_limit: 0x10,
    fiber_data: 0x20,
    self_pointer: 0x30,
    thread_id: 0x48,
    peb: 0x60,
    deallocation_stack: 0x1478,
    gdi_batch_count: 0x1740,
    flags: 0x17ee,
    wow_offset: 0x180c,
};

/// Win32ClientInfo[4] and [5] of a TEB64: the desktop's information and the
/// base of the desktop heap (seen on 19041 to 26200).
pub(super) const TEB64_DESKTOP: u64 = 0x820;

/// From a TEB64 to its TEB32, when nothing else says so.
pub(super) const WOW64_TEB_DISTANCE: u64 = 0x2000;

/// Fields of `_PEB`.
#[derive(Debug)]
pub(super) struct PebLayout {
    /// Bytes to read: up to the last pointer that [`TARGETS`] uses.
    pub(super) read: usize,
    pub(super) image_base: usize,
    pub(super) loader_data: usize,
    pub(super) parameters: usize,
    pub(super) process_heap: usize,
    pub(super) global_flag: usize,
    pub(super) heap_count: usize,
    pub(super) heaps: usize,
    pub(super) os_major: usize,
    pub(super) os_minor: usize,
    pub(super) os_build: usize,
}

pub(super) const PEB32: PebLayout = PebLayout {
    read: 0x474,
    image_base: 0x8,
    loader_data: 0xc,
    parameters: 0x10,
    process_heap: 0x18,
    global_flag: 0x68,
    heap_count: 0x88,
    heaps: 0x90,
    os_major: 0xa4,
    os_minor: 0xa8,
    os_build: 0xac,
};

pub(super) const PEB64: PebLayout = PebLayout {
    read: 0x7c0,
    image_base: 0x10,
    loader_data: 0x18,
    parameters: 0x20,
    process_heap: 0x30,
    global_flag: 0xbc,
    heap_count: 0xe8,
    heaps: 0xf0,
    os_major: 0x118,
    os_minor: 0x11c,
    os_build: 0x120,
};

/// Fields of `_RTL_USER_PROCESS_PARAMETERS`.
#[derive(Debug)]
pub(super) struct ParametersLayout {
    pub(super) width: PointerWidth,
    /// Bytes to read: up to and with EnvironmentSize.
    pub(super) read: usize,
    pub(super) image_path: usize,
    pub(super) command_line: usize,
    pub(super) environment: usize,
    /// Vista and later.
    pub(super) environment_size: usize,
}

pub(super) const PARAMETERS32: ParametersLayout = ParametersLayout {
    width: PointerWidth::Bits32,
    read: 0x294,
    image_path: 0x38,
    command_line: 0x40,
    environment: 0x48,
    environment_size: 0x290,
};

pub(super) const PARAMETERS64: ParametersLayout = ParametersLayout {
    width: PointerWidth::Bits64,
    read: 0x3f8,
    image_path: 0x60,
    command_line: 0x70,
    environment: 0x80,
    environment_size: 0x3f0,
};

/// What a pointer in the PEB must point to before it names anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// A mapped view; the whole view gets the name.
    View,
    /// The same; in an image it is remarked only.
    ViewOrImage,
    /// A mapped view of a section that no file can be behind.
    SharedSection,
    /// The start of a private allocation.
    PrivateStart,
}

/// A pointer in the PEB to something that has a region of its own.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    /// Offset in the 32-bit and in the 64-bit PEB.
    pub(super) offset: (usize, usize),
    /// First build with the field.
    pub(super) since: u32,
    pub(super) expected: Expected,
}

/// CsrServerReadOnlySharedMemoryBase is left out: the address is one of csrss
/// and hits unrelated regions here. TelemetryCoverageHeader is left out:
/// it was 0 wherever it was captured.
pub(super) const TARGETS: [Target; 11] = [
    // In Windows 7 inside the image apisetschema.dll, a view of its own later.
    Target {
        name: "API set map",
        offset: (0x38, 0x68),
        since: 7600,
        expected: Expected::ViewOrImage,
    },
    Target {
        name: "read-only shared memory",
        offset: (0x4c, 0x88),
        since: 2600,
        expected: Expected::SharedSection,
    },
    // One view holds all three; they are 0 on 22000 and later.
    Target { name: "NLS tables", offset: (0x58, 0xa0), since: 2600, expected: Expected::View },
    Target { name: "NLS tables", offset: (0x5c, 0xa8), since: 2600, expected: Expected::View },
    Target { name: "NLS tables", offset: (0x60, 0xb0), since: 2600, expected: Expected::View },
    Target {
        name: "GDI handle table",
        offset: (0x94, 0xf8),
        since: 2600,
        expected: Expected::SharedSection,
    },
    Target {
        name: "shim data",
        offset: (0x1e8, 0x2d8),
        since: 2600,
        expected: Expected::PrivateStart,
    },
    Target {
        name: "activation context data",
        offset: (0x1f8, 0x2f8),
        since: 2600,
        expected: Expected::View,
    },
    Target {
        name: "system default activation context data",
        offset: (0x200, 0x308),
        since: 2600,
        expected: Expected::View,
    },
    Target {
        name: "WER registration data",
        offset: (0x230, 0x358),
        since: 6000,
        expected: Expected::PrivateStart,
    },
    Target {
        name: "leap second data",
        offset: (0x470, 0x7b8),
        since: 17763,
        expected: Expected::View,
    },
];

/// The pointer at `offset`; `None` where the bytes end.
pub(super) fn pointer_at(bytes: &[u8], offset: usize, width: PointerWidth) -> Option<u64> {
    match width {
        PointerWidth::Bits32 => u32_at(bytes, offset).map(u64::from),
        PointerWidth::Bits64 => u64_at(bytes, offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_lies_in_the_bytes_that_are_read() {
        for teb in [&TEB32, &TEB64] {
            assert!(teb.wow_offset + 4 <= teb.read && teb.flags + 2 <= teb.read);
        }
        for target in &TARGETS {
            assert!(target.offset.0 + 4 <= PEB32.read, "{}", target.name);
            assert!(target.offset.1 + 8 <= PEB64.read, "{}", target.name);
        }
        for (parameters, size) in [(&PARAMETERS32, 4), (&PARAMETERS64, 8)] {
            assert_eq!(parameters.environment_size + size, parameters.read);
        }
    }
}
