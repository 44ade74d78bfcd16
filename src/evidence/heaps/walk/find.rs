//! What an address in a heap is in.

use std::ops::ControlFlow;

use super::block::Block;
use super::{HeapType, Scope, walk_until};

/// The block around an address, and those beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockAt {
    /// Place of the heap in the scope's list.
    pub heap: usize,
    /// The smallest block that holds the address.
    pub block: Block,
    /// The container it is in, when it is in one.
    pub container: Option<Block>,
    /// The block before and the block behind it, of the same kind: entries of
    /// a segment, or blocks of a container.
    pub previous: Option<Block>,
    /// The block behind it.
    pub next: Option<Block>,
}

/// The block that holds `address`: walks the part of the heap around it.
/// `None` outside of heaps and where the walk cannot tell.
pub fn block_at(scope: &Scope<'_, '_>, address: u64) -> Option<BlockAt> {
    let holds = |part: &super::HeapPart| part.range.contains(address);
    let index = scope.heaps.iter().position(|heap| heap.parts.iter().any(holds));
    let index = index.into_iter();
    // Blocks of a page heap are in no part of it.
    let in_pages =
        (0..).zip(scope.heaps).filter(|(_, heap)| heap.heap_type == Some(HeapType::Page));
    let mut all = index.chain(in_pages.map(|(index, _)| index));
    all.find_map(|index| in_heap(scope, index, address))
}

fn in_heap(scope: &Scope<'_, '_>, index: usize, address: u64) -> Option<BlockAt> {
    let mut search = Search { address, ..Search::default() };
    walk_until(scope, index, Some(address), &mut |block| search.see(block));
    let (level, container) = match search.inner.found {
        Some(_) => (search.inner, search.outer.found),
        None => (search.outer, None),
    };
    let (block, previous, next) = (level.found?, level.previous, level.next);
    Some(BlockAt { heap: index, block, container, previous, next })
}

/// Blocks of a segment, and the blocks in those of them that are containers.
#[derive(Default)]
struct Search {
    address: u64,
    outer: Level,
    inner: Level,
}

#[derive(Default)]
struct Level {
    last: Option<Block>,
    found: Option<Block>,
    previous: Option<Block>,
    next: Option<Block>,
}

impl Search {
    /// A container's blocks come behind it, so that the next block of the
    /// segment ends the search.
    fn see(&mut self, block: &Block) -> ControlFlow<()> {
        let level = match block.place.container() {
            Some(_) => &mut self.inner,
            None => &mut self.outer,
        };
        level.see(self.address, block);
        match self.outer.over() || self.inner.over() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Level {
    fn see(&mut self, address: u64, block: &Block) {
        let beside = |other: &Block| other.place.same_list(block.place);
        if block.range().is_some_and(|range| range.contains(address)) {
            self.previous = self.last.filter(beside);
            self.found = Some(*block);
        } else if self.found.is_some() && self.next.is_none() {
            self.next = Some(*block).filter(|_| self.found.as_ref().is_some_and(beside));
        }
        self.last = Some(*block);
    }

    /// Whether a block was found and the walk has left it.
    fn over(&self) -> bool {
        self.found.is_some() && self.found != self.last
    }
}
