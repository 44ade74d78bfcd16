//! Makes archives.

use std::io::{Cursor, Write};

use flate2::{Compression, Crc};

/// Names and contents.
pub(crate) type Members<'a> = &'a [(&'a str, &'a [u8])];

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// With the content's size in the frame's header.
pub(crate) fn zst(bytes: &[u8]) -> Vec<u8> {
    let mut out = zstd::Encoder::new(Vec::new(), 3).unwrap();
    out.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
    out.include_contentsize(true).unwrap();
    out.include_checksum(true).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// As a pipe gives it, without the size.
pub(crate) fn zst_of_pipe(bytes: &[u8]) -> Vec<u8> {
    let mut out = zstd::Encoder::new(Vec::new(), 3).unwrap();
    out.include_contentsize(false).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn tar(members: Members<'_>) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // The crate's own way refuses absolute names and `..`.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_cksum();
        out.append(&header, *bytes).unwrap();
    }
    out.into_inner().unwrap()
}

/// One block for each member.
pub(crate) fn seven_zip(members: Members<'_>) -> Vec<u8> {
    let mut out = sevenz_rust2::ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, bytes) in members {
        let entry = sevenz_rust2::ArchiveEntry::new_file(name);
        out.push_archive_entry(entry, Some(*bytes)).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// All members in one block.
pub(crate) fn seven_zip_solid(members: Members<'_>) -> Vec<u8> {
    let mut out = sevenz_rust2::ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    let entries = members.iter().map(|(name, _)| sevenz_rust2::ArchiveEntry::new_file(name));
    let contents = members.iter().map(|(_, bytes)| (*bytes).into()).collect::<Vec<_>>();
    out.push_archive_entries(entries.collect(), contents).unwrap();
    out.finish().unwrap().into_inner()
}

pub(crate) fn cab(members: Members<'_>, packing: cab::CompressionType) -> Vec<u8> {
    let mut plan = cab::CabinetBuilder::new();
    let folder = plan.add_folder(packing);
    for (name, _) in members {
        folder.add_file(*name);
    }
    let mut out = plan.build(Cursor::new(Vec::new())).unwrap();
    while let Some(mut file) = out.next_file().unwrap() {
        let (_, bytes) = members.iter().find(|(name, _)| *name == file.file_name()).unwrap();
        file.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// A cabinet with one folder in LZX: one verbatim block of literals, each a
/// code of 8 bits, in a window of 32 KiB. No crate writes it.
pub(crate) fn cab_lzx(members: Members<'_>) -> Vec<u8> {
    cab_lzx_of(members, None)
}

/// As [`cab_lzx`], with calls translated as for a file of this size.
pub(crate) fn cab_lzx_calls(members: Members<'_>, size: i32) -> Vec<u8> {
    cab_lzx_of(members, Some(size))
}

fn cab_lzx_of(members: Members<'_>, calls: Option<i32>) -> Vec<u8> {
    const FOLDER: usize = 36;
    let mut out = cab(members, cab::CompressionType::None);
    let word = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let data = u32::from_le_bytes(out[FOLDER..FOLDER + 4].try_into().unwrap()) as usize;
    let mut stored = out.split_off(data);
    out[FOLDER + 6..FOLDER + 8].copy_from_slice(&(15_u16 << 8 | 3).to_le_bytes());
    let mut blocks = Vec::new();
    let mut rest = &mut stored[..];
    while !rest.is_empty() {
        let size = usize::from(word(rest, 4));
        let (block, behind) = rest.split_at_mut(8 + size);
        if let Some(size) = calls {
            translate_calls(&mut block[8..], blocks.len() as i32 * 0x8000, size);
        }
        blocks.push(&block[8..]);
        rest = behind;
    }
    let total: usize = blocks.iter().map(|block| block.len()).sum();
    for (number, block) in blocks.iter().enumerate() {
        let mut bits = LzxBits::default();
        if number == 0 {
            // Whether calls are translated; verbatim; its size.
            bits.put(calls.is_some().into(), 1);
            calls.iter().for_each(|size| bits.put(*size as u32, 32));
            bits.put(1, 3);
            bits.put(total as u32, 24);
            bits.lengths(9, &[(0, 1); 256]);
            // 240 matches and 249 lengths that are not used, in runs of 20 and more.
            bits.lengths(0, &[31, 31, 31, 31, 16].map(|run| (1 << 5 | run, 6)));
            bits.lengths(0, &[31, 31, 31, 31, 25].map(|run| (1 << 5 | run, 6)));
        }
        block.iter().for_each(|byte| bits.put(u32::from(*byte), 8));
        let packed = bits.finish();
        let sizes = (block.len() as u32) << 16 | packed.len() as u32;
        // Of whole words of 4 bytes, and at most one of 2.
        let words = packed.chunks(4).map(|word| match word {
            [a, b] => u32::from_be_bytes([0, 0, *a, *b]),
            word => u32::from_le_bytes(word.try_into().unwrap()),
        });
        let sum = words.fold(sizes, |sum, word| sum ^ word);
        out.extend(sum.to_le_bytes());
        out.extend(sizes.to_le_bytes());
        out.extend(packed);
    }
    let size = out.len() as u32;
    out[8..12].copy_from_slice(&size.to_le_bytes());
    out
}

/// Gives calls the addresses of their targets instead of distances.
fn translate_calls(block: &mut [u8], start: i32, size: i32) {
    let mut at = 0;
    while at + 10 < block.len() {
        if block[at] != 0xe8 {
            at += 1;
            continue;
        }
        let here = start + at as i32;
        let bytes: &mut [u8; 4] = (&mut block[at + 1..at + 5]).try_into().unwrap();
        let distance = i32::from_le_bytes(*bytes);
        if (-here..size - here).contains(&distance) {
            *bytes = (distance + here).to_le_bytes();
        } else if (size - here..size).contains(&distance) {
            *bytes = (distance - size).to_le_bytes();
        }
        at += 5;
    }
}

/// Bits from the top of words of 16 bits.
#[derive(Default)]
struct LzxBits {
    words: Vec<u16>,
    word: u16,
    used: u32,
}

impl LzxBits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.word = self.word << 1 | (value >> bit & 1) as u16;
            self.used += 1;
            if self.used == 16 {
                self.words.push(self.word);
                (self.word, self.used) = (0, 0);
            }
        }
    }

    /// Lengths of codes: first those of the two codes that follow, `one` and
    /// 18, a bit each.
    fn lengths(&mut self, one: usize, codes: &[(u32, u32)]) {
        (0..20).for_each(|symbol| self.put(u32::from(symbol == one || symbol == 18), 4));
        codes.iter().for_each(|(value, count)| self.put(*value, *count));
    }

    fn finish(mut self) -> Vec<u8> {
        if self.used > 0 {
            self.put(0, 16 - self.used);
        }
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

// ---- zip, by hand: with every field to lie in ---------------------------------

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATE: u16 = 8;
pub(crate) const DEFLATE64: u16 = 9;
pub(crate) const LZMA: u16 = 14;
pub(crate) const ZSTD: u16 = 93;

/// A member of a zip archive as its headers describe it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) crc: u32,
    pub(crate) packed: Vec<u8>,
    pub(crate) stated_packed: u64,
    pub(crate) stated_size: u64,
    /// Sizes and offset in the extra field, for archives past 4 GiB.
    pub(crate) zip64: bool,
    /// The local header of the member this many places before is used.
    pub(crate) shares: Option<usize>,
}

impl Member {
    pub(crate) fn new(name: &str, bytes: &[u8], method: u16) -> Member {
        let packed = match method {
            STORED => bytes.to_vec(),
            DEFLATE => deflate(bytes),
            DEFLATE64 => deflate64(bytes),
            ZSTD => zst(bytes),
            _ => b"who knows".to_vec(),
        };
        let mut crc = Crc::new();
        crc.update(bytes);
        Member {
            name: name.into(),
            method,
            flags: 0x800,
            crc: crc.sum(),
            stated_packed: packed.len() as u64,
            stated_size: bytes.len() as u64,
            packed,
            zip64: false,
            shares: None,
        }
    }
}

pub(crate) fn zip(members: Members<'_>) -> Vec<u8> {
    zip_of(
        &members.iter().map(|(name, bytes)| Member::new(name, bytes, DEFLATE)).collect::<Vec<_>>(),
    )
}

pub(crate) fn zip_of(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut places: Vec<u64> = Vec::new();
    for (at, member) in members.iter().enumerate() {
        if let Some(back) = member.shares {
            places.push(places[at - back]);
            continue;
        }
        places.push(out.len() as u64);
        out.extend(0x0403_4b50_u32.to_le_bytes());
        out.extend(45_u16.to_le_bytes());
        let extra = described(member, None, &mut out);
        out.extend(&member.name);
        out.extend(extra);
        out.extend(&member.packed);
    }
    let start = out.len() as u64;
    for (member, place) in members.iter().zip(&places) {
        out.extend(0x0201_4b50_u32.to_le_bytes());
        out.extend([45, 0, 45, 0]);
        let mut rest = Vec::new();
        let extra = described(member, Some(*place), &mut rest);
        out.extend(rest);
        // Comment, disk, attributes.
        out.extend([0; 10]);
        out.extend(if member.zip64 { u32::MAX } else { *place as u32 }.to_le_bytes());
        out.extend(&member.name);
        out.extend(extra);
    }
    let (end, count) = (out.len() as u64, members.len() as u64);
    if members.iter().any(|member| member.zip64) {
        out.extend(0x0606_4b50_u32.to_le_bytes());
        out.extend(44_u64.to_le_bytes());
        out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for field in [count, count, end - start, start] {
            out.extend(field.to_le_bytes());
        }
        out.extend(0x0706_4b50_u32.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(end.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
        out.extend(0x0605_4b50_u32.to_le_bytes());
        out.extend([0; 4]);
        out.extend([0xff; 12]);
        out.extend([0; 2]);
        return out;
    }
    out.extend(0x0605_4b50_u32.to_le_bytes());
    out.extend([0; 4]);
    for _ in 0..2 {
        out.extend((count as u16).to_le_bytes());
    }
    out.extend(((end - start) as u32).to_le_bytes());
    out.extend((start as u32).to_le_bytes());
    out.extend([0; 2]);
    out
}

/// The fields from the flags to the lengths; returns the extra field.
fn described(member: &Member, place: Option<u64>, out: &mut Vec<u8>) -> Vec<u8> {
    let mut extra = Vec::new();
    let (mut packed, mut size) = (member.stated_packed as u32, member.stated_size as u32);
    if member.zip64 {
        (packed, size) = (u32::MAX, u32::MAX);
        let fields = [Some(member.stated_size), Some(member.stated_packed), place];
        let fields: Vec<u8> =
            fields.iter().flatten().flat_map(|field| field.to_le_bytes()).collect();
        extra.extend(1_u16.to_le_bytes());
        extra.extend((fields.len() as u16).to_le_bytes());
        extra.extend(fields);
    }
    out.extend(member.flags.to_le_bytes());
    out.extend(member.method.to_le_bytes());
    out.extend(0x5a21_0000_u32.to_le_bytes());
    out.extend(member.crc.to_le_bytes());
    out.extend(packed.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend((member.name.len() as u16).to_le_bytes());
    out.extend((extra.len() as u16).to_le_bytes());
    extra
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Deflate64 in the one code table that needs no description: bytes, and runs of one byte with
/// the length code that Deflate64 alone has, 285 with sixteen more bits.
pub(crate) fn deflate64(bytes: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(1, 1);
    bits.put(1, 2);
    let mut at = 0;
    while at < bytes.len() {
        bits.literal(bytes[at]);
        let run =
            bytes[at..].iter().take(0xffff).take_while(|byte| **byte == bytes[at]).count() - 1;
        at += 1;
        if run >= 3 {
            bits.code(0b1100_0101, 8);
            bits.put(run as u32 - 3, 16);
            bits.code(0, 5);
            at += run;
        }
    }
    bits.code(0, 7);
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u32, bits: usize) {
        for bit in 0..bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> bit & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
    }

    /// Huffman codes go from their highest bit on.
    fn code(&mut self, code: u32, bits: usize) {
        for bit in (0..bits).rev() {
            self.put(code >> bit & 1, 1);
        }
    }

    fn literal(&mut self, byte: u8) {
        match u32::from(byte) {
            low @ 0..144 => self.code(0x30 + low, 8),
            high => self.code(0x190 + high - 144, 9),
        }
    }
}
