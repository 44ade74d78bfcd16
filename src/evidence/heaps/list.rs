//! Walks a LIST_ENTRY list in the dumped process, forwards, and from the
//! other end when it breaks off. Every entry once, never more links than the
//! [context](Context) pays for.

use std::collections::HashSet;
use std::fmt;

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
    pub(super) problem: Option<Problem>,
}

/// What is wrong with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The head is not captured.
    NoHead(u64),
    /// An entry leads back to one that was there before.
    TurnsBack(u64),
    /// An entry's link back does not lead to the entry before it.
    Disagree(u64),
    /// There are more entries than links may be followed.
    TooLong,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NoHead(at) => write!(f, "the list head at {at:#x} is not captured"),
            Problem::TurnsBack(at) => write!(f, "the list turns back to its entry at {at:#x}"),
            Problem::Disagree(at) => write!(f, "the links of the list disagree at {at:#x}"),
            Problem::TooLong => write!(f, "the list is too long; the rest is left out"),
        }
    }
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
        entries.problem = Some(Problem::NoHead(head));
        return entries;
    };
    let mut walk = Walk { context, head, width, visited: HashSet::new(), entries };
    walk.run(first, Direction::Forwards);
    if !walk.entries.closed {
        walk.run(last, Direction::Backwards);
    }
    walk.entries
}

/// How many entries a list has, without keeping them: for long lists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) entries: u64,
    /// Whether the walk came back to the head.
    pub(super) closed: bool,
    /// What contradicts itself; the walk ends there.
    pub(super) problem: Option<Problem>,
}

/// Counts the entries forwards, `most` at most. Where every entry's link back
/// leads to the one before, no entry can come twice.
pub(super) fn count(
    context: &mut Context<'_, '_>,
    head: u64,
    width: PointerWidth,
    most: u64,
) -> Count {
    let mut count = Count { entries: 0, closed: false, problem: None };
    let Some((mut entry, _)) = context.links_at(head, width) else { return count };
    let mut before = head;
    while entry != head {
        if count.entries >= most {
            return count;
        }
        let Some((next, back)) = context.links_at(entry, width) else { return count };
        if back != before {
            count.problem = Some(Problem::Disagree(entry));
            return count;
        }
        count.entries = count.entries.saturating_add(1);
        (before, entry) = (entry, next);
    }
    count.closed = true;
    count
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
                    self.problem(Problem::TurnsBack(entry));
                }
                return;
            }
            if !self.context.follow() {
                self.problem(Problem::TooLong);
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
                self.problem(Problem::Disagree(entry));
            }
            self.entries.read.push(entry);
            (before, entry) = (entry, next);
        }
        self.entries.closed = matches!(direction, Direction::Forwards);
    }

    fn problem(&mut self, problem: Problem) {
        self.entries.problem.get_or_insert(problem);
    }
}
