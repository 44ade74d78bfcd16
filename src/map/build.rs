//! Builds the map from the best source there is: MemoryInfoList; on Linux
//! the maps text first; else modules, captured memory and thread stacks.

use super::runs::{self, Telling};
use super::{
    GapMeaning, MapSource, MemoryType, Origin, Protection, Region, RegionMap, Regions, State,
    overlap,
};
use crate::addr::AddressRange;
use crate::dump::{
    Arch, CapturedRange, Dump, LinuxMap, LinuxMaps, MemoryInfoList, Platform, PointerWidth,
    RawRegion, stream_type,
};
use crate::issue::Issues;

pub(super) fn build<'s>(dump: &Dump<'s>) -> RegionMap<'s> {
    let maps = dump.linux.maps.as_ref().filter(|maps| !maps.maps.is_empty());
    let list = dump.memory_info.filter(|list| !list.is_empty());
    let linux = matches!(dump.system.platform, Platform::Linux | Platform::Android);
    match (maps, list) {
        (Some(maps), list) if linux || list.is_none() => from_linux_maps(dump, maps),
        (_, Some(list)) => from_records(dump, list),
        _ => rebuilt(dump),
    }
}

/// One pass over the records. When they are sorted, disjoint and sound they
/// stay in the file; otherwise they are copied, sorted and made disjoint.
fn from_records<'s>(dump: &Dump<'s>, list: MemoryInfoList<'s>) -> RegionMap<'s> {
    let width = dump.system.width;
    let mut issues = Issues::default();
    let clean = clean_records(&list, width, dump.captured.ranges());
    let whole =
        clean.as_ref().and_then(|clean| AddressRange::spanning(list.get(0)?.base, clean.last));
    if let (Some(clean), Some(whole)) = (clean, whole) {
        return RegionMap {
            source: MapSource::MemoryInfo,
            width,
            range: Some(whole),
            gap_meaning: gap_meaning(clean.lists_free),
            overlaps: 0,
            dropped: 0,
            issues,
            regions: Regions::Records(list),
            telling: clean.telling.indexes(),
        };
    }
    let gap_meaning = gap_meaning(list.iter().any(|raw| raw.is_free()));
    let before = list.len();
    let sound: Vec<Region> = list
        .iter()
        .enumerate()
        .filter_map(|(at, raw)| sound_region(&raw, at, &list, width, &mut issues))
        .collect();
    let dropped = before.saturating_sub(sound.len());
    let (mut regions, overlaps) = overlap::disjoint(sound);
    clip_whole_space(&mut regions, &mut issues);
    if overlaps > 0 {
        issues.add(Some(stream_type::MEMORY_INFO_LIST), Some(list.offset), || {
            format!("{overlaps} regions overlap others; where they do, the smaller region is used")
        });
    }
    let first = regions.first().map(|region| region.range.start());
    let last = regions.last().map(|region| region.range.last());
    RegionMap {
        source: MapSource::MemoryInfo,
        width,
        range: first.zip(last).and_then(|(first, last)| AddressRange::spanning(first, last)),
        gap_meaning,
        overlaps,
        dropped: u64::try_from(dropped).unwrap_or(u64::MAX),
        issues,
        telling: runs::all_allocations(&regions),
        regions: Regions::Owned(regions),
    }
}

/// No range is the whole of 2^64 bytes: regions that reach from its first
/// byte to its last lose that one.
fn clip_whole_space(regions: &mut Vec<Region>, issues: &mut Issues) {
    let first = regions.first().map(|region| region.range.start());
    let Some(last) = regions.last_mut().filter(|region| region.range.last() == u64::MAX) else {
        return;
    };
    if first != Some(0) {
        return;
    }
    issues.add(Some(stream_type::MEMORY_INFO_LIST), None, || {
        "regions reach from 0 to 2^64; the last byte is left out".into()
    });
    match AddressRange::spanning(last.range.start(), u64::MAX - 1) {
        Some(range) => last.range = range,
        None => {
            regions.pop();
        }
    }
}

/// What lies between the records: free memory, unless the list has that too.
fn gap_meaning(lists_free: bool) -> GapMeaning {
    if lists_free { GapMeaning::Unknown } else { GapMeaning::Free }
}

/// What a list of sound records in address order has.
struct Clean {
    lists_free: bool,
    last: u64,
    telling: Telling,
}

/// One pass: `None` when a record is not sound or does not follow the one
/// before.
fn clean_records(
    list: &MemoryInfoList<'_>,
    width: PointerWidth,
    mut captured: &[CapturedRange],
) -> Option<Clean> {
    let highest = width.mask(u64::MAX);
    let mut next_run = || match captured.split_first() {
        Some((run, rest)) => {
            captured = rest;
            (run.range.start(), run.range.last())
        }
        None => (u64::MAX, u64::MAX),
    };
    let (mut run_start, mut run_last) = next_run();
    let mut lists_free = false;
    let mut telling = Telling::new();
    let mut before = 0_u64;
    for (raw, index) in list.iter().zip(0_u32..) {
        let free = raw.is_free();
        let follows = raw.base > before || index == 0;
        let has_bytes = raw.size != 0
            && raw.base <= highest
            && raw.size.wrapping_sub(1) <= highest.wrapping_sub(raw.base);
        // What they are changes from record to record: no branches on it.
        let known_state = free | raw.is_committed() | raw.is_reserved();
        let known_kind = free | raw.is_private() | raw.is_mapped() | raw.is_image();
        if !follows || !has_bytes || !(known_state & known_kind) {
            return None;
        }
        lists_free |= free;
        while run_last < raw.base {
            (run_start, run_last) = next_run();
        }
        telling.look(index, &raw, raw.base == before.wrapping_add(1), run_start <= raw.base);
        before = raw.base.wrapping_add(raw.size.wrapping_sub(1));
    }
    Some(Clean { lists_free, last: before, telling })
}

/// The region of one record, or an issue why it has none.
fn sound_region(
    raw: &RawRegion,
    at: usize,
    list: &MemoryInfoList<'_>,
    width: PointerWidth,
    issues: &mut Issues,
) -> Option<Region> {
    const KIND: Option<u32> = Some(stream_type::MEMORY_INFO_LIST);
    let offset = Some(list.record_offset(at));
    let base = width.mask(raw.base);
    let highest = width.mask(u64::MAX);
    let Some(mut region) = Region::from_record(raw, at, base) else {
        issues.add(KIND, offset, || {
            format!("region of {:#x} bytes at {base:#x} is empty or wraps; left out", raw.size)
        });
        return None;
    };
    if region.range.last() > highest {
        issues.add(KIND, offset, || {
            format!("region {} reaches past the pointer width; clipped", region.range)
        });
        region.range = AddressRange::spanning(base, highest)?;
    }
    if region.state == State::Unknown {
        issues.add(KIND, offset, || {
            format!("region at {base:#x} has the unknown state {:#x}; kept as unknown", raw.state)
        });
    } else if region.state != State::Free && region.memory_type.is_none() {
        issues.add(KIND, offset, || {
            format!("region at {base:#x} has the unknown type {:#x}; kept without a type", raw.kind)
        });
    }
    Some(region)
}

fn from_linux_maps<'s>(dump: &Dump<'s>, maps: &LinuxMaps) -> RegionMap<'s> {
    let width = dump.system.width;
    let regions = maps.maps.iter().zip(0_u32..).map(|(map, at)| linux_region(map, at)).collect();
    let (regions, overlaps) = overlap::disjoint(regions);
    let mut issues = Issues::default();
    if overlaps > 0 {
        issues.add(Some(stream_type::LINUX_MAPS), None, || {
            format!("{overlaps} mappings overlap others; where they do, the smaller one is used")
        });
    }
    let highest = regions
        .iter()
        .rev()
        .map(|region| region.range.last())
        .find(|last| *last < kernel_start(width, dump.system.arch));
    let range = match highest {
        Some(highest) => AddressRange::spanning(0, user_limit(dump.system.arch, width, highest)),
        None => None,
    };
    RegionMap {
        source: MapSource::LinuxMaps,
        width,
        range,
        gap_meaning: if maps.incomplete { GapMeaning::Unknown } else { GapMeaning::Free },
        overlaps,
        dropped: 0,
        issues,
        telling: runs::all_allocations(&regions),
        regions: Regions::Owned(regions),
    }
}

fn linux_region(map: &LinuxMap, at: u32) -> Region {
    let protect = match (map.write, map.execute, map.read) {
        (true, true, _) => Protection::EXECUTE_READ_WRITE,
        (true, false, _) => Protection::READ_WRITE,
        (false, true, true) => Protection::EXECUTE_READ,
        (false, true, false) => Protection::EXECUTE,
        (false, false, true) => Protection::READ_ONLY,
        (false, false, false) => Protection::NO_ACCESS,
    };
    let file = map.inode != 0 || map.name.starts_with('/');
    let memory_type = if map.shared || file { MemoryType::Mapped } else { MemoryType::Private };
    Region {
        range: map.range,
        state: State::Commit,
        memory_type: Some(memory_type),
        protect,
        allocation_base: Some(map.range.start()),
        allocation_protect: protect,
        origin: Origin::LinuxMap(at),
    }
}

/// The last user address, inferred: the smallest limit of this architecture
/// that the highest mapping fits in.
fn user_limit(arch: Arch, width: PointerWidth, highest: u64) -> u64 {
    let limits: &[u64] = match (width, arch) {
        (PointerWidth::Bits32, _) => &[0xbfff_ffff, 0xfffe_ffff, 0xffff_ffff],
        (PointerWidth::Bits64, Arch::Arm64) => {
            &[0x7f_ffff_ffff, 0xffff_ffff_ffff, 0x000f_ffff_ffff_ffff]
        }
        (PointerWidth::Bits64, _) => &[0x7fff_ffff_efff, 0x00ff_ffff_ffff_efff],
    };
    limits.iter().copied().find(|limit| highest <= *limit).unwrap_or(highest)
}

/// Where no program memory is any more: `[vsyscall]` and ARM's `[vectors]`
/// lie above and do not stretch the range.
fn kernel_start(width: PointerWidth, arch: Arch) -> u64 {
    match (width, arch) {
        (PointerWidth::Bits32, Arch::Arm) => 0xffff_0000,
        (PointerWidth::Bits32, _) => 0xffff_f000,
        (PointerWidth::Bits64, _) => 0x0100_0000_0000_0000,
    }
}

/// Captured bytes are committed; a module's range is an image. Nothing else
/// is known, and gaps are not listed.
fn rebuilt<'s>(dump: &Dump<'s>) -> RegionMap<'s> {
    let width = dump.system.width;
    let modules = dump
        .modules
        .modules
        .iter()
        .zip(0_u32..)
        .filter_map(|(module, at)| Some(module_region(module.range?, Origin::Module(at))));
    let (modules, overlaps) = overlap::disjoint(modules.collect());
    let mut issues = Issues::default();
    if overlaps > 0 {
        issues.add(Some(stream_type::MODULE_LIST), None, || {
            format!("{overlaps} modules overlap others; where they do, the smaller one is used")
        });
    }
    let stacks =
        dump.threads.iter().filter_map(|thread| AddressRange::new(thread.stack.0, thread.stack.1));
    let captured = dump.captured.ranges().iter().map(|run| run.range);
    let committed = union(captured.chain(stacks).collect());
    let regions = lay_over(&modules, &committed);
    let first = regions.first().map(|region| region.range.start());
    let last = regions.last().map(|region| region.range.last());
    RegionMap {
        source: MapSource::Rebuilt,
        width,
        range: first.zip(last).and_then(|(first, last)| AddressRange::spanning(first, last)),
        gap_meaning: GapMeaning::Unknown,
        overlaps,
        dropped: 0,
        issues,
        telling: runs::all_allocations(&regions),
        regions: Regions::Owned(regions),
    }
}

fn module_region(range: AddressRange, origin: Origin) -> Region {
    Region {
        memory_type: Some(MemoryType::Image),
        allocation_base: Some(range.start()),
        ..Region::bare(range, State::Unknown, origin)
    }
}

/// Sorted ranges, joined where they touch or overlap.
fn union(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    ranges.sort_unstable_by_key(|range| range.start());
    let mut out: Vec<AddressRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(previous) if range.start() <= previous.end() => {
                let last = previous.last().max(range.last());
                if let Some(joined) = AddressRange::spanning(previous.start(), last) {
                    *previous = joined;
                }
            }
            _ => out.push(range),
        }
    }
    out
}

/// Modules, split where their memory is captured, and captured memory outside
/// modules. Both inputs are sorted and disjoint.
fn lay_over(modules: &[Region], committed: &[AddressRange]) -> Vec<Region> {
    let mut out = Vec::with_capacity(modules.len().saturating_add(committed.len()));
    let mut modules = modules.iter().copied().peekable();
    let mut committed = committed.iter().copied().peekable();
    loop {
        match (modules.peek().copied(), committed.peek().copied()) {
            (None, None) => return out,
            (Some(module), None) => {
                out.push(module);
                modules.next();
            }
            (None, Some(range)) => {
                out.push(Region::bare(range, State::Commit, Origin::Captured));
                committed.next();
            }
            (Some(module), Some(range)) => {
                let start = module.range.start().min(range.start());
                let (in_module, in_range) = (module.range.contains(start), range.contains(start));
                let mut last = u64::MAX;
                for candidate in [module.range, range] {
                    let inside = candidate.contains(start);
                    let edge =
                        if inside { candidate.last() } else { candidate.start().saturating_sub(1) };
                    last = last.min(edge);
                }
                let Some(piece) = AddressRange::spanning(start, last) else { return out };
                let state = if in_range { State::Commit } else { State::Unknown };
                let base =
                    if in_module { module } else { Region::bare(piece, state, Origin::Captured) };
                out.push(Region { range: piece, state, ..base });
                if in_module {
                    advance(
                        &mut modules,
                        last,
                        |region, range| Region { range, ..region },
                        |region| region.range,
                    );
                }
                if in_range {
                    advance(&mut committed, last, |_, range| range, |range| range);
                }
            }
        }
    }
}

/// Drops what ends at `last` from the front of a list.
fn advance<T: Copy>(
    list: &mut std::iter::Peekable<impl Iterator<Item = T>>,
    last: u64,
    with: impl Fn(T, AddressRange) -> T,
    range_of: impl Fn(T) -> AddressRange,
) {
    let Some(front) = list.peek_mut() else { return };
    let rest = last
        .checked_add(1)
        .and_then(|start| AddressRange::spanning(start, range_of(*front).last()));
    match rest {
        Some(rest) => *front = with(*front, rest),
        None => {
            list.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::between(start, end).unwrap()
    }

    #[test]
    fn captured_parts_of_modules_are_committed() {
        let modules = [module_region(range(0x1000, 0x5000), Origin::Module(0))];
        let out = lay_over(
            &modules,
            &[range(0x800, 0x1800), range(0x3000, 0x4000), range(0x6000, 0x7000)],
        );
        let out: Vec<_> = out
            .iter()
            .map(|region| {
                (region.range.start(), region.range.end(), region.state, region.memory_type)
            })
            .collect();
        let image = Some(MemoryType::Image);
        assert_eq!(
            out,
            [
                (0x800, 0x1000, State::Commit, None),
                (0x1000, 0x1800, State::Commit, image),
                (0x1800, 0x3000, State::Unknown, image),
                (0x3000, 0x4000, State::Commit, image),
                (0x4000, 0x5000, State::Unknown, image),
                (0x6000, 0x7000, State::Commit, None),
            ]
        );
    }

    #[test]
    fn the_linux_limit_fits_the_highest_mapping() {
        assert_eq!(
            user_limit(Arch::Amd64, PointerWidth::Bits64, 0x7ffe_0000_0000),
            0x7fff_ffff_efff
        );
        assert_eq!(user_limit(Arch::Arm64, PointerWidth::Bits64, 0x7f_0000_0000), 0x7f_ffff_ffff);
        assert_eq!(user_limit(Arch::X86, PointerWidth::Bits32, 0xffff_0000), 0xffff_ffff);
    }
}
