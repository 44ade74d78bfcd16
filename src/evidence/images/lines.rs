//! What one line of the maps text may be to an image.

use super::elf::ElfHeader;
use crate::addr::AddressRange;
use crate::dump::LinuxMap;
use crate::map::Protection;

/// What two lines of one file have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    device: (u32, u32),
    inode: u64,
    pub(super) name: String,
}

impl File {
    pub(super) fn of(line: &LinuxMap) -> Option<File> {
        let named = !line.name.is_empty() && !is_anonymous(line);
        named.then(|| File { device: line.device, inode: line.inode, name: line.name.clone() })
    }

    pub(super) fn is_of(&self, line: &LinuxMap) -> bool {
        self.device == line.device && self.inode == line.inode && self.name == line.name
    }
}

/// What an image keeps of a line, or of a part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) range: AddressRange,
    pub(super) protect: Protection,
    pub(super) role: Role,
    /// The use by access and place alone.
    pub(super) usage: &'static str,
}

/// How a part belongs to its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A mapping of its file, or anonymous memory among those.
    Line,
    /// .bss outside the range of the list, as the ELF header says.
    BssOfHeader,
    /// Memory directly after the image.
    BssByPlace,
}

impl Part {
    pub(super) fn line(line: &LinuxMap) -> Part {
        let usage = use_of(line);
        Part { range: line.range, protect: protect(line), role: Role::Line, usage }
    }

    /// Anonymous memory directly after an image of `size` bytes at `base`
    /// whose list entry ends with the file: .bss, as far as the header says;
    /// without one, when it is no larger than the image.
    ///
    /// Wrong without a header when the image has no .bss and the next mapping
    /// happens to touch it.
    pub(super) fn bss_after(
        line: &LinuxMap,
        header: Option<&ElfHeader>,
        image: AddressRange,
    ) -> Option<Part> {
        let (range, role) = match header {
            Some(header) => {
                let end = header.end(image.start())?.min(line.range.end());
                (AddressRange::between(line.range.start(), end)?, Role::BssOfHeader)
            }
            None if line.range.size() <= image.size() => (line.range, Role::BssByPlace),
            None => return None,
        };
        Some(Part { range, protect: protect(line), role, usage: "ELF bss" })
    }
}

/// Files that an executable mapping makes an image; not devices, shared
/// memory and code that a just-in-time compiler made.
pub(super) fn may_be_image(name: &str) -> bool {
    const NOT: [&str; 4] = ["/dev/", "/memfd:", "/SYSV", "/anon_hugepage"];
    name.starts_with('/') && !NOT.iter().any(|not| name.starts_with(not))
}

/// Memory without a file, or of Android's name for .bss.
fn is_anonymous(line: &LinuxMap) -> bool {
    line.inode == 0 && (line.name.is_empty() || line.name == "[anon:.bss]")
}

/// What may stand between or after the mappings of an image's file: zeroed
/// data, and the gaps that a loader leaves without access.
pub(super) fn is_filling(line: &LinuxMap) -> bool {
    let gap = !line.read && !line.write && !line.execute;
    is_anonymous(line) && !line.shared && !line.execute && (line.write || gap)
}

/// What a line of an image is for, by access and place.
fn use_of(line: &LinuxMap) -> &'static str {
    match () {
        () if line.name == "[vdso]" => "vdso",
        () if line.execute => "ELF text",
        () if is_anonymous(line) && line.write => "ELF bss",
        () if line.write => "ELF data",
        () if line.read => "ELF read-only data",
        () => "ELF gap",
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
