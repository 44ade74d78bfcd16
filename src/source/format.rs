//! What a file is, by its first bytes and never by its name, and what opens
//! it when it is not a minidump.

use crate::error::Error;

/// What the first bytes of a file say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// `MDMP`: a user-mode minidump.
    Minidump,
    /// `PMDM`: a minidump of a big-endian machine.
    BigEndianMinidump,
    /// `PAGEDU64`: a kernel dump of a 64-bit Windows.
    KernelDump64,
    /// `PAGEDUMP`: a kernel dump of a 32-bit Windows.
    KernelDump32,
    /// `\x7fELF`: a core file, or another ELF file.
    Elf {
        /// Whether its type is ET_CORE.
        core: bool,
    },
    /// A Mach-O core, or another Mach-O file.
    MachO {
        /// Whether its type is MH_CORE.
        core: bool,
    },
    /// The text that Breakpad writes to Android's log instead of a dump.
    Microdump,
    /// A pointer that Git LFS left where the file should be.
    GitLfsPointer,
    /// A compressed file or an archive, with its usual suffix.
    Archive(&'static str),
    /// No bytes at all.
    Empty,
    /// None of these.
    Other,
}

impl FileFormat {
    /// Looks at the first bytes of a file; 4 KiB are enough.
    pub fn of(head: &[u8]) -> FileFormat {
        let word = |at: usize| {
            let bytes = head.get(at..at.saturating_add(4))?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let begins = |magic: &[u8]| head.starts_with(magic);
        if head.is_empty() {
            FileFormat::Empty
        } else if begins(b"MDMP") {
            FileFormat::Minidump
        } else if begins(b"PMDM") {
            FileFormat::BigEndianMinidump
        } else if begins(b"PAGEDU64") {
            FileFormat::KernelDump64
        } else if begins(b"PAGEDUMP") {
            FileFormat::KernelDump32
        } else if begins(b"\x7fELF") {
            let (kind, big_endian) = (head.get(16..18), head.get(5) == Some(&2));
            let core = if big_endian { &[0, 4] } else { &[4, 0] };
            FileFormat::Elf { core: kind == Some(core) }
        } else if matches!(word(0), Some(0xfeed_face | 0xfeed_facf)) {
            FileFormat::MachO { core: word(12) == Some(4) }
        } else if begins(b"version https://git-lfs") {
            FileFormat::GitLfsPointer
        } else if let Some(suffix) = archive(head) {
            FileFormat::Archive(suffix)
        } else if contains(head, b"google-breakpad") {
            FileFormat::Microdump
        } else {
            FileFormat::Other
        }
    }

    /// The usual suffix of an archive or compressed file that the feature
    /// `archives` reads.
    pub fn archive(self) -> Option<&'static str> {
        match self {
            FileFormat::Archive(suffix) => {
                const READ: [&str; 6] = [".gz", ".zst", ".zip", ".7z", ".cab", ".tar"];
                READ.contains(&suffix).then_some(suffix)
            }
            _ => None,
        }
    }

    /// Why this is no input for dumpmap and what opens it; `None` for a
    /// minidump.
    pub(crate) fn refusal(self) -> Option<Error> {
        let (what, next) = match self {
            FileFormat::Minidump => return None,
            FileFormat::BigEndianMinidump => (
                "a minidump of a big-endian machine (PMDM)",
                "Breakpad's minidump_dump reads its streams",
            ),
            FileFormat::KernelDump64 => (
                "a Windows kernel dump (PAGEDU64), not a user-mode minidump",
                "open it with WinDbg, or with MemProcFS for a map of its processes",
            ),
            FileFormat::KernelDump32 => (
                "a Windows kernel dump (PAGEDUMP), not a user-mode minidump",
                "open it with WinDbg, or with MemProcFS for a map of its processes",
            ),
            FileFormat::Elf { core: true } => (
                "an ELF core file, not a minidump",
                "open it with gdb or lldb (`info proc mappings`, `memory region --all`)",
            ),
            FileFormat::Elf { core: false } => (
                "an ELF program or library, not a dump",
                "give the .dmp file that its crash reporter wrote",
            ),
            FileFormat::MachO { core: true } => {
                ("a Mach-O core file, not a minidump", "open it with lldb (`memory region --all`)")
            }
            FileFormat::MachO { core: false } => (
                "a Mach-O program or library, not a dump",
                "give the .dmp file that its crash reporter wrote",
            ),
            FileFormat::Microdump => (
                "a Breakpad microdump (text from a log), not a minidump",
                "minidump_stackwalk's microdump_stackwalk reads it; it holds no memory map",
            ),
            FileFormat::GitLfsPointer => {
                ("a Git LFS pointer, not the dump itself", "run `git lfs pull` where it came from")
            }
            FileFormat::Archive(suffix) => {
                let next = if self.archive().is_some() && cfg!(not(feature = "archives")) {
                    "unpack it and give the dump inside, or use a dumpmap that has the feature \
                     `archives`, as the released programs do"
                } else {
                    "unpack it and give the dump inside"
                };
                return Some(Error::not_a_dump(format!("a {suffix} file, not a dump"), next));
            }
            FileFormat::Empty => ("the file is empty", "was the dump written to the end?"),
            FileFormat::Other => (
                "not a minidump: it does not begin with MDMP",
                "give a .dmp, .mdmp or .hdmp file as WER, ProcDump, WinDbg, Breakpad or Crashpad write it",
            ),
        };
        Some(Error::not_a_dump(what, next))
    }
}

fn archive(head: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 10] = [
        (b"\x1f\x8b", ".gz"),
        (b"\x28\xb5\x2f\xfd", ".zst"),
        (b"PK\x03\x04", ".zip"),
        (b"PK\x05\x06", ".zip"),
        (b"7z\xbc\xaf\x27\x1c", ".7z"),
        (b"MSCF", ".cab"),
        (b"\xfd7zXZ\0", ".xz"),
        (b"BZh", ".bz2"),
        (b"Rar!\x1a\x07", ".rar"),
        (b"\x04\x22\x4d\x18", ".lz4"),
    ];
    let found = MAGICS.iter().find(|(magic, _)| head.starts_with(magic));
    let tar = head.get(257..262) == Some(b"ustar".as_slice());
    found.map(|(_, suffix)| *suffix).or(tar.then_some(".tar"))
}

fn contains(head: &[u8], needle: &[u8]) -> bool {
    head.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_content() {
        let mut core = b"\x7fELF\x02\x01\x01".to_vec();
        core.resize(16, 0);
        core.extend([4, 0]);
        let cases: [(&[u8], FileFormat); 9] = [
            (b"", FileFormat::Empty),
            (b"MDMP\x93\xa7", FileFormat::Minidump),
            (b"PAGEDU64", FileFormat::KernelDump64),
            (b"PAGEDUMP", FileFormat::KernelDump32),
            (&core, FileFormat::Elf { core: true }),
            (b"version https://git-lfs.github.com/spec/v1", FileFormat::GitLfsPointer),
            (b"PK\x03\x04", FileFormat::Archive(".zip")),
            (b"W/google-breakpad(  123)", FileFormat::Microdump),
            (b"hello", FileFormat::Other),
        ];
        for (head, expected) in cases {
            assert_eq!(FileFormat::of(head), expected);
            assert_eq!(expected.refusal().is_none(), expected == FileFormat::Minidump);
        }
    }
}
