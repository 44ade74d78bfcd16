//! Executable memory beyond what images have: private memory and views, and
//! images with pages that are writable and executable at once. From the pass
//! over the allocations; of a process on Windows only.

use crate::addr::AddressRange;
use crate::map::{AllocationRun, MemoryType, Protection, RegionMap, State};

/// One allocation with executable pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executable {
    /// The allocation.
    pub range: AddressRange,
    /// What backs it.
    pub memory_type: MemoryType,
    /// Committed bytes that can run.
    pub executable: u64,
    /// Those of them that can be written too, copy-on-write included.
    pub writable: u64,
}

/// What the pass over the allocations finds.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) found: Vec<Executable>,
    /// Allocations beyond the bound.
    pub(super) more: u64,
}

impl Candidates {
    /// Allocations kept. A JavaScript engine makes some thousand.
    const KEPT: usize = 65_536;

    #[inline]
    pub(super) fn look(&mut self, map: &RegionMap<'_>, run: &AllocationRun) {
        if run.executable {
            self.add(map, run);
        }
    }

    fn add(&mut self, map: &RegionMap<'_>, run: &AllocationRun) {
        let Some(memory_type) = run.memory_type else { return };
        let range = run.range();
        let mut executable = Executable { range, memory_type, executable: 0, writable: 0 };
        for region in map.regions_of(run) {
            let protect = region.protect;
            if region.state == State::Commit && protect.is_executable() && !protect.is_guard() {
                let size = region.range.size();
                executable.executable = executable.executable.saturating_add(size);
                if is_writable(protect) {
                    executable.writable = executable.writable.saturating_add(size);
                }
            }
        }
        let common = memory_type == MemoryType::Image && executable.writable == 0;
        if common || executable.executable == 0 {
            return;
        }
        if self.found.len() < Self::KEPT {
            self.found.push(executable);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

fn is_writable(protect: Protection) -> bool {
    protect.0 & 0xc0 != 0
}
