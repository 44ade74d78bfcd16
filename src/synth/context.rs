//! Thread contexts: the registers of one thread, in the layout of its architecture.

use super::Architecture;
use super::bytes::Canvas;

/// The context record of a thread or an exception.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Context {
    /// No record: size and offset are zero.
    #[default]
    None,
    /// A record of the dump's architecture.
    Registers(Registers),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
}

impl Context {
    /// A context at an instruction pointer and a stack pointer; see [`Registers`].
    pub fn at(instruction: u64, stack: u64) -> Self {
        Context::Registers(Registers::new(instruction, stack))
    }

    pub(super) fn encode(&self, architecture: Architecture) -> Vec<u8> {
        match self {
            Context::None => Vec::new(),
            Context::Registers(registers) => registers.encode(architecture),
            Context::Raw(bytes) => bytes.clone(),
        }
    }
}

/// The registers a map of memory needs. All others are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers {
    /// RIP, EIP, PC.
    pub instruction: u64,
    /// RSP, ESP, SP.
    pub stack: u64,
    /// RBP, EBP, X29, R11.
    pub frame: u64,
    /// X30, R14; x86 has none.
    pub link: u64,
}

impl Registers {
    /// Registers with the frame pointer 0x40 above the stack pointer.
    pub fn new(instruction: u64, stack: u64) -> Self {
        Registers { instruction, stack, frame: stack.wrapping_add(0x40), link: 0 }
    }

    /// The CONTEXT of an architecture: 716 bytes on x86, 1232 on x86-64, 912 on ARM64, 796 on Breakpad's
    /// ARM64, 368 on (Breakpad's) ARM; empty for an architecture without a known layout.
    pub fn encode(&self, architecture: Architecture) -> Vec<u8> {
        match architecture {
            Architecture::X86 => self.x86(),
            Architecture::Amd64 => self.amd64(),
            Architecture::Arm64 => self.arm64(),
            Architecture::Arm64Old => self.arm64_old(),
            Architecture::Arm => self.arm(),
            Architecture::Other(_) => Vec::new(),
        }
    }

    fn x86(&self) -> Vec<u8> {
        let mut context = Canvas::new(716, 4);
        context
            .u32(0x00, 0x0001_0007) // CONTEXT_FULL
            .u32(0x8c, 0x2b) // gs
            .u32(0x90, 0x53) // fs
            .u32(0x94, 0x2b) // es
            .u32(0x98, 0x2b) // ds
            .ptr(0xb4, self.frame)
            .ptr(0xb8, self.instruction)
            .u32(0xbc, 0x23) // cs
            .u32(0xc0, 0x246) // eflags
            .ptr(0xc4, self.stack)
            .u32(0xc8, 0x2b); // ss
        context.bytes
    }

    fn amd64(&self) -> Vec<u8> {
        let mut context = Canvas::new(1232, 8);
        context
            .u32(0x30, 0x0010_001f) // CONTEXT_ALL
            .u32(0x34, 0x1f80) // mxcsr
            .u16(0x38, 0x33) // cs
            .u16(0x3a, 0x2b) // ds
            .u16(0x3c, 0x2b) // es
            .u16(0x3e, 0x53) // fs
            .u16(0x40, 0x2b) // gs
            .u16(0x42, 0x2b) // ss
            .u32(0x44, 0x246) // eflags
            .u64(0x98, self.stack)
            .u64(0xa0, self.frame)
            .u64(0xf8, self.instruction);
        context.bytes
    }

    fn arm64(&self) -> Vec<u8> {
        let mut context = Canvas::new(912, 8);
        context
            .u32(0x00, 0x0040_0007) // CONTEXT_FULL
            .u64(0x08 + 29 * 8, self.frame)
            .u64(0x08 + 30 * 8, self.link)
            .u64(0x100, self.stack)
            .u64(0x108, self.instruction);
        context.bytes
    }

    fn arm64_old(&self) -> Vec<u8> {
        let mut context = Canvas::new(796, 8);
        context
            .u64(0x00, 0x8000_0006) // integer and floating point
            .u64(0x08 + 29 * 8, self.frame)
            .u64(0x08 + 30 * 8, self.link)
            .u64(0x100, self.stack)
            .u64(0x108, self.instruction);
        context.bytes
    }

    fn arm(&self) -> Vec<u8> {
        let mut context = Canvas::new(368, 4);
        context
            .u32(0x00, 0x4000_0007) // CONTEXT_FULL
            .ptr(0x04 + 11 * 4, self.frame)
            .ptr(0x04 + 13 * 4, self.stack)
            .ptr(0x04 + 14 * 4, self.link)
            .ptr(0x04 + 15 * 4, self.instruction);
        context.bytes
    }
}
