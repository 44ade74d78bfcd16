//! One pass over a Windows map for all gatherers that look at shapes: what
//! the allocations around given addresses are made of, and which allocations
//! have the size or the protections of something known. It claims nothing.

use super::executable;
use super::images::unlisted;
use crate::addr::AddressRange;
use crate::dump::{Dump, Platform, PointerWidth};
use crate::map::{AllocationRun, MapSource, MemoryType, Protection, RegionMap, State};

/// What one allocation is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allocation {
    pub(super) range: AddressRange,
    /// Of its first region.
    pub(super) memory_type: Option<MemoryType>,
    /// PAGE_* at the time of the allocation.
    pub(super) protect: Protection,
    /// Index of its first region in the map, and how many it has.
    pub(super) first: usize,
    pub(super) regions: usize,
    /// Committed bytes without guard pages.
    pub(super) committed: u64,
    /// Committed bytes with PAGE_GUARD.
    pub(super) guard: u64,
}

/// A private allocation of reserved, guard and read-write pages, in this
/// order: the shape of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StackShape {
    pub(super) range: AddressRange,
    /// First byte above the guard pages.
    pub(super) limit: u64,
    pub(super) committed: u64,
    pub(super) guard: u64,
}

/// What the pass found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// By the address that was asked for, sorted.
    found: Vec<(u64, Allocation)>,
    pub(super) stacks: Vec<StackShape>,
    /// Reserved, guard and committed read-only pages, allocated read-only.
    pub(super) shadow_stacks: Vec<StackShape>,
    /// Allocations whose size and protection are those of something known.
    pub(super) exact: Vec<(AddressRange, &'static Exact)>,
    /// Views allocated read-only: their contents may name them.
    pub(super) readonly_views: Vec<AddressRange>,
    /// How many more stacks and views there were than are kept.
    pub(super) not_kept: u64,
    /// Images that no list names, and allocations that may begin with a PE
    /// header.
    pub(super) images: unlisted::Candidates,
    /// Allocations with executable pages.
    pub(super) executable: executable::Candidates,
}

/// An allocation known by its exact size.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exact {
    pub(super) name: &'static str,
    pub(super) memory_type: MemoryType,
    pub(super) protect: Protection,
    pub(super) size: u64,
    /// Whether only 64-bit processes have it.
    pub(super) width: Option<PointerWidth>,
}

/// Seen on Windows 10 19041 to 11 26200, x64 and ARM64. Other sizes exist:
/// other desktops have heaps of other sizes, for example.
pub(super) const EXACT: [Exact; 5] = [
    Exact {
        name: "CFG bitmap",
        memory_type: MemoryType::Mapped,
        protect: Protection::NO_ACCESS,
        size: 0x200_0000_0000,
        width: Some(PointerWidth::Bits64),
    },
    Exact {
        name: "system reservation (fixed size, unidentified)",
        memory_type: MemoryType::Private,
        protect: Protection::READ_WRITE,
        size: 0x1_0002_0000,
        width: Some(PointerWidth::Bits64),
    },
    Exact {
        name: "system reservation (fixed size, unidentified)",
        memory_type: MemoryType::Private,
        protect: Protection::READ_WRITE,
        size: 0x200_1000,
        width: Some(PointerWidth::Bits64),
    },
    Exact {
        name: "desktop heap",
        memory_type: MemoryType::Mapped,
        protect: Protection::READ_ONLY,
        size: 0x140_1000,
        width: None,
    },
    Exact {
        name: "GDI handle table",
        memory_type: MemoryType::Mapped,
        protect: Protection::READ_ONLY,
        size: 0x18_1000,
        width: None,
    },
];

impl Survey {
    /// How many stacks are kept. Far above what a process has; a forged map
    /// of a million guard pages stays bounded.
    const KEPT: usize = 65_536;
    /// How many views are kept to be looked into: one positioned read each;
    /// processes have tens of them.
    const VIEWS: usize = 1_024;

    /// Looks once at every allocation. Only the MemoryInfoList knows
    /// allocations; other maps give an empty answer.
    pub(super) fn of(dump: &Dump<'_>, map: &RegionMap<'_>, mut addresses: Vec<u64>) -> Survey {
        let mut survey = Survey {
            images: unlisted::Candidates::new(&dump.modules.modules),
            ..Survey::default()
        };
        if map.source != MapSource::MemoryInfo {
            return survey;
        }
        let windows = dump.system.platform == Platform::Windows;
        addresses.sort_unstable();
        addresses.dedup();
        let mut asked = addresses.as_slice();
        for run in map.allocation_runs() {
            let is_asked = asked.first().is_some_and(|at| *at <= run.range().last());
            if windows && (is_asked || survey.is_candidate(&run)) {
                survey.look_closer(map, &run, &mut asked);
            }
            survey.images.look(&run);
            if windows {
                survey.executable.look(map, &run);
            }
        }
        survey.look_up(map, &addresses);
        survey
    }

    /// The allocation around an address that was asked for.
    pub(super) fn allocation(&self, address: u64) -> Option<&Allocation> {
        let at = self.found.binary_search_by_key(&address, |(asked, _)| *asked).ok()?;
        self.found.get(at).map(|(_, allocation)| allocation)
    }

    /// Finds the addresses whose allocations the pass had no reason to look
    /// at. `addresses` are sorted, so that each allocation is walked once.
    fn look_up(&mut self, map: &RegionMap<'_>, addresses: &[u64]) {
        let mut known: Option<Allocation> = None;
        let mut found = Vec::new();
        for address in addresses {
            if self.allocation(*address).is_some() {
                continue;
            }
            if !known.is_some_and(|allocation| allocation.range.contains(*address)) {
                known = map.run_at(*address).map(|run| counted(map, &run));
            }
            found.extend(known.map(|allocation| (*address, allocation)));
        }
        self.found.extend(found);
        self.found.sort_unstable_by_key(|(address, _)| *address);
    }

    /// Whether an allocation can be one of those that are recognised. From its
    /// first region and its size alone, because a million are looked at.
    #[inline]
    fn is_candidate(&self, run: &AllocationRun) -> bool {
        let protect = run.allocation_protect;
        match run.memory_type {
            Some(MemoryType::Mapped) => {
                protect == Protection::READ_ONLY && self.readonly_views.len() < Survey::VIEWS
                    || protect.0 <= Protection::READ_ONLY.0 && is_exact_size(run.range().size())
            }
            Some(MemoryType::Private) => {
                (run.state == State::Reserve || run.protect.is_guard())
                    && protect.0 <= Protection::READ_WRITE.0
            }
            _ => false,
        }
    }

    /// Counts the pages of an allocation. Nearly all are nothing that is
    /// looked for, and never come here.
    fn look_closer(&mut self, map: &RegionMap<'_>, run: &AllocationRun, asked: &mut &[u64]) {
        let allocation = counted(map, run);
        while let Some((address, rest)) = asked.split_first() {
            if *address > allocation.range.last() {
                break;
            }
            if allocation.range.contains(*address) {
                self.found.push((*address, allocation));
            }
            *asked = rest;
        }
        if self.is_candidate(run) {
            self.recognise(map, &allocation);
        }
    }

    fn recognise(&mut self, map: &RegionMap<'_>, allocation: &Allocation) {
        let (protect, size) = (allocation.protect, allocation.range.size());
        let exact = EXACT.iter().find(|exact| {
            exact.size == size
                && exact.protect == protect
                && Some(exact.memory_type) == allocation.memory_type
                && exact.width.is_none_or(|width| width == map.width)
        });
        if let Some(exact) = exact {
            self.exact.push((allocation.range, exact));
        }
        let list = match (allocation.memory_type, protect) {
            (Some(MemoryType::Private), Protection::READ_WRITE) => &mut self.stacks,
            (Some(MemoryType::Private), Protection::READ_ONLY) => &mut self.shadow_stacks,
            (Some(MemoryType::Mapped), Protection::READ_ONLY) => {
                self.readonly_views.push(allocation.range);
                return;
            }
            _ => return,
        };
        if let Some(shape) = stack_shape(map, allocation) {
            keep(list, shape, &mut self.not_kept);
        }
    }
}

fn keep<T>(list: &mut Vec<T>, value: T, not_kept: &mut u64) {
    match list.len() < Survey::KEPT {
        true => list.push(value),
        false => *not_kept = not_kept.saturating_add(1),
    }
}

#[inline]
fn is_exact_size(size: u64) -> bool {
    EXACT.iter().any(|exact| exact.size == size)
}

/// [reserved] guard committed [reserved]: the committed pages with the
/// protection of the allocation, nothing else around. Shadow stacks end with
/// a reserved page; thread stacks do not.
fn stack_shape(map: &RegionMap<'_>, allocation: &Allocation) -> Option<StackShape> {
    if allocation.guard == 0 || !(2..=4).contains(&allocation.regions) {
        return None;
    }
    let mut at = allocation.first;
    let mut next = || {
        let region = map.get(at).filter(|region| allocation.range.covers(region.range));
        at = at.saturating_add(1);
        region
    };
    let mut region = next()?;
    if region.state == State::Reserve {
        region = next()?;
    }
    let guard = Protection(allocation.protect.0 | 0x100);
    if region.state != State::Commit || region.protect != guard {
        return None;
    }
    let committed = next()?;
    if committed.state != State::Commit || committed.protect != allocation.protect {
        return None;
    }
    let shadow = allocation.protect == Protection::READ_ONLY;
    if let Some(after) = next() {
        let last = after.range.last() == allocation.range.last();
        if !shadow || after.state != State::Reserve || !last {
            return None;
        }
    }
    Some(StackShape {
        range: allocation.range,
        limit: committed.range.start(),
        committed: allocation.committed,
        guard: allocation.guard,
    })
}

fn counted(map: &RegionMap<'_>, run: &AllocationRun) -> Allocation {
    let (mut committed, mut guard) = (0_u64, 0_u64);
    for region in map.regions_of(run) {
        if region.state == State::Commit {
            let sum = if region.protect.is_guard() { &mut guard } else { &mut committed };
            *sum = sum.saturating_add(region.range.size());
        }
    }
    Allocation {
        range: run.range(),
        memory_type: run.memory_type,
        protect: run.allocation_protect,
        first: run.first,
        regions: run.regions,
        committed,
        guard,
    }
}
