//! The random numbers that ntdll XORs its heaps' structures with, found
//! without symbols: from structures of which the other side is known.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::super::context::Context;
use super::super::{Heap, HeapType};
use super::user_blocks::{self, UserBlocks};
use crate::dump::{Dump, PointerWidth};
use crate::map::RegionMap;

/// The keys of one process. A WOW64 process has two ntdlls, and so two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    native: Option<u32>,
    other: Option<u32>,
}

impl Keys {
    /// `RtlpLFHKey` of the ntdll of this width; `None` when it was not found,
    /// and for Windows 7 and earlier, which have none.
    pub fn low_fragmentation(&self, width: PointerWidth) -> Option<u32> {
        match width {
            PointerWidth::Bits64 => self.native,
            PointerWidth::Bits32 => self.other,
        }
    }
}

/// Containers asked at most; the key is the one that most agree on.
const ENOUGH: usize = 64;

pub(super) fn find(dump: &Dump<'_>, map: &RegionMap<'_>, heaps: &[Heap]) -> Keys {
    Keys {
        native: of_width(dump, map, heaps, PointerWidth::Bits64),
        other: of_width(dump, map, heaps, PointerWidth::Bits32),
    }
}

fn of_width(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    heaps: &[Heap],
    width: PointerWidth,
) -> Option<u32> {
    let wanted = |heap: &&Heap| {
        heap.width == width
            && heap.heap_type == Some(HeapType::Nt)
            && heap.front_end.is_none_or(|front_end| front_end == "lfh")
    };
    let parts = heaps.iter().filter(wanted).flat_map(|heap| &heap.parts);
    let mut context = Context::new(dump, map);
    let mut found = Vec::new();
    for part in parts.filter(|part| part.role == "segment") {
        let ended = user_blocks::signatures(dump, part.range, &mut |hit| {
            let blocks = user_blocks::at_signature(&mut context, hit, Some(width));
            found.extend(blocks.filter(|blocks| blocks.masked.is_some()));
            if found.len() < ENOUGH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if ended.is_break() {
            break;
        }
    }
    vote(&found)
}

/// The key that most containers agree on, and more than half of them. One
/// container alone has two possible first blocks, and so two keys: the nearer.
pub(super) fn vote(containers: &[UserBlocks]) -> Option<u32> {
    let mut votes = BTreeMap::new();
    let mut voters = 0_u32;
    for blocks in containers {
        let first = blocks.first_by_size();
        let Some(near) = blocks.key_for(first) else { continue };
        voters = voters.saturating_add(1);
        let far = blocks.key_for(first.saturating_add(0x10));
        for (key, weight) in std::iter::once((near, 3_u32)).chain(far.map(|key| (key, 2))) {
            let votes: &mut u32 = votes.entry(key).or_default();
            *votes = votes.saturating_add(weight);
        }
    }
    let (key, weight) = votes.into_iter().max_by_key(|(_, weight)| *weight)?;
    (weight > voters).then_some(key)
}

/// The low half of an address.
pub(super) fn low(address: u64) -> u32 {
    u32::try_from(address & 0xffff_ffff).unwrap_or(0)
}
