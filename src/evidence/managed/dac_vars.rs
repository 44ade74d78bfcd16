//! GcDacVars: the structure in which the collector tells a debugger where its
//! variables are. Source: gcinterface.dac.h of dotnet/runtime; it lies in the
//! writable data of the runtime, whichever module the collector is in.
//!
//! Nothing names its address without symbols, so it is recognised by what it
//! holds: a version, the size of a generation, and a run of pointers into the
//! modules of runtime and collector, one of which leads to the number 2.

use super::target::Target;
use crate::addr::AddressRange;
use crate::dump::PointerWidth;
use crate::dump::bytes::{index, length, u32_at, u64_at};

/// The fields that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The generations of the only heap: 0 with a server collector.
    GenerationTable,
    /// int max_generation: 2.
    MaxGeneration,
    /// heap_segment*: where new objects go.
    EphemeralSegment,
    /// uint8_t*: the end of the newest object.
    AllocAllocated,
    /// int: how many heaps a server collector has.
    HeapCount,
    /// gc_heap**.
    Heaps,
    /// int[]: offsets in gc_heap.
    HeapOffsets,
    /// int[]: offsets in a generation.
    GenerationOffsets,
    /// uint8_t*: card table and all the rest.
    BookkeepingStart,
}

impl Field {
    /// Where the field is, in pointers from the start. Without the count of
    /// generations (.NET Core 2 and 3) every field is one pointer earlier.
    fn slot(self) -> u64 {
        match self {
            Field::GenerationTable => 6,
            Field::MaxGeneration => 7,
            Field::EphemeralSegment => 10,
            Field::AllocAllocated => 15,
            Field::HeapCount => 22,
            Field::Heaps => 23,
            Field::HeapOffsets => 30,
            Field::GenerationOffsets => 31,
            Field::BookkeepingStart => 32,
        }
    }
}

/// Bytes that the check of one place looks at, at most: 43 pointers.
pub(super) const LOOK_AHEAD: usize = 43 * 8;
/// Words after the generation size that should be pointers.
const POINTERS: usize = 40;
/// Of them into the modules, at least. A server collector leaves out those
/// of one heap's variables and has 13.
const LEAST: usize = 7;

/// GcDacVars, its fields read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DacVars {
    pub(super) address: u64,
    pub(super) version: (u8, u8),
    pub(super) generation_size: u64,
    /// Generations, those of large and pinned objects included.
    pub(super) generations: u64,
    /// Whether the count of generations is a field.
    counted: bool,
}

/// Offsets in a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GenerationLayout {
    pub(super) start_segment: u64,
    /// `None` with regions: every region belongs to one generation.
    pub(super) allocation_start: Option<u64>,
}

impl DacVars {
    /// The structure at `offset` of `bytes`, which lie at `base`; `None` when
    /// what is there cannot be it.
    pub(super) fn recognise(
        bytes: &[u8],
        offset: usize,
        base: u64,
        width: PointerWidth,
        modules: &[AddressRange],
    ) -> Option<DacVars> {
        let size = width.bytes();
        let word = |nth: usize| {
            let at = offset.checked_add(nth.checked_mul(size)?)?;
            match width {
                PointerWidth::Bits32 => u32_at(bytes, at).map(u64::from),
                PointerWidth::Bits64 => u64_at(bytes, at),
            }
        };
        let [major, minor, 0, 0, ..] = word(0)?.to_le_bytes() else { return None };
        let generation_size = word(1)?;
        if word(0)? > 0xffff || major > 9 || !(0x40..=0x800).contains(&generation_size) {
            return None;
        }
        let is_pointer = |value: u64| modules.iter().any(|module| module.contains(value));
        let (counted, generations, first) = match word(2)? {
            count @ 4..=8 => (true, count, 3_usize),
            _ => (false, 4, 2_usize),
        };
        if !is_pointer(word(first)?) || !is_pointer(word(first.checked_add(1)?)?) {
            return None;
        }
        let end = first.checked_add(POINTERS)?;
        let pointers = (first..end).filter_map(word).filter(|value| is_pointer(*value)).count();
        (pointers >= LEAST).then_some(DacVars {
            address: base.checked_add(length(offset))?,
            version: (major, minor),
            generation_size,
            generations,
            counted,
        })
    }

    /// Whether max_generation is what it is in every release.
    pub(super) fn is_plausible(&self, target: &mut Target<'_, '_>) -> bool {
        let max = self.field(target, Field::MaxGeneration);
        max.and_then(|at| target.u32(at)) == Some(2)
    }

    /// The pointer in a field; `None` when it is 0, not captured, or a field
    /// that this version does not have.
    pub(super) fn field(&self, target: &mut Target<'_, '_>, field: Field) -> Option<u64> {
        let late = matches!(
            field,
            Field::HeapOffsets | Field::GenerationOffsets | Field::BookkeepingStart
        );
        if late && !self.counted {
            return None;
        }
        let slot = field.slot().saturating_sub(u64::from(!self.counted));
        target.slot(self.address, slot).filter(|pointer| *pointer != 0)
    }

    /// What the variable that a field points to holds.
    pub(super) fn variable(&self, target: &mut Target<'_, '_>, field: Field) -> Option<u64> {
        let at = self.field(target, field)?;
        target.pointer(at).filter(|value| *value != 0)
    }

    /// Where the fields of a generation are: the collector says so since the
    /// count of generations is a field; before, they stayed the same.
    pub(super) fn generation_layout(&self, target: &mut Target<'_, '_>) -> GenerationLayout {
        let told = self.told_layout(target);
        told.unwrap_or(match target.width {
            PointerWidth::Bits32 => {
                GenerationLayout { start_segment: 0x28, allocation_start: Some(0x2c) }
            }
            PointerWidth::Bits64 => {
                GenerationLayout { start_segment: 0x38, allocation_start: Some(0x40) }
            }
        })
    }

    fn told_layout(&self, target: &mut Target<'_, '_>) -> Option<GenerationLayout> {
        let offsets = self.field(target, Field::GenerationOffsets)?;
        let start_segment = u64::from(target.u32(offsets.checked_add(4)?)?);
        let allocation_start = target.u32(offsets.checked_add(8)?)?;
        let size = target.pointer_size();
        let fits = |offset: u64| {
            offset != 0 && offset.is_multiple_of(size) && offset < self.generation_size
        };
        let allocation_start = match allocation_start {
            u32::MAX => None,
            offset => Some(u64::from(offset)).filter(|offset| fits(*offset)).or(Some(0)),
        };
        (fits(start_segment) && allocation_start != Some(0))
            .then_some(GenerationLayout { start_segment, allocation_start })
    }

    /// An offset in gc_heap, by its place in the list of offsets.
    pub(super) fn heap_offset(&self, target: &mut Target<'_, '_>, nth: u64) -> Option<u64> {
        let offsets = self.field(target, Field::HeapOffsets)?;
        let offset = target.u32(offsets.checked_add(nth.checked_mul(4)?)?)?;
        // gc_heap has some 5 KB; -1 is a field that this collector lacks.
        (offset < 0x10_0000).then_some(u64::from(offset))
    }
}

/// The structures in `bytes`, which lie at `base`.
pub(super) fn find(
    bytes: &[u8],
    base: u64,
    width: PointerWidth,
    modules: &[AddressRange],
) -> impl Iterator<Item = DacVars> {
    let step = width.bytes();
    let first = index(base.wrapping_neg() & length(step).wrapping_sub(1));
    let last = bytes.len().saturating_sub(step);
    (first..=last)
        .step_by(step)
        .filter_map(move |offset| DacVars::recognise(bytes, offset, base, width, modules))
}
