//! What the names in /proc/PID/maps say: `[heap]`, `[stack]`, `[vdso]`,
//! `[anon:…]`, files, deleted files; and glibc's arenas by shape.
//!
//! A large block of malloc is a mapping of its own that nothing tells from
//! other anonymous memory: it stays private.

mod arenas;
mod headers;
mod names;

use std::collections::HashSet;

use super::images::is_line_of_image;
use super::malloc::{MallocHeap, MallocHeapKind};
use super::{Claim, Confidence, Detail, Evidence, EvidenceSource, RegionKind, Subject, Use};
use crate::dump::{Dump, LinuxMap, LinuxMaps};
use crate::map::{MapSource, RegionMap};

pub(super) fn gather(dump: &Dump<'_>, map: &RegionMap<'_>, evidence: &mut Evidence) {
    let Some(lines) = dump.linux.maps.as_ref().filter(|_| map.source == MapSource::LinuxMaps)
    else {
        return;
    };
    claim_lines(lines, evidence);
    arenas::gather(dump, map, lines, evidence);
}

/// One claim for each line that says something, unless the line is part of an
/// image.
fn claim_lines(lines: &LinuxMaps, evidence: &mut Evidence) {
    let images: HashSet<u64> = evidence
        .claims
        .iter()
        .filter(|claim| is_line_of_image(claim))
        .map(|claim| claim.range.start())
        .collect();
    for (line, at) in lines.maps.iter().zip(0_u32..) {
        if images.contains(&line.range.start()) {
            continue;
        }
        let Some(meaning) = meaning(line, at) else { continue };
        if line.name == "[heap]" && evidence.malloc.len() < MOST_BRK {
            let (range, kind) = (line.range, MallocHeapKind::Main);
            evidence.malloc.push(MallocHeap { range, end: range.end(), kind });
        }
        evidence.claim(Claim {
            range: line.range,
            kind: Some(meaning.kind),
            usage: meaning.usage,
            subject: Subject::LinuxMap(at),
            confidence: meaning.confidence,
            source: EvidenceSource::LinuxMaps,
            detail: meaning.detail,
        });
    }
}

/// A process has one brk heap; a text may name any number.
const MOST_BRK: usize = 4;

struct Meaning {
    kind: RegionKind,
    usage: Use,
    confidence: Confidence,
    detail: Detail,
}

/// What line number `at` says of its memory; `None` for anonymous memory that
/// can be anything.
fn meaning(line: &LinuxMap, at: u32) -> Option<Meaning> {
    if line.name.is_empty() {
        return anonymous(line);
    }
    let (kind, name) = names::meaning(line);
    let usage = name.map_or(Use::LinuxName(at), Use::Named);
    let detail = if line.deleted && kind == RegionKind::MappedFile {
        Detail::Words("the file was deleted after it was mapped")
    } else {
        Detail::None
    };
    Some(Meaning { kind, usage, confidence: Confidence::Recorded, detail })
}

fn anonymous(line: &LinuxMap) -> Option<Meaning> {
    let reserved = !line.read && !line.write && !line.execute;
    let (kind, name, confidence) = match () {
        () if line.inode != 0 => {
            (RegionKind::MappedFile, "file without a name", Confidence::Recorded)
        }
        () if line.shared => {
            (RegionKind::Shareable, "anonymous shared memory", Confidence::Recorded)
        }
        // Memory without access is set aside for later: an allocator's arena,
        // a guard. Whoever knows more than that is right.
        () if reserved => (RegionKind::Private, "no access (reserved)", Confidence::Fallback),
        () => return None,
    };
    Some(Meaning { kind, usage: Use::Named(name), confidence, detail: Detail::None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddressRange;

    #[test]
    fn anonymous_lines_say_little() {
        let line = |access: &str| LinuxMap {
            range: AddressRange::new(0x1000, 0x1000).unwrap(),
            read: access.contains('r'),
            write: access.contains('w'),
            execute: access.contains('x'),
            shared: access.contains('s'),
            offset: 0,
            device: (0, 0),
            inode: 0,
            name: String::new(),
            deleted: false,
        };
        let kind = |access| meaning(&line(access), 0).map(|meaning| meaning.kind);
        assert_eq!(kind("rw-p"), None);
        assert_eq!(kind("r-xp"), None);
        assert_eq!(kind("---p"), Some(RegionKind::Private));
        assert_eq!(kind("rw-s"), Some(RegionKind::Shareable));
    }
}
