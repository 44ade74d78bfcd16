//! What is known to differ, and why. An entry hides every line that holds all of its words.

/// Words of the line, and the reason.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &["wow64-basic.dbghelp", "modules ["],
        "Wine's dbghelp lists six of the eleven modules of a WOW64 process",
    ),
    (
        &["wow64-basic.dbghelp", "is there, but not listed"],
        "the five others are found by the loader's list and their headers",
    ),
];

pub(crate) fn is_known(line: &str) -> bool {
    KNOWN.iter().any(|(words, _)| words.iter().all(|word| line.contains(word)))
}
