//! TEBs, PEBs and process parameters, and what they point to. Source:
//! `_TEB`, `_PEB` and `_RTL_USER_PROCESS_PARAMETERS` in captured memory.

use super::Evidence;
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::map::RegionMap;

/// A TEB whose self pointer and thread id check out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teb {
    /// Index of the thread in the thread list.
    pub thread: u32,
    /// Where it is.
    pub address: u64,
    /// Pointer width of this view: a WOW64 thread has one of each.
    pub width: PointerWidth,
    /// NtTib.StackBase: one past the highest byte of the stack.
    pub stack_base: u64,
    /// NtTib.StackLimit: the lowest committed byte.
    pub stack_limit: u64,
    /// DeallocationStack: the allocation base of the stack; `None` when that
    /// part of the TEB is not captured.
    pub deallocation_stack: Option<u64>,
    /// ProcessEnvironmentBlock.
    pub peb: u64,
}

/// A PEB that its TEB points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peb {
    /// Where it is.
    pub address: u64,
    /// Pointer width of this view.
    pub width: PointerWidth,
    /// Whether enough of it is captured to read its fields.
    pub captured: bool,
    /// ImageBaseAddress.
    pub image_base: Option<u64>,
    /// Ldr.
    pub loader_data: Option<u64>,
    /// ProcessHeap.
    pub process_heap: Option<u64>,
    /// NumberOfHeaps and ProcessHeaps.
    pub heaps: Option<(u32, u64)>,
    /// NtGlobalFlag.
    pub global_flag: Option<u32>,
    /// OSMajorVersion, OSMinorVersion, OSBuildNumber.
    pub os_version: Option<(u32, u32, u32)>,
}

/// Process parameters. The environment block is located, never read: it holds
/// secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Full path of the program.
    pub image_path: Option<String>,
    /// Command line. May hold secrets; printed on request only.
    pub command_line: Option<String>,
    /// Where the environment block is.
    pub environment: Option<AddressRange>,
}

/// What the TEBs and PEBs say.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// In the order of the thread list; a WOW64 thread's 64-bit TEB first.
    pub tebs: Vec<Teb>,
    /// At most one a view.
    pub pebs: Vec<Peb>,
    /// Of the first PEB whose parameters are captured.
    pub parameters: Parameters,
}

pub(super) fn gather(_dump: &Dump<'_>, _map: &RegionMap<'_>, _evidence: &mut Evidence) {}
