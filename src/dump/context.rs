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
