//! The collector's heaps and their generations, from GcDacVars to the last
//! segment. Server collectors have a heap a processor, in structures of their
//! own; a workstation collector has one, in variables of the module.

use std::collections::HashSet;

use super::dac_vars::{DacVars, Field, GenerationLayout};
use super::segments::{self, End, HeapSegment};
use super::target::Target;
use super::{Generation, ManagedHeap, ObjectRange};
use crate::addr::AddressRange;

/// Heaps of a server collector that are read: its own bound is 1,024.
const MOST_HEAPS: u32 = 1_024;
/// Problems of one heap that are kept.
const PROBLEMS: usize = 16;
/// Where gc_heap of .NET Core 2 and 3 has its generations; other builds are
/// searched up to the end of the structure.
const OLD_TABLE: u64 = 0x158;
const OLD_TABLE_END: u64 = 0x1000;
/// Place of generation_table in the list of offsets in gc_heap.
const TABLE_OFFSET: u64 = 18;

/// The heaps and every segment that a chain leads to.
#[derive(Debug, Default)]
pub(super) struct Heaps {
    pub(super) heaps: Vec<ManagedHeap>,
    pub(super) segments: Vec<HeapSegment>,
    pub(super) server: bool,
    pub(super) regions: bool,
}

/// Where one heap's variables are.
#[derive(Clone, Copy, Debug)]
struct HeapVariables {
    /// The first generation.
    table: u64,
    /// The end of the newest object.
    alloc_allocated: Option<u64>,
    /// Where new objects go.
    ephemeral: Option<u64>,
}

/// `None` when no chain has a segment: the structure is not what it seemed,
/// the heap is not captured, or there is none yet.
pub(super) fn read(target: &mut Target<'_, '_>, vars: &DacVars) -> Option<Heaps> {
    let layout = vars.generation_layout(target);
    let (variables, server) = match vars.field(target, Field::GenerationTable) {
        Some(table) => (vec![workstation(target, vars, table)], false),
        None => (server(target, vars, layout), true),
    };
    let regions = layout.allocation_start.is_none();
    let mut heaps = Heaps { server, regions, ..Heaps::default() };
    let mut visited = HashSet::new();
    for (number, variables) in (0_u32..).zip(variables) {
        let mut heap = HeapReader {
            target,
            vars,
            layout,
            variables,
            visited: &mut visited,
            found: &mut heaps.segments,
            heap: ManagedHeap { number, ranges: Vec::new(), problems: Vec::new() },
        };
        heap.run();
        heaps.heaps.push(heap.heap);
    }
    (!heaps.segments.is_empty()).then_some(heaps)
}

fn workstation(target: &mut Target<'_, '_>, vars: &DacVars, table: u64) -> HeapVariables {
    HeapVariables {
        table,
        alloc_allocated: vars.variable(target, Field::AllocAllocated),
        ephemeral: vars.variable(target, Field::EphemeralSegment),
    }
}

fn server(
    target: &mut Target<'_, '_>,
    vars: &DacVars,
    layout: GenerationLayout,
) -> Vec<HeapVariables> {
    let count = vars.field(target, Field::HeapCount).and_then(|at| target.u32(at));
    let array = vars.variable(target, Field::Heaps);
    let (Some(count), Some(array)) = (count, array) else { return Vec::new() };
    let mut heaps = Vec::new();
    for number in 0..count.min(MOST_HEAPS) {
        heaps.extend(target.slot(array, number.into()).filter(|heap| *heap != 0));
    }
    let Some(first) = heaps.first() else { return Vec::new() };
    let Some(offsets) = heap_offsets(target, vars, layout, *first) else { return Vec::new() };
    let variables = |heap: u64| {
        let [allocated, ephemeral, table] = offsets.map(|offset| heap.checked_add(offset));
        Some(HeapVariables {
            table: table?,
            alloc_allocated: target.pointer(allocated?),
            ephemeral: target.pointer(ephemeral?),
        })
    };
    heaps.into_iter().filter_map(variables).collect()
}

/// Where gc_heap has alloc_allocated, ephemeral_heap_segment and
/// generation_table. The collector tells since .NET 7; before, the first two
/// begin the structure.
fn heap_offsets(
    target: &mut Target<'_, '_>,
    vars: &DacVars,
    layout: GenerationLayout,
    heap: u64,
) -> Option<[u64; 3]> {
    match [0, 1, TABLE_OFFSET].map(|nth| vars.heap_offset(target, nth)) {
        [Some(allocated), Some(ephemeral), Some(table)] => Some([allocated, ephemeral, table]),
        _ => {
            let step = usize::try_from(target.pointer_size()).ok()?;
            let mut offsets = std::iter::once(OLD_TABLE).chain((0..OLD_TABLE_END).step_by(step));
            let table = offsets.find(|offset| {
                let table = heap.checked_add(*offset);
                table.is_some_and(|table| has_generations(target, vars, layout, table))
            })?;
            Some([0, target.pointer_size(), table])
        }
    }
}

/// Whether every generation of the table has a segment.
fn has_generations(
    target: &mut Target<'_, '_>,
    vars: &DacVars,
    layout: GenerationLayout,
    table: u64,
) -> bool {
    (0..vars.generations).all(|number| {
        let first = start_segment(target, vars, layout, table, number);
        first.is_some_and(|first| HeapSegment::read(target, first).is_some())
    })
}

fn start_segment(
    target: &mut Target<'_, '_>,
    vars: &DacVars,
    layout: GenerationLayout,
    table: u64,
    number: u64,
) -> Option<u64> {
    let generation = table.checked_add(vars.generation_size.checked_mul(number)?)?;
    target.pointer(generation.checked_add(layout.start_segment)?)
}

struct HeapReader<'h, 'a, 's> {
    target: &'h mut Target<'a, 's>,
    vars: &'h DacVars,
    layout: GenerationLayout,
    variables: HeapVariables,
    /// Segments of any heap.
    visited: &'h mut HashSet<u64>,
    found: &'h mut Vec<HeapSegment>,
    heap: ManagedHeap,
}

impl HeapReader<'_, '_, '_> {
    /// The generations, the oldest first: with segments its chain ends with
    /// the one that the younger generations share.
    fn run(&mut self) {
        for (number, generation) in [
            (2, Generation::Gen2),
            (1, Generation::Gen1),
            (0, Generation::Gen0),
            (3, Generation::Large),
            (4, Generation::Pinned),
        ] {
            if number >= self.vars.generations {
                continue;
            }
            let table = self.variables.table;
            let first = start_segment(self.target, self.vars, self.layout, table, number);
            let Some(first) = first else {
                self.problem(|| format!("{} is not captured", generation.as_str()));
                continue;
            };
            let (segments, end) = segments::chain(self.target, first);
            self.chain_problem(generation, end);
            for segment in segments {
                if self.visited.insert(segment.address) {
                    self.found.push(segment);
                    self.add(segment, generation);
                }
            }
        }
    }

    fn problem(&mut self, words: impl FnOnce() -> String) {
        if self.heap.problems.len() < PROBLEMS {
            self.heap.problems.push(words());
        }
    }

    fn chain_problem(&mut self, generation: Generation, end: End) {
        let name = generation.as_str();
        match end {
            End::Null => {}
            End::NotASegment(at) => self.problem(|| {
                format!("the chain of {name} leads to {at:#x}, which holds no segment")
            }),
            End::Cycle(at) => {
                self.problem(|| format!("the chain of {name} turns back to {at:#x}"));
            }
            End::Bound => self.problem(|| format!("the chain of {name} is too long")),
        }
    }

    fn add(&mut self, segment: HeapSegment, generation: Generation) {
        let Some(range) = segment.range() else { return };
        let newest = self.variables.ephemeral == Some(segment.address);
        // `allocated` of the segment that new objects go to is as the last
        // collection left it.
        let live = self.variables.alloc_allocated.filter(|_| newest);
        let live = live.filter(|end| (segment.mem..=segment.committed).contains(end));
        let end = live.unwrap_or(segment.allocated).max(segment.allocated);
        let whole = ObjectRange {
            range,
            generation: if segment.is_frozen() { Generation::Frozen } else { generation },
            segment: segment.address,
            first_object: segment.mem,
            end_of_objects: end,
            committed_end: segment.committed,
        };
        let starts = match self.layout.allocation_start {
            Some(offset) if newest && !segment.is_frozen() => self.young_starts(offset),
            _ => None,
        };
        match starts {
            Some(starts) => self.heap.ranges.extend(split(whole, starts)),
            None if newest && self.layout.allocation_start.is_some() => {
                let generation = Generation::Ephemeral;
                self.heap.ranges.push(ObjectRange { generation, ..whole });
            }
            None => self.heap.ranges.push(whole),
        }
    }

    /// Where generations 0 and 1 begin.
    fn young_starts(&mut self, offset: u64) -> Option<(u64, u64)> {
        let mut start = |number: u64| {
            let size = self.vars.generation_size.checked_mul(number)?;
            let generation = self.variables.table.checked_add(size)?;
            self.target.pointer(generation.checked_add(offset)?)
        };
        Some((start(0)?, start(1)?))
    }
}

/// Generations 2, 1 and 0 follow each other in the ephemeral segment. One
/// whose parts are in another order is left whole.
fn split(whole: ObjectRange, (gen0, gen1): (u64, u64)) -> Vec<ObjectRange> {
    let inside = |at: u64| (whole.first_object..=whole.end_of_objects).contains(&at);
    if !inside(gen0) || !inside(gen1) || gen1 > gen0 {
        return vec![ObjectRange { generation: Generation::Ephemeral, ..whole }];
    }
    let last = whole.range.last();
    let part = |generation, first: u64, start: u64, end: u64| {
        Some(ObjectRange {
            range: AddressRange::spanning(start, end.checked_sub(1)?.min(last))?,
            generation,
            segment: whole.segment,
            first_object: first,
            end_of_objects: end,
            committed_end: whole.committed_end.min(end),
        })
    };
    let mut parts = Vec::new();
    if gen1 > whole.first_object {
        parts.extend(part(Generation::Gen2, whole.first_object, whole.range.start(), gen1));
    }
    let start = parts.first().map_or(whole.range.start(), |_| gen1);
    if gen0 > gen1 {
        parts.extend(part(Generation::Gen1, gen1, start, gen0));
    }
    let start = parts.last().map_or(start, |part: &ObjectRange| part.end_of_objects);
    let newest = AddressRange::spanning(start, last).map(|range| ObjectRange {
        range,
        generation: Generation::Gen0,
        first_object: gen0,
        ..whole
    });
    parts.extend(newest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ephemeral_segment_is_split_where_the_generations_begin() {
        let whole = ObjectRange {
            range: AddressRange::new(0x10000, 0x10000).unwrap(),
            generation: Generation::Gen2,
            segment: 0x10000,
            first_object: 0x11000,
            end_of_objects: 0x15000,
            committed_end: 0x18000,
        };
        let parts = |gen0, gen1| {
            let parts = split(whole, (gen0, gen1));
            let seen = |part: &ObjectRange| {
                (part.generation, part.range.start(), part.range.end(), part.objects())
            };
            parts.iter().map(seen).collect::<Vec<_>>()
        };
        use Generation::{Ephemeral, Gen0, Gen1, Gen2};
        assert_eq!(
            parts(0x13000, 0x12000),
            [
                (Gen2, 0x10000, 0x12000, 0x1000),
                (Gen1, 0x12000, 0x13000, 0x1000),
                (Gen0, 0x13000, 0x20000, 0x2000),
            ]
        );
        assert_eq!(
            parts(0x13000, 0x11000),
            [(Gen1, 0x10000, 0x13000, 0x2000), (Gen0, 0x13000, 0x20000, 0x2000)]
        );
        assert_eq!(parts(0x11000, 0x11000), [(Gen0, 0x10000, 0x20000, 0x4000)]);
        assert_eq!(parts(0x12000, 0x13000), [(Ephemeral, 0x10000, 0x20000, 0x4000)]);
        assert_eq!(parts(0x12000, 0x16000), [(Ephemeral, 0x10000, 0x20000, 0x4000)]);
    }
}
