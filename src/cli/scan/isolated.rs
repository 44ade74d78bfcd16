//! `--isolate`: each file in a process of its own, with a bound on its time
//! and, on Unix, on its memory. For dumps that may be made to hurt: what
//! happens to such a process is the row of its file.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dumpmap::batch::Outcome;
use dumpmap::error::Error;
use dumpmap::inputs::{Input, Reason};
use dumpmap::report::scan::ScanRow;
use dumpmap::source::FileFormat;

use super::Scan;
use crate::cli::{Depth, Failure, Options, input};

/// How often it is looked whether a process has ended, at the most.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What every process is started with.
#[derive(Clone, Debug)]
pub(super) struct Isolated {
    program: PathBuf,
    options: Vec<String>,
    time: Duration,
    privacy: dumpmap::report::Privacy,
}

impl Isolated {
    pub(super) fn new(args: &Scan, options: &Options) -> Result<Isolated, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::Message(format!("scan: --isolate: cannot find this program: {error}"))
        })?;
        let depth = match options.depth {
            None | Some(Depth::Streams) => "streams",
            Some(Depth::Headers) => "headers",
            Some(Depth::Walk) => "walk",
        };
        let mut words = vec!["scan".to_owned(), "--format=jsonl".into(), "--jobs=1".into()];
        words.push(format!("--depth={depth}"));
        words.push(format!("--memory-limit={}", args.memory_limit));
        words.extend(args.nested().iter().map(|list| format!("--with={}", list.parquet())));
        if args.hash {
            words.push("--hash".into());
        }
        if options.redact {
            words.push("--redact".into());
        }
        let time = Duration::from_secs(args.timeout.get());
        Ok(Isolated { program, options: words, time, privacy: input::privacy(options) })
    }

    /// The rows of one file.
    pub(super) fn rows(&self, input: Input, put: &mut dyn FnMut(Outcome<ScanRow>)) {
        let name = input.name().to_owned();
        let Some(kind) = input.kind() else {
            // Standard input, and what could not be looked at, need no process.
            return match input.open() {
                Ok(dumpmap::inputs::Opened::PassedOver(reason)) => put(Outcome::PassedOver(reason)),
                Ok(_) => {
                    put(self.failed(&name, "--isolate cannot read standard input; give a file"))
                }
                Err(error) => put(Outcome::Row(ScanRow::failed(&name, self.privacy, &error))),
            };
        };
        match self.run(&name, kind) {
            Ok((status, output)) => self.report(&name, status, &output, put),
            Err(why) => put(self.failed(&name, &why)),
        }
    }

    fn report(
        &self,
        name: &OsStr,
        status: ExitStatus,
        output: &[u8],
        put: &mut dyn FnMut(Outcome<ScanRow>),
    ) {
        let mut rows = 0;
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            if let Some(row) = ScanRow::from_json(line) {
                rows += 1;
                put(Outcome::Row(row));
            }
        }
        match status.code() {
            Some(0 | 2) if rows > 0 => {}
            Some(PASSED_OVER) => put(Outcome::PassedOver(Reason::NotADump(FileFormat::Other))),
            _ => put(self.failed(name, &ended(status))),
        }
    }

    /// What the process prints until it ends; it is ended when its time is up.
    fn run(&self, name: &OsStr, kind: &str) -> Result<(ExitStatus, Vec<u8>), String> {
        let failed = |error: io::Error| format!("cannot start a process for it: {error}");
        let mut child = Command::new(&self.program)
            .args(&self.options)
            .arg(format!("--isolated={kind}"))
            .arg("--")
            .arg(name)
            // mimalloc would set aside a GiB of addresses at the start, and the
            // bound on memory is one on addresses.
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut stdout = child.stdout.take().ok_or("no pipe to its process")?;
        let reader = thread::spawn(move || {
            let mut output = Vec::new();
            stdout.read_to_end(&mut output).map(|_| output)
        });
        let status = self.wait(&mut child).map_err(failed)?;
        let output = reader.join().map_err(|_| "its process could not be read")?;
        let output = output.map_err(|error| format!("its process could not be read: {error}"))?;
        let late = || format!("not done in {} s; --timeout gives it more", self.time.as_secs());
        status.map(|status| (status, output)).ok_or_else(late)
    }

    /// `None` when the time is up.
    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let begun = Instant::now();
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if begun.elapsed() > self.time {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LOOK_EVERY);
        }
    }

    fn failed(&self, name: &OsStr, why: &str) -> Outcome<ScanRow> {
        let error = Error::isolated(why);
        Outcome::Row(ScanRow::failed(name, self.privacy, &error))
    }
}

/// The exit code of a process whose file is no dump and does not say it is.
pub(super) const PASSED_OVER: i32 = 3;

fn ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let why = match signal {
            6 => "out of memory, or a mistake of ours; --memory-limit gives it more",
            _ => "please report it with this dump",
        };
        return format!("its process ended by signal {signal}: {why}");
    }
    format!("its process ended with {status}: please report it with this dump")
}

/// Bounds the memory of this process; where the system has no such bound, only
/// the time is one.
#[cfg(unix)]
pub(super) fn limit_memory(bytes: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    // A system that refuses leaves the bound on time.
    let _ = setrlimit(Resource::Data, limit);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

#[cfg(not(unix))]
pub(super) fn limit_memory(_bytes: u64) {}
