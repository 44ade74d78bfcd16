//! Why processes died: against the raw bytes of collected dumps, against programs that crashed on
//! purpose and wrote down how, and over dumps made for one kind of crash each.

#[path = "../support/mod.rs"]
mod support;

mod collected;
mod families;
mod hostile;
mod peer;
mod raw;
mod scenarios;
mod shown;
mod symbols;
mod walks;

use dumpmap::crash::Crash;
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap::synth::DumpBuilder;
use dumpmap::{Analysis, analyze};

/// What `ask` makes of a dump.
fn with<T>(bytes: Vec<u8>, ask: impl FnOnce(&Analysis<'_>, Option<Crash>) -> T) -> T {
    let source = Source::from_bytes(bytes);
    let analysis = analyze(&source, &Limits::default()).expect("a dump");
    let crash = Crash::of(&analysis.dump, &analysis.map, &analysis.evidence);
    ask(&analysis, crash)
}

/// The crash that a made dump records.
fn crash(dump: &DumpBuilder) -> Crash {
    with(dump.build(), |_, crash| crash.expect("a crash"))
}

/// The frames as `location found-by`.
fn frames(crash: &Crash) -> Vec<String> {
    let show =
        |frame: &dumpmap::crash::Frame| format!("{} {}", frame.place.label(), frame.trust.as_str());
    crash.frames.iter().map(show).collect()
}
