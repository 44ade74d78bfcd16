//! Registers of a thread. Source: the processor's CONTEXT record, read with
//! the `minidump` crate where all registers are wanted.

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

pub(super) fn registers(
    _source: &crate::source::Source,
    _context: (u64, u64),
    _system: &super::SystemInfo,
) -> Option<Registers> {
    None
}
