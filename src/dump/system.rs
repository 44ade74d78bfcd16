//! Processor and operating system. Source: MINIDUMP_SYSTEM_INFO (stream 7, 56
//! bytes). A shorter one gives the fields that are there: the architecture
//! and the platform decide how everything else is read.

use super::bytes::{u8_at, u16_at, u32_at};
use super::strings::{self, NameAt};
use super::{StreamReader, stream_type};

const SIZE: usize = 56;

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
    const KIND: u32 = stream_type::SYSTEM_INFO;
    let stream = reader.stream(KIND);
    let bytes = stream.map_or(&[][..], |stream| stream.bytes);
    let offset = stream.map_or(0, |stream| stream.offset);
    if stream.is_some() && bytes.len() < SIZE {
        reader.issue(KIND, offset, || {
            format!("has {} of {SIZE} bytes; the fields that are there are used", bytes.len())
        });
    }
    let word = |at| u32_at(bytes, at).unwrap_or(0);
    let arch = u16_at(bytes, 0).map_or(Arch::Unknown(0xffff), Arch::from_number);
    let rva = word(0x18);
    let description = (rva != 0)
        .then(|| NameAt { kind: KIND, place: offset, what: "service pack", rva: rva.into() })
        .and_then(|name| strings::utf16(reader, name))
        .filter(|text| !text.is_empty());
    SystemInfo {
        present: stream.is_some(),
        arch,
        width: arch.width(),
        platform: u32_at(bytes, 0x14).map_or(Platform::Unknown(0), Platform::from_number),
        version: (word(8), word(0xc), word(0x10)),
        description,
        processors: u8_at(bytes, 6).unwrap_or(0),
    }
}

impl Arch {
    /// By PROCESSOR_ARCHITECTURE_* number; from 0x8001 on Breakpad's own.
    fn from_number(number: u16) -> Arch {
        match number {
            // 10: IA32_ON_WIN64, 14: IA32_ON_ARM64.
            0 | 10 | 14 => Arch::X86,
            1 => Arch::Mips,
            3 => Arch::Ppc,
            // 13: ARM32_ON_WIN64.
            5 | 13 => Arch::Arm,
            6 => Arch::Ia64,
            9 => Arch::Amd64,
            // 0x8003: Breakpad before it took Microsoft's number.
            12 | 0x8003 => Arch::Arm64,
            0x8001 => Arch::Sparc,
            0x8002 => Arch::Ppc64,
            0x8004 => Arch::Mips64,
            0x8005 => Arch::Riscv,
            0x8006 => Arch::Riscv64,
            other => Arch::Unknown(other),
        }
    }

    fn width(self) -> PointerWidth {
        match self {
            Arch::X86 | Arch::Arm | Arch::Ppc | Arch::Sparc | Arch::Mips | Arch::Riscv => {
                PointerWidth::Bits32
            }
            Arch::Amd64
            | Arch::Arm64
            | Arch::Ppc64
            | Arch::Mips64
            | Arch::Riscv64
            | Arch::Ia64
            | Arch::Unknown(_) => PointerWidth::Bits64,
        }
    }
}

impl Platform {
    /// By VER_PLATFORM_* number; from 0x8000 on Breakpad's own.
    fn from_number(number: u32) -> Platform {
        match number {
            // 1: Windows 95 to Me, 2: NT, 3: CE.
            1..=3 => Platform::Windows,
            0x8101 => Platform::MacOs,
            0x8102 => Platform::Ios,
            0x8201 => Platform::Linux,
            0x8202 => Platform::Solaris,
            0x8203 => Platform::Android,
            0x8206 => Platform::Fuchsia,
            other => Platform::Unknown(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, messages, read, words};

    #[test]
    fn every_field() {
        let mut bytes = Bytes::new();
        let pack = bytes.name("Service Pack 1");
        let mut record = vec![9, 0, 6, 0, 1, 2, 12, 1];
        record.extend(words([10, 1, 19_045, 2, pack, 0]));
        record.resize(SIZE, 0);
        read(&bytes.stream(7, record).finish(), |dump| {
            let expected = SystemInfo {
                present: true,
                arch: Arch::Amd64,
                width: PointerWidth::Bits64,
                platform: Platform::Windows,
                version: (10, 1, 19_045),
                description: Some("Service Pack 1".into()),
                processors: 12,
            };
            assert_eq!((&dump.system, messages(dump).len()), (&expected, 0));
        });
    }

    #[test]
    fn numbers_of_the_architectures() {
        use PointerWidth::{Bits32, Bits64};
        let cases = [
            (0, Arch::X86, Bits32),
            (10, Arch::X86, Bits32),
            (5, Arch::Arm, Bits32),
            (9, Arch::Amd64, Bits64),
            (12, Arch::Arm64, Bits64),
            (0x8003, Arch::Arm64, Bits64),
            (0x8004, Arch::Mips64, Bits64),
            (0x8006, Arch::Riscv64, Bits64),
            (0xffff, Arch::Unknown(0xffff), Bits64),
        ];
        for (number, arch, width) in cases {
            let dump = Bytes::new().system(number, 2).finish();
            read(&dump, |dump| assert_eq!((dump.system.arch, dump.system.width), (arch, width)));
        }
    }

    #[test]
    fn a_short_stream_keeps_what_decides_the_rest() {
        let record = [vec![0, 0, 0, 0, 0, 0, 2, 1], words([6, 1, 7601, 2])].concat();
        read(&Bytes::new().stream(7, record).finish(), |dump| {
            assert_eq!((dump.system.arch, dump.system.platform), (Arch::X86, Platform::Windows));
            assert_eq!((dump.system.version, messages(dump).len()), ((6, 1, 7601), 1));
        });
        read(&Bytes::new().stream(7, [9]).finish(), |dump| {
            assert_eq!(dump.system.arch, Arch::Unknown(0xffff));
            assert!(dump.system.present);
        });
        read(&Bytes::new().stream(3, words([0])).finish(), |dump| {
            assert!(!dump.system.present);
            assert_eq!(messages(dump).len(), 0);
        });
    }
}
