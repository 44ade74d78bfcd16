//! Streams 4 and 14: loaded and unloaded modules, with version and debug records.

use super::Name;
use super::bytes::{Location, Out};

/// One entry of stream 4, MINIDUMP_MODULE (108 bytes).
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// BaseOfImage.
    pub base: u64,
    /// SizeOfImage, bytes.
    pub size: u32,
    /// CheckSum of the PE header.
    pub checksum: u32,
    /// TimeDateStamp of the PE header.
    pub timestamp: u32,
    /// Full path.
    pub name: Name,
    /// VS_FIXEDFILEINFO; `None` is all zeros.
    pub version: Option<Version>,
    /// CvRecord.
    pub code_view: CodeView,
    /// MiscRecord, IMAGE_DEBUG_MISC; empty is absent.
    pub misc: Vec<u8>,
}

impl Module {
    /// A module without version, debug or misc record.
    pub fn new(name: impl Into<Name>, base: u64, size: u32) -> Self {
        Module {
            base,
            size,
            checksum: 0,
            timestamp: 0x6000_0000,
            name: name.into(),
            version: None,
            code_view: CodeView::None,
            misc: Vec::new(),
        }
    }
}

/// The numbers of VS_FIXEDFILEINFO: four parts each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version {
    /// File version.
    pub file: [u16; 4],
    /// Product version.
    pub product: [u16; 4],
}

impl Version {
    /// The same file and product version.
    pub fn new(a: u16, b: u16, c: u16, d: u16) -> Self {
        Version { file: [a, b, c, d], product: [a, b, c, d] }
    }
}

/// A module's debug record.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum CodeView {
    /// No record: size and offset are zero.
    #[default]
    None,
    /// CV_INFO_PDB70, `RSDS`.
    Pdb70 {
        /// In the order a person writes it: `[0x11, 0x22…]` is `1122…`.
        guid: [u8; 16],
        /// Age.
        age: u32,
        /// File name of the PDB, NUL added.
        pdb: String,
    },
    /// CV_INFO_PDB20, `NB10`.
    Pdb20 {
        /// Signature: a time stamp.
        signature: u32,
        /// Age.
        age: u32,
        /// File name of the PDB, NUL added.
        pdb: String,
    },
    /// CV_INFO_ELF, `BpEL`: a build id, usually 20 bytes.
    Elf(Vec<u8>),
    /// These bytes.
    Raw(Vec<u8>),
    /// A size and a file offset that may point anywhere.
    At {
        /// DataSize.
        size: u32,
        /// Rva.
        rva: u32,
    },
}

/// One entry of stream 14, MINIDUMP_UNLOADED_MODULE (24 bytes).
#[derive(Debug, Clone, PartialEq)]
pub struct UnloadedModule {
    /// BaseOfImage.
    pub base: u64,
    /// SizeOfImage, bytes.
    pub size: u32,
    /// CheckSum of the PE header.
    pub checksum: u32,
    /// TimeDateStamp of the PE header.
    pub timestamp: u32,
    /// File name, mostly without a folder.
    pub name: Name,
}

impl UnloadedModule {
    /// A module that was at `base`.
    pub fn new(name: impl Into<Name>, base: u64, size: u32) -> Self {
        UnloadedModule { base, size, checksum: 0, timestamp: 0x5000_0000, name: name.into() }
    }
}

pub(super) fn write_modules(modules: &[Module], out: &mut Out) -> Vec<u8> {
    let mut record = out.record();
    record.u32(modules.len() as u32);
    for module in modules {
        let name = out.name(&module.name);
        let code_view = write_code_view(&module.code_view, out);
        let misc = out.put_some(&module.misc);
        record
            .u64(module.base)
            .u32s(&[module.size, module.checksum, module.timestamp, name])
            .u32s(&fixed_file_info(module.version))
            .location(code_view)
            .location(misc)
            .u64s(&[0, 0]);
    }
    record.bytes
}

pub(super) fn write_unloaded(modules: &[UnloadedModule], out: &mut Out) -> Vec<u8> {
    let mut record = out.record();
    record.u32s(&[12, 24, modules.len() as u32]);
    for module in modules {
        let name = out.name(&module.name);
        record.u64(module.base).u32s(&[module.size, module.checksum, module.timestamp, name]);
    }
    record.bytes
}

fn fixed_file_info(version: Option<Version>) -> [u32; 13] {
    let Some(Version { file, product }) = version else {
        return [0; 13];
    };
    let pair = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
    [
        0xfeef_04bd, // signature
        0x0001_0000, // structure version
        pair(file[0], file[1]),
        pair(file[2], file[3]),
        pair(product[0], product[1]),
        pair(product[2], product[3]),
        0x3f,        // flags mask
        0,           // flags
        0x0004_0004, // VOS_NT_WINDOWS32
        2,           // VFT_DLL
        0,
        0,
        0,
    ]
}

fn write_code_view(code_view: &CodeView, out: &mut Out) -> Location {
    let mut record = out.record();
    match code_view {
        CodeView::None => {}
        CodeView::Pdb70 { guid, age, pdb } => {
            record
                .u32(u32::from_le_bytes(*b"RSDS"))
                .guid(*guid)
                .u32(*age)
                .raw(pdb.as_bytes())
                .u8(0);
        }
        CodeView::Pdb20 { signature, age, pdb } => {
            record
                .u32s(&[u32::from_le_bytes(*b"NB10"), 0, *signature, *age])
                .raw(pdb.as_bytes())
                .u8(0);
        }
        CodeView::Elf(build_id) => {
            record.u32(u32::from_le_bytes(*b"LEpB")).raw(build_id);
        }
        CodeView::Raw(bytes) => {
            record.raw(bytes);
        }
        CodeView::At { size, rva } => {
            return Location { size: *size, rva: *rva };
        }
    }
    out.put_some(&record.bytes)
}
