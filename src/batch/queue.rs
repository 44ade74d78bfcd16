//! Brings what workers finish in any order back into the order of the inputs.
//! What waits for its turn is bounded; who is too far ahead waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many bundles of rows may wait: a worker hands a bundle over at once,
/// because to wake the reader for each row would cost as much as a small dump.
const BUNDLES: usize = 8;

/// But none waits longer than this for the ones after it.
const AT_LEAST_EVERY: Duration = Duration::from_millis(50);

/// Where something stands in the order: the number of its input, and which of
/// the input's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    input: usize,
    part: u64,
}

impl Place {
    /// The first place of an input.
    pub(super) fn first(input: usize) -> Place {
        Place { input, part: 0 }
    }
}

/// The shared part.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Something new is there for the reader.
    filled: Condvar,
    /// There is room again, or nobody reads any more.
    emptied: Condvar,
    most: usize,
}

#[derive(Debug)]
struct State<T> {
    /// `None` ends an input.
    waiting: BTreeMap<Place, Option<T>>,
    next: Place,
    writers: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(most: usize) -> Queue<T> {
        let next = Place::first(0);
        Queue {
            state: Mutex::new(State { waiting: BTreeMap::new(), next, writers: 0, closed: false }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            most: most.max(1),
        }
    }

    /// A way in for one worker.
    pub(super) fn writer(queue: Arc<Queue<T>>) -> Writer<T> {
        queue.lock().writers += 1;
        let most = 2 * (queue.most / BUNDLES).max(1);
        Writer { queue, most, bundle: Vec::with_capacity(most), handed_over: Instant::now() }
    }

    /// Waits for what comes next and moves all of it that is there to `ready`;
    /// nothing when all writers are gone.
    pub(super) fn take(&self, ready: &mut VecDeque<T>) {
        let mut state = self.lock();
        loop {
            loop {
                let next = state.next;
                match state.waiting.remove(&next) {
                    None => break,
                    Some(Some(item)) => {
                        ready.push_back(item);
                        state.next.part += 1;
                    }
                    Some(None) => state.next = Place::first(next.input + 1),
                }
            }
            if !ready.is_empty() || (state.writers == 0 && state.waiting.is_empty()) {
                self.emptied.notify_all();
                return;
            }
            if let (0, Some(first)) = (state.writers, state.waiting.keys().next().copied()) {
                // A worker is lost with its dump; the others' rows are not.
                state.next = first;
                continue;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody reads any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.emptied.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one worker writes through. Dropping it hands over the rest.
#[derive(Debug)]
pub(super) struct Writer<T> {
    queue: Arc<Queue<T>>,
    /// A row and the end of its input, as often as they are handed over at
    /// once.
    most: usize,
    bundle: Vec<(Place, Option<T>)>,
    handed_over: Instant,
}

impl<T> Writer<T> {
    /// Puts the next of an input, and moves on to the place after it.
    pub(super) fn put(&mut self, place: &mut Place, item: T) {
        self.push(*place, Some(item));
        place.part += 1;
    }

    /// Nothing more comes of the input.
    pub(super) fn end(&mut self, place: Place) {
        self.push(place, None);
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    fn push(&mut self, place: Place, item: Option<T>) {
        self.bundle.push((place, item));
        if self.bundle.len() >= self.most || self.handed_over.elapsed() > AT_LEAST_EVERY {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let mut state = self.queue.lock();
        // Who brings what the reader waits for never waits: that is what makes room.
        while state.waiting.len() >= self.queue.most
            && !state.closed
            && (state.waiting.contains_key(&state.next)
                || !self.bundle.iter().any(|(place, _)| *place == state.next))
        {
            state = self.queue.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            self.bundle.clear();
        }
        state.waiting.extend(self.bundle.drain(..));
        let wanted = state.waiting.contains_key(&state.next);
        drop(state);
        if wanted {
            self.queue.filled.notify_one();
        }
        self.handed_over = Instant::now();
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.hand_over();
        self.queue.lock().writers -= 1;
        self.queue.filled.notify_one();
    }
}
