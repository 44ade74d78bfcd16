//! Pairs of real dumps: no panic, everything adds up, 80 columns.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dumpmap::Analysis;
use dumpmap::analyze;
use dumpmap::diff::{Diff, Question, Rows, RunChoice};
use dumpmap::limits::Limits;
use dumpmap::source::Source;

use crate::support::{dumps_in, run, shared_or_skip, unpacked_path};
use crate::{all, assert_adds_up, compare};

fn dumps() -> Vec<PathBuf> {
    let folders = ["corpus", "scenarios"];
    let paths = folders.iter().filter_map(|folder| shared_or_skip(folder));
    paths.flat_map(|folder| dumps_in(&folder)).map(|path| unpacked_path(&path)).collect()
}

fn check(a: &Analysis<'_>, b: &Analysis<'_>, what: &str) {
    for run in [RunChoice::Decide, RunChoice::Same, RunChoice::Other] {
        let diff = compare(&[a, b], &all(run));
        assert_adds_up(&diff, what);
        if diff.incomparable.is_none() {
            // What comes after is the totals of the second, whatever happened in between.
            let grown: i128 = diff.owners.iter().map(|row| row.series.size()).sum();
            assert_eq!(grown, diff.total.size() - unusable(a, b), "{what}");
        }
        // Rows that stand for several changes are the same changes.
        let alike = compare(&[a, b], &Question { rows: Rows::Alike, ..all(run) });
        let sums = |diff: &Diff| {
            let rows = diff.regions.rows.iter();
            rows.fold((0, 0), |(count, committed), row| {
                let grown = row.change.committed() * i128::from(row.count);
                (count + row.count, committed + grown)
            })
        };
        assert_eq!(sums(&alike), sums(&diff), "{what}");
        assert!(alike.regions.rows.len() <= diff.regions.rows.len(), "{what}");
        let back = compare(&[b, a], &all(run));
        assert_eq!(back.total.size(), -diff.total.size(), "{what}");
        assert_eq!(back.owner_count, diff.owner_count, "{what}");
        assert_eq!(back.run.same, diff.run.same, "{what}");
        assert_eq!(back.images.loaded.len(), diff.images.unloaded.len(), "{what}");
        let tallies = |diff: &dumpmap::diff::Diff| {
            diff.regions.tallies.map(|tally| tally.size).iter().sum::<u64>()
        };
        assert_eq!(tallies(&back), tallies(&diff), "{what}");
    }
}

/// Unusable memory is in the total and belongs to nobody.
fn unusable(a: &Analysis<'_>, b: &Analysis<'_>) -> i128 {
    let of = |analysis: &Analysis<'_>| {
        i128::from(analysis.totals.row(dumpmap::evidence::RegionKind::Unusable).size)
    };
    of(b) - of(a)
}

#[test]
fn neighbours_add_up() {
    let paths = dumps();
    let sources: Vec<Source> = paths.iter().filter_map(|path| Source::open(path).ok()).collect();
    let analyses: Vec<Analysis<'_>> =
        sources.iter().filter_map(|source| analyze(source, &Limits::default()).ok()).collect();
    for two in analyses.windows(2) {
        let names = two.iter().map(|of| of.process_name().unwrap_or("?").to_owned());
        check(&two[0], &two[1], &names.collect::<Vec<_>>().join(" and "));
    }
    for analysis in &analyses {
        let diff = compare(&[analysis, analysis], &all(RunChoice::Decide));
        assert!(!diff.difference, "{:?}", analysis.process_name());
    }
}

#[test]
fn runs_of_one_program() {
    let paths = dumps();
    let mut programs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        let Ok(source) = Source::open(&path) else { continue };
        let Ok(analysis) = analyze(&source, &Limits::default()) else { continue };
        if let Some(name) = analysis.process_name() {
            programs.entry(name.to_lowercase()).or_default().push(path);
        }
    }
    let mut compared = 0;
    for pair in programs.values().flat_map(|paths| paths.windows(2)) {
        let output = run(["diff".as_ref(), pair[0].as_os_str(), pair[1].as_os_str()]);
        assert_eq!(output.status, Some(0), "{pair:?}: {}", output.stderr);
        assert!(output.stdout.contains("\naudit: "), "{pair:?}");
        assert!(!output.stdout.contains("does not add up"), "{pair:?}");
        for line in output.stdout.lines() {
            let long = line.split(' ').any(|word| word.len() > 60);
            assert!(dumpmap::render::sanitize::width(line) <= 80 || long, "{pair:?}: {line}");
        }
        compared += 1;
    }
    assert!(programs.is_empty() || compared > 20, "{compared}");
}

/// What the collected pairs are is known from their streams: see ORIGIN.csv.
#[test]
fn one_run_or_two() {
    let Some(corpus) = shared_or_skip("corpus") else { return };
    let same = |a: &str, b: &str| {
        let sources = [a, b].map(|name| Source::open(&corpus.join(name)).unwrap());
        let analyses = sources.each_ref().map(|of| analyze(of, &Limits::default()).unwrap());
        compare(&[&analyses[0], &analyses[1]], &all(RunChoice::Decide)).run.same
    };
    assert!(same(
        "google__syzygy/minidump-no-kasko-stream.dmp",
        "google__syzygy/use-after-free.dmp"
    ));
    assert!(same(
        "rust-minidump__rust-minidump/8802cd48-linux-mini.dmp",
        "rust-minidump__rust-minidump/linux-mini.dmp"
    ));
    for (a, b) in [
        ("google__breakpad/null_read_av.dmp", "google__breakpad/null_write_av.dmp"),
        ("google__breakpad/linux_divide_by_zero.dmp", "google__breakpad/linux_jmp_to_0.dmp"),
        ("google__syzygy/notepad-64bit.dmp", "google__syzygy/notepad-small-64bit.dmp"),
        ("electron__node-minidump/mac.dmp", "aprilandjan__node-rs-minidump/mac-electron-node.dmp"),
    ] {
        assert!(!same(a, b), "{a} and {b}");
    }
}
