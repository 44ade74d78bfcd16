//! TEBs, PEBs and process parameters, and what they point to. Source:
//! `_TEB`, `_PEB` and `_RTL_USER_PROCESS_PARAMETERS` in captured memory;
//! without it, where the thread list says that the TEBs are.

mod claims;
mod layout;
mod parameters;
mod peb;
mod teb;
#[cfg(test)]
mod tests;

use super::Evidence;
use crate::addr::AddressRange;
use crate::dump::{Dump, Platform, PointerWidth};
use crate::limits::Depth;
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
    /// FiberData, when a fiber runs on the thread: the stack above is that
    /// fiber's then.
    pub fiber: Option<u64>,
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
    /// At most one a view, the 64-bit one first.
    pub pebs: Vec<Peb>,
    /// Of the first PEB whose parameters are captured.
    pub parameters: Parameters,
    /// Whether this is a 32-bit process on a 64-bit Windows, as its TEBs or
    /// its modules say; `false` also when nothing says so.
    pub wow64: bool,
}

pub(super) fn gather(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &mut Evidence) {
    if dump.system.platform != Platform::Windows {
        return;
    }
    let mut environment = Environment { wow64: wow64_modules(dump), ..Environment::default() };
    let mut pebs = Vec::new();
    let mut parameters = Vec::new();
    if dump.limits.depth >= Depth::Headers {
        let tebs = teb::read_all(dump, &mut evidence.issues);
        environment.tebs = tebs.tebs;
        environment.wow64 |= tebs.wow64;
        pebs = peb::read_all(&dump.captured, &environment.tebs, &mut evidence.issues);
        parameters = pebs
            .iter()
            .filter_map(|peb| parameters::read(&dump.captured, peb.parameters()?, peb.peb.width))
            .collect();
    }
    environment.pebs = pebs.iter().map(|peb| peb.peb).collect();
    if let Some(first) = parameters.first() {
        environment.parameters = first.parameters.clone();
    }
    let out = &mut evidence.claims;
    claims::tebs(dump, map, &environment.tebs, out);
    claims::pebs(&environment.pebs, out);
    claims::block(dump, map, &environment, out);
    claims::parameters(&parameters, out);
    claims::targets(map, &pebs, out);
    claims::desktop_heap(dump, map, &environment.tebs, out);
    evidence.environment = environment;
}

/// 64-bit dumps of WOW64 processes list wow64.dll; 32-bit ones may name the
/// folder of the 32-bit system libraries.
fn wow64_modules(dump: &Dump<'_>) -> bool {
    dump.modules.modules.iter().any(|module| match dump.system.width {
        PointerWidth::Bits64 => module.name().eq_ignore_ascii_case("wow64.dll"),
        PointerWidth::Bits32 => module.path.to_ascii_lowercase().contains("\\syswow64\\"),
    })
}
