//! Pointers that lead into blocks, by where they lie: in the writable data of
//! a module, or in a stack. Only captured memory is looked through, every
//! aligned word once, up to a bound. A word that looks like an address may be
//! a number: a count says where to look, not who owns the memory.

use std::collections::HashMap;

use super::{Block, Scan};
use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::dump::PointerWidth;
use crate::evidence::{RegionKind, Subject};

/// Bytes that are looked through: far above the writable data of any module.
const MOST: u64 = 512 << 20;
const WINDOW: u64 = 0x1_0000;

/// Where a pointer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Writable data of an image: a row of the images.
    Image(u32),
    /// Writable data of an image that no row is about.
    OtherImage,
    /// A stack.
    Stack,
}

/// Where the pointers to a family lie, and how many there are, most first.
pub type Pointers = Vec<(Place, u64)>;

/// Counts the pointers into blocks, which are disjoint and in address order:
/// for each of so many families.
pub fn scan(analysis: &Analysis<'_>, blocks: &[Block], families: usize) -> (Vec<Pointers>, Scan) {
    let targets = Targets::of(blocks);
    let narrow = has_32_bit_code(analysis);
    let mut counts: HashMap<(usize, Place), u64> = HashMap::new();
    let mut scan = Scan { bytes: 0, complete: true };
    for piece in analysis.pieces() {
        let Some(place) = place(analysis, &piece) else { continue };
        let width = match narrow && piece.range.start() >> 32 == 0 {
            true => PointerWidth::Bits32,
            false => analysis.dump.system.width,
        };
        let area = Area { range: piece.range, width, place };
        area.look(analysis, &targets, &mut scan, &mut counts);
    }
    let mut found = vec![Pointers::new(); families];
    for ((family, place), count) in counts {
        if let Some(pointers) = found.get_mut(family) {
            pointers.push((place, count));
        }
    }
    for pointers in &mut found {
        pointers.sort_unstable_by_key(|(place, count)| (std::cmp::Reverse(*count), *place));
    }
    (found, scan)
}

/// Whether a 64-bit dump is of a 32-bit program: its data has short pointers.
fn has_32_bit_code(analysis: &Analysis<'_>) -> bool {
    let mut tebs = analysis.evidence.environment.tebs.iter();
    tebs.any(|teb| teb.width == PointerWidth::Bits32)
}

fn place(analysis: &Analysis<'_>, piece: &Piece) -> Option<Place> {
    match piece.kind {
        RegionKind::Stack => Some(Place::Stack),
        RegionKind::Image if piece.region.protect.is_writable() => {
            let claim = piece.winner.and_then(|id| analysis.evidence.claims.get(id as usize));
            Some(match claim.map(|claim| claim.subject) {
                Some(Subject::Image(row)) => Place::Image(row),
                _ => Place::OtherImage,
            })
        }
        _ => None,
    }
}

/// The blocks, to be found by address.
struct Targets<'b> {
    blocks: &'b [Block],
    low: u64,
    high: u64,
}

impl<'b> Targets<'b> {
    fn of(blocks: &'b [Block]) -> Targets<'b> {
        let low = blocks.first().map_or(u64::MAX, |block| block.range.start());
        let high = blocks.last().map_or(0, |block| block.range.last());
        Targets { blocks, low, high }
    }

    /// The family of the block that holds an address.
    #[inline]
    fn find(&self, address: u64) -> Option<usize> {
        if address < self.low || address > self.high {
            return None;
        }
        let after = self.blocks.partition_point(|block| block.range.start() <= address);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        block.range.contains(address).then_some(block.family)
    }
}

struct Area {
    range: AddressRange,
    width: PointerWidth,
    place: Place,
}

impl Area {
    fn look(
        &self,
        analysis: &Analysis<'_>,
        targets: &Targets<'_>,
        scan: &mut Scan,
        counts: &mut HashMap<(usize, Place), u64>,
    ) {
        let memory = &analysis.dump.captured;
        let first = memory.ranges().partition_point(|run| run.range.last() < self.range.start());
        let runs = memory.ranges().get(first..).unwrap_or(&[]);
        for part in runs.iter().map_while(|run| run.range.intersect(self.range)) {
            let step = self.width.bytes() as u64;
            let Some(mut at) = part.start().checked_next_multiple_of(step) else { continue };
            while at <= part.last() {
                let left = MOST.saturating_sub(scan.bytes);
                let size = WINDOW.min((part.last() - at).saturating_add(1)).min(left);
                if size < step {
                    scan.complete &= left >= step;
                    break;
                }
                let bytes = memory.bytes_at(at, size as usize);
                if bytes.is_empty() {
                    break;
                }
                scan.bytes += bytes.len() as u64;
                for word in words(&bytes, self.width) {
                    if let Some(family) = targets.find(word) {
                        *counts.entry((family, self.place)).or_default() += 1;
                    }
                }
                let Some(next) = at.checked_add(size) else { break };
                at = next;
            }
        }
    }
}

fn words(bytes: &[u8], width: PointerWidth) -> impl Iterator<Item = u64> + '_ {
    let (wide, narrow) = match width {
        PointerWidth::Bits64 => (bytes, &bytes[..0]),
        PointerWidth::Bits32 => (&bytes[..0], bytes),
    };
    let wide = wide.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    let narrow = narrow.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word).into());
    wide.chain(narrow)
}
