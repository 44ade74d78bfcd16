//! Which memory contents the dump holds, and reading them by address.
//! Sources: Memory64List (9), MemoryList (5), and the stack memory that the
//! thread list names. A range cut off by the end of the file keeps the bytes
//! that are there.

use std::borrow::Cow;
use std::fmt;

use super::bytes::{length, u32_at, u64_at};
use super::{StreamReader, SystemInfo, Thread, stream_type};
use crate::addr::AddressRange;
use crate::source::Source;

/// A run of captured memory: contiguous in the process and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedRange {
    /// Where it was in the process.
    pub range: AddressRange,
    /// Where its first byte is in the file.
    pub offset: u64,
}

/// Why bytes cannot be had. Three different facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The address cannot hold memory: the range wraps.
    NotMapped,
    /// The dump does not hold this memory.
    NotCaptured,
    /// The dump holds this memory, but was unpacked only as far as its
    /// streams go.
    NotRead,
    /// The dump holds only the first `got` bytes.
    CutShort {
        /// How many bytes there are.
        got: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotMapped => write!(f, "not an address range"),
            ReadError::NotCaptured => write!(f, "not captured in the dump"),
            ReadError::NotRead => write!(f, "captured, not unpacked from the archive"),
            ReadError::CutShort { got } => write!(f, "captured for {got} bytes only"),
        }
    }
}

/// The captured memory of the process.
#[derive(Debug)]
pub struct CapturedMemory<'s> {
    source: &'s Source,
    ranges: Vec<CapturedRange>,
    /// Whether the dump has a memory list of either kind.
    pub present: bool,
    /// Bytes of all ranges together.
    pub bytes: u64,
    /// Bytes that the lists promise and the file does not have.
    pub missing: u64,
}

impl<'s> CapturedMemory<'s> {
    /// The runs, in address order, without overlaps.
    pub fn ranges(&self) -> &[CapturedRange] {
        &self.ranges
    }

    /// The run that holds `address`.
    pub fn find(&self, address: u64) -> Option<&CapturedRange> {
        let after = self.ranges.partition_point(|run| run.range.start() <= address);
        let run = self.ranges.get(after.checked_sub(1)?)?;
        run.range.contains(address).then_some(run)
    }

    /// Fills `buffer` from `address`, across runs that follow each other.
    ///
    /// # Errors
    /// Says why not all bytes are there; those that are, are in `buffer`.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut got = 0_usize;
        while got < buffer.len() {
            let at = address.checked_add(length(got)).ok_or(ReadError::NotMapped)?;
            let Some(run) = self.find(at) else { break };
            let into = at.saturating_sub(run.range.start());
            let left = usize::try_from(run.range.size().saturating_sub(into)).unwrap_or(usize::MAX);
            let end = buffer.len().min(got.saturating_add(left));
            let Some(target) = buffer.get_mut(got..end) else { break };
            let wanted = target.len();
            let count = self.source.read_at(run.offset.saturating_add(into), target).unwrap_or(0);
            got = got.saturating_add(count);
            if count < wanted {
                break;
            }
        }
        match got {
            got if got == buffer.len() => Ok(()),
            0 if !self.source.is_whole() && self.find(address).is_some() => Err(ReadError::NotRead),
            0 => Err(ReadError::NotCaptured),
            got => Err(ReadError::CutShort { got }),
        }
    }

    /// `N` bytes at `address`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn array<const N: usize>(&self, address: u64) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// `size` bytes at `address`, or the first of them that are captured.
    /// Never allocates more than is captured there.
    pub fn bytes_at(&self, address: u64, size: usize) -> Vec<u8> {
        let there = self.contiguous(address, length(size));
        let mut bytes = vec![0; usize::try_from(there).unwrap_or(0)];
        match self.read(address, &mut bytes) {
            Ok(()) => bytes,
            Err(ReadError::CutShort { got }) => {
                bytes.truncate(got);
                bytes
            }
            Err(_) => Vec::new(),
        }
    }

    /// How many of `size` bytes from `address` on are captured without a gap.
    pub fn contiguous(&self, address: u64, size: u64) -> u64 {
        let mut got = 0_u64;
        while got < size {
            let Some(at) = address.checked_add(got) else { break };
            let Some(run) = self.find(at) else { break };
            got = got.saturating_add(run.range.last().saturating_sub(at)).saturating_add(1);
        }
        got.min(size)
    }

    /// How many bytes of `range` are captured.
    pub fn captured_in(&self, range: AddressRange) -> u64 {
        let first = self.ranges.partition_point(|run| run.range.last() < range.start());
        let runs = self.ranges.get(first..).unwrap_or(&[]);
        let inside = runs.iter().map_while(|run| run.range.intersect(range));
        inside.fold(0, |sum, part| sum.saturating_add(part.size()))
    }

    /// A reader that keeps the pages it read last: for walks over structures.
    pub fn reader(&self) -> MemoryReader<'_, 's> {
        let slots = std::array::from_fn(|_| Slot::default());
        MemoryReader { memory: self, slots, current: 0, near: 0 }
    }
}

const PAGE: u64 = 4096;
/// Pages that a reader keeps, by the low bits of their numbers.
const SLOTS: usize = 8;

/// Reads small values, a page at a time, and keeps a few of the pages. What
/// the source has in memory is not copied, and is read a whole run at a time.
#[derive(Debug)]
pub struct MemoryReader<'m, 's> {
    memory: &'m CapturedMemory<'s>,
    slots: [Slot<'s>; SLOTS],
    /// The slot that was read last.
    current: usize,
    /// The run that was found last.
    near: usize,
}

/// Addresses that are captured as a whole, or not at all.
#[derive(Debug, Default)]
struct Slot<'s> {
    start: u64,
    size: u64,
    /// Their bytes, or as many of them as can be read; none where they are
    /// not captured. A page of buffer is used again for other pages.
    bytes: Cow<'s, [u8]>,
}

impl Slot<'_> {
    #[inline]
    fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.start) < self.size
    }

    /// The bytes from `address` on; none where they are not captured.
    #[inline]
    fn from(&self, address: u64) -> &[u8] {
        let offset = usize::try_from(address.wrapping_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.get(offset..).unwrap_or(&[])
    }
}

impl MemoryReader<'_, '_> {
    /// `N` bytes at `address`; `None` unless all are captured.
    #[inline]
    pub fn array<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        let bytes = self.rest(address);
        match bytes.first_chunk::<N>() {
            Some(bytes) => Some(*bytes),
            None if bytes.is_empty() => None,
            None => self.across(address),
        }
    }

    /// Captured bytes from `address` on: to the end of its page at least, or
    /// as far as they go without a gap; none where `address` is not captured.
    #[inline]
    pub fn rest(&mut self, address: u64) -> &[u8] {
        if !self.slots.get(self.current).is_some_and(|slot| slot.holds(address)) {
            self.turn_to(address);
        }
        self.slots.get(self.current).map_or(&[], |slot| slot.from(address))
    }

    /// The first captured byte from `address` on, below `end`.
    pub fn captured_from(&mut self, address: u64, end: u64) -> Option<u64> {
        let start = self.run_from(address)?.start().max(address);
        (start < end).then_some(start)
    }

    /// The first captured run that does not end before `address`.
    pub fn run_from(&mut self, address: u64) -> Option<AddressRange> {
        let first = self.place_from(address);
        self.memory.ranges.get(first).map(|run| run.range)
    }

    /// The place of that run: most often that of the run found last, or the
    /// next.
    fn place_from(&mut self, address: u64) -> usize {
        let ends_before = |run: &CapturedRange| run.range.last() < address;
        let ranges = &self.memory.ranges;
        let is_first = |at: &usize| {
            ranges.get(*at).is_some_and(|run| !ends_before(run))
                && at.checked_sub(1).and_then(|at| ranges.get(at)).is_none_or(ends_before)
        };
        let mut near = [self.near, self.near.saturating_add(1)].into_iter();
        let found = near.find(is_first);
        self.near = found.unwrap_or_else(|| ranges.partition_point(ends_before));
        self.near
    }

    /// Fills `buffer` from `address`; `false` unless all bytes are captured.
    pub fn fill(&mut self, address: u64, buffer: &mut [u8]) -> bool {
        let (mut at, mut left) = (address, buffer);
        while !left.is_empty() {
            let rest = self.rest(at);
            let size = rest.len().min(left.len());
            let (Some(from), Some((to, more))) =
                (rest.get(..size), left.split_at_mut_checked(size))
            else {
                return false;
            };
            if size == 0 {
                return false;
            }
            to.copy_from_slice(from);
            at = at.wrapping_add(length(size));
            left = more;
        }
        true
    }

    /// Bytes at the end of a page or of a captured run.
    #[cold]
    fn across<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        self.memory.array(address).ok()
    }

    /// The 8-bit number at `address`.
    #[inline]
    pub fn u8(&mut self, address: u64) -> Option<u8> {
        self.rest(address).first().copied()
    }

    /// The 16-bit number at `address`.
    #[inline]
    pub fn u16(&mut self, address: u64) -> Option<u16> {
        self.array(address).map(u16::from_le_bytes)
    }

    /// The 32-bit number at `address`.
    #[inline]
    pub fn u32(&mut self, address: u64) -> Option<u32> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// The 64-bit number at `address`.
    #[inline]
    pub fn u64(&mut self, address: u64) -> Option<u64> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// A pointer of the given width at `address`.
    #[inline]
    pub fn pointer(&mut self, address: u64, width: super::PointerWidth) -> Option<u64> {
        match width {
            super::PointerWidth::Bits32 => self.u32(address).map(u64::from),
            super::PointerWidth::Bits64 => self.u64(address),
        }
    }

    /// Reads the slot of the page around `address` from here on: with what is
    /// captured around it, or that nothing is up to the next run.
    #[inline(never)]
    fn turn_to(&mut self, address: u64) {
        self.current = usize::try_from(address / PAGE % 8).unwrap_or(0);
        if self.slots.get(self.current).is_some_and(|slot| slot.holds(address)) {
            return;
        }
        let first = self.place_from(address);
        let memory = self.memory;
        let Some(slot) = self.slots.get_mut(self.current) else { return };
        let run = memory.ranges.get(first);
        if let Some(run) = run.filter(|run| run.range.contains(address)) {
            slot.hold(memory.source, run, address);
        } else {
            let before = first.checked_sub(1).and_then(|at| memory.ranges.get(at));
            let start = before.map_or(0, |run| run.range.last().saturating_add(1));
            slot.hold_none(start, run.map_or(u64::MAX, |run| run.range.start()));
        }
    }
}

impl<'s> Slot<'s> {
    /// Takes the run, or the part of it in the page around `address` where
    /// the source lends none of its bytes.
    fn hold(&mut self, source: &'s Source, run: &CapturedRange, address: u64) {
        (self.start, self.size) = (run.range.start(), run.range.size());
        if let Some(lent) = source.lend(run.offset, self.size) {
            self.bytes = Cow::Borrowed(lent);
            return;
        }
        let page = address & !PAGE.wrapping_sub(1);
        let last = run.range.last().min(page | PAGE.wrapping_sub(1));
        self.start = self.start.max(page);
        self.size = last.saturating_sub(self.start).saturating_add(1);
        let offset = run.offset.saturating_add(self.start.saturating_sub(run.range.start()));
        let mut buffer = match std::mem::take(&mut self.bytes) {
            Cow::Owned(buffer) => buffer,
            Cow::Borrowed(_) => Vec::new(),
        };
        buffer.resize(usize::try_from(self.size).unwrap_or(0), 0);
        let got = source.read_at(offset, &mut buffer).unwrap_or(0);
        buffer.truncate(got);
        self.bytes = Cow::Owned(buffer);
    }

    /// Takes addresses that are not captured.
    fn hold_none(&mut self, start: u64, end: u64) {
        (self.start, self.size) = (start, end.saturating_sub(start));
        match &mut self.bytes {
            Cow::Borrowed(lent) => *lent = &[],
            Cow::Owned(buffer) => buffer.clear(),
        }
    }
}

pub(super) fn read<'s>(
    reader: &mut StreamReader<'_, 's>,
    system: &SystemInfo,
    threads: &[Thread],
) -> CapturedMemory<'s> {
    let mut builder =
        Builder { source: reader.source, mask_width: system.width, ranges: Vec::new(), missing: 0 };
    let full = read_memory64(reader, &mut builder);
    let small = read_memory_list(reader, &mut builder);
    read_stacks(reader, threads, &mut builder);
    let (ranges, overlaps) = disjoint(builder.ranges);
    if overlaps > 0 {
        let kind = if full { stream_type::MEMORY64_LIST } else { stream_type::MEMORY_LIST };
        reader.issues.add(Some(kind), None, || {
            format!(
                "{overlaps} captured ranges overlap others; the bytes of the lower one are used"
            )
        });
    }
    let bytes = ranges.iter().fold(0_u64, |sum, run| sum.saturating_add(run.range.size()));
    CapturedMemory {
        source: reader.source,
        ranges,
        present: full || small,
        bytes,
        missing: builder.missing,
    }
}

struct Builder<'s> {
    source: &'s Source,
    mask_width: super::PointerWidth,
    ranges: Vec<CapturedRange>,
    missing: u64,
}

impl Builder<'_> {
    /// Adds a run, clipped to the file; says what is wrong with it.
    fn add(&mut self, address: u64, size: u64, offset: u64) -> Option<String> {
        if size == 0 {
            return None;
        }
        let address = self.mask_width.mask(address);
        let there = self.source.len().saturating_sub(offset).min(size);
        self.missing = self.missing.saturating_add(size.saturating_sub(there));
        match AddressRange::new(address, there) {
            Some(range) => self.ranges.push(CapturedRange { range, offset }),
            None if there > 0 => {
                return Some(format!("range of {size:#x} bytes at {address:#x} wraps; left out"));
            }
            None => {}
        }
        (there < size)
            .then(|| format!("range at {address:#x}: the file has {there:#x} of {size:#x} bytes"))
    }
}

fn read_memory64(reader: &mut StreamReader<'_, '_>, builder: &mut Builder<'_>) -> bool {
    const KIND: u32 = stream_type::MEMORY64_LIST;
    let Some(stream) = reader.stream(KIND) else { return false };
    let (Some(promised), Some(base)) = (u64_at(stream.bytes, 0), u64_at(stream.bytes, 8)) else {
        reader.issue(KIND, stream.offset, || "too short for the list's header of 16 bytes".into());
        return false;
    };
    let records = stream.bytes.get(16..).unwrap_or(&[]).as_chunks::<16>().0;
    let taken = records.len().min(reader.limits.entries).min(super::bytes::index(promised));
    if length(taken) < promised {
        reader.issue(KIND, stream.offset, || {
            format!("the list promises {promised} ranges, {taken} are there and used")
        });
    }
    let missing_before = builder.missing;
    let mut cut = 0_u64;
    let mut offset = base;
    builder.ranges.reserve(taken);
    for (at, record) in records.iter().take(taken).enumerate() {
        let (address, size) = (u64_at(record, 0).unwrap_or(0), u64_at(record, 8).unwrap_or(0));
        let wrong = builder.add(address, size, offset);
        if wrong.is_some() && builder.missing == missing_before {
            let place =
                stream.offset.saturating_add(length(at.saturating_mul(16))).saturating_add(16);
            reader.issue(KIND, place, || wrong.unwrap_or_default());
        } else if wrong.is_some() {
            cut = cut.saturating_add(1);
        }
        offset = offset.saturating_add(size);
    }
    if cut > 0 {
        let missing = builder.missing.saturating_sub(missing_before);
        reader.issue(KIND, stream.offset, || {
            format!("the file is cut: {missing} bytes of {cut} captured ranges are missing")
        });
    }
    true
}

fn read_memory_list(reader: &mut StreamReader<'_, '_>, builder: &mut Builder<'_>) -> bool {
    const KIND: u32 = stream_type::MEMORY_LIST;
    let Some(stream) = reader.stream(KIND) else { return false };
    let Some(list) = super::list_of::<16>(&stream, reader, KIND) else { return false };
    builder.ranges.reserve(list.count);
    for (place, record) in list.records {
        let field = |at| u32_at(record, at).unwrap_or(0);
        let address = u64_at(record, 0).unwrap_or(0);
        if let Some(wrong) = builder.add(address, field(8).into(), field(12).into()) {
            reader.issue(KIND, place, || wrong);
        }
    }
    true
}

/// Full dumps leave the offset 0 and have the stack in the memory list;
/// Breakpad and Crashpad list it in both places. A descriptor that covers
/// captured bytes adds nothing.
fn read_stacks(reader: &mut StreamReader<'_, '_>, threads: &[Thread], builder: &mut Builder<'_>) {
    let known = builder.ranges.len();
    builder.ranges.sort_unstable_by_key(|run| run.range.start());
    let mut found = Vec::new();
    for thread in threads {
        let (address, size) = thread.stack;
        if thread.stack_offset == 0 || size == 0 {
            continue;
        }
        let address = builder.mask_width.mask(address);
        let runs = builder.ranges.get(..known).unwrap_or(&[]);
        let after = runs.partition_point(|run| run.range.start() <= address);
        let before = after.checked_sub(1).and_then(|at| runs.get(at));
        if before.is_some_and(|run| run.range.contains(address)) {
            continue;
        }
        found.push((thread.id, address, size, thread.stack_offset));
    }
    for (id, address, size, offset) in found {
        if let Some(wrong) = builder.add(address, size, offset) {
            reader.issue(stream_type::THREAD_LIST, offset, || {
                format!("stack of thread {id}: {wrong}")
            });
        }
    }
}

/// Sorts runs and removes overlaps, the lower run keeping its bytes; counts
/// the runs that lost some.
fn disjoint(mut ranges: Vec<CapturedRange>) -> (Vec<CapturedRange>, u64) {
    let clean = ranges.is_sorted_by(|a, b| a.range.last() < b.range.start());
    if clean {
        return (ranges, 0);
    }
    ranges.sort_unstable_by_key(|run| (run.range.start(), std::cmp::Reverse(run.range.last())));
    let mut overlaps = 0_u64;
    let mut out: Vec<CapturedRange> = Vec::with_capacity(ranges.len());
    for run in ranges {
        let Some(previous) = out.last() else {
            out.push(run);
            continue;
        };
        let free = previous.range.last().saturating_add(1);
        if run.range.start() >= free {
            out.push(run);
            continue;
        }
        let repeats = run.range == previous.range && run.offset == previous.offset;
        if !repeats {
            overlaps = overlaps.saturating_add(1);
        }
        let skipped = free.saturating_sub(run.range.start());
        if let Some(range) = AddressRange::spanning(free, run.range.last())
            && range.start() > previous.range.last()
        {
            out.push(CapturedRange { range, offset: run.offset.saturating_add(skipped) });
        }
    }
    (out, overlaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, size: u64, offset: u64) -> CapturedRange {
        CapturedRange { range: AddressRange::new(start, size).unwrap(), offset }
    }

    #[test]
    fn overlaps_keep_every_address_once() {
        let (out, overlaps) =
            disjoint(vec![run(0x2000, 0x1000, 50), run(0x1000, 0x1800, 0), run(0x1000, 0x1800, 0)]);
        assert_eq!(out, [run(0x1000, 0x1800, 0), run(0x2800, 0x800, 50 + 0x800)]);
        assert_eq!(overlaps, 1);
    }

    #[test]
    fn reads_cross_runs_and_say_where_they_end() {
        let source = Source::from_bytes((0..=255).collect::<Vec<u8>>());
        let memory = CapturedMemory {
            source: &source,
            ranges: vec![run(0x1000, 16, 0), run(0x1010, 16, 100)],
            present: true,
            bytes: 32,
            missing: 0,
        };
        let mut buffer = [0; 4];
        memory.read(0x100e, &mut buffer).unwrap();
        assert_eq!(buffer, [14, 15, 100, 101]);
        assert_eq!(memory.read(0x101e, &mut buffer), Err(ReadError::CutShort { got: 2 }));
        assert_eq!(memory.read(0x2000, &mut buffer), Err(ReadError::NotCaptured));
        assert_eq!(memory.reader().u32(0x100e), Some(u32::from_le_bytes([14, 15, 100, 101])));
        assert_eq!(memory.bytes_at(0x1010, 1 << 40).len(), 16);
        assert_eq!(memory.captured_in(AddressRange::new(0x1008, 16).unwrap()), 16);
    }

    #[test]
    fn what_is_lent_and_what_is_read_is_the_same() {
        let bytes: Vec<u8> = (0..40_000_u32).map(|at| (at ^ at >> 8) as u8).collect();
        let name = format!("dumpmap-{}-lent-and-read", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let sources = [Source::from_bytes(bytes), Source::open_positioned(&path).unwrap()];
        std::fs::remove_file(&path).unwrap();
        assert!(sources[0].lend(0, 8).is_some() && sources[1].lend(0, 8).is_none());
        let [lent, read] = sources.each_ref().map(|source| CapturedMemory {
            source,
            ranges: vec![
                run(0x1ffd, 0x3333, 7),
                run(0x5330, 0x10, 30_000),
                run(0x6000, 0x2000, 100),
                run(0x9_0002, 5, 20_000),
            ],
            present: true,
            bytes: 0,
            missing: 0,
        });
        let (mut lent, mut read) = (lent.reader(), read.reader());
        // Upwards, and from page to page.
        let places = (0x1f00..0x8100_u64).chain(0x8_ffff..0x9_0010);
        let places = places.chain((0..9_000).map(|step| step * 0x1235 % 0xa_0000));
        for at in places {
            assert_eq!(lent.u64(at), read.u64(at), "{at:#x}");
            assert_eq!(lent.u8(at), read.u8(at), "{at:#x}");
            assert_eq!(lent.rest(at).is_empty(), read.rest(at).is_empty(), "{at:#x}");
            assert_eq!(lent.captured_from(at, 0x9_0005), read.captured_from(at, 0x9_0005));
            let first = lent.memory.ranges.iter().find(|run| run.range.last() >= at);
            assert_eq!(lent.run_from(at), first.map(|run| run.range), "{at:#x}");
        }
    }
}
