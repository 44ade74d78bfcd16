//! Images of two runs, compared by their offsets: what ASLR moved is moved
//! back, so that a section that became writable shows.

use std::collections::HashMap;

use super::merge::{Change, Whose, merge};
use super::who::image_name;
use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::owner::{Owner, Owners};

/// Calls `found` with the image, by its place among the images of the first
/// dump, and each change in it. Of several images with one name the first of
/// each dump are compared.
pub(super) fn changes(
    analyses: [&Analysis<'_>; 2],
    owners: [&Owners<'_>; 2],
    whose: &impl Whose,
    mut found: impl FnMut(u32, Change),
) {
    let [mut before, mut after] = [0, 1].map(|at| pieces(analyses[at], owners[at]));
    let mut later: HashMap<String, u32> = HashMap::new();
    for (name, image) in first_of_each(analyses[1]) {
        later.insert(name, image);
    }
    let mut both: Vec<(u32, u32)> = first_of_each(analyses[0])
        .into_iter()
        .filter_map(|(name, image)| Some((image, *later.get(&name)?)))
        .collect();
    both.sort_unstable();
    for (old, new) in both {
        let (old_pieces, new_pieces) = (before.remove(&old), after.remove(&new));
        if let (Some(a), Some(b)) = (old_pieces, new_pieces) {
            merge(a.into_iter(), b.into_iter(), whose, |change| found(old, change));
        }
    }
}

/// Image names with the place of the first that has each.
fn first_of_each(analysis: &Analysis<'_>) -> Vec<(String, u32)> {
    let mut known: HashMap<String, u32> = HashMap::new();
    for (image, at) in analysis.evidence.images.iter().zip(0_u32..) {
        if !image.name().is_empty() {
            let name = image_name(analysis.dump.system.platform, image.name());
            known.entry(name).or_insert(at);
        }
    }
    known.into_iter().collect()
}

/// The pieces of each image, by offset. Grows with the pieces of images.
fn pieces(analysis: &Analysis<'_>, owners: &Owners<'_>) -> HashMap<u32, Vec<Piece>> {
    let mut pieces: HashMap<u32, Vec<Piece>> = HashMap::new();
    let mut sweep = analysis.pieces();
    let next = || {
        // Records that no claim touches belong to no image that is known.
        sweep.plain_records(|_| {});
        sweep.next()
    };
    for piece in std::iter::from_fn(next).filter(|piece| piece.winner.is_some()) {
        let Owner::Image(at) = owners.owner(&piece) else { continue };
        let Some(image) = analysis.evidence.images.get(at as usize) else { continue };
        let base = image.range.start();
        let moved = |address: u64| address.checked_sub(base);
        let (first, last) = (moved(piece.range.start()), moved(piece.range.last()));
        let range = first.zip(last).and_then(|(first, last)| AddressRange::spanning(first, last));
        let Some(range) = range else { continue };
        let mut piece = Piece { range, ..piece };
        piece.region.allocation_base =
            piece.region.allocation_base.map(|address| address.wrapping_sub(base));
        pieces.entry(at).or_default().push(piece);
    }
    pieces
}
