//! Walks a LIST_ENTRY list in the dumped process, forwards, and from the
//! other end when it breaks off. Every entry once, never more links than the
//! [context](Context) pays for.

use std::collections::HashSet;

use super::context::Context;
use crate::dump::PointerWidth;

/// The entries of one list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    /// Those whose links are captured, the head left out.
    pub(super) read: Vec<u64>,
    /// Those that a neighbour or the head points to and that are not captured.
    pub(super) unread: Vec<u64>,
    /// Whether the walk came back to the head.
    pub(super) closed: bool,
    /// What contradicts itself.
    pub(super) problem: Option<String>,
}

#[derive(Clone, Copy)]
enum Direction {
    Forwards,
    Backwards,
}

/// The entries of the list that `head` heads.
pub(super) fn entries(context: &mut Context<'_, '_>, head: u64, width: PointerWidth) -> Entries {
    let mut entries = Entries::default();
    let Some((first, last)) = context.links_at(head, width) else {
        entries.problem = Some(format!("the list head at {head:#x} is not captured"));
        return entries;
    };
    let mut walk = Walk { context, head, width, visited: HashSet::new(), entries };
    walk.run(first, Direction::Forwards);
    if !walk.entries.closed {
        walk.run(last, Direction::Backwards);
    }
    walk.entries
}

struct Walk<'w, 'a, 's> {
    context: &'w mut Context<'a, 's>,
    head: u64,
    width: PointerWidth,
    visited: HashSet<u64>,
    entries: Entries,
}

impl Walk<'_, '_, '_> {
    fn run(&mut self, first: u64, direction: Direction) {
        let (mut entry, mut before) = (first, self.head);
        while entry != self.head {
            if !self.visited.insert(entry) {
                if matches!(direction, Direction::Forwards) {
                    self.problem(|| format!("the list turns back to its entry at {entry:#x}"));
                }
                return;
            }
            if !self.context.follow() {
                self.problem(|| "the list is too long; the rest is left out".into());
                return;
            }
            let Some(links) = self.context.links_at(entry, self.width) else {
                self.entries.unread.push(entry);
                return;
            };
            let (next, back) = match direction {
                Direction::Forwards => links,
                Direction::Backwards => (links.1, links.0),
            };
            if back != before {
                self.problem(|| format!("the links of the list disagree at {entry:#x}"));
            }
            self.entries.read.push(entry);
            (before, entry) = (entry, next);
        }
        self.entries.closed = matches!(direction, Direction::Forwards);
    }

    fn problem(&mut self, words: impl FnOnce() -> String) {
        if self.entries.problem.is_none() {
            self.entries.problem = Some(words());
        }
    }
}
