//! What the runtime's own threads do, by their names. Wrong when the program
//! gives a thread of its own such a name.

use crate::dump::Thread;

/// A thread of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadRole {
    /// Index in the thread list.
    pub thread: u32,
    /// What it does.
    pub role: &'static str,
}

/// Names that the runtime gives. .NET Core 2 leaves out the prefix.
const NAMES: [(&str, &str); 27] = [
    (".NET Finalizer", "finalizer"),
    ("Finalizer", "finalizer"),
    (".NET BGC", "background GC"),
    (".NET Background GC", "background GC"),
    ("Background GC", "background GC"),
    (".NET Server GC", "server GC"),
    ("Server GC", "server GC"),
    (".NET EventPipe", "diagnostics"),
    (".NET Debugger", "debugger helper"),
    ("Debugger Helper", "debugger helper"),
    (".NET SigHandler", "signal handler"),
    (".NET SynchManager", "wait manager"),
    (".NET Timer", "timer"),
    (".NET ThreadPool Worker", "thread pool worker"),
    (".NET TP Worker", "thread pool worker"),
    (".NET Core ThreadPool", "thread pool worker"),
    (".NET ThreadPool Gate", "thread pool gate"),
    (".NET TP Gate", "thread pool gate"),
    (".NET ThreadPool IO", "thread pool I/O"),
    (".NET TP IO", "thread pool I/O"),
    (".NET ThreadPool Wait", "thread pool wait"),
    (".NET TP Wait", "thread pool wait"),
    (".NET Sockets", "socket events"),
    (".NET Tiered Compilation Worker", "tiered compilation"),
    (".NET Tiered Compilation", "tiered compilation"),
    (".NET Long Running Task", "long-running task"),
    (".NET File Watcher", "file watcher"),
];

/// The threads whose names are the runtime's.
pub(super) fn of(threads: &[Thread]) -> Vec<ThreadRole> {
    let named = (0_u32..).zip(threads).filter_map(|(thread, facts)| {
        let role = role(facts.name.as_deref()?)?;
        Some(ThreadRole { thread, role })
    });
    named.collect()
}

fn role(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::role;

    #[test]
    fn names_are_whole() {
        assert_eq!(role(".NET BGC"), Some("background GC"));
        assert_eq!(role(".NET BGC 2"), None);
        assert_eq!(role("worker-0"), None);
    }
}
