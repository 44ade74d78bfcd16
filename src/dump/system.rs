//! Processor and operating system. Source: MINIDUMP_SYSTEM_INFO (stream 7),
//! read with the `minidump` crate.

use super::StreamReader;

/// How wide the process' pointers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerWidth {
    /// 4 bytes.
    Bits32,
    /// 8 bytes.
    Bits64,
}

impl PointerWidth {
    /// 32 or 64.
    pub fn bits(self) -> u32 {
        match self {
            PointerWidth::Bits32 => 32,
            PointerWidth::Bits64 => 64,
        }
    }

    /// Bytes of one pointer: 4 or 8.
    pub fn bytes(self) -> usize {
        match self {
            PointerWidth::Bits32 => 4,
            PointerWidth::Bits64 => 8,
        }
    }

    /// The address without the sign extension that dumps of large-address-
    /// aware 32-bit processes carry above 2 GiB.
    #[inline]
    pub fn mask(self, address: u64) -> u64 {
        match self {
            PointerWidth::Bits32 => address & 0xffff_ffff,
            PointerWidth::Bits64 => address,
        }
    }
}

/// Processor architecture of the dumped process.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    X86,
    Amd64,
    Arm,
    Arm64,
    Ppc,
    Ppc64,
    Sparc,
    Mips,
    Mips64,
    Riscv,
    Riscv64,
    Ia64,
    /// A number that no known writer uses, or no SystemInfo at all.
    Unknown(u16),
}

/// Operating system of the dumped process.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Windows,
    MacOs,
    Ios,
    Linux,
    Android,
    Solaris,
    Fuchsia,
    /// A number that no known writer uses, or no SystemInfo at all.
    Unknown(u32),
}

/// What stream 7 says of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemInfo {
    /// Whether the dump has the stream.
    pub present: bool,
    /// Processor architecture.
    pub arch: Arch,
    /// How wide its pointers are; 64 bits where the architecture is unknown.
    pub width: PointerWidth,
    /// Operating system.
    pub platform: Platform,
    /// Major and minor version and build of the system.
    pub version: (u32, u32, u32),
    /// Service pack, or the kernel's description on Linux.
    pub description: Option<String>,
    /// Logical processors.
    pub processors: u8,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>) -> SystemInfo {
    let _ = reader;
    SystemInfo {
        present: false,
        arch: Arch::Unknown(0xffff),
        width: PointerWidth::Bits64,
        platform: Platform::Unknown(0),
        version: (0, 0, 0),
        description: None,
        processors: 0,
    }
}
