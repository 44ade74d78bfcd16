//! What the streams say: regions, threads, modules, exception.

use std::collections::BTreeMap;

use dumpmap::dump::PointerWidth;
use dumpmap::evidence::RegionKind;
use dumpmap::map::{MemoryType, Protection, Region, State};
use serde_json::Value;

use crate::Wrong;
use crate::data::{Case, list, number, text};

/// Base, size, state, type, protection, allocation base and protection of every region.
pub(crate) fn regions(case: &Case<'_>, wrong: &mut Wrong) {
    if !case.has_memory_info() {
        return;
    }
    let found: Vec<Region> = case.regions();
    let walk = list(&case.truth["walk"]);
    if found.len() != walk.len() {
        wrong.push(format!("{} regions of {}", found.len(), walk.len()));
    }
    for (region, truth) in found.iter().zip(walk) {
        let expected = of_walk(truth);
        let found = Told {
            base: region.range.start(),
            size: region.range.size(),
            state: region.state.as_str(),
            memory_type: region.memory_type.map_or("", MemoryType::as_str),
            protect: region.protect,
            allocation: region.allocation_base.map(|base| (base, region.allocation_protect)),
        };
        if found != expected {
            wrong.push(format!("region {found:x?}, VirtualQuery {expected:x?}"));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Told<'a> {
    base: u64,
    size: u64,
    state: &'a str,
    memory_type: &'a str,
    protect: Protection,
    allocation: Option<(u64, Protection)>,
}

fn of_walk(truth: &Value) -> Told<'_> {
    let free = truth["state"] == "free";
    let bits = |key: &str| u32::try_from(number(&truth[key])).expect("a PAGE_ value");
    let allocation = || (number(&truth["alloc_base"]), Protection(bits("alloc_protect")));
    Told {
        base: number(&truth["base"]),
        size: number(&truth["size"]),
        state: text(&truth["state"]),
        memory_type: text(&truth["type"]),
        protect: Protection(if truth["state"] == "commit" { bits("protect") } else { 0 }),
        allocation: (!free).then(allocation),
    }
}

/// Committed and reserved bytes of each type, free bytes and the largest free block, from the walk;
/// and the rows of the table add up to them.
pub(crate) fn sums(case: &Case<'_>, wrong: &mut Wrong) {
    if !case.has_memory_info() {
        return;
    }
    let totals = &case.truth["totals"];
    let mut found: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for region in case.regions() {
        let memory_type = region.memory_type.map_or("", MemoryType::as_str);
        *found.entry((memory_type, region.state.as_str())).or_default() += region.range.size();
    }
    let mut compare = |what: &str, found: u64, expected: u64| {
        if found != expected {
            wrong.push(format!("{what}: {found} bytes of {expected}"));
        }
    };
    let (mut all_committed, mut all_reserved) = (0, 0);
    for memory_type in ["image", "mapped", "private"] {
        for state in ["commit", "reserve"] {
            let found = found.get(&(memory_type, state)).copied().unwrap_or(0);
            compare(&format!("{memory_type} {state}"), found, number(&totals[memory_type][state]));
        }
        all_committed += number(&totals[memory_type]["commit"]);
        all_reserved += number(&totals[memory_type]["reserve"]);
    }
    let sums = &case.analysis.totals;
    let free = sums.free.expect("a map with free memory");
    compare("free", free.raw_size, number(&totals["free"]));
    let largest = free_blocks(&case.truth["walk"]).iter().map(|(size, _)| *size).max();
    compare("largest free", free.raw_largest, largest.unwrap_or(0));
    if !case.dump.starts_with("wine8-x64-heaps") {
        compare("largest free region", free.raw_largest, number(&totals["largest_free"]));
    }
    compare("total size", sums.total.size, all_committed + all_reserved + unusable(case));
    compare("total committed", sums.total.committed.unwrap_or(0), all_committed);
    compare("total reserved", sums.total.reserved.unwrap_or(0), all_reserved);
    compare("free and unusable", free.size + unusable(case), free.raw_size);
    compare("unusable", unusable(case), unusable_of(&case.truth["walk"]));
    compare("largest that fits", free.largest, largest_of(&case.truth["walk"]));
}

fn unusable(case: &Case<'_>) -> u64 {
    case.analysis.totals.row(RegionKind::Unusable).size
}

const GRANULE: u64 = 0x1_0000;

/// Free blocks of the walk: all of it, and what is left from the first multiple of 64 KiB. Wine lists
/// the libraries of its host as free regions of their own: neighbours are one block.
fn free_blocks(walk: &Value) -> Vec<(u64, u64)> {
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    for region in list(walk).iter().filter(|region| region["state"] == "free") {
        let (base, size) = (number(&region["base"]), number(&region["size"]));
        match blocks.last_mut() {
            Some(before) if before.0 + before.1 == base => before.1 += size,
            _ => blocks.push((base, size)),
        }
    }
    let usable = |(base, size): (u64, u64)| {
        (size, (base + size).saturating_sub(base.next_multiple_of(GRANULE)))
    };
    blocks.into_iter().map(usable).collect()
}

fn unusable_of(walk: &Value) -> u64 {
    free_blocks(walk).iter().map(|(size, usable)| size - usable).sum()
}

fn largest_of(walk: &Value) -> u64 {
    free_blocks(walk).iter().map(|(_, usable)| *usable).max().unwrap_or(0)
}

/// Ids, TEBs, registers and stacks.
pub(crate) fn threads(case: &Case<'_>, wrong: &mut Wrong) {
    let dump = &case.analysis.dump;
    let truth = list(&case.truth["threads"]);
    if dump.threads.len() != truth.len() {
        wrong.push(format!("{} threads of {}", dump.threads.len(), truth.len()));
    }
    for expected in truth {
        let id = number(&expected["tid"]);
        let found = dump.threads.iter().zip(0_u32..).find(|(thread, _)| u64::from(thread.id) == id);
        let Some((thread, at)) = found else {
            wrong.push(format!("thread {id} is missing"));
            continue;
        };
        let narrow = dump.system.width == PointerWidth::Bits32;
        let teb_key = if narrow && expected["teb32"].is_string() { "teb32" } else { "teb" };
        if thread.teb != number(&expected[teb_key]) {
            wrong.push(format!(
                "thread {id}: TEB {:#x}, expected {}",
                thread.teb, expected[teb_key]
            ));
        }
        registers(case, expected, at, wrong);
        for (suffix, width) in stacks_of(expected, narrow) {
            stack(case, expected, suffix, width, at, wrong);
        }
    }
}

/// The stacks of one thread: keys of the truth file and their width.
fn stacks_of(expected: &Value, narrow: bool) -> Vec<(&'static str, PointerWidth)> {
    let mut stacks = Vec::new();
    if expected["stack_base"].is_string() {
        let width = if narrow { PointerWidth::Bits32 } else { PointerWidth::Bits64 };
        stacks.push(("", width));
    }
    if expected["stack_base32"].is_string() {
        stacks.push(("32", PointerWidth::Bits32));
    }
    stacks
}

fn registers(case: &Case<'_>, expected: &Value, at: u32, wrong: &mut Wrong) {
    let dump = &case.analysis.dump;
    let thread = &dump.threads[at as usize];
    let Some(found) = dump.registers(thread) else {
        wrong.push(format!("thread {}: no registers", thread.id));
        return;
    };
    // The registers of the thread that crashed are those of the exception.
    let crashed = dump.exception.as_ref().is_some_and(|it| it.thread_id == thread.id);
    let (sp, ip) = (number(&expected["sp"]), number(&expected["ip"]));
    if !crashed && (found.stack_pointer, found.instruction_pointer) != (sp, ip) {
        wrong.push(format!("thread {}: {found:x?}, expected {sp:#x} and {ip:#x}", thread.id));
    }
}

fn stack(
    case: &Case<'_>,
    expected: &Value,
    suffix: &str,
    width: PointerWidth,
    at: u32,
    wrong: &mut Wrong,
) {
    let dump = &case.analysis.dump;
    let key = |name: &str| number(&expected[format!("{name}{suffix}")]);
    let (base, limit, start) = (key("stack_base"), key("stack_limit"), key("dealloc_stack"));
    let id = dump.threads[at as usize].id;
    let teb = key("teb");
    let label = format!("thread {id}, {}-bit stack", width.bits());
    let found: Vec<_> = case
        .analysis
        .evidence
        .stacks
        .iter()
        .filter(|stack| stack.thread == Some(at) && stack.width == width)
        .collect();
    // Without the TEB nothing says how far a stack reaches; WOW64's second stack is not found.
    let has_teb = dump.captured.contiguous(teb, 0x20) == 0x20;
    let [found] = found[..] else {
        if has_teb || suffix.is_empty() {
            wrong.push(format!("{label}: {} stacks found", found.len()));
        }
        return;
    };
    let range = (found.range.start(), found.base);
    if has_teb {
        if range != (start, base) || found.limit != Some(limit) {
            let limit = found.limit;
            wrong.push(format!(
                "{label}: {range:x?}, limit {limit:x?}; TEB: {start:#x} to {base:#x}, limit {limit:x?}"
            ));
        }
    } else if range.0 < start || range.1 > base.next_multiple_of(0x1000) {
        wrong.push(format!("{label}: {range:x?} reaches out of {start:#x} to {base:#x}"));
    }
    if !case.has_memory_info() {
        // What the map has of it: the captured bytes.
        let kinds = case.kinds(start, base - start);
        if !kinds.is_subset(&[RegionKind::Stack].into()) {
            wrong.push(format!("{label}: {start:#x} to {base:#x} is {kinds:?}"));
        }
    } else {
        let kinds = case.kinds(start, base - start);
        if kinds != [RegionKind::Stack].into() {
            wrong.push(format!("{label}: {start:#x} to {base:#x} is {kinds:?}"));
        }
        let committed: u64 = case
            .regions()
            .iter()
            .filter(|region| region.state == State::Commit && !region.protect.is_guard())
            .filter_map(|region| region.range.intersect(found.range))
            .map(|range| range.size())
            .sum();
        if found.committed != Some(committed) {
            wrong.push(format!(
                "{label}: committed {:x?}, expected {committed:#x}",
                found.committed
            ));
        }
    }
}

/// Bases, sizes and paths, and the unloaded ones where the stream is there.
pub(crate) fn modules(case: &Case<'_>, wrong: &mut Wrong) {
    let dump = &case.analysis.dump;
    let of = |list_of: &Value, name: &str| {
        let mut all: Vec<(u64, u64, String)> = list(list_of)
            .iter()
            .map(|module| {
                (number(&module["base"]), number(&module["size"]), text(&module[name]).to_owned())
            })
            .collect();
        all.sort();
        all
    };
    let mut found: Vec<(u64, u64, String)> = dump
        .modules
        .modules
        .iter()
        .map(|module| (module.base, module.size.into(), module.path.to_string()))
        .collect();
    found.sort();
    let expected = of(&case.truth["modules"], "path");
    if found != expected {
        wrong.push(format!("modules {found:x?}, expected {expected:x?}"));
    }
    for (base, size, path) in &expected {
        let image = case.analysis.evidence.images.iter().find(|image| image.range.start() == *base);
        if image.is_none_or(|image| image.range.size() != *size) {
            wrong.push(format!("image {path} at {base:#x}: {image:x?}"));
        } else if image.is_some_and(|image| image.module.is_none()) {
            wrong.push(format!("image {path} at {base:#x} is there, but not listed"));
        }
        let kinds = case.kinds(*base, *size);
        if kinds != [RegionKind::Image].into() {
            wrong.push(format!("image {path} at {base:#x} is {kinds:?}"));
        }
    }
    if dump.directory.has(14) {
        let mut found: Vec<(u64, u64, String)> = dump
            .unloaded_modules
            .iter()
            .map(|module| (module.base, module.size.into(), module.path.clone()))
            .collect();
        found.sort();
        let expected = of(&case.truth["unloaded_modules"], "name");
        if found != expected {
            wrong.push(format!("unloaded modules {found:x?}, expected {expected:x?}"));
        }
    }
}

pub(crate) fn exception(case: &Case<'_>, wrong: &mut Wrong) {
    let found = case.analysis.dump.exception.as_ref();
    let expected = &case.truth["exception"];
    if expected.is_null() {
        if found.is_some() {
            wrong.push(format!("an exception where none was: {found:x?}"));
        }
        return;
    }
    let Some(found) = found else {
        wrong.push("no exception".to_owned());
        return;
    };
    let told = (u64::from(found.thread_id), u64::from(found.code), found.address);
    let known = ["tid", "code", "address"].map(|key| number(&expected[key]));
    let access = [found.parameters.first(), found.parameters.get(1)];
    // Other codes have no parameters, and the truth file what was there by chance.
    let is_access = matches!(found.code, 0xc000_0005 | 0xc000_00fd);
    let same_access =
        ["info0", "info1"].map(|key| Some(number(&expected[key]))) == access.map(|it| it.copied());
    if <[u64; 3]>::from(told) != known || !found.is_crash || (is_access && !same_access) {
        wrong.push(format!("exception {found:x?}, expected {expected}"));
    }
}
