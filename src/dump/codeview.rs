//! What identifies a module's symbols. Source: the CodeView record that
//! MINIDUMP_MODULE points to: `RSDS` (PDB 7), `NB10` (PDB 2) or Breakpad's
//! ELF build id. A bad record costs the debug id, never the module.

use std::borrow::Cow;
use std::fmt;

use super::StreamReader;
use super::bytes::{array_at, length, text_before_nul, u32_at};
use super::strings::{NAME_BYTES, location};

const RSDS: u32 = 0x5344_5352;
const NB10: u32 = 0x3031_424e;
/// `BpEL`, read as a number: the bytes are `LEpB`.
const ELF: u32 = 0x4270_454c;

/// What a symbol server is asked for. It prints as Breakpad writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DebugId {
    /// GUID and age of an RSDS record: upper case, without hyphens, the age
    /// last in lower case.
    Pdb70 {
        /// As it lies in the file.
        guid: [u8; 16],
        /// How often the PDB was written.
        age: u32,
    },
    /// Signature and age of an NB10 record: the same way.
    Pdb20 {
        /// A time stamp.
        signature: u32,
        /// How often the PDB was written.
        age: u32,
    },
    /// The GNU build id: lower case.
    Build(Box<[u8]>),
}

impl fmt::Display for DebugId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The GUID's first three fields are numbers, its last eight
            // bytes are not.
            DebugId::Pdb70 { guid, age } => {
                let [a, b, c, d, e, g, h, i, rest @ ..] = *guid;
                let first = u32::from_le_bytes([a, b, c, d]);
                let (second, third) = (u16::from_le_bytes([e, g]), u16::from_le_bytes([h, i]));
                let rest = u64::from_be_bytes(rest);
                write!(f, "{first:08X}{second:04X}{third:04X}{rest:016X}{age:x}")
            }
            DebugId::Pdb20 { signature, age } => write!(f, "{signature:08X}{age:x}"),
            DebugId::Build(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Symbol identification of one module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CodeView<'s> {
    pub(super) id: Option<DebugId>,
    pub(super) file: Option<Cow<'s, str>>,
}

/// Reads the record that the MINIDUMP_MODULE at `place` points to.
pub(super) fn read<'s>(
    reader: &mut StreamReader<'_, 's>,
    kind: u32,
    place: u64,
    module: &[u8; 108],
) -> CodeView<'s> {
    let Some((size, rva)) = location(module, 0x4c) else { return CodeView::default() };
    let most = length(NAME_BYTES.saturating_add(24));
    let bytes = reader.source.slice(rva.into(), most.min(size.into()));
    let Some(bytes) = bytes.filter(|_| reader.source.holds(rva.into(), size.into())) else {
        reader.issue(kind, place, || {
            format!(
                "the CodeView record, {size} bytes at {rva:#x}, lies outside the file; no debug id"
            )
        });
        return CodeView::default();
    };
    let (codeview, left) = decode(bytes, reader.text_left);
    reader.text_left = left;
    codeview.unwrap_or_else(|| {
        reader.issue(kind, place, || {
            format!("the CodeView record of {size} bytes at {rva:#x} is cut; no debug id")
        });
        CodeView::default()
    })
}

/// `None` when the record is too short for what its signature says. Unknown
/// signatures identify nothing and are no damage.
fn decode(bytes: &[u8], text_left: usize) -> (Option<CodeView<'_>>, usize) {
    let name = |at: usize| {
        let name = bytes.get(at..).unwrap_or(&[]);
        name.get(..NAME_BYTES.min(text_left)).unwrap_or(name)
    };
    let (id, file) = match u32_at(bytes, 0) {
        Some(RSDS) => {
            let (Some(guid), Some(age)) = (array_at::<16>(bytes, 4), u32_at(bytes, 20)) else {
                return (None, text_left);
            };
            ((guid != [0; 16]).then_some(DebugId::Pdb70 { guid, age }), name(24))
        }
        Some(NB10) => {
            let (Some(signature), Some(age)) = (u32_at(bytes, 8), u32_at(bytes, 12)) else {
                return (None, text_left);
            };
            (Some(DebugId::Pdb20 { signature, age }), name(16))
        }
        Some(ELF) => (build_id(bytes.get(4..).unwrap_or(&[])), &[][..]),
        Some(_) => (None, &[][..]),
        None => return (None, text_left),
    };
    let file = Some(text_before_nul(file)).filter(|file| !file.is_empty());
    let left = text_left.saturating_sub(file.as_ref().map_or(0, |file| file.len()));
    (Some(CodeView { id, file }), left)
}

/// Files that are mapped but are no programs have an empty or zero id.
fn build_id(bytes: &[u8]) -> Option<DebugId> {
    // 20 bytes of SHA-1 are usual; whatever the linker was told is allowed.
    let bytes = bytes.get(..256).unwrap_or(bytes);
    bytes.iter().any(|byte| *byte != 0).then(|| DebugId::Build(bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> (Option<String>, Option<String>) {
        let found = decode(bytes, 1000).0.unwrap();
        (found.id.map(|id| id.to_string()), found.file.map(Cow::into_owned))
    }

    #[test]
    fn ids_of_every_kind() {
        let guid: Vec<u8> = (0..16).collect();
        let age = 0x1f_u32.to_le_bytes();
        let rsds = [b"RSDS", guid.as_slice(), &age, b"C:\\a.pdb\0junk"].concat();
        let id = "0302010005040706".to_owned() + "08090A0B0C0D0E0F1f";
        assert_eq!(of(&rsds), (Some(id), Some("C:\\a.pdb".into())));
        let nb10 = [b"NB10", [0; 4].as_slice(), &[0x4d, 0x3c, 0x2b, 0x1a], &age, b"a.pdb"].concat();
        assert_eq!(of(&nb10), (Some("1A2B3C4D1f".into()), Some("a.pdb".into())));
        assert_eq!(of(b"LEpB\xab\x01"), (Some("ab01".into()), None));
    }

    #[test]
    fn records_that_identify_nothing() {
        for bytes in [
            b"NB09....".as_slice(),
            b"LEpB",
            b"LEpB\0\0\0\0",
            &[b"RSDS", [0; 21].as_slice()].concat(),
        ] {
            assert_eq!(of(bytes), (None, None));
        }
    }

    #[test]
    fn cut_records() {
        for bytes in [b"RS".as_slice(), b"RSDS\x01\x02", b"NB10\0\0\0\0"] {
            assert_eq!(decode(bytes, 1000).0, None);
        }
    }

    #[test]
    fn the_name_of_the_pdb_counts_against_all_names() {
        let rsds = [b"RSDS", [1; 20].as_slice(), b"0123456789\0"].concat();
        assert_eq!(decode(&rsds, 1000).1, 990);
        let (found, left) = decode(&rsds, 4);
        assert_eq!((found.unwrap().file.as_deref(), left), (Some("0123"), 0));
    }
}
