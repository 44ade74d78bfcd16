//! Members of a Windows cabinet, stored or packed with MSZIP or LZX.
//!
//! Read here and not by the crate `cab`: that one decodes a folder from its
//! start for each of the up to 65,535 members in it, and ends the program when
//! a member is said to begin behind its folder. It writes the cabinets of the
//! tests.
//!
//! Source: \[MS-CAB\]. A folder is one stream of up to 65,535 blocks of 32 KiB;
//! members are runs of it.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use flate2::{Decompress, FlushDecompress};
use lzxd::WindowSize;

use super::Reader;
use super::compressed::BUFFER;
use super::dump::Size;
use super::lzx::Lzx;
use super::walk::{Entry, Place, Walk, damaged};
use crate::dump::bytes::{u16_at, u32_at};
use crate::error::{Error, Result};

/// The most bytes of a block, and how far back MSZIP looks.
const BLOCK: usize = 0x8000;
/// Set when a name is UTF-8.
const NAME_IS_UTF: u16 = 0x80;
const HAS_PREVIOUS: u16 = 1;
const HAS_NEXT: u16 = 2;
const HAS_RESERVE: u16 = 4;
/// Folder numbers from here on are parts of members in other cabinets.
const CONTINUED: u16 = 0xfffd;

struct Folder {
    offset: u32,
    blocks: u16,
    method: u16,
    files: Vec<FileEntry>,
}

struct FileEntry {
    name: String,
    start: u64,
    size: u64,
}

pub(super) fn members(
    input: Reader<'_>,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> Result<ControlFlow<()>> {
    let directory = directory(&mut BufReader::with_capacity(BUFFER, input)).map_err(|error| {
        Error::archive(
            format!("the directory of the cabinet cannot be read: {error}"),
            "is the file whole? get it again",
        )
    })?;
    for name in &directory.continued {
        let error = Error::archive(
            "a part of it is in another cabinet of the set",
            "unpack the set with `expand` or cabextract and give the dump",
        );
        if walk.wants(place, name) && walk.fail(place, name, error).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let whole = u64::from(directory.size) <= input.file.len();
    for folder in &directory.folders {
        let reserve = directory.block_reserve;
        if members_of(folder, input, reserve, whole, place, walk).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn members_of(
    folder: &Folder,
    input: Reader<'_>,
    reserve: u8,
    whole: bool,
    place: Place<'_>,
    walk: &mut Walk<'_>,
) -> ControlFlow<()> {
    let Some(mut content) = Content::of(folder, input, reserve) else {
        for file in &folder.files {
            if walk.wants(place, &file.name) {
                walk.fail(place, &file.name, unknown(folder.method))?;
            }
        }
        return ControlFlow::Continue(());
    };
    // Reads ahead, for the ends of members: each byte of a folder is unpacked
    // twice at the most.
    let ahead = RefCell::new(None);
    let last = |file: &FileEntry| {
        let mut ahead = ahead.borrow_mut();
        if ahead.is_none() {
            *ahead = Content::of(folder, input, reserve);
        }
        ahead.as_mut()?.last_of(file, place)
    };
    for file in &folder.files {
        if !walk.wants(place, &file.name) {
            continue;
        }
        if file.start < content.passed {
            let error = damaged("it overlaps the member before it");
            walk.fail(place, &file.name, error)?;
            continue;
        }
        // The bytes before it have to be unpacked all the same.
        if let Err(error) = content.pass_to(file.start, place) {
            return walk.fail(place, &file.name, error);
        }
        if content.passed < file.start {
            walk.fail(place, &file.name, damaged("its folder ends before it"))?;
            continue;
        }
        let size = if whole { Size::Stated(file.size) } else { Size::Unknown };
        let entry = Entry { name: &file.name, size, last: &|| last(file) };
        let mut bytes = Short { left: file.size, inner: &mut content };
        walk.member(place, entry, &mut bytes)?;
    }
    ControlFlow::Continue(())
}

/// The bytes of one member, with an error where they end too early.
struct Short<'c, 's> {
    left: u64,
    inner: &'c mut Content<'s>,
}

impl Read for Short<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or(&mut []);
        let got = self.inner.read(buffer)?;
        if got == 0 && !buffer.is_empty() {
            return Err(invalid("its folder ends within it"));
        }
        self.left = self.left.saturating_sub(u64::try_from(got).unwrap_or(u64::MAX));
        Ok(got)
    }
}

// ---- blocks -----------------------------------------------------------------

/// How the blocks of a folder are packed, and what the decoder knows of those
/// before.
enum Method {
    Stored,
    Mszip(Decompress),
    Lzx(Lzx),
}

impl Method {
    /// `None` for what is not read. LZX has the size of its window, as a power
    /// of two, in the second byte.
    fn of(method: u16) -> Option<Method> {
        let window = match (method & 0xf, method >> 8 & 0x1f) {
            (0, _) => return Some(Method::Stored),
            (1, _) => return Some(Method::Mszip(Decompress::new(false))),
            (3, 15) => WindowSize::KB32,
            (3, 16) => WindowSize::KB64,
            (3, 17) => WindowSize::KB128,
            (3, 18) => WindowSize::KB256,
            (3, 19) => WindowSize::KB512,
            (3, 20) => WindowSize::MB1,
            (3, 21) => WindowSize::MB2,
            _ => return None,
        };
        Some(Method::Lzx(Lzx::new(window)))
    }
}

/// The unpacked bytes of a folder, block by block.
struct Content<'s> {
    input: BufReader<Reader<'s>>,
    method: Method,
    blocks: u16,
    reserve: u8,
    packed: Vec<u8>,
    /// The 32 KiB before the block, which MSZIP refers to.
    before: Vec<u8>,
    block: Vec<u8>,
    at: usize,
    /// Bytes of the folder that were read or passed.
    passed: u64,
}

impl<'s> Content<'s> {
    /// From its start on; `None` when it is packed in a way that is not read.
    fn of(folder: &Folder, input: Reader<'s>, reserve: u8) -> Option<Content<'s>> {
        let input = Reader { at: folder.offset.into(), ..input };
        Some(Content {
            input: BufReader::with_capacity(BUFFER, input),
            method: Method::of(folder.method)?,
            blocks: folder.blocks,
            reserve,
            packed: Vec::new(),
            before: Vec::new(),
            block: Vec::new(),
            at: 0,
            passed: 0,
        })
    }

    /// Unpacks the bytes before `start`, which nobody wants.
    fn pass_to(&mut self, start: u64, place: Place<'_>) -> Result<()> {
        while self.passed < start {
            if self.at >= self.block.len() && !self.next().map_err(damaged)? {
                break;
            }
            let there = self.block.len().saturating_sub(self.at);
            let left = usize::try_from(start.saturating_sub(self.passed)).unwrap_or(usize::MAX);
            let step = there.min(left);
            self.at = self.at.saturating_add(step);
            let step = u64::try_from(step).unwrap_or(u64::MAX);
            place.spend(step)?;
            self.passed = self.passed.saturating_add(step);
        }
        Ok(())
    }

    /// The last four bytes of a member, when they were not passed yet.
    fn last_of(&mut self, file: &FileEntry, place: Place<'_>) -> Option<[u8; 4]> {
        let start = file.start.checked_add(file.size.checked_sub(4)?)?;
        self.pass_to(start, place).ok()?;
        if self.passed != start {
            return None;
        }
        let mut last = [0; 4];
        self.read_exact(&mut last).ok()?;
        Some(last)
    }

    /// Unpacks the next block that has bytes; false when there is none.
    fn next(&mut self) -> io::Result<bool> {
        while self.at >= self.block.len() {
            let Some(left) = self.blocks.checked_sub(1) else { return Ok(false) };
            self.blocks = left;
            self.at = 0;
            self.before.extend_from_slice(&self.block);
            self.before.drain(..self.before.len().saturating_sub(BLOCK));
            self.block.clear();
            self.read_block()?;
        }
        Ok(true)
    }

    fn read_block(&mut self) -> io::Result<()> {
        let mut header = [0; 8];
        self.input.read_exact(&mut header)?;
        let stated = u32_at(&header, 0).unwrap_or(0);
        let size = usize::from(u16_at(&header, 4).unwrap_or(0));
        let unpacked = usize::from(u16_at(&header, 6).unwrap_or(0));
        let mut reserve = vec![0; self.reserve.into()];
        self.input.read_exact(&mut reserve)?;
        self.packed.resize(size, 0);
        self.input.read_exact(&mut self.packed)?;
        if stated != 0 {
            let sizes = u32_at(&header, 4).unwrap_or(0);
            let sum = checksum(&reserve, checksum(&self.packed, 0)) ^ sizes;
            if sum != stated {
                return Err(invalid("the checksum of a block is wrong"));
            }
        }
        if unpacked > BLOCK {
            return Err(invalid("a block is larger than 32 KiB"));
        }
        if unpacked == 0 {
            return Err(invalid("a block goes on in the next cabinet of the set"));
        }
        match &mut self.method {
            Method::Stored => self.block.extend_from_slice(&self.packed),
            Method::Mszip(decoder) => {
                inflate(decoder, &self.packed, &self.before, unpacked, &mut self.block)?;
            }
            Method::Lzx(decoder) => decoder.decode(&mut self.packed, unpacked, &mut self.block)?,
        }
        if self.block.len() == unpacked {
            Ok(())
        } else {
            Err(invalid("a block has another size than it states"))
        }
    }
}

fn inflate(
    decoder: &mut Decompress,
    packed: &[u8],
    before: &[u8],
    unpacked: usize,
    block: &mut Vec<u8>,
) -> io::Result<()> {
    let Some(packed) = packed.strip_prefix(b"CK") else {
        return Err(invalid("a block is not MSZIP"));
    };
    decoder.reset(false);
    if !before.is_empty() {
        decoder.set_dictionary(before).map_err(io::Error::from)?;
    }
    block.reserve(unpacked);
    decoder.decompress_vec(packed, block, FlushDecompress::Finish).map_err(io::Error::from)?;
    Ok(())
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || !self.next()? {
            return Ok(0);
        }
        let there = self.block.get(self.at..).unwrap_or(&[]);
        let size = there.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..size), there.get(..size)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(size);
        self.passed = self.passed.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        Ok(size)
    }
}

/// The words of `bytes` combined by XOR; the last ones of an odd number are
/// taken in the other order.
fn checksum(bytes: &[u8], seed: u32) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let sum = words.iter().fold(seed, |sum, word| sum ^ u32::from_le_bytes(*word));
    let rest = rest.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
    sum ^ rest
}

// ---- the directory ------------------------------------------------------------

struct Directory {
    /// Of the whole cabinet.
    size: u32,
    /// Bytes in each block's header that mean something to its maker.
    block_reserve: u8,
    folders: Vec<Folder>,
    /// Names of members that begin or end in another cabinet.
    continued: Vec<String>,
}

fn directory(input: &mut (impl Read + Seek)) -> io::Result<Directory> {
    let mut header = [0; 36];
    input.read_exact(&mut header)?;
    let half = |at| u16_at(&header, at).unwrap_or(0);
    let word = |at| u32_at(&header, at).unwrap_or(0);
    let (size, files_at) = (word(8), word(16));
    let (folder_count, file_count, flags) = (half(26), half(28), half(30));
    let (mut folder_reserve, mut block_reserve) = (0, 0);
    if flags & HAS_RESERVE != 0 {
        let mut sizes = [0; 4];
        input.read_exact(&mut sizes)?;
        let [low, high, folder, block] = sizes;
        (folder_reserve, block_reserve) = (usize::from(folder), block);
        skip(input, u16::from_le_bytes([low, high]).into())?;
    }
    let neighbours = [HAS_PREVIOUS, HAS_NEXT].iter().filter(|flag| flags & **flag != 0).count();
    for _ in 0..neighbours {
        // The name of the cabinet and of its disk.
        text(input)?;
        text(input)?;
    }
    let mut folders = Vec::new();
    for _ in 0..folder_count {
        let mut entry = [0; 8];
        input.read_exact(&mut entry)?;
        skip(input, folder_reserve)?;
        folders.push(Folder {
            offset: u32_at(&entry, 0).unwrap_or(0),
            blocks: u16_at(&entry, 4).unwrap_or(0),
            method: u16_at(&entry, 6).unwrap_or(0),
            files: Vec::new(),
        });
    }
    input.seek(SeekFrom::Start(files_at.into()))?;
    let mut continued = Vec::new();
    for _ in 0..file_count {
        let mut entry = [0; 16];
        input.read_exact(&mut entry)?;
        let name = text(input)?;
        let name = match u16_at(&entry, 14).unwrap_or(0) & NAME_IS_UTF {
            0 => name.iter().map(|byte| char::from(*byte)).collect(),
            _ => String::from_utf8_lossy(&name).into_owned(),
        };
        let folder = u16_at(&entry, 8).unwrap_or(0);
        if folder >= CONTINUED {
            continued.push(name);
            continue;
        }
        let folder = folders.get_mut(usize::from(folder));
        let folder = folder.ok_or_else(|| invalid("a member is in a folder that is not there"))?;
        folder.files.push(FileEntry {
            name,
            start: u32_at(&entry, 4).unwrap_or(0).into(),
            size: u32_at(&entry, 0).unwrap_or(0).into(),
        });
    }
    for folder in &mut folders {
        folder.files.sort_by_key(|file| file.start);
    }
    Ok(Directory { size, block_reserve, folders, continued })
}

/// The bytes before a NUL: 255 at the most.
fn text(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        match byte {
            [0] => return Ok(text),
            [byte] if text.len() < 255 => text.push(byte),
            _ => return Err(invalid("a name is too long")),
        }
    }
}

fn skip(input: &mut impl Read, size: usize) -> io::Result<()> {
    input.read_exact(&mut vec![0; size])
}

fn unknown(method: u16) -> Error {
    let name = match method & 0xf {
        2 => "Quantum",
        3 => "LZX of an unknown window",
        _ => "an unknown method",
    };
    Error::archive(
        format!("packed with {name}, which is not read"),
        "unpack it with `expand` or cabextract and give the dump",
    )
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
