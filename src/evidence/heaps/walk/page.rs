//! Page heap of Application Verifier. Full: every block in pages of its own,
//! before a page without access. Light: stamps around blocks of an NT heap.

use super::super::context::{Context, PAGE, at, pointer_size};
use super::block::{Block, Place, State};
use super::entry::granule;
use super::outcome::{MissingWhy, Reason};
use super::{Scope, Walker};
use crate::addr::AddressRange;
use crate::dump::{Dump, PointerWidth};
use crate::map::{MemoryType, Protection, Region, State as RegionState};

/// `_DPH_BLOCK_INFORMATION`, right before what the program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeapBlock {
    /// What the program has.
    pub address: u64,
    /// Bytes the program asked for.
    pub size: u64,
    /// Whether every block has pages of its own.
    pub full: bool,
    /// Whether the program has it still.
    pub busy: bool,
    /// The heap's root.
    pub heap: u64,
    /// Where its stack trace is, in the trace database; `None` without one.
    pub stack_trace: Option<u64>,
    /// Whether the bytes from its end to that of the page are as page heap
    /// filled them; `None` of a freed or light block, and when they are not
    /// captured.
    pub fence_intact: Option<bool>,
}

/// StartStamp and EndStamp.
const STAMPS: [(u32, u32, bool, bool); 4] = [
    (0xabcd_aaaa, 0xdcba_aaaa, false, true),
    (0xabcd_aaa9, 0xdcba_aaa9, false, false),
    (0xabcd_bbbb, 0xdcba_bbbb, true, true),
    (0xabcd_bbba, 0xdcba_bbba, true, false),
];

/// Where the fields are, and bytes of all.
struct Layout {
    heap: u64,
    requested: u64,
    stack_trace: u64,
    end_stamp: u64,
    size: u64,
}

fn layout(width: PointerWidth) -> Layout {
    match width {
        PointerWidth::Bits32 => {
            Layout { heap: 4, requested: 8, stack_trace: 0x18, end_stamp: 0x1c, size: 0x20 }
        }
        PointerWidth::Bits64 => {
            Layout { heap: 8, requested: 0x10, stack_trace: 0x30, end_stamp: 0x3c, size: 0x40 }
        }
    }
}

/// The light page heap's information in a block of an NT heap, or the full
/// one's before it.
pub fn page_heap_block(scope: &Scope<'_, '_>, block: &Block) -> Option<PageHeapBlock> {
    let holds = |part: &super::HeapPart| part.range.contains(block.start);
    let width = match scope.heaps.iter().find(|heap| heap.parts.iter().any(holds)) {
        Some(heap) => heap.width,
        None => scope.map.width,
    };
    let mut context = Context::new(scope.dump, scope.map);
    let light = read(&mut context, block.address, width);
    let size = layout(width).size;
    let before =
        |context: &mut Context<'_, '_>| read(context, block.address.wrapping_sub(size), width).ok();
    let mut found = light.ok().or_else(|| before(&mut context))?;
    if let Some(range) = block.range().filter(|_| found.full && found.busy) {
        let end = found.address.checked_add(found.size);
        let overrun = end.and_then(|end| overrun(scope.dump, range, end));
        found.fence_intact = overrun.map(|place| place.is_none());
    }
    Some(found)
}

/// The information at an address, or whether only its first stamp is there.
fn read(
    context: &mut Context<'_, '_>,
    info: u64,
    width: PointerWidth,
) -> Result<PageHeapBlock, Option<u32>> {
    let layout = layout(width);
    let start = context.word(info, 0).ok_or(None)?;
    let stamp = STAMPS.iter().find(|stamp| stamp.0 == start);
    let (_, end, full, busy) = *stamp.ok_or(None)?;
    let found = context.word(info, layout.end_stamp).ok_or(None)?;
    if found != end {
        return Err(Some(start));
    }
    let heap = context.pointer(info, layout.heap, width).ok_or(None)?;
    let size = context.pointer(info, layout.requested, width).ok_or(None)?;
    let trace = context.pointer(info, layout.stack_trace, width).ok_or(None)?;
    let stack_trace = (trace != 0).then_some(trace);
    let address = at(info, layout.size);
    let fence_intact = None;
    Ok(PageHeapBlock { address, size, full, busy, heap, stack_trace, fence_intact })
}

/// Every block of a full page heap that shows itself: pages that can be
/// written, in memory reserved without access, with information that names
/// this heap. The heap's own trees are not read.
pub(super) fn walk(walker: &mut Walker<'_, '_, '_>) {
    let map = walker.context.map;
    if !map.knows_free() {
        walker.sink.missing(None, MissingWhy::NotCaptured);
        return;
    }
    let candidates = map.iter().filter(|region| {
        region.state == RegionState::Commit
            && region.memory_type == Some(MemoryType::Private)
            && region.allocation_protect == Protection::NO_ACCESS
            && region.protect.is_writable()
            && !region.protect.is_guard()
    });
    let mut unread = 0_usize;
    for region in candidates {
        if !walker.wants(region.range.start(), region.range.size()) {
            continue;
        }
        if walker.captured_from(region.range.start(), region.range.end()).is_none() {
            if unread < super::Walk::LISTED {
                walker.sink.missing(Some(region.range), MissingWhy::NotCaptured);
            }
            unread = unread.saturating_add(1);
            continue;
        }
        block_in(walker, &region);
        if walker.sink.stopped {
            return;
        }
    }
    // What is on the free list, and what the root says, is not read.
    walker.sink.missing(None, MissingWhy::LayoutUnknown);
}

/// The block in a run of pages: its information is in the first one.
fn block_in(walker: &mut Walker<'_, '_, '_>, region: &Region) {
    let width = walker.heap.width;
    let start = region.range.start();
    let step = usize::try_from(pointer_size(width)).unwrap_or(8);
    for offset in (0..PAGE).step_by(step) {
        let info = start.saturating_add(offset);
        let found = match read(&mut walker.context, info, width) {
            Ok(found) => found,
            Err(None) => continue,
            Err(Some(stamp)) => {
                let heap = walker.context.pointer(info, layout(width).heap, width);
                if !heap.is_some_and(|heap| is_root(walker, heap)) {
                    continue;
                }
                walker.sink.corrupt(info, Reason::Stamp, || {
                    format!("the information begins with {stamp:#x} and ends with another stamp")
                });
                continue;
            }
        };
        let end = found.address.checked_add(found.size);
        let fits = end.is_some_and(|end| end <= region.range.end());
        let aligned = found.address.is_multiple_of(granule(width) >> 1);
        if !is_root(walker, found.heap) || !found.full || !fits || !aligned {
            continue;
        }
        walker.sink.block(Block {
            start,
            size: region.range.size(),
            address: found.address,
            user_size: Some(found.size),
            state: if found.busy { State::Busy } else { State::Free },
            place: Place::PageHeap,
        });
        // A freed block is filled over.
        if found.busy {
            check_suffix(walker, region.range, found.address.saturating_add(found.size));
        }
        return;
    }
}

/// Information names the root of the heap, in the page behind its handle.
fn is_root(walker: &Walker<'_, '_, '_>, address: u64) -> bool {
    let heap = walker.heap.address;
    address == heap || address == heap.saturating_add(PAGE)
}

/// Reports what is written behind the end of a block.
fn check_suffix(walker: &mut Walker<'_, '_, '_>, range: AddressRange, end: u64) {
    if let Some(Some(place)) = overrun(walker.scope.dump, range, end) {
        walker.sink.corrupt(place, Reason::Stamp, || {
            format!("written {} bytes behind the block's end", place.saturating_sub(end))
        });
    }
}

/// Bytes between what the program has and the end of the page are 0xD0: the
/// first that is not. `None` when they are not captured.
fn overrun(dump: &Dump<'_>, range: AddressRange, end: u64) -> Option<Option<u64>> {
    const FILL: u8 = 0xd0;
    let rest = range.end().checked_sub(end)?.min(PAGE);
    let size = usize::try_from(rest).ok()?;
    let bytes = dump.captured.bytes_at(end, size);
    let written = (0_u64..).zip(&bytes).find(|(_, byte)| **byte != FILL);
    match written {
        Some((place, _)) => Some(Some(end.saturating_add(place))),
        None => (bytes.len() == size).then_some(None),
    }
}
