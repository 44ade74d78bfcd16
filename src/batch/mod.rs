//! Many dumps: inputs in, one row a dump out, in the order of the inputs at
//! any number of workers. No program around it: what a row is, is the
//! caller's.
//!
//! Memory follows the number of workers, never the number of dumps: a worker
//! holds one dump, and rows that wait for their turn are bounded. One bad dump
//! never ends a run: damage is in its analysis, a failure or a panic is an
//! error with its name.

#[cfg(feature = "archives")]
mod archive;
mod queue;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::analysis::{Analysis, analyze_with};
use crate::error::{Error, Result};
use crate::inputs::{Input, Opened, Reason};
use crate::limits::Limits;
use crate::rules::Thresholds;
use crate::source::Source;
use queue::{Place, Queue, Writer};

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many dumps are analysed at the same time.
    pub workers: usize,
    /// How many rows may wait for their turn.
    pub waiting: usize,
    /// The bounds for one dump, and how much of its memory is read.
    pub limits: Limits,
    /// What the rules compare with.
    pub thresholds: Thresholds,
    /// Set from anywhere, it ends the run after the dumps that have begun.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            workers: 1,
            waiting: 1024,
            limits: Limits::default(),
            thresholds: Thresholds::default(),
            stop: Arc::default(),
        }
    }
}

/// What came of one input.
#[derive(Debug)]
pub enum Outcome<R> {
    /// The row of a dump, or of a file that should have been one.
    Row(R),
    /// Something in a folder that is left out.
    PassedOver(Reason),
}

/// Starts the workers. `work` makes the row of one dump: from its displayed
/// name, and its analysis or why there is none. It runs in the workers; when
/// it panics, it is called once more with an error.
///
/// # Errors
/// No thread can be started.
pub fn rows<I, W, R>(inputs: I, options: &Options, work: W) -> io::Result<Rows<R>>
where
    I: Iterator<Item = Input> + Send + 'static,
    W: Fn(&OsStr, Result<&Analysis<'_>>) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    let within = options.clone();
    each(inputs, options, move |input, put| one(input, &within, &work, put))
}

/// As [`rows`], with other work: what is made of an input is its own, and all
/// that it puts stands in the place of the input.
///
/// # Errors
/// No thread can be started.
pub fn each<I, W, R>(inputs: I, options: &Options, work: W) -> io::Result<Rows<R>>
where
    I: Iterator<Item = Input> + Send + 'static,
    W: Fn(Input, &mut dyn FnMut(Outcome<R>)) + Send + Sync + 'static,
    R: Send + 'static,
{
    let queue = Arc::new(Queue::new(options.waiting));
    let feed = Arc::new(Mutex::new(inputs.enumerate()));
    let work = Arc::new(work);
    let mut threads = Vec::new();
    for number in 0..options.workers.max(1) {
        let (queue, feed, work, options) =
            (Arc::clone(&queue), Arc::clone(&feed), Arc::clone(&work), options.clone());
        let writer = Queue::writer(queue);
        let run = move || worker(&feed, &options, &*work, writer);
        // The main thread's usual size: recursion in one dump is bounded for it.
        let thread = thread::Builder::new().name(format!("dump {number}")).stack_size(8 << 20);
        match thread.spawn(run) {
            Ok(thread) => threads.push(thread),
            Err(error) if threads.is_empty() => return Err(error),
            // Fewer workers do the same work.
            Err(_) => break,
        }
    }
    Ok(Rows { queue, threads, ready: VecDeque::new() })
}

/// The rows of a run, in the order of its inputs. Dropping it ends the run.
#[derive(Debug)]
pub struct Rows<R> {
    queue: Arc<Queue<Outcome<R>>>,
    threads: Vec<JoinHandle<()>>,
    ready: VecDeque<Outcome<R>>,
}

impl<R> Iterator for Rows<R> {
    type Item = Outcome<R>;

    fn next(&mut self) -> Option<Outcome<R>> {
        if self.ready.is_empty() {
            self.queue.take(&mut self.ready);
        }
        self.ready.pop_front()
    }
}

impl<R> Drop for Rows<R> {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn worker<I, W, R>(
    feed: &Mutex<std::iter::Enumerate<I>>,
    options: &Options,
    work: &W,
    mut writer: Writer<Outcome<R>>,
) where
    I: Iterator<Item = Input>,
    W: Fn(Input, &mut dyn FnMut(Outcome<R>)),
{
    while !options.stop.load(Ordering::Relaxed) && !writer.is_closed() {
        // A panic of the iterator itself leaves nothing more to hand out.
        let next = feed.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((number, input)) = next else { break };
        let mut place = Place::first(number);
        work(input, &mut |outcome| writer.put(&mut place, outcome));
        writer.end(place);
    }
}

/// Everything that one input gives: one row, or one a dump for an archive.
fn one<W, R>(input: Input, options: &Options, work: &W, put: &mut dyn FnMut(Outcome<R>))
where
    W: Fn(&OsStr, Result<&Analysis<'_>>) -> R,
{
    let name = input.name().to_owned();
    match catch_unwind(AssertUnwindSafe(|| open(input, &options.limits))) {
        Ok(Ok(Opened::PassedOver(reason))) => put(Outcome::PassedOver(reason)),
        #[cfg(feature = "archives")]
        Ok(Ok(Opened::Source(source))) if archive::is_archive(&source) => {
            archive::rows(&name, &source, options, work, put);
        }
        Ok(Ok(Opened::Source(source))) => put(Outcome::Row(row(&name, &source, options, work))),
        Ok(Err(error)) => put(Outcome::Row(work(&name, Err(error)))),
        Err(_) => put(Outcome::Row(work(&name, Err(Error::internal())))),
    }
}

/// Opens an input. A name such as `dumps.zip!/one.dmp` is that member, unpacked
/// whole.
fn open(input: Input, limits: &Limits) -> Result<Opened> {
    #[cfg(feature = "archives")]
    if let Some(member) = input.path().and_then(|path| crate::archive::member(path, limits)) {
        return member.map(Opened::Source);
    }
    #[cfg(not(feature = "archives"))]
    let _ = limits;
    input.open()
}

/// The row of one dump that is open.
fn row<W, R>(name: &OsStr, source: &Source, options: &Options, work: &W) -> R
where
    W: Fn(&OsStr, Result<&Analysis<'_>>) -> R,
{
    let whole = || {
        let analysis = analyze_with(source, &options.limits, &options.thresholds);
        match (analysis, source.failure()) {
            (_, Some(error)) | (Err(error), None) => work(name, Err(error)),
            (Ok(analysis), None) => {
                let made = work(name, Ok(&analysis));
                // What makes the row may read on, and meet the end of the file.
                source.failure().map_or(made, |error| work(name, Err(error)))
            }
        }
    };
    // A mistake of ours in one dump must not keep the others from their rows.
    catch_unwind(AssertUnwindSafe(whole)).unwrap_or_else(|_| work(name, Err(Error::internal())))
}

#[cfg(test)]
mod tests;
