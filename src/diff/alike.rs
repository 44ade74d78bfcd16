//! Changes that are alike as one row: forty new stacks of one size are one
//! fact, not forty. Holds a row a shape, up to a bound.

use std::collections::HashMap;

use super::merge::{Change, Side, What};
use super::who::{Names, Who};
use super::{Pair, RegionRow};
use crate::evidence::RegionKind;
use crate::map::{Protection, State};

/// More shapes than this stay rows of their own.
const SHAPES: usize = 1 << 16;

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

/// What rows have in common that are one.
type Shape = (Option<u32>, What, u64, Option<SideShape>, Option<SideShape>);
type SideShape = (RegionKind, Option<Who>, State, Protection, Protection, u64);

/// Collects rows.
pub(super) struct Alike<'a> {
    names: [Names<'a>; 2],
    shapes: HashMap<Shape, usize>,
    rows: Vec<RegionRow>,
}

impl<'a> Alike<'a> {
    pub(super) fn of(pair: &Pair<'a>) -> Alike<'a> {
        let names = [0, 1].map(|at| Names::of(pair.analyses[at], pair.owners[at]));
        Alike { names, shapes: HashMap::new(), rows: Vec::new() }
    }

    pub(super) fn push(&mut self, image: Option<u32>, change: Change) {
        let side = |at: usize, side: Option<Side>| {
            let side: Side = side?;
            let who = self.names[at].who(side.owner);
            let protects = (side.protect, side.allocation_protect);
            Some((side.kind, who, side.state, protects.0, protects.1, side.committed))
        };
        let (before, after) = (side(0, change.before), side(1, change.after));
        let families =
            [&before, &after].map(|side| side.as_ref().and_then(|(_, who, ..)| who.clone()));
        let size = change.range.size();
        let shape = (image, change.what, size, before, after);
        if let Some(row) = self.shapes.get(&shape).and_then(|at| self.rows.get_mut(*at)) {
            row.count += 1;
            return;
        }
        if self.shapes.len() < SHAPES {
            self.shapes.insert(shape, self.rows.len());
        }
        self.rows.push(RegionRow { image, change, count: 1, families });
    }

    /// The rows, by their first address.
    pub(super) fn finish(self) -> Vec<RegionRow> {
        self.rows
    }
}
