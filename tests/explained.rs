//! How much of the committed private memory of real processes is explained, and by what. The table
//! is reviewed when it changes: no label may be made up to raise a share, and none may get lost.

mod support;

use std::fmt::Write as _;
use std::path::Path;

use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap::totals::Shares;
use dumpmap::{Analysis, analyze};

#[test]
fn shares_of_each_dump() {
    for folder in ["corpus", "scenarios", "dotnet"] {
        let Some(root) = support::shared_or_skip(folder) else { continue };
        let mut table =
            String::from("file | committed private | structure | heuristic | unexplained | %\n");
        for path in support::dumps_in(&root) {
            let name = path.strip_prefix(&root).expect("a path below the folder");
            let name = name.to_string_lossy().replace('\\', "/");
            let Some(shares) = shares(&path) else { continue };
            let Shares { structure, heuristic, unexplained } = shares;
            // Rounded down: 100 is all.
            let tenths = u128::from(structure) * 1_000 / u128::from(shares.sum());
            let numbers = [shares.sum(), structure, heuristic, unexplained].map(|n| n.to_string());
            let percent = format!("{}.{}", tenths / 10, tenths % 10);
            writeln!(table, "{name} | {} | {percent}", numbers.join(" | ")).expect("text");
        }
        insta::assert_snapshot!(format!("shares_{folder}"), table);
    }
}

/// `None` for what is no dump, holds no memory contents, or has no committed private memory.
fn shares(path: &Path) -> Option<Shares> {
    let source = Source::open(&support::unpacked_path(path)).expect("a file that can be read");
    let analysis = analyze(&source, &Limits::default()).ok()?;
    adds_up(&analysis);
    let shares = analysis.totals.total.shares.filter(|shares| shares.sum() > 0)?;
    (analysis.dump.captured.bytes > 0).then_some(shares)
}

/// The shares of the kinds are those of the total, and no more than what is private.
fn adds_up(analysis: &Analysis<'_>) {
    let total = analysis.totals.total.shares.unwrap_or_default();
    let mut sum = 0;
    for row in analysis.totals.kinds.iter().flatten() {
        let shares = row.shares.unwrap_or_default().sum();
        assert!(shares <= row.private.unwrap_or(shares));
        sum += shares;
    }
    assert_eq!(sum, total.sum());
}

/// A full dump with heaps: nearly all of its private memory has a structure that says what it is.
#[test]
fn a_full_dump_is_explained_by_structure() {
    let Some(corpus) = support::shared_or_skip("corpus") else { return };
    let shares = shares(&corpus.join("llvm__llvm-project/fizzbuzz_wow64.dmp")).expect("shares");
    assert!(shares.structure * 100 >= shares.sum() * 95, "{shares:?}");
}
