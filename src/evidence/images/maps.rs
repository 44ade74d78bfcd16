//! Images in the maps text of Linux and Android: rows of file mappings. The
//! module list says which files are images; a file that is mapped executable
//! and that it does not name is one, too.

use super::elf::ElfHeader;
use super::header::{Header, HeaderReader};
use super::lines::{File, Part, Role, is_filling, may_be_image};
use super::{Image, MAX_UNLISTED, Section, image_claim, next_row};
use crate::addr::AddressRange;
use crate::dump::{Dump, LinuxMap, LinuxMaps, Module, stream_type};
use crate::evidence::{Claim, Confidence, Detail, Evidence, EvidenceSource, Subject, Use};
use crate::map::RegionMap;

/// Images before the nearest one that are asked whether a line is theirs.
const NEIGHBOURS: usize = 4;
/// What a linker may leave between two segments of a program: the largest
/// page of x86-64 and ARM64, its old default for max-page-size.
const SEGMENT_GAP: u64 = 2 << 20;

pub(super) fn gather(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    lines: &LinuxMaps,
    headers: &mut HeaderReader<'_, '_>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    let modules = dump.modules.modules.iter().zip(0_u32..);
    let mut owners: Vec<Owner<'_>> =
        modules.filter_map(|(module, row)| Owner::of(module, row, lines, headers)).collect();
    owners.sort_by_key(|owner| owner.range.start());
    let mut pass = Pass {
        owners,
        next_owner: 0,
        current: None,
        last: None,
        group: None,
        found: Vec::new(),
        more: 0,
    };
    for line in &lines.maps {
        pass.line(line);
    }
    pass.close_group();
    let Pass { mut owners, found, more, .. } = pass;
    if more > 0 {
        evidence.issues.add(Some(stream_type::LINUX_MAPS), None, || {
            format!("{more} more images that no list names are left out")
        });
    }
    owners.sort_by_key(|owner| owner.row);
    for owner in owners {
        owner.report(map, sections_left, evidence);
    }
    for group in found {
        let header = elf_header(headers, group.range.start());
        group.report(header, dump.modules.present, sections_left, evidence);
    }
}

fn elf_header(headers: &mut HeaderReader<'_, '_>, base: u64) -> Option<ElfHeader> {
    match headers.header(base) {
        Some(Header::Elf(header)) => Some(header),
        _ => None,
    }
}

/// An image of the module list, and the lines that are its.
struct Owner<'d> {
    module: &'d Module<'d>,
    row: u32,
    range: AddressRange,
    /// The path without what the kernel adds.
    path: &'d str,
    /// The file of the line that begins at the base: its name may differ from
    /// the path, `[vdso]` and libraries inside an APK do.
    file: Option<File>,
    header: Option<ElfHeader>,
    parts: Vec<Part>,
}

impl<'d> Owner<'d> {
    fn of(
        module: &'d Module<'d>,
        row: u32,
        lines: &LinuxMaps,
        headers: &mut HeaderReader<'_, '_>,
    ) -> Option<Owner<'d>> {
        let range = module.range.or_else(|| AddressRange::new(module.base, 1))?;
        let after = lines.maps.partition_point(|line| line.range.start() <= module.base);
        let line = after.checked_sub(1).and_then(|at| lines.maps.get(at));
        Some(Owner {
            module,
            row,
            range,
            path: module.path.strip_suffix(" (deleted)").unwrap_or(&module.path),
            file: line.filter(|line| line.range.start() == module.base).and_then(File::of),
            header: elf_header(headers, module.base),
            parts: Vec::new(),
        })
    }

    /// Whether a line is a mapping of the image's file.
    fn owns(&self, line: &LinuxMap) -> bool {
        let named = !line.name.is_empty() && self.path == line.name;
        named || self.file.as_ref().is_some_and(|file| file.is_of(line))
    }

    /// Whether it is an image at all: some writers list every mapped file,
    /// fonts and archives included (Firefox for Android).
    fn is_image(&self) -> bool {
        let name = self.file.as_ref().map_or(self.path, |file| &file.name);
        let executable = self.parts.iter().any(|part| part.protect.is_executable());
        let code = executable && (may_be_image(name) || !name.starts_with('/'));
        code || self.header.is_some() || self.parts.is_empty()
    }

    fn report(self, map: &RegionMap<'_>, sections_left: &mut usize, evidence: &mut Evidence) {
        let is_image = self.is_image();
        let Owner { module, row, range, header, parts, .. } = self;
        if module.range.is_some() {
            let known = (Confidence::Recorded, EvidenceSource::ModuleList);
            let claim = if is_image {
                image_claim(range, row, Use::Plain, known, Detail::None)
            } else {
                let detail = Detail::Words("in the module list, but no part of it is code");
                Claim { kind: None, ..image_claim(range, row, Use::Plain, known, detail) }
            };
            evidence.claim(claim);
        }
        let mapped = !parts.is_empty() || map.indexed(module.base).is_some();
        let mut image = Image {
            range,
            module: Some(row),
            path: module.path.clone(),
            named_by: (!module.path.is_empty()).then_some(EvidenceSource::ModuleList),
            mapped,
            sections: Vec::new(),
            has_header: header.is_some(),
            header: None,
        };
        if is_image {
            add_parts(&mut image, row, &parts, header.as_ref(), sections_left, evidence);
        }
        evidence.images.push(image);
    }
}

/// Lines of one file that no list names.
struct Group {
    file: File,
    range: AddressRange,
    offset: u64,
    executable: bool,
    deleted: bool,
    parts: Vec<Part>,
}

impl Group {
    fn new(line: &LinuxMap) -> Option<Group> {
        Some(Group {
            file: File::of(line)?,
            range: line.range,
            offset: line.offset,
            executable: line.execute,
            deleted: line.deleted,
            parts: vec![Part::line(line)],
        })
    }

    /// Whether the line is the file's, further on, or memory that touches it.
    fn takes(&self, line: &LinuxMap) -> bool {
        let own = self.file.is_of(line) && line.offset >= self.offset;
        let touches = self.range.end() == line.range.start();
        own || (touches && is_filling(line) && line.range.size() <= self.range.size())
    }

    fn extend(&mut self, line: &LinuxMap) {
        let last = self.range.last().max(line.range.last());
        self.range = AddressRange::spanning(self.range.start(), last).unwrap_or(self.range);
        self.offset = self.offset.max(line.offset);
        self.executable |= line.execute;
        self.parts.push(Part::line(line));
    }

    fn report(
        self,
        header: Option<ElfHeader>,
        list_present: bool,
        sections_left: &mut usize,
        evidence: &mut Evidence,
    ) {
        let row = next_row(evidence);
        let detail = match (list_present, self.deleted) {
            (_, true) => "an executable file, since deleted, that the module list does not name",
            (true, false) => "an executable file that the module list does not name",
            (false, false) => "an executable file, and there is no module list",
        };
        let known = (Confidence::Recorded, EvidenceSource::LinuxMaps);
        evidence.claim(image_claim(self.range, row, Use::Plain, known, Detail::Words(detail)));
        let mut image = Image {
            range: self.range,
            module: None,
            path: self.file.name.into(),
            named_by: Some(EvidenceSource::LinuxMaps),
            mapped: true,
            sections: Vec::new(),
            has_header: header.is_some(),
            header: None,
        };
        add_parts(&mut image, row, &self.parts, header.as_ref(), sections_left, evidence);
        evidence.images.push(image);
    }
}

/// One pass over the lines. Each line goes to the image that it begins in, or
/// joins the lines of one file that no list names.
struct Pass<'d> {
    /// By first address.
    owners: Vec<Owner<'d>>,
    /// The first owner that begins after the line.
    next_owner: usize,
    /// The owner of the line before, and where that line ends.
    current: Option<(usize, u64)>,
    /// The owner of the last line that had one, where that line ends, and
    /// its offset in the file.
    last: Option<(usize, u64, u64)>,
    group: Option<Group>,
    found: Vec<Group>,
    /// Groups beyond the bound.
    more: usize,
}

impl Pass<'_> {
    fn line(&mut self, line: &LinuxMap) {
        let start = line.range.start();
        while self.owners.get(self.next_owner).is_some_and(|owner| owner.range.start() <= start) {
            self.next_owner = self.next_owner.saturating_add(1);
        }
        let follows = self.current.take().filter(|(_, end)| *end == start).map(|(at, _)| at);
        if let Some(at) = self.owner_of(line, follows) {
            if let Some(owner) = self.owners.get_mut(at) {
                owner.parts.push(Part::line(line));
            }
            self.current = Some((at, line.range.end()));
            self.last = Some((at, line.range.end(), line.offset));
            return;
        }
        let before = follows.filter(|_| is_filling(line) && line.write);
        match before.and_then(|at| self.owners.get_mut(at)) {
            Some(owner) => {
                owner.parts.extend(Part::bss_after(line, owner.header.as_ref(), owner.range));
            }
            None => self.group_line(line),
        }
    }

    /// The image that a line is part of: one that has the line's beginning in
    /// its range and the same file, or the image of the line before.
    ///
    /// Ranges of the list overlap: Breakpad's writer for Android gives images
    /// with packed relocations a base before their first mapping. So some
    /// owners before the nearest one are asked, too.
    fn owner_of(&self, line: &LinuxMap, follows: Option<usize>) -> Option<usize> {
        let nearest = self.owners.get(..self.next_owner)?.iter().enumerate().rev().take(NEIGHBOURS);
        let mut inside = nearest.filter(|(_, owner)| owner.range.contains(line.range.start()));
        if let Some((at, _)) = inside.clone().find(|(_, owner)| owner.owns(line)) {
            return Some(at);
        }
        if let Some(at) = self.beyond_gap(line) {
            return Some(at);
        }
        let before = follows?;
        let continues = self.owners.get(before)?.owns(line);
        let filling = is_filling(line) && inside.any(|(at, _)| at == before);
        (continues || filling).then_some(before)
    }

    /// The image of the last line that had one, when this line is of the same
    /// file, further on, after the gap that linkers leave before the data of
    /// programs that cannot be moved. The module list ends such images there.
    fn beyond_gap(&self, line: &LinuxMap) -> Option<usize> {
        let (at, end, offset) = self.last?;
        let gap = line.range.start().checked_sub(end)?;
        let further = gap <= SEGMENT_GAP && line.offset >= offset;
        (further && self.owners.get(at)?.owns(line)).then_some(at)
    }

    /// A line that no image of the list owns.
    fn group_line(&mut self, line: &LinuxMap) {
        if let Some(group) = self.group.as_mut().filter(|group| group.takes(line)) {
            group.extend(line);
            return;
        }
        self.close_group();
        if !line.shared && may_be_image(&line.name) {
            self.group = Group::new(line);
        }
    }

    /// Ends the lines of one file: when one is executable, they are an image.
    fn close_group(&mut self) {
        let Some(group) = self.group.take().filter(|group| group.executable) else { return };
        if self.found.len() < MAX_UNLISTED {
            self.found.push(group);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// Claims the parts of `image`, row `row`, and makes them its sections.
fn add_parts(
    image: &mut Image,
    row: u32,
    parts: &[Part],
    header: Option<&ElfHeader>,
    sections_left: &mut usize,
    evidence: &mut Evidence,
) {
    let base = image.range.start();
    for part in parts.iter().take(*sections_left) {
        let named = header.and_then(|header| header.use_of(base, part.range.start()));
        let (confidence, source, detail) = match (part.role, named) {
            (Role::Line, Some(_)) => {
                (Confidence::Recorded, EvidenceSource::LinuxMaps, "named by the ELF header")
            }
            (Role::Line, None) => {
                (Confidence::Recorded, EvidenceSource::LinuxMaps, "named by its access and place")
            }
            (Role::BssOfHeader, _) => (
                Confidence::Derived,
                EvidenceSource::ElfHeader,
                "beyond the module list's size, inside the segment",
            ),
            (Role::BssByPlace, _) => (
                Confidence::Heuristic,
                EvidenceSource::Shape,
                "anonymous, directly after the image's data",
            ),
        };
        let usage = Use::Named(named.filter(|_| part.usage != "vdso").unwrap_or(part.usage));
        let known = (confidence, source);
        evidence.claim(image_claim(part.range, row, usage, known, Detail::Words(detail)));
        let last = image.range.last().max(part.range.last());
        image.range = AddressRange::spanning(base, last).unwrap_or(image.range);
        image.sections.push(Section { usage, range: part.range, protect: part.protect });
    }
    *sections_left = sections_left.saturating_sub(image.sections.len());
}

/// Whether a claim is one that this gatherer made of a whole line: then the
/// line is part of an image, and no mapped file.
pub(in crate::evidence) fn is_line_of_image(claim: &Claim) -> bool {
    claim.source == EvidenceSource::LinuxMaps && matches!(claim.subject, Subject::Image(_))
}
