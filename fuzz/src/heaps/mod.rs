//! Dumps with heaps of every layout, and patches on them that reach behind the
//! first check of a heap: pointers to what is there, headers with a checksum
//! that holds, pages that are not captured.
//!
//! An input is the number of a base and then patches of [`Patch::SIZE`] bytes
//! each. `cargo run --bin heap_seeds -- FOLDER` writes inputs to begin with.

mod made;

use std::sync::OnceLock;

use dumpmap::evidence::heaps::walk::{Scope, walk};
use dumpmap::evidence::heaps::{Heap, HeapType};
use dumpmap::limits::Limits;
use dumpmap::source::Source;

/// One dump that patches are put on.
pub struct Base {
    bytes: Vec<u8>,
    /// The captured runs that heaps are in.
    pub windows: Vec<Window>,
    /// Addresses in heaps, for pointers.
    known: Vec<u64>,
    /// Where blocks begin: window and offset.
    pub blocks: Vec<(u8, u32)>,
    pointer_size: usize,
}

/// Captured bytes of a heap.
pub struct Window {
    address: u64,
    size: u64,
    /// Place in the file.
    offset: usize,
    /// Place of its record in the Memory64List.
    record: Option<usize>,
    /// What the NT heap XORs its headers with.
    key: [u8; 8],
}

/// One change.
#[derive(Clone, Copy, Debug)]
pub struct Patch {
    pub operation: u8,
    pub window: u8,
    pub offset: u32,
    pub value: u64,
}

impl Patch {
    pub const SIZE: usize = 14;
    pub const OPERATIONS: u8 = 8;

    fn read(bytes: &[u8; Patch::SIZE]) -> Patch {
        let [operation, window, a, b, c, d, rest @ ..] = *bytes;
        let (offset, value) = (u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(rest));
        Patch { operation, window, offset, value }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.operation, self.window];
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
        bytes
    }
}

/// All dumps that patches are put on.
pub fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        (0..).zip(made::dumps()).map(|(number, dump)| Base::new(number, dump)).collect()
    })
}

/// The dump that an input stands for.
pub fn dump(input: &[u8]) -> Option<Vec<u8>> {
    const MOST: usize = 64;
    let (choice, patches) = input.split_first()?;
    let base = &bases()[usize::from(*choice) % bases().len()];
    let mut bytes = base.bytes.clone();
    for patch in patches.as_chunks::<{ Patch::SIZE }>().0.iter().take(MOST) {
        base.apply(&mut bytes, Patch::read(patch));
    }
    Some(bytes)
}

impl Base {
    fn new(number: usize, bytes: Vec<u8>) -> Base {
        let source = Source::from_bytes(bytes.clone());
        let analysis = dumpmap::analyze(&source, &Limits::default()).expect("a sound dump");
        let heaps = &analysis.evidence.heaps;
        assert!(heaps.iter().any(|heap| heap.heap_type.is_some()), "base {number} has no heap");
        let mut windows = Vec::new();
        for run in analysis.dump.captured.ranges() {
            let holds = |heap: &&Heap| {
                heap.parts.iter().any(|part| part.range.intersect(run.range).is_some())
            };
            let Some(heap) = heaps.iter().find(holds) else { continue };
            windows.push(Window {
                address: run.range.start(),
                size: run.range.size(),
                offset: run.offset as usize,
                record: record(&bytes, run.range.start()),
                key: key(&analysis.dump.captured.bytes_at(heap.address, 0x100), heap),
            });
        }
        let mut known: Vec<u64> = heaps.iter().map(|heap| heap.address).collect();
        known.extend(heaps.iter().flat_map(|heap| &heap.parts).map(|part| part.range.start()));
        let scope = Scope::of(&analysis.dump, &analysis.map, heaps);
        let mut starts = Vec::new();
        for index in 0..heaps.len() {
            walk(&scope, index, &mut |block| starts.push(block.start));
        }
        starts.truncate(400);
        known.extend(&starts);
        let place = |start: &u64| {
            let window = windows.iter().position(|window| {
                start - window.address.min(*start) < window.size && window.address <= *start
            })?;
            Some((u8::try_from(window).ok()?, (start - windows[window].address) as u32))
        };
        let blocks = starts.iter().filter_map(place).collect();
        let pointer_size = analysis.dump.system.width.bits() as usize / 8;
        Base { bytes, windows, known, blocks, pointer_size }
    }

    fn apply(&self, bytes: &mut [u8], patch: Patch) {
        let Some(window) = self.windows.get(usize::from(patch.window) % self.windows.len()) else {
            return;
        };
        let offset = u64::from(patch.offset) % window.size;
        let value = patch.value.to_le_bytes();
        let at = window.offset + offset as usize;
        let end = window.offset + window.size as usize;
        let mut write = |at: usize, new: &[u8]| {
            if at + new.len() <= end {
                bytes[at..at + new.len()].copy_from_slice(new);
            }
        };
        match patch.operation % Patch::OPERATIONS {
            0 => {
                let old: Vec<u8> = bytes[at..end].iter().take(8).copied().collect();
                let new: Vec<u8> = old.iter().zip(value).map(|(old, new)| old ^ new).collect();
                bytes[at..at + new.len()].copy_from_slice(&new);
            }
            1 => {
                let place = (patch.value & 0xffff) as usize % self.known.len();
                let behind = patch.value >> 16 & 0xff;
                let pointer = self.known[place].wrapping_add(behind * 8).to_le_bytes();
                write(at, &pointer[..self.pointer_size]);
            }
            2 => write(at, &value[..2]),
            3 => write(at, &value[..1]),
            4 => {
                let granule = 2 * self.pointer_size;
                let start = at / granule * granule + if self.pointer_size == 8 { 8 } else { 0 };
                let [low, high, flags, _, previous, previous_high, segment, unused] = value;
                let sum = low ^ high ^ flags;
                let entry = [low, high, flags, sum, previous, previous_high, segment, unused];
                let stored: Vec<u8> =
                    entry.iter().zip(window.key).map(|(byte, key)| byte ^ key).collect();
                write(start, &stored);
            }
            5 => {
                let from = window.offset + (patch.value % window.size) as usize;
                let copied: Vec<u8> = bytes[from..end].iter().take(16).copied().collect();
                if at + copied.len() <= end {
                    bytes[at..at + copied.len()].copy_from_slice(&copied);
                }
            }
            6 => {
                // A run of no bytes is not captured; the ones behind keep
                // their places because its own goes far away.
                if let Some(record) = window.record {
                    let away = 0x7000_0000_0000_u64 + window.address % 0x1000_0000_0000;
                    bytes[record..record + 8].copy_from_slice(&away.to_le_bytes());
                }
            }
            _ => write(at, &[value[0]; 64]),
        }
    }
}

/// Where the record of the run at `address` is in the Memory64List.
fn record(bytes: &[u8], address: u64) -> Option<usize> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (streams, directory) = (word(8)? as usize, word(12)? as usize);
    let list = (0..streams).map(|index| directory + 12 * index).find(|at| word(*at) == Some(9))?;
    let list = word(list + 8)? as usize;
    let count = word(list)? as usize;
    let records = (0..count).map(|index| list + 16 + 16 * index);
    records.into_iter().find(|at| bytes.get(*at..*at + 8) == Some(&address.to_le_bytes()))
}

/// `_HEAP.Encoding`, where the heap has one.
fn key(header: &[u8], heap: &Heap) -> [u8; 8] {
    let at = |x86: usize, x64: usize| if heap.width.bits() == 32 { x86 } else { x64 };
    let (mask, key) = (at(0x4c, 0x7c), at(0x50, 0x88));
    let encoded = header.get(mask + 2).is_some_and(|byte| byte & 0x10 != 0);
    let found = header.get(key..).and_then(|bytes| bytes.first_chunk::<8>());
    match (heap.heap_type, found) {
        (Some(HeapType::Nt), Some(found)) if encoded => *found,
        _ => [0; 8],
    }
}
