//! Images in the maps text of Linux and Android: rows of file mappings. The
//! module list says which files are images; a file that is mapped executable
//! and that it does not name is one, too.

use super::header::{Header, HeaderReader};
use super::listed::in_use;
use super::{Image, MAX_UNLISTED, Section, elf::ElfHeader, image_claim, next_row};
use crate::addr::AddressRange;
use crate::dump::{Dump, LinuxMap, LinuxMaps, stream_type};
use crate::evidence::{Claim, Confidence, Detail, Evidence, EvidenceSource, Subject, Use};
use crate::map::{Protection, RegionMap};

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    lines: &LinuxMaps,
    headers: &mut HeaderReader<'_, '_>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    let mut owners = listed(dump, map, lines, headers, evidence);
    owners.sort_by_key(|owner| owner.range.start());
    let mut pass = Pass {
        owners,
        next_owner: 0,
        group: None,
        current: None,
        sections_left,
        unlisted: 0,
        modules_present: dump.modules.present,
    };
    for line in &lines.maps {
        pass.line(line, headers, evidence);
    }
    pass.close_group(headers, evidence);
    let more = pass.unlisted.saturating_sub(MAX_UNLISTED);
    if more > 0 {
        evidence.issues.add(Some(stream_type::LINUX_MAPS), None, || {
            format!("{more} more images that no list names are left out")
        });
    }
}

/// An image of the module list, as the pass over the lines needs it.
struct Owner {
    range: AddressRange,
    row: u32,
    file: Option<File>,
    header: Option<ElfHeader>,
}

/// What two lines of one file have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    device: (u32, u32),
    inode: u64,
    name: String,
}

impl File {
    fn of(line: &LinuxMap) -> Option<File> {
        let named = !line.name.is_empty() && !is_anonymous(line);
        named.then(|| File { device: line.device, inode: line.inode, name: line.name.clone() })
    }

    fn is_of(&self, line: &LinuxMap) -> bool {
        self.device == line.device && self.inode == line.inode && self.name == line.name
    }
}

/// The rows of the module list, and who owns which lines.
fn listed(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    lines: &LinuxMaps,
    headers: &mut HeaderReader<'_, '_>,
    evidence: &mut Evidence,
) -> Vec<Owner> {
    let mut owners = Vec::new();
    for (module, row) in dump.modules.modules.iter().zip(0_u32..) {
        let Some(range) = module.range.or_else(|| AddressRange::new(module.base, 1)) else {
            continue;
        };
        if module.range.is_some() {
            let known = (Confidence::Recorded, EvidenceSource::ModuleList);
            evidence.claim(image_claim(range, row, Use::Plain, known, Detail::None));
        }
        let header = elf_header(headers, module.base);
        let after = lines.maps.partition_point(|line| line.range.start() <= module.base);
        let line = after.checked_sub(1).and_then(|at| lines.maps.get(at));
        let file = line.filter(|line| line.range.contains(module.base)).and_then(File::of);
        evidence.images.push(Image {
            range,
            module: Some(row),
            path: module.path.clone(),
            named_by: (!module.path.is_empty()).then_some(EvidenceSource::ModuleList),
            mapped: map.find(module.base).is_some_and(|region| in_use(&region)),
            sections: Vec::new(),
            has_header: header.is_some(),
            header: None,
        });
        owners.push(Owner { range, row, file, header });
    }
    owners
}

fn elf_header(headers: &mut HeaderReader<'_, '_>, base: u64) -> Option<ElfHeader> {
    match headers.header(base) {
        Some(Header::Elf(header)) => Some(header),
        _ => None,
    }
}

/// One pass over the lines. Each line goes to the image that it begins in, or
/// joins the lines of one file that no list names.
struct Pass<'l> {
    owners: Vec<Owner>,
    /// The first owner that begins after the line.
    next_owner: usize,
    group: Option<Group>,
    /// The owner of the line before, and where that line ends.
    current: Option<(usize, u64)>,
    sections_left: &'l mut usize,
    unlisted: usize,
    modules_present: bool,
}

/// Lines of one file.
struct Group {
    file: File,
    range: AddressRange,
    offset: u64,
    executable: bool,
    deleted: bool,
    lines: Vec<Line>,
}

/// What of a line a section is made from.
struct Line {
    range: AddressRange,
    usage: &'static str,
    protect: Protection,
}

impl Pass<'_> {
    fn line(
        &mut self,
        line: &LinuxMap,
        headers: &mut HeaderReader<'_, '_>,
        evidence: &mut Evidence,
    ) {
        let start = line.range.start();
        while self.owners.get(self.next_owner).is_some_and(|owner| owner.range.start() <= start) {
            self.next_owner = self.next_owner.saturating_add(1);
        }
        let at = self.next_owner.checked_sub(1);
        let owner = at.and_then(|at| Some((at, self.owners.get(at)?)));
        let follows = self.current.filter(|(_, end)| *end == start).map(|(at, _)| at);
        self.current = None;
        if let Some((at, owner)) = owner {
            let inside = owner.range.contains(start);
            let own = owner.file.as_ref().is_some_and(|file| file.is_of(line));
            if inside && (own || (follows == Some(at) && is_filling(line))) {
                let usage = use_of(line, owner.header.as_ref(), owner.range.start());
                let detail = match owner.header {
                    Some(_) => "named by the ELF header",
                    None => "named by its access and place",
                };
                let (range, row) = (line.range, owner.row);
                let known = (Confidence::Recorded, EvidenceSource::LinuxMaps);
                let section = Section { usage: Use::Named(usage), range, protect: protect(line) };
                self.add(row, section, known, detail, evidence);
                self.current = Some((at, line.range.end()));
                return;
            }
            if follows == Some(at) && !inside && is_filling(line) && line.write {
                self.bss_outside(at, line, evidence);
                return;
            }
        }
        self.group_line(line, headers, evidence);
    }

    /// Anonymous memory directly after an image whose module list entry ends
    /// with the file: .bss, as far as the header says; without one, when it
    /// is no larger than the image.
    ///
    /// Wrong when the loader mapped no .bss and the next mapping happens to
    /// touch the image.
    fn bss_outside(&mut self, at: usize, line: &LinuxMap, evidence: &mut Evidence) {
        let Some(owner) = self.owners.get(at) else { return };
        let base = owner.range.start();
        let (range, confidence, detail) = match &owner.header {
            Some(header) => {
                let end = header.end(base).unwrap_or(0).min(line.range.end());
                let range = AddressRange::between(line.range.start(), end);
                (range, Confidence::Derived, "beyond the module list's size, inside the segment")
            }
            None => {
                let range = Some(line.range).filter(|range| range.size() <= owner.range.size());
                (range, Confidence::Heuristic, "anonymous, directly after the image's data")
            }
        };
        let (Some(range), row) = (range, owner.row) else { return };
        let source = match confidence {
            Confidence::Derived => EvidenceSource::ElfHeader,
            _ => EvidenceSource::Shape,
        };
        let section = Section { usage: Use::Named("ELF bss"), range, protect: protect(line) };
        self.add(row, section, (confidence, source), detail, evidence);
    }

    fn add(
        &mut self,
        row: u32,
        section: Section,
        known: (Confidence, EvidenceSource),
        detail: &'static str,
        evidence: &mut Evidence,
    ) {
        if *self.sections_left == 0 {
            return;
        }
        *self.sections_left = self.sections_left.saturating_sub(1);
        let detail = Detail::Words(detail);
        evidence.claim(image_claim(section.range, row, section.usage, known, detail));
        let image = usize::try_from(row).ok().and_then(|row| evidence.images.get_mut(row));
        if let Some(image) = image {
            image.sections.push(section);
        }
    }

    /// A line that no image of the list owns.
    fn group_line(
        &mut self,
        line: &LinuxMap,
        headers: &mut HeaderReader<'_, '_>,
        evidence: &mut Evidence,
    ) {
        if let Some(group) = &mut self.group {
            let touches = group.range.end() == line.range.start();
            let own = group.file.is_of(line) && line.offset >= group.offset;
            if own || (touches && is_filling(line) && line.range.size() <= group.range.size()) {
                group.extend(line);
                return;
            }
        }
        self.close_group(headers, evidence);
        self.group = may_be_image(line).then(|| Group::new(line)).flatten();
    }

    /// Ends the lines of one file: when one is executable, they are an image.
    fn close_group(&mut self, headers: &mut HeaderReader<'_, '_>, evidence: &mut Evidence) {
        let Some(group) = self.group.take().filter(|group| group.executable) else { return };
        self.unlisted = self.unlisted.saturating_add(1);
        if self.unlisted > MAX_UNLISTED {
            return;
        }
        let base = group.range.start();
        let header = elf_header(headers, base);
        let row = next_row(evidence);
        let detail = match (self.modules_present, group.deleted) {
            (_, true) => "an executable file, since deleted, that the module list does not name",
            (true, false) => "an executable file that the module list does not name",
            (false, false) => "an executable file, and there is no module list",
        };
        let known = (Confidence::Recorded, EvidenceSource::LinuxMaps);
        evidence.claim(image_claim(group.range, row, Use::Plain, known, Detail::Words(detail)));
        evidence.images.push(Image {
            range: group.range,
            module: None,
            path: group.file.name,
            named_by: Some(EvidenceSource::LinuxMaps),
            mapped: true,
            sections: Vec::new(),
            has_header: header.is_some(),
            header: None,
        });
        for line in group.lines {
            let named = header.as_ref().and_then(|header| header.use_of(base, line.range.start()));
            let detail = match named {
                Some(_) => "named by the ELF header",
                None => "named by its access and place",
            };
            let usage = Use::Named(named.unwrap_or(line.usage));
            let section = Section { usage, range: line.range, protect: line.protect };
            self.add(row, section, known, detail, evidence);
        }
    }
}

impl Group {
    fn new(line: &LinuxMap) -> Option<Group> {
        let file = File::of(line)?;
        Some(Group {
            file,
            range: line.range,
            offset: line.offset,
            executable: line.execute,
            deleted: line.deleted,
            lines: vec![Line::of(line)],
        })
    }

    fn extend(&mut self, line: &LinuxMap) {
        let last = self.range.last().max(line.range.last());
        self.range = AddressRange::spanning(self.range.start(), last).unwrap_or(self.range);
        self.offset = self.offset.max(line.offset);
        self.executable |= line.execute;
        self.lines.push(Line::of(line));
    }
}

impl Line {
    fn of(line: &LinuxMap) -> Line {
        Line { range: line.range, usage: use_of(line, None, 0), protect: protect(line) }
    }
}

/// Files that an executable mapping makes an image; not devices, shared
/// memory and code that a just-in-time compiler made.
fn may_be_image(line: &LinuxMap) -> bool {
    const NOT: [&str; 4] = ["/dev/", "/memfd:", "/SYSV", "/anon_hugepage"];
    line.name.starts_with('/') && !line.shared && !NOT.iter().any(|not| line.name.starts_with(not))
}

/// Memory without a file, or of Android's name for .bss.
fn is_anonymous(line: &LinuxMap) -> bool {
    line.inode == 0 && (line.name.is_empty() || line.name == "[anon:.bss]")
}

/// What may stand between or after the mappings of an image's file: zeroed
/// data, and the gaps that a loader leaves without access.
fn is_filling(line: &LinuxMap) -> bool {
    let gap = !line.read && !line.write && !line.execute;
    is_anonymous(line) && !line.shared && !line.execute && (line.write || gap)
}

/// What a line of an image is for: by the header, else by access and place.
fn use_of(line: &LinuxMap, header: Option<&ElfHeader>, base: u64) -> &'static str {
    if line.name == "[vdso]" {
        return "vdso";
    }
    let named = header.and_then(|header| header.use_of(base, line.range.start()));
    match named {
        Some(usage) => usage,
        None if line.execute => "ELF text",
        None if is_anonymous(line) && line.write => "ELF bss",
        None if line.write => "ELF data",
        None if line.read => "ELF read-only data",
        None => "ELF gap",
    }
}

fn protect(line: &LinuxMap) -> Protection {
    match (line.execute, line.write, line.read) {
        (true, true, _) => Protection::EXECUTE_READ_WRITE,
        (true, false, true) => Protection::EXECUTE_READ,
        (true, false, false) => Protection::EXECUTE,
        (false, true, _) => Protection::READ_WRITE,
        (false, false, true) => Protection::READ_ONLY,
        (false, false, false) => Protection::NO_ACCESS,
    }
}

/// Whether a claim is one that this gatherer made of a whole line: then the
/// line is part of an image, and no mapped file.
pub(in crate::evidence) fn is_line_of_image(claim: &Claim) -> bool {
    claim.source == EvidenceSource::LinuxMaps && matches!(claim.subject, Subject::Image(_))
}
