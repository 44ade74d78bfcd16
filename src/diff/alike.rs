//! Changes that are alike as one row: forty new stacks of one size are one
//! fact, not forty. Holds a row a shape, up to a bound.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::merge::{Change, Side};
use super::who::{Names, Who};
use super::{Pair, RegionRow};
use crate::evidence::RegionKind;
use crate::map::{Protection, State};

/// Changes of more shapes than this stay rows of their own.
const SHAPES: usize = 1 << 14;

/// How changes of regions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rows {
    /// A row a change.
    #[default]
    Each,
    /// Those of one size, of one kind of owner and with one step of state and
    /// protection are one row, with the first address of them.
    Alike,
}

/// Collects rows.
pub(super) struct Alike<'a> {
    names: [Names<'a>; 2],
    /// The first row of a shape, by a hash of what tells shapes apart cheaply.
    /// Where two shapes have one hash, the rows of the second stay apart.
    shapes: HashMap<u64, usize>,
    rows: Vec<RegionRow>,
}

impl<'a> Alike<'a> {
    pub(super) fn of(pair: &Pair<'a>) -> Alike<'a> {
        let names = [0, 1].map(|at| Names::of(pair.analyses[at], pair.owners[at]));
        Alike { names, shapes: HashMap::new(), rows: Vec::new() }
    }

    /// Counts the change to those like it; answers it where it stays a row of
    /// its own.
    pub(super) fn push(&mut self, image: Option<u32>, change: Change) -> Option<RegionRow> {
        let whose = |at: usize, side: Option<Side>| self.names[at].who(side?.owner);
        let families = [whose(0, change.before), whose(1, change.after)];
        let hash = hash(image, &change, &families);
        let known = self.shapes.get(&hash).copied();
        if let Some(row) = known.and_then(|at| self.rows.get_mut(at))
            && row.image == image
            && is_alike(&row.change, &change)
            && row.families.as_deref().unwrap_or(&[None, None]) == &families
        {
            row.count += 1;
            return None;
        }
        let is_known = families.iter().any(Option::is_some);
        let families = is_known.then(|| Box::new(families));
        let row = RegionRow { image, change, count: 1, families };
        if known.is_some() || self.shapes.len() >= SHAPES {
            return Some(row);
        }
        self.shapes.insert(hash, self.rows.len());
        self.rows.push(row);
        None
    }

    /// The rows, by their first address.
    pub(super) fn finish(self) -> Vec<RegionRow> {
        self.rows
    }
}

/// What rows have in common that are one, owners apart.
fn is_alike(a: &Change, b: &Change) -> bool {
    type Shape = (RegionKind, State, Protection, Protection, u64);
    let side = |side: &Side| -> Shape {
        (side.kind, side.state, side.protect, side.allocation_protect, side.committed)
    };
    a.what == b.what
        && a.range.size() == b.range.size()
        && a.before.as_ref().map(side) == b.before.as_ref().map(side)
        && a.after.as_ref().map(side) == b.after.as_ref().map(side)
}

/// Of sizes and numbers alone: names are hashed only where there are some.
fn hash(image: Option<u32>, change: &Change, families: &[Option<Who>; 2]) -> u64 {
    let mix =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let side = |hash: u64, side: &Option<Side>| match side {
        None => mix(hash, 1),
        Some(side) => {
            let small = (side.kind.index() as u64) << 8 | side.state as u64;
            let protects = u64::from(side.protect.0) << 32 | u64::from(side.allocation_protect.0);
            mix(mix(mix(hash, small), protects), side.committed)
        }
    };
    let start =
        mix(change.range.size(), image.map_or(0, |at| u64::from(at) + 1) << 8 | change.what as u64);
    let hash = side(side(start, &change.before), &change.after);
    if families.iter().all(Option::is_none) {
        return hash;
    }
    let mut names = DefaultHasher::new();
    families.hash(&mut names);
    mix(hash, names.finish())
}
