//! How far a run is, on a terminal's standard error: dumps, bytes, rate,
//! failures, time left. Nothing in pipes and in CI, nor where the rows
//! themselves go to the terminal.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dumpmap::report::scan::ScanRow;
use dumpmap::size::human;
use indicatif::{ProgressBar, ProgressStyle};

use super::Scan;
use crate::cli::{Failure, Options};

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
        let style = ProgressStyle::with_template("{spinner} {human_pos} files {per_sec} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
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

impl Shown {
    fn step(&self) {
        self.bar.inc(1);
        let counted = self.counted.swap(0, Ordering::Relaxed);
        if counted > 0 {
            self.bar.set_length(counted);
            let style = ProgressStyle::with_template(
                "{wide_bar} {human_pos}/{human_len} files {per_sec} {eta} left {msg}",
            );
            self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        }
    }
}
