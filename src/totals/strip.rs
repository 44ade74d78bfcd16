//! The address space as a row of cells, built in one pass without knowing its
//! size beforehand: when the cells run out, neighbours are joined.

use crate::evidence::RegionKind;
use crate::map::State;

const KINDS: usize = RegionKind::COUNT;
/// The first size of a cell: one page.
const PAGE: u64 = 4096;

/// What a strip shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Every byte of a 32-bit range, free memory included.
    Linear,
    /// Committed memory only, in address order: in a 47-bit range the rest
    /// would leave a blank strip.
    Committed,
}

/// Bytes by kind, cell by cell, in address order.
#[derive(Clone, Debug)]
pub struct Strip {
    /// What it shows.
    pub scale: Scale,
    /// The most cells it may have, the open one counted.
    most: usize,
    /// The full cells.
    cells: Vec<[u64; KINDS]>,
    /// Bytes of a full cell.
    cell_size: u64,
    /// The cell that bytes are added to, and how many it has.
    open: [u64; KINDS],
    filled: u64,
}

impl Strip {
    /// A strip of at most `most` cells. A single one is no picture, and takes
    /// nothing.
    pub(super) fn new(linear: bool, most: usize) -> Strip {
        let scale = if linear { Scale::Linear } else { Scale::Committed };
        let cells = Vec::with_capacity(most);
        Strip { scale, most, cells, cell_size: PAGE, open: [0; KINDS], filled: 0 }
    }

    /// Whether free and reserved memory is shown too.
    #[inline]
    pub(super) fn is_linear(&self) -> bool {
        self.scale == Scale::Linear
    }

    /// Whether memory of this state has a place in the strip; `bare` is a
    /// mapping [without memory](crate::explained::is_without_memory).
    #[inline]
    pub fn shows(&self, state: State, bare: bool) -> bool {
        self.is_linear() || !(bare || matches!(state, State::Free | State::Reserve))
    }

    /// Adds the next bytes in address order.
    #[inline(always)]
    pub(super) fn add(&mut self, kind: usize, bytes: u64) {
        if self.most <= 1 {
            return;
        }
        if bytes > self.cell_size - self.filled {
            return self.add_across(kind, bytes);
        }
        self.open[kind] += bytes;
        self.filled += bytes;
    }

    /// Adds bytes that do not fit the open cell.
    fn add_across(&mut self, kind: usize, bytes: u64) {
        let mut left = bytes;
        while left > self.room() {
            self.join_neighbours();
        }
        while left > 0 {
            if self.filled == self.cell_size {
                self.cells.push(std::mem::take(&mut self.open));
                self.filled = 0;
            }
            let part = left.min(self.cell_size - self.filled);
            self.open[kind] += part;
            self.filled += part;
            left -= part;
        }
    }

    /// Bytes until the cells run out, the open one being the last.
    fn room(&self) -> u64 {
        let unused = (self.most - 1 - self.cells.len()) as u64;
        unused.saturating_mul(self.cell_size).saturating_add(self.cell_size - self.filled)
    }

    /// Joins each two full cells; an odd one is joined with the open one.
    fn join_neighbours(&mut self) {
        let sum = |left: &[u64; KINDS], right: &[u64; KINDS]| {
            let mut sum = *left;
            sum.iter_mut().zip(right).for_each(|(sum, bytes)| *sum += bytes);
            sum
        };
        let odd = if self.cells.len() % 2 == 1 { self.cells.pop() } else { None };
        if let Some(last) = odd {
            self.open = sum(&last, &self.open);
            self.filled += self.cell_size;
        }
        for at in 0..self.cells.len() / 2 {
            self.cells[at] = sum(&self.cells[2 * at], &self.cells[2 * at + 1]);
        }
        self.cells.truncate(self.cells.len() / 2);
        self.cell_size = self.cell_size.saturating_mul(2);
    }

    /// Bytes shown in all.
    pub fn bytes(&self) -> u64 {
        self.cells.len() as u64 * self.cell_size + self.filled
    }

    /// The strip at a width: the kind with most bytes in each cell.
    pub fn kinds(&self, width: usize) -> Vec<RegionKind> {
        let total = self.bytes();
        if total == 0 || width == 0 {
            return Vec::new();
        }
        let width = width.min(usize::try_from(total).unwrap_or(usize::MAX));
        let mut out = vec![[0_u128; KINDS]; width];
        let mut start = 0_u64;
        for cell in self.cells.iter().chain([&self.open]) {
            let size: u64 = cell.iter().sum();
            let place = |at: u64| (u128::from(at) * width as u128 / u128::from(total)) as usize;
            let (first, last) = (place(start), place(start + size.saturating_sub(1)));
            for (share, target) in shares(start, size, total, width, first, last) {
                for (sum, bytes) in out[target].iter_mut().zip(cell) {
                    *sum += u128::from(*bytes) * share;
                }
            }
            start += size;
        }
        out.iter().map(most).collect()
    }
}

/// How a cell of the strip spreads over the cells of the picture: shares in
/// units that are the same for all.
fn shares(
    start: u64,
    size: u64,
    total: u64,
    width: usize,
    first: usize,
    last: usize,
) -> impl Iterator<Item = (u128, usize)> {
    let (total, columns) = (u128::from(total), width as u128);
    let (from, to) = (u128::from(start) * columns, u128::from(start + size) * columns);
    (first..=last.min(width - 1)).map(move |column| {
        let (left, right) = (column as u128 * total, (column as u128 + 1) * total);
        (right.min(to).saturating_sub(left.max(from)), column)
    })
}

fn most(cell: &[u128; KINDS]) -> RegionKind {
    let best = (0..KINDS).rev().max_by_key(|kind| cell[*kind]);
    best.map_or(RegionKind::Unknown, |kind| RegionKind::ALL[kind])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(runs: &[(RegionKind, u64)]) -> Strip {
        let mut strip = Strip::new(true, 512);
        for (kind, bytes) in runs {
            strip.add(kind.index(), *bytes);
        }
        strip
    }

    #[test]
    fn every_byte_is_in_a_cell_however_many_there_are() {
        for size in [1, 4095, 4096, 4097, 1 << 20, 1 << 31, 1 << 47] {
            let strip =
                strip(&[(RegionKind::Free, size), (RegionKind::Heap, size), (RegionKind::Free, 3)]);
            assert_eq!(strip.bytes(), 2 * size + 3);
            let sum: u64 = strip.cells.iter().chain([&strip.open]).flatten().sum();
            assert_eq!(sum, 2 * size + 3);
            assert!(strip.cells.len() < 512);
        }
    }

    #[test]
    fn the_picture_keeps_the_order() {
        let strip = strip(&[(RegionKind::Image, 1 << 20), (RegionKind::Free, 1 << 20)]);
        assert_eq!(
            strip.kinds(4),
            [RegionKind::Image, RegionKind::Image, RegionKind::Free, RegionKind::Free]
        );
        assert_eq!(Strip::new(true, 512).kinds(10), []);
    }
}
