//! A file that is never mapped: what is asked for is read by position, and
//! kept. For runs over many dumps, where another process may cut a file short
//! at any time: a map would then end the program, a read only fails.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{part, read_fully};

/// Read when the file is opened: header and directory, or what shows that it
/// is no dump.
const START: u64 = 4 << 10;

/// The most that is read after that at once, from the first byte on: of most
/// small dumps nothing else is needed.
const HEAD: u64 = 128 << 10;

/// The least that is read later, and by how much two neighbours overlap, so
/// that a name on their border is in one of them.
const CHUNK: u64 = 8 << 10;
const OVERLAP: u64 = 4 << 10;

/// At most so many chunks: those of large files are larger.
const CHUNKS: u64 = 16_384;

/// What is kept of one file. The streams of a dump with a million regions have
/// 60 MB.
const KEPT: u64 = 256 << 20;

/// Up to this size contents of memory are copied from what is kept, too.
const CONTENTS_FROM_CHUNKS: u64 = 1 << 20;

/// Bytes of the file, once they are read.
type Chunk = OnceLock<Box<[u8]>>;

/// An open file and what was read of it.
#[derive(Debug)]
pub(super) struct PositionedFile {
    file: File,
    len: u64,
    start: Vec<u8>,
    /// How many bytes the head has.
    reach: AtomicU64,
    head: OnceLock<Vec<u8>>,
    chunk: u64,
    chunks: OnceLock<Box<[Chunk]>>,
    long: OnceLock<Box<Long>>,
    kept: AtomicU64,
    failure: OnceLock<io::Error>,
}

/// A piece that no chunk holds whole, such as a long stream, and the next one.
#[derive(Debug)]
struct Long {
    offset: u64,
    bytes: Box<[u8]>,
    next: OnceLock<Box<Long>>,
}

thread_local! {
    /// The head of the file that this thread read before: one large buffer
    /// for all files of a run is cheaper than one a file.
    static HEAD_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Drop for PositionedFile {
    fn drop(&mut self) {
        if let Some(head) = self.head.take().filter(|head| !head.is_empty()) {
            HEAD_BUFFER.set(head);
        }
    }
}

impl PositionedFile {
    /// Reads the beginning of a regular file of `len` bytes.
    pub(super) fn open(file: File, len: u64) -> io::Result<PositionedFile> {
        let mut start = vec![0; usize::try_from(len.min(START)).unwrap_or(0)];
        if read_fully(&file, 0, &mut start)? < start.len() {
            return Err(shrunk());
        }
        Ok(PositionedFile {
            file,
            len,
            start,
            reach: AtomicU64::new(len.min(HEAD)),
            head: OnceLock::new(),
            chunk: len.div_ceil(CHUNKS).next_power_of_two().max(CHUNK),
            chunks: OnceLock::new(),
            long: OnceLock::new(),
            kept: AtomicU64::new(0),
            failure: OnceLock::new(),
        })
    }

    /// Reads no more at once than what ends with the last of `ranges`, offsets
    /// of first bytes and of the ones behind the last, that lies in the head.
    /// Nothing, once the head is read.
    pub(super) fn expect(&self, ranges: impl Iterator<Item = (u64, u64)>) {
        if self.head.get().is_some() {
            return;
        }
        let ends = ranges.map(|(_, end)| end).filter(|end| *end <= self.len.min(HEAD));
        if let Some(end) = ends.max().filter(|end| *end > START) {
            self.reach.store(end, Ordering::Relaxed);
        }
    }

    /// The first bytes; none when they cannot be read.
    fn head(&self) -> &[u8] {
        self.head.get_or_init(|| {
            let mut head = HEAD_BUFFER.take();
            head.resize(usize::try_from(self.reach.load(Ordering::Relaxed)).unwrap_or(0), 0);
            match read_fully(&self.file, 0, &mut head) {
                Ok(got) if got == head.len() => return head,
                Ok(_) => self.failed(shrunk()),
                Err(error) => self.failed(error),
            };
            Vec::new()
        })
    }

    /// What is there of the beginning, when the bytes up to `end` are in it.
    #[inline]
    fn front(&self, end: u64) -> Option<&[u8]> {
        if end <= self.start.len() as u64 {
            return Some(&self.start);
        }
        if end > self.reach.load(Ordering::Relaxed) {
            return None;
        }
        let head = self.head();
        (end <= head.len() as u64 || head.is_empty()).then_some(head)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Why not all could be read that was asked for.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.get()
    }

    /// `size` bytes at `offset`; `None` when the file is too short for all of
    /// them, or cannot be read, which [`failure`](Self::failure) remembers.
    pub(super) fn slice(&self, offset: u64, size: u64) -> Option<&[u8]> {
        let end = offset.checked_add(size).filter(|end| *end <= self.len)?;
        if let Some(front) = self.front(end) {
            return part(front, offset, size);
        }
        if size > OVERLAP {
            return self.long(offset, size);
        }
        let (chunk, start) = self.chunk_at(offset)?;
        part(chunk, offset - start, size)
    }

    /// Copies contents of memory: small files are kept, of large ones nothing
    /// more than what is asked for is read.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let there = buffer.len().min(left);
        let Some(buffer) = buffer.get_mut(..there) else { return Ok(0) };
        if let Some(front) = self.front(offset.saturating_add(buffer.len() as u64)) {
            let bytes = part(front, offset, buffer.len() as u64).unwrap_or(&[]);
            buffer[..bytes.len()].copy_from_slice(bytes);
            return Ok(bytes.len());
        }
        if self.len > CONTENTS_FROM_CHUNKS {
            let got = read_fully(&self.file, offset, buffer)?;
            if got < buffer.len() {
                self.failed(shrunk());
            }
            return Ok(got);
        }
        let mut done = 0_usize;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            let Some((chunk, start)) = self.chunk_at(at) else { break };
            let from = chunk.get(usize::try_from(at - start).unwrap_or(usize::MAX)..);
            let from = from.unwrap_or(&[]);
            let count = from.len().min(rest.len());
            if count == 0 {
                break;
            }
            rest[..count].copy_from_slice(&from[..count]);
            done += count;
        }
        Ok(done)
    }

    /// The chunk that holds `offset`, and where it begins.
    fn chunk_at(&self, offset: u64) -> Option<(&[u8], u64)> {
        let chunks = self.chunks.get_or_init(|| {
            let count = usize::try_from(self.len.div_ceil(self.chunk)).unwrap_or(0);
            (0..count).map(|_| OnceLock::new()).collect()
        });
        let number = offset / self.chunk;
        let start = number * self.chunk;
        let slot = chunks.get(usize::try_from(number).ok()?)?;
        if let Some(bytes) = slot.get() {
            return Some((bytes, start));
        }
        let bytes = self.read(start, (self.chunk + OVERLAP).min(self.len - start))?;
        Some((slot.get_or_init(|| bytes), start))
    }

    fn long(&self, offset: u64, size: u64) -> Option<&[u8]> {
        let mut slot = &self.long;
        while let Some(piece) = slot.get() {
            if let Some(bytes) =
                offset.checked_sub(piece.offset).and_then(|inside| part(&piece.bytes, inside, size))
            {
                return Some(bytes);
            }
            slot = &piece.next;
        }
        let bytes = self.read(offset, size)?;
        let mut piece = Box::new(Long { offset, bytes, next: OnceLock::new() });
        // Another thread may have added one meanwhile.
        while let Err(ours) = slot.set(piece) {
            piece = ours;
            slot = &slot.get()?.next;
        }
        slot.get().map(|piece| &*piece.bytes)
    }

    fn read(&self, offset: u64, size: u64) -> Option<Box<[u8]>> {
        if self.kept.fetch_add(size, Ordering::Relaxed).saturating_add(size) > KEPT {
            self.failed(io::Error::other(format!(
                "its streams and names have more than {} MiB; look at it alone with `dumpmap summary`",
                KEPT >> 20
            )));
            return None;
        }
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        match read_fully(&self.file, offset, &mut bytes) {
            Ok(got) if got == bytes.len() => Some(bytes.into()),
            Ok(_) => self.failed(shrunk()),
            Err(error) => self.failed(error),
        }
    }

    fn failed(&self, error: io::Error) -> Option<Box<[u8]>> {
        let _ = self.failure.set(error);
        None
    }
}

fn shrunk() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;

    use crate::source::Source;

    /// `size` bytes, each 4 of them their own offset.
    fn bytes(size: usize) -> Vec<u8> {
        (0..size as u32).step_by(4).flat_map(u32::to_le_bytes).take(size).collect()
    }

    fn file(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("dumpmap-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn every_slice_is_what_the_file_has() {
        let whole = bytes(700_001);
        let path = file("slices", &whole);
        let source = Source::open_positioned(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(source.len(), 700_001);
        let mut random = 7_u64;
        for _ in 0..2_000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (offset, size) = ((random >> 20) % 710_000, (random >> 45) % 9_000);
            let expected = whole.get(offset as usize..(offset + size) as usize);
            assert_eq!(source.slice(offset, size), expected, "{size} at {offset}");
            let mut copy = vec![0; size as usize];
            let got = source.read_at(offset, &mut copy).unwrap();
            let there = whole.get(offset as usize..).unwrap_or(&[]);
            assert_eq!(&copy[..got], &there[..there.len().min(size as usize)]);
        }
        assert_eq!(source.slice(100_000, 600_000), Some(&whole[100_000..700_000]));
        assert_eq!(source.slice(150_000, 500_000), Some(&whole[150_000..650_000]));
        assert_eq!(source.slice(u64::MAX, 1), None);
        assert!(source.failure().is_none());
    }

    #[test]
    fn what_is_expected_changes_no_slice() {
        let whole = bytes(200_000);
        for (expected, again) in [(10_000, 90_000), (90_000, 10_000), (1_000, 300_000)] {
            let path = file("expected", &whole);
            let source = Source::open_positioned(&path).unwrap();
            fs::remove_file(&path).unwrap();
            for end in [expected, again] {
                source.expect([(0, end), (0, 1 << 40)].into_iter());
                for (offset, size) in [(0, 4_000), (3_000, 3_000), (9_990, 20), (80_000, 60_000)] {
                    let wanted = whole.get(offset..offset + size);
                    assert_eq!(
                        source.slice(offset as u64, size as u64),
                        wanted,
                        "{size} at {offset}"
                    );
                }
            }
            assert!(source.failure().is_none());
        }
    }

    #[test]
    fn a_file_that_shrinks_is_a_failure() {
        let path = file("shrinks", &bytes(300_000));
        let source = Source::open_positioned(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(150_000).unwrap();
        assert!(source.slice(140_000, 100).is_some() || source.failure().is_some());
        assert_eq!(source.slice(280_000, 100), None);
        fs::remove_file(&path).unwrap();
        let failure = source.failure().unwrap().to_string();
        assert_eq!(failure, "cannot read the file: it became shorter while it was read");
    }

    #[test]
    fn what_is_kept_of_one_file_is_bounded() {
        let path = file("sparse", b"");
        File::options().write(true).open(&path).unwrap().set_len(8 << 30).unwrap();
        let source = Source::open_positioned(&path).unwrap();
        assert!(source.slice(1 << 30, 1 << 20).is_some());
        assert!(source.slice(7 << 30, 64).is_some());
        assert_eq!(source.slice(1 << 30, 1 << 30), None);
        fs::remove_file(&path).unwrap();
        assert!(source.failure().unwrap().to_string().contains("more than 256 MiB"));
    }
}
