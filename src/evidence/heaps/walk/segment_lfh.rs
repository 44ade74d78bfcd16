//! Low-fragmentation subsegments of the segment heap: blocks without headers,
//! two bits each. Where they begin and how large they are is XORed with a key
//! of the process, which is the only one that makes sense of all of them.

use super::super::context::{Context, at};
use super::Walker;
use super::keys::low;
use super::outcome::{MissingWhy, Reason};
use super::sink::Row;
use super::vs;
use crate::addr::AddressRange;
use crate::dump::PointerWidth;

/// `_HEAP_LFH_SUBSEGMENT` at the start of a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subsegment {
    pub(super) range: AddressRange,
    width: PointerWidth,
    free: u64,
    blocks: u64,
    encoded: u32,
}

impl Subsegment {
    pub(super) fn read(
        context: &mut Context<'_, '_>,
        range: AddressRange,
        width: PointerWidth,
    ) -> Option<Subsegment> {
        let (free, blocks, encoded): (u64, u64, u64) = match width {
            PointerWidth::Bits64 => (0x20, 0x22, 0x28),
            PointerWidth::Bits32 => (0x10, 0x12, 0x18),
        };
        let start = range.start();
        let free = u64::from(context.memory.u16(at(start, free))?);
        let blocks = u64::from(context.memory.u16(at(start, blocks))?);
        let encoded = context.word(start, encoded)?;
        Some(Subsegment { range, width, free, blocks, encoded })
    }

    fn bitmap(&self) -> u64 {
        match self.width {
            PointerWidth::Bits64 => 0x30,
            PointerWidth::Bits32 => 0x20,
        }
    }

    /// Bytes of header and bitmap: no block begins before their end.
    fn header_size(&self) -> u64 {
        self.bitmap().saturating_add(self.blocks.saturating_mul(2).div_ceil(8))
    }

    fn granule(&self) -> u64 {
        match self.width {
            PointerWidth::Bits64 => 0x10,
            PointerWidth::Bits32 => 8,
        }
    }

    /// Block size and offset of the first block, when they make sense.
    fn decode(&self, key: Key) -> Option<(u64, u64)> {
        let word = self.encoded ^ key.word ^ key.mix.of(self.range.start());
        let (size, first) = (u64::from(word & 0xffff), u64::from(word >> 16));
        self.fits(size, first).then_some((size, first))
    }

    fn fits(&self, size: u64, first: u64) -> bool {
        let end = first.saturating_add(size.saturating_mul(self.blocks));
        size > 0
            && self.blocks > 0
            && size.is_multiple_of(self.granule())
            && first.is_multiple_of(self.granule())
            && first >= self.header_size()
            && end <= self.range.size()
    }
}

/// How the address goes into BlockOffsets: two ways are told, that differ
/// above 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mix {
    /// The low 32 bits, shifted.
    LowShifted,
    /// The address shifted, then the low 32 bits: 26100 and later.
    ShiftedLow,
}

impl Mix {
    fn of(self, address: u64) -> u32 {
        match self {
            Mix::LowShifted => low(address) >> 12,
            Mix::ShiftedLow => low(address >> 12),
        }
    }
}

/// `RtlpHpHeapGlobals.LfhKey`, and how it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    word: u32,
    mix: Mix,
}

/// The one key that makes sense of the subsegments; `None` when several do,
/// or none of all but one in twenty.
pub(super) fn find_key(subsegments: &[Subsegment]) -> Option<Key> {
    let sample = subsegments.iter().filter(|one| one.blocks > 0);
    let sample = sample.min_by_key(|one| one.range.size().checked_div(one.blocks))?;
    let mut best: Option<(usize, Key)> = None;
    let mut unique = true;
    for mix in [Mix::LowShifted, Mix::ShiftedLow] {
        for key in candidates(sample, mix) {
            let fitting = subsegments.iter().filter(|one| one.decode(key).is_some()).count();
            match best {
                Some((most, known)) if fitting == most => {
                    unique &= same(known, key, subsegments);
                }
                Some((most, _)) if fitting < most => {}
                _ => (best, unique) = (Some((fitting, key)), true),
            }
        }
    }
    let (fitting, key) = best?;
    let enough = fitting.saturating_mul(20) >= subsegments.len().saturating_mul(19);
    (unique && enough && fitting >= 4).then_some(key)
}

/// Whether two keys say the same of every subsegment.
fn same(one: Key, other: Key, subsegments: &[Subsegment]) -> bool {
    subsegments.iter().all(|subsegment| subsegment.decode(one) == subsegment.decode(other))
}

/// The keys by which a subsegment makes sense.
fn candidates(sample: &Subsegment, mix: Mix) -> impl Iterator<Item = Key> + '_ {
    /// Larger blocks are not in the low-fragmentation heap.
    const LARGEST: u64 = 0x4010;
    let granule = sample.granule();
    let step = usize::try_from(granule).unwrap_or(1);
    let sizes = (granule..=LARGEST).step_by(step);
    sizes
        .take_while(|size| size.saturating_mul(sample.blocks) <= sample.range.size())
        .flat_map(move |size| {
            let space = sample.range.size().saturating_sub(size.saturating_mul(sample.blocks));
            let lowest = sample.header_size().next_multiple_of(granule);
            (lowest..=space.min(0xffff)).step_by(step).map(move |first| (size, first))
        })
        .take(1 << 16)
        .filter_map(move |(size, first)| {
            let word = u32::try_from(size | first.checked_shl(16)?).ok()?;
            Some(Key { word: sample.encoded ^ mix.of(sample.range.start()) ^ word, mix })
        })
}

/// Gives the blocks of a subsegment.
pub(super) fn blocks(walker: &mut Walker<'_, '_, '_>, subsegment: Subsegment, key: Key) {
    let start = subsegment.range.start();
    let Some((size, first)) = subsegment.decode(key) else {
        walker.sink.corrupt(start, Reason::LowFragmentation, || {
            format!("{} blocks do not fit the subsegment by the key", subsegment.blocks)
        });
        walker.sink.missing(Some(subsegment.range), MissingWhy::BehindDamage);
        return;
    };
    let Some(bits) = bitmap(&mut walker.context, &subsegment) else {
        walker.sink.missing(Some(subsegment.range), MissingWhy::NotCaptured);
        return;
    };
    let row = Row {
        container: start,
        first: start.saturating_add(first),
        size,
        count: u32::try_from(subsegment.blocks).unwrap_or(u32::MAX),
        header: 0,
    };
    let memory = &mut walker.context.memory;
    let mut states = bits.iter().flat_map(|byte| [0, 2, 4, 6].map(|shift| byte >> shift & 3));
    let busy = walker.sink.row(row, |_, at| {
        /// The block is busy; its last bytes say how many are unused.
        const BUSY: u8 = 1;
        const UNUSED: u8 = 2;
        let state = states.next().unwrap_or(0);
        let is_busy = state & BUSY != 0;
        let user_size = match is_busy && state & UNUSED != 0 {
            true => vs::unused(memory, at.saturating_add(size))
                .and_then(|unused| size.checked_sub(unused)),
            false => Some(size),
        };
        (is_busy, user_size)
    });
    let Some(busy) = busy else { return };
    // FreeCount lags behind in the subsegment in use, never ahead.
    let free = subsegment.blocks.saturating_sub(busy);
    if subsegment.free > free {
        walker.sink.torn(start, Reason::LowFragmentation, || {
            format!("FreeCount is {}, {free} blocks are free", subsegment.free)
        });
    }
}

fn bitmap(context: &mut Context<'_, '_>, subsegment: &Subsegment) -> Option<Vec<u8>> {
    let start = at(subsegment.range.start(), subsegment.bitmap());
    let size = subsegment.blocks.saturating_mul(2).div_ceil(8);
    let mut bits = vec![0; usize::try_from(size).ok()?];
    context.memory.fill(start, &mut bits).then_some(bits)
}
