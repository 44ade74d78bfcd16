//! What the Windows programs made, item by item.

use std::collections::BTreeSet;

use dumpmap::evidence::RegionKind;
use dumpmap::map::{Protection, Region};
use serde_json::Value;

use crate::Wrong;
use crate::data::{Case, list, number, text};

const PAGE: u64 = 0x1000;

pub(crate) fn items(case: &Case<'_>, wrong: &mut Wrong) {
    for item in list(&case.truth["items"]) {
        let problem = match text(&item["kind"]) {
            // Their addresses are in the list of threads.
            "thread" => continue,
            "private" => private(case, item),
            "sub" => sub(case, item),
            "mapping" => mapping(case, item),
            "image" => image(case, item),
            "heap" | "heap-blocks" | "heap-big" => heap(case, item),
            "fiber" => fiber(case, item),
            other => panic!("a kind of item that no check knows: {other}"),
        };
        if let Err(problem) = problem {
            let (kind, label) = (text(&item["kind"]), text(&item["label"]));
            wrong.push(format!("{kind} `{label}` at {}: {problem}", text(&item["base"])));
        }
    }
}

/// Every byte is one of these kinds. A rebuilt map may say unknown where nothing but the region's own
/// type tells, and lack the bytes.
fn all_are(case: &Case<'_>, base: u64, size: u64, allowed: &[RegionKind]) -> Result<(), String> {
    let by_type = [RegionKind::Private, RegionKind::Mapped];
    let mut allowed: BTreeSet<RegionKind> = allowed.iter().copied().collect();
    if !case.has_memory_info() && by_type.iter().any(|kind| allowed.contains(kind)) {
        allowed.insert(RegionKind::Unknown);
    }
    let found = case.kinds(base, size);
    if !found.is_subset(&allowed) || (case.has_memory_info() && found.is_empty()) {
        return Err(format!("{base:#x} + {size:#x} is {found:?}, not {allowed:?}"));
    }
    Ok(())
}

fn private(case: &Case<'_>, item: &Value) -> Result<(), String> {
    let size = number(&item["size"]).next_multiple_of(PAGE);
    all_are(case, number(&item["base"]), size, &[RegionKind::Private])
}

/// A part of an allocation with a state and a protection of its own.
fn sub(case: &Case<'_>, item: &Value) -> Result<(), String> {
    if !case.has_memory_info() || item["state"].is_null() {
        return Ok(());
    }
    // Reserved memory has no protection; of some committed parts none was written down.
    let protect = match (item.get("protect"), text(&item["state"])) {
        (Some(bits), _) => Some(Protection(number(bits) as u32)),
        (None, "reserve") => Some(Protection(0)),
        (None, _) => None,
    };
    let regions: Vec<Region> = case.regions();
    let (base, size) = (number(&item["base"]), number(&item["size"]));
    let mut parts = regions
        .iter()
        .filter(|region| region.range.last() >= base && region.range.start() < base + size);
    match parts.find(|region| {
        region.state.as_str() != text(&item["state"])
            || protect.is_some_and(|protect| region.protect != protect)
    }) {
        Some(region) => Err(format!("{region:x?}")),
        None => Ok(()),
    }
}

/// A view of a section: of a file, or of the page file.
fn mapping(case: &Case<'_>, item: &Value) -> Result<(), String> {
    use RegionKind::{Mapped, MappedFile, Shareable};
    let base = number(&item["base"]);
    let size = match number(&item["size"]) {
        0 => allocation_size(case, base),
        size => size.next_multiple_of(PAGE),
    };
    let of_page_file = text(&item["backing"]).starts_with("pagefile");
    let allowed = if of_page_file { [Mapped, Shareable] } else { [Mapped, MappedFile] };
    all_are(case, base, size, &allowed)
}

fn image(case: &Case<'_>, item: &Value) -> Result<(), String> {
    let base = number(&item["base"]);
    let size = match number(&item["size"]) {
        0 => allocation_size(case, base),
        size => size,
    };
    all_are(case, base, size, &[RegionKind::Image])?;
    let unlinked = &case.truth["notes"]["unlinked_from_ldr"];
    let is_unlinked = unlinked.is_string() && number(unlinked) == base;
    let is_listed = item["in_module_list"] != false && !is_unlinked;
    let row = case.analysis.evidence.images.iter().find(|image| image.range.start() == base);
    // Without a map nothing but captured headers shows an image that no list names.
    match row {
        Some(row) if row.module.is_some() == is_listed => Ok(()),
        Some(row) if is_listed => {
            Err(format!("{} at {base:#x} is there, but not listed", row.name()))
        }
        None if !case.has_memory_info() && !is_listed => Ok(()),
        _ => Err(format!("listed is {is_listed}, the table has {row:x?}")),
    }
}

/// Heaps are known where their memory is captured; else they are private memory, and may be heap,
/// never anything else. A list of blocks is checked at its ends, for blocks of other kinds of use may
/// lie between them.
fn heap(case: &Case<'_>, item: &Value) -> Result<(), String> {
    let known = case.has_private_memory();
    let allowed: &[RegionKind] =
        if known { &[RegionKind::Heap] } else { &[RegionKind::Heap, RegionKind::Private] };
    let at = |address: u64, size: u64| all_are(case, address, size, allowed);
    at(number(&item["base"]), number(&item["size"]))?;
    for key in ["lowest", "last"] {
        if let Some(address) = item.get(key) {
            at(number(address), number(&item["size"]))?;
        }
    }
    if let Some(end) = item.get("highest_end") {
        at(number(end) - 1, 1)?;
    }
    if known && text(&item["kind"]) == "heap" {
        let base = number(&item["base"]);
        let heaps = &case.analysis.evidence.heaps;
        if !heaps.iter().any(|heap| heap.address == base) {
            return Err(format!("the table has no heap at {base:#x}"));
        }
    }
    Ok(())
}

/// The stack of a fiber that does not run: no TEB points to it.
fn fiber(case: &Case<'_>, item: &Value) -> Result<(), String> {
    let allowed = [RegionKind::Private, RegionKind::Stack];
    all_are(case, number(&item["base"]), number(&item["size"]), &allowed)
}

fn allocation_size(case: &Case<'_>, base: u64) -> u64 {
    let walk = list(&case.truth["walk"]);
    let of_it = |region: &&Value| region.get("alloc_base").is_some_and(|it| number(it) == base);
    walk.iter().filter(of_it).map(|region| number(&region["size"])).sum()
}
