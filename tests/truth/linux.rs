//! Linux processes: the lines of /proc/PID/maps, and what our own program made.

use std::collections::BTreeSet;

use dumpmap::evidence::RegionKind;
use dumpmap::map::{MapSource, Origin, Protection};
use serde_json::Value;

use crate::Wrong;
use crate::data::{Case, list, number, text};

/// Addresses, permissions, offset, inode and name of every line.
pub(crate) fn maps(case: &Case<'_>, wrong: &mut Wrong) {
    let map = &case.analysis.map;
    if map.source != MapSource::LinuxMaps {
        wrong.push(format!("the map is from {}", map.source.as_str()));
    }
    let lines = list(&case.maps["maps"]);
    let listed = case.analysis.dump.linux.maps.as_ref().map_or(&[][..], |maps| &maps.maps);
    if listed.len() != lines.len() {
        wrong.push(format!("{} mappings of {}", listed.len(), lines.len()));
    }
    let regions = case.regions().into_iter().filter(|region| region.origin != Origin::Gap);
    for ((line, map), region) in lines.iter().zip(listed).zip(regions) {
        let line = text(line);
        let access = [(map.read, 'r'), (map.write, 'w'), (map.execute, 'x')];
        let mut access: String =
            access.iter().map(|(is, letter)| if *is { *letter } else { '-' }).collect();
        access.push(if map.shared { 's' } else { 'p' });
        let range = (map.range.start(), map.range.end());
        let told = format!("{:08x}-{:08x} {access} {:08x}", range.0, range.1, map.offset);
        let rest = format!(" {} ", map.inode);
        let name = line.splitn(6, ' ').nth(5).unwrap_or("").trim();
        let deleted = if map.deleted { " (deleted)" } else { "" };
        if !line.starts_with(&told)
            || !line.contains(&rest)
            || name != format!("{}{deleted}", map.name)
        {
            wrong.push(format!("line `{line}` was read as {map:x?}"));
        }
        if region.range != map.range
            || (region.protect == Protection::NO_ACCESS) != (&access[..3] == "---")
        {
            wrong.push(format!("line `{line}` became {region:x?}"));
        }
    }
}

pub(crate) fn items(case: &Case<'_>, wrong: &mut Wrong) {
    use RegionKind::{Heap, Mapped, MappedFile, Private, Shareable, Stack};
    for item in list(&case.truth["items"]) {
        let (kind, label) = (text(&item["kind"]), text(&item["label"]));
        let anonymous = item.get("flags").is_some_and(|flags| number(flags) & 0x20 != 0);
        let shared = item.get("flags").is_some_and(|flags| number(flags) & 1 != 0);
        let allowed: &[RegionKind] = match kind {
            "expect-crash" => continue,
            "thread-stack" => &[Stack],
            "malloc-brk" | "malloc-arena" => &[Heap],
            // One mmap for one large block: nothing tells it from the program's own.
            "malloc-mmap" => &[Private, Heap],
            "sysv-shm" => &[Shareable, Mapped],
            "mmap" if label.starts_with("memfd") => &[Shareable, Mapped],
            "mmap" if anonymous && shared => &[Shareable, Mapped],
            "mmap" if anonymous => &[Private],
            "mmap" => &[MappedFile],
            other => panic!("a kind of item that no check knows: {other}"),
        };
        let allowed: BTreeSet<RegionKind> = allowed.iter().copied().collect();
        let found = case.kinds(number(&item["base"]), item_size(item));
        if found.is_empty() || !found.is_subset(&allowed) {
            wrong.push(format!("{kind} `{label}` at {}: {found:?}, not {allowed:?}", item["base"]));
        }
    }
    crash(case, wrong);
}

/// The blocks of an arena may lie in several places; the first is at `base`.
fn item_size(item: &Value) -> u64 {
    match text(&item["kind"]) {
        "malloc-arena" => number(&item["block"]),
        _ => number(&item["size"]),
    }
}

fn crash(case: &Case<'_>, wrong: &mut Wrong) {
    let exception = case.analysis.dump.exception.as_ref();
    let expected = list(&case.truth["items"]).iter().find(|item| item["kind"] == "expect-crash");
    let found = exception.filter(|exception| exception.is_crash);
    match (expected, found) {
        (None, None) => {}
        (Some(item), Some(found)) => {
            let expected = (number(&item["signal"]), Some(number(&item["address"])));
            if (u64::from(found.code), found.crash_address) != expected {
                wrong.push(format!("exception {found:x?}, expected {expected:x?}"));
            }
        }
        _ => wrong.push(format!("exception {exception:x?}, expected {expected:?}")),
    }
}
