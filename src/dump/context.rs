//! Registers of a thread. Source: the processor's CONTEXT record, read with
//! the `minidump` crate where all registers are wanted.

use minidump::{Endian, MinidumpContext, MinidumpStream, MinidumpSystemInfo};

use super::bytes::{u32_at, u64_at};
use super::{Arch, Platform, PointerWidth, SystemInfo};
use crate::source::Source;

/// The three registers that the map needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Stack pointer.
    pub stack_pointer: u64,
    /// Instruction pointer.
    pub instruction_pointer: u64,
    /// Frame pointer.
    pub frame_pointer: u64,
}

/// Every general-purpose register with its name, in the processor's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Name and value.
    pub registers: Vec<(&'static str, u64)>,
}

/// Bytes of a context that are looked at: more than any processor's record
/// without extended state.
const MOST: u64 = 4096;

/// Where a processor's record has what the map needs.
struct Layout {
    flags: usize,
    /// CONTEXT_* bits of which one must be set.
    cpu: u32,
    stack: usize,
    instruction: usize,
    frame: usize,
    width: PointerWidth,
}

impl Layout {
    /// Sources: winnt.h for x86, AMD64, ARM and ARM64; Breakpad's
    /// minidump_format.h for the others and for its old ARM64, which has the
    /// same offsets and other flags. RISC-V has none: two layouts with the
    /// same flags are about.
    fn of(system: &SystemInfo) -> Option<Layout> {
        use PointerWidth::{Bits32, Bits64};
        let layout = |flags, cpu, stack, instruction, frame, width| {
            Some(Layout { flags, cpu, stack, instruction, frame, width })
        };
        match system.arch {
            Arch::X86 => layout(0, 0x1_0000, 0xc4, 0xb8, 0xb4, Bits32),
            Arch::Amd64 => layout(0x30, 0x10_0000, 0x98, 0xf8, 0xa0, Bits64),
            // Breakpad, Windows, old Breakpad. r7 is Apple's frame pointer.
            Arch::Arm => {
                let apple = matches!(system.platform, Platform::Ios | Platform::MacOs);
                layout(0, 0x4020_0040, 0x38, 0x40, if apple { 0x20 } else { 0x30 }, Bits32)
            }
            // Windows, old Breakpad.
            Arch::Arm64 => layout(0, OLD_ARM64 | 0x40_0000, 0x100, 0x108, 0xf0, Bits64),
            // 64-bit fields in both.
            Arch::Mips | Arch::Mips64 => layout(0, 0xc_0000, 0xf0, 0x138, 0xf8, Bits64),
            Arch::Ppc => layout(0, 0x2000_0000, 0x10, 0x4, 0x88, Bits32),
            Arch::Ppc64 => layout(0, 0x100_0000, 0x20, 0x8, 0x110, Bits64),
            _ => None,
        }
    }
}

/// Set in the context of Breakpad's ARM64 before it took Microsoft's layout.
const OLD_ARM64: u32 = 0x8000_0000;

/// Stack, instruction and frame pointer. `None` when the record is cut
/// before them, or is another processor's.
pub(super) fn registers(
    source: &Source,
    (offset, size): (u64, u64),
    system: &SystemInfo,
) -> Option<Registers> {
    let bytes = source.slice_clipped(offset, size.min(MOST));
    let layout = Layout::of(system)?;
    if u32_at(bytes, layout.flags)? & layout.cpu == 0 {
        return None;
    }
    let register = |at| match layout.width {
        PointerWidth::Bits32 => u32_at(bytes, at).map(u64::from),
        PointerWidth::Bits64 => u64_at(bytes, at),
    };
    Some(Registers {
        stack_pointer: system.width.mask(register(layout.stack)?),
        instruction_pointer: system.width.mask(register(layout.instruction)?),
        frame_pointer: system.width.mask(register(layout.frame)?),
    })
}

/// Every register, by the `minidump` crate. It wants whole records with no
/// flags but the processor's: a record that is cut after the general
/// registers is filled with zeros, and bits that Windows adds (0x08000000 and
/// up: CONTEXT_EXCEPTION_ACTIVE …) are taken away.
pub(super) fn context(
    source: &Source,
    (offset, size): (u64, u64),
    system: &SystemInfo,
) -> Option<Context> {
    registers(source, (offset, size), system)?;
    let layout = Layout::of(system)?;
    let mut bytes = source.slice_clipped(offset, size.min(MOST)).to_vec();
    bytes.resize(super::bytes::index(MOST), 0);
    let flags = u32_at(&bytes, layout.flags)?;
    let old_arm64 = flags & OLD_ARM64 != 0 && flags & 0x40_0000 == 0;
    let (arch, cpu): (u16, u32) = match system.arch {
        Arch::X86 => (0, 0x1_0000),
        Arch::Mips => (1, 0x4_0000),
        Arch::Ppc => (3, 0x2000_0000),
        Arch::Arm => (5, 0x4000_0000),
        Arch::Amd64 => (9, 0x10_0000),
        Arch::Arm64 if old_arm64 => (0x8003, OLD_ARM64),
        Arch::Arm64 => (12, 0x40_0000),
        Arch::Ppc64 => (0x8002, 0x100_0000),
        _ => return None,
    };
    let end = layout.flags.checked_add(4)?;
    bytes.get_mut(layout.flags..end)?.copy_from_slice(&(cpu | (flags & 0xff)).to_le_bytes());
    let mut record = [0; 56];
    record.first_chunk_mut::<2>()?.copy_from_slice(&arch.to_le_bytes());
    let info = MinidumpSystemInfo::read(&record, &[], Endian::Little, None).ok()?;
    let context = MinidumpContext::read(&bytes, Endian::Little, &info, None).ok()?;
    Some(Context { registers: context.registers().collect() })
}

#[cfg(test)]
mod tests {
    use crate::dump::tests::{Bytes, longs, read, words};

    /// A dump with one thread whose context is this, and what it reads as.
    fn of<T>(
        (arch, platform): (u16, u32),
        context: &[u8],
        ask: impl Fn(&crate::dump::Dump<'_>) -> T,
    ) -> T {
        let mut bytes = Bytes::new();
        let size = u32::try_from(context.len()).unwrap();
        let rva = bytes.data(context);
        let list = [words([1, 1, 0, 0, 0]), longs([0, 0]), words([0, 0, size, rva])].concat();
        read(&bytes.system(arch, platform).stream(3, list).finish(), ask)
    }

    fn registers_of(system: (u16, u32), context: &[u8]) -> Option<[u64; 3]> {
        let registers = of(system, context, |dump| dump.registers(&dump.threads[0]))?;
        Some([registers.stack_pointer, registers.instruction_pointer, registers.frame_pointer])
    }

    fn record(size: usize, fields: &[(usize, u64, usize)]) -> Vec<u8> {
        let mut bytes = vec![0; size];
        for (at, value, width) in fields {
            bytes[*at..at + width].copy_from_slice(&value.to_le_bytes()[..*width]);
        }
        bytes
    }

    fn amd64(flags: u64) -> Vec<u8> {
        record(1232, &[(0x30, flags, 4), (0x98, 1, 8), (0xf8, 2, 8), (0xa0, 3, 8), (0x78, 4, 8)])
    }

    fn x86(size: usize) -> Vec<u8> {
        record(size, &[(0, 0x1_003f, 4), (0xc4, 1, 4), (0xb8, 2, 4), (0xb4, 3, 4)])
    }

    #[test]
    fn stack_instruction_and_frame_pointer_of_each_processor() {
        let expected = Some([1, 2, 3]);
        assert_eq!(registers_of((9, 2), &amd64(0x10_005f)), expected);
        assert_eq!(registers_of((0, 2), &x86(716)), expected);
        let arm =
            |frame| record(368, &[(0, 0x4000_0006, 4), (0x38, 1, 4), (0x40, 2, 4), (frame, 3, 4)]);
        assert_eq!(registers_of((5, 0x8201), &arm(0x30)), expected);
        assert_eq!(registers_of((5, 0x8102), &arm(0x20)), expected);
        let fields = [(0x100, 1, 8), (0x108, 2, 8), (0xf0, 3, 8)];
        for (arch, flags, width) in [(12, 0x40_000f, 4), (0x8003, 0x8000_0006, 8)] {
            let context = record(912, &[[(0, flags, width)].as_slice(), &fields].concat());
            assert_eq!(registers_of((arch, 2), &context), expected);
        }
        let mips = record(600, &[(0, 0x4_0000, 4), (0xf0, 1, 8), (0x138, 2, 8), (0xf8, 3, 8)]);
        assert_eq!(registers_of((1, 0x8201), &mips), expected);
    }

    #[test]
    fn records_that_are_cut_or_of_another_processor() {
        assert_eq!(registers_of((9, 2), &amd64(0x10_005f)[..0x100]), Some([1, 2, 3]));
        assert_eq!(registers_of((9, 2), &amd64(0x10_005f)[..0xff]), None);
        assert_eq!(registers_of((9, 2), &amd64(0x1_005f)), None);
        assert_eq!(registers_of((9, 2), &x86(1232)), None);
        assert_eq!(registers_of((0, 2), &amd64(0x10_005f)), None);
        assert_eq!(registers_of((0xffff, 2), &amd64(0x10_005f)), None);
    }

    #[test]
    fn every_register_even_of_records_with_more_flags_or_fewer_bytes() {
        let value = |context: &[u8], name| {
            of((9, 2), context, |dump| {
                let context = dump.context(&dump.threads[0])?;
                context.registers.iter().find(|(of, _)| *of == name).map(|(_, value)| *value)
            })
        };
        for (flags, size) in [(0x10_005f, 1232), (0xd810_005f, 1232), (0x10_005f, 0x100)] {
            let context = amd64(flags);
            assert_eq!(value(&context[..size], "rax"), Some(4));
            assert_eq!(value(&context[..size], "rip"), Some(2));
        }
        assert_eq!(value(&amd64(0x10_005f)[..0xf0], "rax"), None);
    }

    #[test]
    fn the_exceptions_registers_come_first() {
        let mut bytes = Bytes::new();
        let [raised, listed] = [0x77_u64, 0x88]
            .map(|stack| bytes.data(record(1232, &[(0x30, 0x10_005f, 4), (0x98, stack, 8)])));
        let list = [words([1, 1, 0, 0, 0]), longs([0, 0]), words([0, 0, 1232, listed])].concat();
        let mut exception = words([1, 0, 0xc000_0005]);
        exception.resize(160, 0);
        exception.extend(words([1232, raised]));
        let dump = bytes.system(9, 2).stream(3, list).stream(6, exception).finish();
        let stack = read(&dump, |dump| dump.registers(&dump.threads[0]).unwrap().stack_pointer);
        assert_eq!(stack, 0x77);
    }
}
