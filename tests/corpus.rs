//! Every collected dump: read, read in part, or refused for a reason that can be named; never a
//! panic. What came of each is a table that people review.
//!
//! The dumps lie beside the project, not in it. The table has no text from inside a dump.

#![allow(clippy::print_stdout, reason = "which file a failure is about")]

mod support;

use std::fmt::Write as _;
use std::path::Path;

use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap::{Analysis, analyze};

/// Bytes of a dump that is cut at every edge.
const MOST_TO_CUT: usize = 1 << 20;

#[test]
fn what_came_of_each_dump() {
    let Some(folder) = support::shared_or_skip("corpus") else { return };
    let mut table = String::from(
        "file | status | map | regions | modules | threads | stacks | images | heaps | issues\n",
    );
    for path in files_below(&folder) {
        let name = path.strip_prefix(&folder).expect("a path below the folder");
        let name = name.to_string_lossy().replace('\\', "/");
        let source = Source::open(&path).expect("a file that can be read");
        let row = match analyze(&source, &Limits::default()) {
            Ok(analysis) => row_of(&analysis),
            Err(error) => format!("refused: {error}"),
        };
        writeln!(table, "{name} | {row}").expect("a string takes it");
    }
    insta::assert_snapshot!(table);
}

fn row_of(analysis: &Analysis<'_>) -> String {
    adds_up(analysis);
    let issues = issues_of(analysis);
    let counts = [
        analysis.map.len(),
        analysis.dump.modules.modules.len(),
        analysis.dump.threads.len(),
        analysis.evidence.stacks.len(),
        analysis.evidence.images.len(),
        analysis.evidence.heaps.len(),
    ];
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    let status = if issues == 0 { "ok" } else { "partial" };
    format!("{status} | {} | {} | {issues}", analysis.map.source.as_str(), counts.join(" | "))
}

fn issues_of(analysis: &Analysis<'_>) -> u64 {
    analysis.dump.issues.total() + analysis.map.issues.total() + analysis.evidence.issues.total()
}

/// The rows add up to the range, and the pieces to the rows.
fn adds_up(analysis: &Analysis<'_>) {
    let audit = analysis.totals.audit;
    let pieces: u64 = analysis.pieces().map(|piece| piece.range.size()).sum();
    assert_eq!((audit.accounted, pieces), (audit.range_size, audit.range_size));
}

#[test]
fn sizes_add_up_everywhere() {
    for folder in ["corpus", "dotnet"] {
        let Some(folder) = support::shared_or_skip(folder) else { continue };
        for path in support::dumps_in(&folder) {
            println!("{}", path.display());
            let source = Source::open(&support::unpacked_path(&path)).expect("a file");
            if let Ok(analysis) = analyze(&source, &Limits::default()) {
                adds_up(&analysis);
            }
        }
    }
}

#[test]
fn cut_at_every_edge_of_a_stream() {
    let Some(folder) = support::shared_or_skip("corpus") else { return };
    let mut cuts = 0_u64;
    for path in files_below(&folder) {
        let bytes = support::read_dump(&path);
        if bytes.len() > MOST_TO_CUT {
            continue;
        }
        println!("{}", path.display());
        for at in edges(&bytes) {
            let source = Source::from_bytes(&bytes[..at]);
            if let Ok(analysis) = analyze(&source, &Limits::default()) {
                adds_up(&analysis);
            }
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 1_000);
}

/// The ends of the header, the directory and each stream, a byte before and a byte after.
fn edges(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| {
        let word = bytes.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(word.try_into().ok()?)).ok()
    };
    let mut edges = vec![0, 32];
    if let (Some(count), Some(directory)) = (word(8), word(12)) {
        for at in 0..count.min(64) {
            let entry = directory + at * 12;
            let (Some(size), Some(start)) = (word(entry + 4), word(entry + 8)) else { break };
            edges.extend([entry, start, start + size / 2, start + size]);
        }
    }
    let around = |edge: usize| [edge.saturating_sub(1), edge, edge + 1];
    let mut edges: Vec<usize> =
        edges.into_iter().flat_map(around).filter(|at| *at < bytes.len()).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// Every file, dumps or not, in a fixed order.
fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.file_name().is_some_and(|name| name != "ORIGIN.csv") {
            files.push(path);
        }
    }
    files.sort();
    files
}
