//! `_HEAP_PAGE_SEGMENT` of the segment heap: 256 range descriptors, and the
//! key its signature was made with.

use super::super::context::{Context, at, pointer_size};
use super::super::list;
use super::super::segment_layout::{self, SegmentHeapLayout, context_at, segment_size};
use crate::addr::AddressRange;
use crate::dump::PointerWidth;

/// One context of a heap: the size of its segments and of their units.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegContext {
    pub(super) address: u64,
    pub(super) segment_size: u64,
    unit_shift: u8,
    first_descriptor: u8,
}

impl SegContext {
    /// The `index`-th context, when its numbers make sense.
    pub(super) fn read(
        context: &mut Context<'_, '_>,
        layout: &SegmentHeapLayout,
        heap: u64,
        index: u64,
    ) -> Option<SegContext> {
        let address = context_at(layout, heap, index);
        let segment_size = segment_size(context, layout, address)?;
        let shift = at(address, layout.unit_shift?);
        let unit_shift = context.memory.u8(shift)?;
        let first_descriptor = context.memory.u8(at(shift, 2))?;
        let units = segment_size.checked_shr(unit_shift.into())?;
        let sound = matches!(unit_shift, 12 | 16) && units == DESCRIPTORS && first_descriptor > 0;
        sound.then_some(SegContext { address, segment_size, unit_shift, first_descriptor })
    }

    /// Bytes of so many units.
    fn units(&self, count: u64) -> u64 {
        count.checked_shl(self.unit_shift.into()).unwrap_or(0)
    }

    /// Bytes before the first range.
    pub(super) fn header_size(&self) -> u64 {
        self.units(self.first_descriptor.into())
    }
}

/// The contexts of a heap and their segments.
pub(super) fn segments(
    context: &mut Context<'_, '_>,
    layout: &SegmentHeapLayout,
    heap: u64,
) -> Vec<(SegContext, list::Entries)> {
    (0..layout.context_count)
        .filter_map(|index| {
            let seg_context = SegContext::read(context, layout, heap, index)?;
            let head = at(seg_context.address, layout.segment_list);
            Some((seg_context, list::entries(context, head, layout.width)))
        })
        .collect()
}

/// The layout a segment heap agrees with, once more.
pub(super) fn layout(
    context: &mut Context<'_, '_>,
    heap: u64,
    width: PointerWidth,
) -> Option<&'static SegmentHeapLayout> {
    segment_layout::choose(context, heap, width)
}

/// What the signature of a segment says of HeapKey: versions before 26100 put
/// a constant into it, later ones do not.
pub(super) fn key_candidates(
    context: &mut Context<'_, '_>,
    segment: u64,
    seg_context: u64,
    width: PointerWidth,
) -> Option<[u64; 2]> {
    const MAGIC: u64 = 0xa2e6_4ead_a2e6_4ead;
    let signature = context.pointer(segment, pointer_size(width).saturating_mul(2), width)?;
    let key = width.mask(signature ^ segment ^ seg_context);
    Some([key ^ width.mask(MAGIC), key])
}

const DESCRIPTORS: u64 = 256;
/// TreeSignature of the first descriptor of a range in use.
const FIRST: u32 = 0xccdd_ccdd;

/// What a range of units is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeKind {
    VariableSize,
    LowFragmentation,
    /// A block of whole pages.
    Pages,
    Free,
    /// Descriptors that are not captured, or cannot be told apart behind those.
    Unknown,
}

/// A range of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) bytes: AddressRange,
    pub(super) kind: RangeKind,
    /// Bytes at its end that its user did not ask for.
    pub(super) unused: u64,
}

/// Where the fields of `_HEAP_PAGE_RANGE_DESCRIPTOR` are: the first is known
/// from dumps, the others from public listings only.
struct Fields {
    width: PointerWidth,
    stride: u64,
    flags: u64,
    units: u64,
}

static FIELDS: [Fields; 3] = [
    Fields { width: PointerWidth::Bits64, stride: 0x20, flags: 0x18, units: 0x1f },
    Fields { width: PointerWidth::Bits64, stride: 0x20, flags: 0x18, units: 0x1a },
    Fields { width: PointerWidth::Bits32, stride: 0x10, flags: 0xc, units: 0xf },
];

/// The ranges of a segment, by the fields that make most sense in it.
pub(super) fn ranges(
    context: &mut Context<'_, '_>,
    segment: u64,
    seg_context: SegContext,
    width: PointerWidth,
) -> Option<Vec<Range>> {
    let fitting = FIELDS.iter().filter(|fields| fields.width == width);
    let read = fitting.map(|fields| by_fields(context, segment, seg_context, fields));
    let best = read.max_by_key(|(_, score)| *score);
    best.filter(|(_, score)| *score >= 0).map(|(ranges, _)| ranges)
}

/// The ranges, and how many of them begin where the one before ends, less
/// those that contradict.
fn by_fields(
    context: &mut Context<'_, '_>,
    segment: u64,
    seg_context: SegContext,
    fields: &Fields,
) -> (Vec<Range>, i32) {
    let mut ranges = Vec::with_capacity(usize::try_from(DESCRIPTORS).unwrap_or(0));
    let mut score = 0_i32;
    let mut index = u64::from(seg_context.first_descriptor);
    // Behind an unread descriptor only the first one of a range in use tells
    // where things begin again.
    let mut sure = true;
    while index < DESCRIPTORS {
        let (mut kind, mut units, mut unused) = (RangeKind::Unknown, 1, 0);
        if let Some(descriptor) = Descriptor::read(context, segment, index, fields) {
            let end = index.saturating_add(descriptor.units);
            let fits = descriptor.units > 0 && end <= DESCRIPTORS;
            let first = descriptor.signature == FIRST && descriptor.kind != RangeKind::Free;
            if fits && (first || sure && descriptor.kind == RangeKind::Free) {
                score = score.saturating_add(1);
                (kind, units, unused) = (descriptor.kind, descriptor.units, descriptor.unused);
                sure = true;
            } else {
                score = score.saturating_sub(if sure { 2 } else { 0 });
                sure = false;
            }
        } else {
            sure = false;
        }
        let start = segment.saturating_add(seg_context.units(index));
        if let Some(bytes) = AddressRange::new(start, seg_context.units(units)) {
            ranges.push(Range { bytes, kind, unused });
        }
        index = index.saturating_add(units);
    }
    (ranges, score)
}

struct Descriptor {
    signature: u32,
    kind: RangeKind,
    units: u64,
    unused: u64,
}

impl Descriptor {
    fn read(
        context: &mut Context<'_, '_>,
        segment: u64,
        index: u64,
        fields: &Fields,
    ) -> Option<Descriptor> {
        /// Bits of RangeFlags.
        const IN_USE: u8 = 2;
        const VARIABLE_SIZE: u8 = 4;
        const SUBSEGMENT: u8 = 8;
        let address = segment.saturating_add(index.saturating_mul(fields.stride));
        let signature = context.word(address, 0)?;
        let unused = u64::from(context.word(address, 4)?);
        let flags = context.memory.u8(at(address, fields.flags))?;
        let units = context.memory.u8(at(address, fields.units))?;
        let kind = match flags {
            flags if flags & IN_USE == 0 => RangeKind::Free,
            flags if flags & SUBSEGMENT == 0 => RangeKind::Pages,
            flags if flags & VARIABLE_SIZE == 0 => RangeKind::LowFragmentation,
            _ => RangeKind::VariableSize,
        };
        Some(Descriptor { signature, kind, units: units.into(), unused })
    }
}
