//! Whether two dumps are of one run of a process, and what speaks for it.

use std::collections::{BTreeMap, HashMap};

use crate::analysis::Analysis;
use crate::dump::{Arch, Platform, PointerWidth};

/// Clocks of one machine may be this many seconds apart in two streams.
const SLACK: u32 = 2;
/// Beginnings of the names of images that sit at one base for as long as a
/// process lives.
const FIXED: [&str; 6] = ["ntdll.dll", "kernel32.dll", "libc.so", "libc-", "ld-", "dyld"];

/// What of a dump tells of which run it is.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// Platform, architecture and pointer width.
    pub system: (Platform, Arch, PointerWidth),
    /// Process id.
    pub pid: Option<u32>,
    /// When the process began, in seconds since 1970.
    pub created: Option<u32>,
    /// When the dump was written, in seconds since 1970.
    pub written: Option<u32>,
    /// File name of the program.
    pub program: Option<String>,
    /// Where the first module of each name is loaded.
    pub bases: BTreeMap<String, u64>,
    /// The first thread of the list.
    pub first_thread: Option<u32>,
    /// When threads were created, as FILETIME, by id; those that have a time.
    pub threads: HashMap<u32, u64>,
}

impl RunFacts {
    /// Of one dump.
    pub fn of(analysis: &Analysis<'_>) -> RunFacts {
        let dump = &analysis.dump;
        let mut bases = BTreeMap::new();
        for module in dump.modules.modules.iter().filter(|module| !module.name().is_empty()) {
            bases.entry(module.name().to_lowercase()).or_insert(module.base);
        }
        let created = dump.threads.iter().filter_map(|thread| {
            let time = thread.info.as_deref()?.create_time;
            (time != 0).then_some((thread.id, time))
        });
        RunFacts {
            system: (dump.system.platform, dump.system.arch, dump.system.width),
            pid: dump.process.id,
            created: dump.process.create_time,
            written: Some(dump.header.time).filter(|time| *time != 0),
            program: analysis.process_name().map(str::to_lowercase),
            bases,
            first_thread: dump.threads.first().map(|thread| thread.id),
            threads: created.collect(),
        }
    }
}

/// How dumps are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RunChoice {
    /// As the evidence says.
    #[default]
    Decide,
    /// As dumps of one run, by address.
    Same,
    /// As dumps of two runs, by name and shape.
    Other,
}

/// What one fact says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is one run.
    Same,
    /// It cannot be one run.
    Other,
    /// Either may be.
    Either,
}

impl Says {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Says::Same => "same",
            Says::Other => "other",
            Says::Either => "either",
        }
    }
}

/// One fact of both dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clue {
    /// What it is about, such as `process id`.
    pub what: &'static str,
    /// The fact in words, with its numbers.
    pub text: String,
    /// What it says.
    pub says: Says,
}

/// Whether it is one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How the dumps are compared.
    pub same: bool,
    /// Whether somebody asked for it; else the clues decided.
    pub asked: bool,
    /// What the dumps say.
    pub clues: Vec<Clue>,
}

/// Decides for dumps in the order given: one run when each of them is of the
/// run of the first. The clues are those of the first that is not, else of
/// the last.
pub(super) fn decide(runs: &[&RunFacts], choice: RunChoice) -> Decision {
    let mut decision = Decision { same: true, asked: false, clues: Vec::new() };
    if let Some((first, rest)) = runs.split_first() {
        for other in rest {
            decision = pair(first, other);
            if !decision.same {
                break;
            }
        }
    }
    match choice {
        RunChoice::Decide => decision,
        RunChoice::Same => Decision { same: true, asked: true, ..decision },
        RunChoice::Other => Decision { same: false, asked: true, ..decision },
    }
}

fn pair(a: &RunFacts, b: &RunFacts) -> Decision {
    let clues: Vec<Clue> = [
        system(a, b),
        program(a, b),
        pid(a, b),
        created(a, b),
        order(a, b),
        threads(a, b),
        bases(a, b),
    ]
    .into_iter()
    .flatten()
    .collect();
    let says = |what: &str, says: Says| clues.iter().any(|c| c.what == what && c.says == says);
    let contradicted = clues.iter().any(|clue| clue.says == Says::Other);
    // A pid is used again, images keep their bases until the next boot, and
    // ids of threads are small numbers: each alone proves nothing.
    let by_time = says(PID, Says::Same) && says(CREATED, Says::Same);
    let by_thread = says(THREADS, Says::Same) && (says(PID, Says::Same) || says(BASES, Says::Same));
    Decision { same: !contradicted && (by_time || by_thread), asked: false, clues }
}

const PID: &str = "process id";
const CREATED: &str = "process start";
const THREADS: &str = "threads";
const BASES: &str = "module bases";

fn system(a: &RunFacts, b: &RunFacts) -> Option<Clue> {
    (a.system != b.system).then(|| Clue {
        what: "system",
        text: "platform, architecture or pointer width differ".into(),
        says: Says::Other,
    })
}

fn program(a: &RunFacts, b: &RunFacts) -> Option<Clue> {
    let (a, b) = (a.program.as_deref()?, b.program.as_deref()?);
    (a != b).then(|| Clue { what: "program", text: format!("{a} and {b}"), says: Says::Other })
}

fn pid(a: &RunFacts, b: &RunFacts) -> Option<Clue> {
    let (a, b) = (a.pid?, b.pid?);
    let (text, says) = match a == b {
        true => (format!("{a} in both"), Says::Same),
        false => (format!("{a} and {b}"), Says::Other),
    };
    Some(Clue { what: PID, text, says })
}

fn created(a: &RunFacts, b: &RunFacts) -> Option<Clue> {
    let (a, b) = (a.created?, b.created?);
    let (text, says) = match a.abs_diff(b) {
        0 => ("the same second in both".into(), Says::Same),
        apart @ ..=SLACK => (format!("{apart} s apart"), Says::Same),
        apart => (format!("{apart} s apart"), Says::Other),
    };
    Some(Clue { what: CREATED, text, says })
}

/// A process that began after the other dump was written is another one.
fn order(a: &RunFacts, b: &RunFacts) -> Option<Clue> {
    let after = |began: Option<u32>, written: Option<u32>| {
        began?.checked_sub(written?).filter(|seconds| *seconds > SLACK)
    };
    let seconds = after(b.created, a.written).or(after(a.created, b.written))?;
    Some(Clue {
        what: "times",
        text: format!("one process began {seconds} s after the dump of the other was written"),
        says: Says::Other,
    })
}

fn threads(a: &RunFacts, b: &RunFacts) -> Option<Clue> {
    let shared = |(id, time): (&u32, &u64)| b.threads.get(id) == Some(time);
    let timed = a.threads.iter().filter(|(id, time)| shared((id, time))).count();
    if timed > 0 {
        let text = format!("{timed} with one id and one time of creation in both");
        return Some(Clue { what: THREADS, text, says: Says::Same });
    }
    let (first, second) = (a.first_thread?, b.first_thread?);
    let (text, says) = match first == second {
        true => (format!("the first is {first} in both"), Says::Same),
        false => (format!("the first is {first} and {second}"), Says::Either),
    };
    Some(Clue { what: THREADS, text, says })
}

fn bases(a: &RunFacts, b: &RunFacts) -> Option<Clue> {
    let both = |name: &&String| b.bases.contains_key(*name);
    let shared: Vec<&String> = a.bases.keys().filter(both).collect();
    let moved: Vec<&&String> =
        shared.iter().filter(|name| a.bases.get(**name) != b.bases.get(**name)).collect();
    let fixed = |name: &str| {
        FIXED.iter().any(|fixed| name.starts_with(fixed)) || a.program.as_deref() == Some(name)
    };
    let (text, says) = match (moved.iter().find(|name| fixed(name)), shared.len()) {
        (Some(name), _) => (format!("{name} is at two addresses"), Says::Other),
        (None, 0) => return None,
        // One image may be unloaded and loaded elsewhere, not most of them.
        (None, all) if moved.len() > all / 2 => {
            (format!("{} of {all} images are at two addresses", moved.len()), Says::Other)
        }
        (None, all @ 2..) => {
            (format!("{} of {all} images at one address in both", all - moved.len()), Says::Same)
        }
        (None, _) => ("one image at one address in both".into(), Says::Either),
    };
    Some(Clue { what: BASES, text, says })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> RunFacts {
        let bases = [("app.exe", 0x40_0000), ("ntdll.dll", 0x7700_0000)];
        RunFacts {
            system: (Platform::Windows, Arch::X86, PointerWidth::Bits32),
            pid: Some(7),
            created: Some(100),
            written: Some(200),
            program: Some("app.exe".into()),
            bases: bases.map(|(name, base)| (name.to_owned(), base)).into(),
            first_thread: Some(8),
            threads: HashMap::new(),
        }
    }

    fn same(change: impl FnOnce(&mut RunFacts)) -> bool {
        let mut other = facts();
        change(&mut other);
        decide(&[&facts(), &other], RunChoice::Decide).same
    }

    #[test]
    fn one_run() {
        assert!(same(|_| {}));
        assert!(same(|other| other.written = Some(300)));
        // Linux: neither stream has the time of the start.
        assert!(same(|other| other.created = None));
        assert!(same(|other| other.pid = None));
        let mut timed = facts();
        timed.threads = [(8, 5)].into();
        let mut moved_on = timed.clone();
        moved_on.first_thread = Some(9);
        moved_on.created = None;
        assert!(decide(&[&timed, &moved_on], RunChoice::Decide).same);
    }

    #[test]
    fn two_runs() {
        assert!(!same(|other| other.pid = Some(9)));
        assert!(!same(|other| other.created = Some(150)));
        assert!(!same(|other| other.system.1 = Arch::Amd64));
        assert!(!same(|other| other.program = Some("b.exe".into())));
        assert!(!same(|other| other.bases = [("ntdll.dll".to_owned(), 1)].into()));
        assert!(!same(|other| (other.pid, other.first_thread) = (None, None)));
        assert!(!same(|other| {
            (other.created, other.written) = (Some(900), Some(901));
        }));
    }

    #[test]
    fn the_user_decides() {
        let mut other = facts();
        other.pid = Some(9);
        let same = decide(&[&facts(), &other], RunChoice::Same);
        assert!(same.same && same.asked && same.clues.iter().any(|c| c.says == Says::Other));
        assert!(!decide(&[&facts(), &facts()], RunChoice::Other).same);
        // The third is of another run.
        assert!(!decide(&[&facts(), &facts(), &other], RunChoice::Decide).same);
    }
}
