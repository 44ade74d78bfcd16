//! Rows made one at a time, when they are written: a list of a forged million
//! costs what one row does.

use std::fmt;

use serde::{Serialize, Serializer};

/// A list whose rows are made when they are asked for.
pub struct Lazy<'a, V> {
    len: usize,
    make: Box<dyn Fn(usize) -> Option<V> + 'a>,
}

impl<'a, V> Lazy<'a, V> {
    /// One row for each of `items`.
    pub(super) fn of<T>(items: &'a [T], view: impl Fn(&'a T) -> V + 'a) -> Lazy<'a, V> {
        Lazy { len: items.len(), make: Box::new(move |at| items.get(at).map(&view)) }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows, each made anew.
    pub fn iter(&self) -> impl Iterator<Item = V> + '_ {
        (0..self.len).map_while(|at| (self.make)(at))
    }
}

impl<V> fmt::Debug for Lazy<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<V: Serialize> Serialize for Lazy<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
