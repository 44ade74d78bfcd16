//! Allocations as the map alone shows them: size, protection when allocated,
//! and where committed memory lies. One pass over the regions.

use crate::addr::AddressRange;
use crate::map::{MemoryType, Protection, Region, RegionMap, State};

/// One allocation, without its regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) range: AddressRange,
    pub(super) memory_type: MemoryType,
    pub(super) allocation_protect: Protection,
    /// Committed bytes.
    pub(super) committed: u64,
    /// The protections of committed regions, or-ed.
    pub(super) protects: u32,
    /// Whether every committed region is executable.
    pub(super) all_executable: bool,
    /// Where runs of committed memory begin, from the base: the first
    /// [`Shape::RUNS`].
    pub(super) runs: Vec<u64>,
    /// Number of runs.
    pub(super) run_count: u64,
}

impl Shape {
    /// A server collector of 64 heaps has 128.
    const RUNS: usize = 130;

    fn of(first: &Region) -> Option<Shape> {
        let base = first.allocation_base.filter(|base| *base == first.range.start())?;
        let memory_type = first.memory_type.filter(|kind| *kind != MemoryType::Image)?;
        Some(Shape {
            range: AddressRange::spanning(base, first.range.last())?,
            memory_type,
            allocation_protect: first.allocation_protect,
            committed: 0,
            protects: 0,
            all_executable: true,
            runs: Vec::new(),
            run_count: 0,
        })
    }

    /// Takes in a region. `follows` says that it continues committed memory.
    fn add(&mut self, region: &Region, follows: bool) -> Option<()> {
        self.range = AddressRange::spanning(self.range.start(), region.range.last())?;
        if region.state != State::Commit {
            return Some(());
        }
        self.committed = self.committed.saturating_add(region.range.size());
        self.protects |= region.protect.0;
        self.all_executable &= region.protect.is_executable();
        if !follows {
            self.run_count = self.run_count.saturating_add(1);
            if self.runs.len() < Self::RUNS {
                self.runs.push(region.range.start().wrapping_sub(self.range.start()));
            }
        }
        Some(())
    }
}

/// Gives each allocation of `map` that is not an image and that `wanted`
/// says yes to, by its first region.
pub(super) fn each(
    map: &RegionMap<'_>,
    wanted: impl Fn(&Region) -> bool,
    mut give: impl FnMut(Shape),
) {
    let mut open: Option<(Shape, bool)> = None;
    for region in map.iter() {
        if let Some((shape, committed)) = &mut open {
            let continues = region.allocation_base == Some(shape.range.start())
                && shape.range.last().checked_add(1) == Some(region.range.start());
            if continues && shape.add(&region, *committed).is_some() {
                *committed = region.state == State::Commit;
                continue;
            }
        }
        if let Some((shape, _)) = open.take() {
            give(shape);
        }
        if wanted(&region)
            && let Some(mut shape) = Shape::of(&region)
            && shape.add(&region, false).is_some()
        {
            open = Some((shape, region.state == State::Commit));
        }
    }
    if let Some((shape, _)) = open {
        give(shape);
    }
}
