//! How far a run is, on a terminal's standard error: dumps, bytes, rate,
//! failures, time left. Nothing in pipes and in CI, nor where the rows
//! themselves go to the terminal.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dumpmap::report::scan::ScanRow;
use dumpmap::size::human;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::Scan;
use crate::cli::{Failure, Options, output};

/// The line, if there is one.
pub(super) struct Progress {
    shown: Option<Shown>,
}

struct Shown {
    bar: ProgressBar,
    bytes: u64,
    failed: u64,
    counted: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn new(args: &Scan, options: &Options) -> Result<Progress, Failure> {
        let to_file = options.output.is_some() || !io::stdout().is_terminal();
        let quiet = !io::stderr().is_terminal() || std::env::var_os("CI").is_some();
        if quiet || !(to_file || args.order().is_some() || args.group_by.is_some()) {
            return Ok(Progress { shown: None });
        }
        let bar = ProgressBar::no_length();
        bar.set_style(style("{spinner} {human_pos} files {rate} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        let (counted, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        // Lists may come from a pipe, which can be read once.
        if args.inputs.files_from.is_none() && args.inputs.files0_from.is_none() {
            let (inputs, counted, over) = (args.found()?, Arc::clone(&counted), Arc::clone(&over));
            thread::spawn(move || {
                let number = inputs.take_while(|_| !over.load(Ordering::Relaxed)).count();
                counted.store(number as u64, Ordering::Relaxed);
            });
        }
        Ok(Progress { shown: Some(Shown { bar, bytes: 0, failed: 0, counted, over }) })
    }

    /// Writes to standard error, with the line out of the way: from any thread.
    pub(super) fn beside(&self) -> impl Fn(&str) + Send + 'static {
        let bar = self.shown.as_ref().map(|shown| shown.bar.clone());
        move |words| {
            let say = || drop(output::complain(words));
            bar.as_ref().map_or_else(say, |bar| bar.suspend(say));
        }
    }

    /// One more row.
    pub(super) fn row(&mut self, row: &ScanRow) {
        let Some(shown) = &mut self.shown else { return };
        shown.bytes += row.dump().map_or(0, |dump| dump.file_size);
        shown.failed += u64::from(row.dump().is_none());
        shown.step();
        let bytes = human(shown.bytes);
        shown.bar.set_message(match shown.failed {
            0 => bytes,
            failed => format!("{bytes} {failed} failed"),
        });
    }

    /// One more file that is no dump.
    pub(super) fn passed_over(&mut self) {
        if let Some(shown) = &mut self.shown {
            shown.step();
        }
    }

    /// Takes the line away.
    pub(super) fn finish(&mut self) {
        if let Some(shown) = self.shown.take() {
            shown.over.store(true, Ordering::Relaxed);
            shown.bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate)
}

impl Shown {
    fn step(&self) {
        self.bar.inc(1);
        let counted = self.counted.swap(0, Ordering::Relaxed);
        if counted > 0 {
            self.bar.set_length(counted);
            let all = "{wide_bar} {human_pos}/{human_len} files {rate} {eta} left {msg}";
            self.bar.set_style(style(all));
        }
    }
}
