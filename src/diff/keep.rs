//! Keeps the rows that changed most, and never many more.

use std::cmp::Reverse;

use super::Question;

/// Which growth counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sort {
    /// Committed memory, then address space.
    #[default]
    Committed,
    /// Address space, then committed memory.
    Size,
}

/// A row that grew, shrank, or changed in another way.
pub(super) trait Measured {
    fn committed(&self) -> i128;
    fn size(&self) -> i128;
    /// Bytes that it is about.
    fn touched(&self) -> u64;
}

/// Rows are dropped when this many more than asked for have come.
const SLACK: usize = 64;

pub(super) struct Keep<T> {
    top: usize,
    min: u64,
    sort: Sort,
    grew: List<T>,
    shrank: List<T>,
    other: List<T>,
}

/// Rows, and how much those had that were the last to stay: what has no more
/// than that comes too late.
struct List<T> {
    rows: Vec<T>,
    least: Option<Much>,
}

/// Growth that counts, the other growth, bytes touched.
type Much = (u128, u128, u64);

impl<T: Measured> Keep<T> {
    pub(super) fn new(question: &Question) -> Keep<T> {
        Keep {
            top: question.top,
            min: question.min,
            sort: question.sort,
            grew: List { rows: Vec::new(), least: None },
            shrank: List { rows: Vec::new(), least: None },
            other: List { rows: Vec::new(), least: None },
        }
    }

    pub(super) fn push(&mut self, row: T) {
        let (first, second) = growth(self.sort, &row);
        let bytes = first.unsigned_abs().max(second.unsigned_abs());
        let bytes = if bytes == 0 { row.touched().into() } else { bytes };
        if bytes < self.min.into() {
            return;
        }
        let list = match (if first == 0 { second } else { first }).signum() {
            1 => &mut self.grew,
            -1 => &mut self.shrank,
            _ => &mut self.other,
        };
        if list.least.is_some_and(|least| much(self.sort, &row) <= least) {
            return;
        }
        list.rows.push(row);
        if list.rows.len() / 2 > self.top.saturating_add(SLACK) {
            cut(&mut list.rows, self.sort, self.top);
            list.least = list.rows.last().map(|row| much(self.sort, row));
        }
    }

    /// Those that grew, those that shrank, the others; most first. Rows that
    /// are equal stay in the order in which they came.
    pub(super) fn finish(self) -> Vec<T> {
        let mut lists = [self.grew, self.shrank, self.other].map(|list| list.rows);
        for list in &mut lists {
            cut(list, self.sort, self.top);
        }
        lists.into_iter().flatten().collect()
    }
}

fn cut<T: Measured>(list: &mut Vec<T>, sort: Sort, top: usize) {
    list.sort_by_key(|row| Reverse(much(sort, row)));
    list.truncate(top);
}

fn much(sort: Sort, row: &impl Measured) -> Much {
    let (first, second) = growth(sort, row);
    (first.unsigned_abs(), second.unsigned_abs(), row.touched())
}

fn growth(sort: Sort, row: &impl Measured) -> (i128, i128) {
    match sort {
        Sort::Committed => (row.committed(), row.size()),
        Sort::Size => (row.size(), row.committed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Rows, RunChoice};

    impl Measured for (i128, i128) {
        fn committed(&self) -> i128 {
            self.0
        }
        fn size(&self) -> i128 {
            self.1
        }
        fn touched(&self) -> u64 {
            7
        }
    }

    fn kept(rows: &[(i128, i128)], top: usize, min: u64, sort: Sort) -> Vec<(i128, i128)> {
        let mut keep =
            Keep::new(&Question { run: RunChoice::Decide, top, min, sort, rows: Rows::Each });
        rows.iter().for_each(|row| keep.push(*row));
        keep.finish()
    }

    #[test]
    fn most_first_in_each_direction() {
        let rows = [(0, 0), (-3, 0), (1, 9), (5, 0), (0, 4), (-8, 0), (0, -1)];
        let all = [(5, 0), (1, 9), (0, 4), (-8, 0), (-3, 0), (0, -1), (0, 0)];
        assert_eq!(kept(&rows, 9, 0, Sort::Committed), all);
        assert_eq!(kept(&rows, 1, 0, Sort::Committed), [(5, 0), (-8, 0), (0, 0)]);
        assert_eq!(kept(&rows, 1, 8, Sort::Committed), [(1, 9), (-8, 0)]);
        assert_eq!(kept(&rows, 2, 0, Sort::Size)[..2], [(1, 9), (0, 4)]);
    }

    #[test]
    fn many_rows_take_little_room() {
        let many: Vec<(i128, i128)> = (1..50_000).map(|n| (n, 0)).collect();
        assert_eq!(kept(&many, 2, 0, Sort::Committed), [(49_999, 0), (49_998, 0)]);
        // The last come too late for a place, whichever way they go.
        let falling: Vec<(i128, i128)> = (1..50_000).map(|n| (50_000 - n, n % 7)).collect();
        assert_eq!(kept(&falling, 2, 0, Sort::Committed), [(49_999, 1), (49_998, 2)]);
        assert!(kept(&many, 0, 0, Sort::Committed).is_empty());
    }
}
