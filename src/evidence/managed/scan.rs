//! Looks through the writable data of the runtime's modules for the
//! structures that no symbol leads to. In windows, and never more than some
//! megabytes: a runtime has less than 1 MiB of such data.

use super::contract;
use super::dac_vars::{self, DacVars, LOOK_AHEAD};
use super::target::PAGE;
use crate::addr::AddressRange;
use crate::dump::bytes::length;
use crate::dump::{CapturedMemory, Dump, PointerWidth};
use crate::evidence::images::Image;
use crate::map::{RegionMap, State};

const WINDOW: u64 = 0x1_0000;
/// Bytes looked through in all modules of one runtime.
const MOST: u64 = 16 << 20;
/// Places of each kind that are kept: real runtimes have one.
const KEPT: usize = 16;

/// What was found in the modules of one runtime.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By pointer width: a dump does not always say which the runtime has.
    pub(super) vars: Vec<(PointerWidth, DacVars)>,
    /// Addresses of contract descriptors.
    pub(super) descriptors: Vec<u64>,
    /// Whether any writable data was captured at all.
    pub(super) captured: bool,
}

/// Looks through `modules`; pointers into any of them count.
pub(super) fn scan(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    images: &[Image],
    modules: &[AddressRange],
    widths: &[PointerWidth],
) -> Found {
    let mut found = Found::default();
    let mut left = MOST;
    for module in modules {
        for area in writable(map, images, *module) {
            let Some(area) = clip(area, left) else { break };
            left = left.saturating_sub(area.size());
            scan_area(&dump.captured, area, modules, widths, &mut found);
        }
    }
    found
}

/// The first bytes of a range.
fn clip(range: AddressRange, size: u64) -> Option<AddressRange> {
    AddressRange::new(range.start(), range.size().min(size))
}

/// The writable parts of a module: by the map, else by the header's sections,
/// else all of it.
fn writable(map: &RegionMap<'_>, images: &[Image], module: AddressRange) -> Vec<AddressRange> {
    if map.knows_free() {
        let regions = map.regions_in(module);
        let regions = regions.filter(|region| {
            region.state != State::Free
                && region.protect.is_writable()
                && !region.protect.is_guard()
        });
        return regions.filter_map(|region| region.range.intersect(module)).take(256).collect();
    }
    let image = images.iter().find(|image| image.range.start() == module.start());
    if let Some(image) = image.filter(|image| image.has_header) {
        let sections = image.sections.iter().filter(|section| section.protect.is_writable());
        return sections.filter_map(|section| section.range.intersect(module)).collect();
    }
    vec![module]
}

fn scan_area(
    memory: &CapturedMemory<'_>,
    area: AddressRange,
    modules: &[AddressRange],
    widths: &[PointerWidth],
    found: &mut Found,
) {
    let mut at = area.start();
    while area.contains(at) {
        let here = memory.contiguous(at, PAGE);
        if here == 0 {
            let Some(next) = next_captured(memory, at) else { return };
            at = next;
            continue;
        }
        let end = area.last().saturating_sub(at).saturating_add(1);
        // The windows overlap, so that each structure is whole in one.
        let wanted = WINDOW.saturating_add(length(LOOK_AHEAD)).min(end);
        let bytes = memory.bytes_at(at, usize::try_from(wanted).unwrap_or(0));
        if bytes.is_empty() {
            return;
        }
        found.captured = true;
        look(&bytes, at, modules, widths, found);
        let Some(next) = at.checked_add(length(bytes.len()).min(WINDOW)) else { return };
        at = next;
    }
}

fn next_captured(memory: &CapturedMemory<'_>, at: u64) -> Option<u64> {
    let ranges = memory.ranges();
    let after = ranges.partition_point(|run| run.range.start() <= at);
    ranges.get(after).map(|run| run.range.start())
}

fn look(
    bytes: &[u8],
    base: u64,
    modules: &[AddressRange],
    widths: &[PointerWidth],
    found: &mut Found,
) {
    for width in widths {
        let room = KEPT.saturating_sub(found.vars.len());
        let new = dac_vars::find(bytes, base, *width, modules).take(room);
        let new: Vec<DacVars> = new.collect();
        for vars in new {
            if !found.vars.contains(&(*width, vars)) {
                found.vars.push((*width, vars));
            }
        }
    }
    let room = KEPT.saturating_sub(found.descriptors.len());
    let new: Vec<u64> = contract::find(bytes, base).take(room).collect();
    for address in new {
        if !found.descriptors.contains(&address) {
            found.descriptors.push(address);
        }
    }
}
