//! What is concluded of every dump at hand: a table that people review, and what the truth of a
//! dump demands.
//!
//! The dumps of other people's processes lie beside the project, not in it; the table has no text
//! from inside one.

mod support;

use std::fmt::Write as _;
use std::path::Path;

use dumpmap::analyze;
use dumpmap::limits::Limits;
use dumpmap::rules::{Finding, Severity, Verdict};
use dumpmap::source::Source;

/// Dump, verdict, and severity and id of each finding.
fn table(folder: &Path) -> String {
    let mut table = String::new();
    for path in support::dumps_in(folder) {
        let name = path.strip_prefix(folder).expect("a path below the folder");
        let name = name.to_string_lossy().replace('\\', "/");
        let Some((findings, verdict)) = conclusions(&path) else {
            writeln!(table, "{name} | refused").expect("a string takes it");
            continue;
        };
        let words: Vec<String> = findings
            .iter()
            .map(|finding| format!("{} {}", finding.severity.as_str(), finding.rule))
            .collect();
        writeln!(table, "{name} | {} | {}", verdict.as_str(), words.join(", "))
            .expect("a string takes it");
    }
    table
}

/// `None` for what is no dump.
fn conclusions(path: &Path) -> Option<(Vec<Finding>, Verdict)> {
    let source = Source::open(&support::unpacked_path(path)).expect("a file that can be read");
    let analysis = analyze(&source, &Limits::default()).ok()?;
    assert!(!analysis.signals.is_empty(), "{}", path.display());
    Some((analysis.findings, analysis.verdict))
}

/// One dump of a shared folder; `None` where there is no such folder.
fn dump(folder: &str, name: &str) -> Option<(Vec<Finding>, Verdict)> {
    let path = support::shared_or_skip(folder)?.join(name);
    assert!(path.exists(), "{}", path.display());
    conclusions(&path)
}

fn has(findings: &[Finding], severity: Severity, rule: &str) -> bool {
    findings.iter().any(|finding| finding.severity == severity && finding.rule == rule)
}

fn worse_than_notes(findings: &[Finding]) -> Vec<&str> {
    let bad = findings.iter().filter(|finding| finding.severity != Severity::Note);
    bad.map(|finding| finding.rule).collect()
}

#[test]
fn corpus() {
    let Some(folder) = support::shared_or_skip("corpus") else { return };
    insta::assert_snapshot!(table(&folder));
}

#[test]
fn scenarios() {
    let Some(folder) = support::shared_or_skip("scenarios") else { return };
    insta::assert_snapshot!(table(&folder));
}

#[test]
fn dotnet() {
    let Some(folder) = support::shared_or_skip("dotnet") else { return };
    insta::assert_snapshot!(table(&folder));
}

#[test]
fn fixtures() {
    insta::assert_snapshot!(table(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")));
}

/// What the programs of the scenarios did on purpose.
#[test]
fn verdicts_of_the_scenarios() {
    let cases = [
        ("x86-exhausted.info.dmp", Verdict::Exhausted),
        ("x86-oom.mini.dmp", Verdict::Exhausted),
        ("x86-oom.info.dmp", Verdict::Exhausted),
        ("x86-fragmented.info.dmp", Verdict::Fragmented),
        ("x64-basic.info.dmp", Verdict::None),
        ("x86-basic.info.dmp", Verdict::None),
        ("x86-basic.mini.dmp", Verdict::None),
        ("wow64-basic.info.dmp", Verdict::None),
        ("x64-frag4k.info.dmp", Verdict::None),
        ("x64-hugereserve.info.dmp", Verdict::None),
        ("x86-explosion.info.dmp.zst", Verdict::None),
        ("x64-leak-before.info.dmp", Verdict::None),
        ("x64-leak-after.info.dmp", Verdict::None),
        ("x64-stackoverflow.info.dmp", Verdict::None),
        ("x64-crash-null.mini.dmp", Verdict::None),
        ("x86-crash-uaf.mini.dmp", Verdict::None),
        // No map, or not Windows.
        ("x64-basic.normal.dmp", Verdict::Unknown),
        ("x86-basic.fullni.dmp.zst", Verdict::Unknown),
        ("lx-all.dmp.zst", Verdict::Unknown),
        ("lx-node.dmp", Verdict::Unknown),
    ];
    for (name, expected) in cases {
        let Some((findings, verdict)) = dump("scenarios", name) else { return };
        assert_eq!(verdict, expected, "{name}: {findings:#?}");
    }
}

/// The numbers that the programs of the scenarios wrote down.
#[test]
fn numbers_of_the_scenarios() {
    let number = |name: &str, rule: &str, key: &str| {
        let (findings, _) = dump("scenarios", name)?;
        let finding = findings.iter().find(|finding| finding.rule == rule);
        let finding = finding.unwrap_or_else(|| panic!("{name}: {rule}"));
        finding.numbers.iter().find(|(of, _)| *of == key).map(|(_, value)| *value)
    };
    if support::shared_or_skip("scenarios").is_none() {
        return;
    }
    let exhausted = |key| number("x86-exhausted.info.dmp", "address-space-exhausted", key);
    assert_eq!(exhausted("largest_free"), Some(64_946_176));
    let explosion = number("x86-explosion.info.dmp.zst", "thread-explosion", "threads");
    assert_eq!(explosion, Some(401));
}

/// plug_a and plug_b are linked for one base; the program loads plug_a first.
#[test]
fn a_module_that_collided() {
    let Some((findings, _)) = dump("scenarios", "x64-images.full.dmp.zst") else { return };
    let found = findings.iter().find(|finding| finding.rule == "relocated-modules");
    let expected = "plug_b-x64.dll at 0x7ffffe8e0000, its header says 0x300000000: \
                    plug_a-x64.dll is there";
    assert_eq!(found.expect("a finding").details, [expected]);
}

#[test]
fn what_the_scenarios_are_about() {
    let cases = [
        ("x64-stackoverflow.info.dmp", Severity::Error, "stack-overflow"),
        ("x64-stackoverflow.mini.dmp", Severity::Error, "stack-overflow"),
        ("x86-explosion.info.dmp.zst", Severity::Warning, "thread-explosion"),
        ("x86-explosion.info.dmp.zst", Severity::Warning, "oversized-stack-reservations"),
        ("x86-oom.info.dmp", Severity::Error, "out-of-memory"),
        ("x64-images.full.dmp.zst", Severity::Warning, "pe-in-private-memory"),
        ("x64-images.full.dmp.zst", Severity::Warning, "image-mapped-twice"),
        ("x64-images.full.dmp.zst", Severity::Note, "unlisted-image"),
        ("x64-images.full.dmp.zst", Severity::Note, "relocated-modules"),
        ("x64-basic.normal.dmp", Severity::Note, "dump-lacks-map"),
        ("lx-all.dmp.zst", Severity::Warning, "writable-executable"),
        ("lx-all.dmp.zst", Severity::Note, "deleted-files-mapped"),
        ("x86-private.info.dmp", Severity::Warning, "executable-private-memory"),
        ("x64-heaps.info.dmp", Severity::Warning, "executable-private-memory"),
    ];
    for (name, severity, rule) in cases {
        let Some((findings, _)) = dump("scenarios", name) else { return };
        assert!(has(&findings, severity, rule), "{name} lacks {rule}: {findings:#?}");
    }
    let crashes = ["x64-crash-null", "x64-crash-readonly", "x64-crash-uaf", "x86-crash-reserved"];
    for name in crashes {
        let Some((findings, _)) = dump("scenarios", &format!("{name}.mini.dmp")) else { return };
        assert!(findings.iter().all(|finding| finding.severity != Severity::Error), "{name}");
    }
}

/// A process that nothing is wrong with has no error, and no warning beside those named here.
#[test]
fn quiet_on_healthy_processes() {
    let scenarios = [
        "x64-basic.info.dmp",
        "x64-basic.mini.dmp",
        "x64-basic.full.dmp.zst",
        "x86-basic.info.dmp",
        "x86-basic.full.dmp.zst",
        "wow64-basic.full.dmp.zst",
        "x64-hugereserve.info.dmp",
        "x64-frag4k.info.dmp",
        "x64-leak-before.info.dmp",
        "x64-leak-after.info.dmp",
        "x86-real-cmake.info.dmp",
        "lx-python3.dmp",
        "lx-node.dmp",
        "lx-chromium-browser.dmp",
    ];
    for name in scenarios {
        let Some(folder) = support::shared_or_skip("scenarios") else { return };
        if folder.join(name).exists() {
            let (findings, _) = conclusions(&folder.join(name)).expect("a dump");
            assert_eq!(worse_than_notes(&findings), [""; 0], "{name}: {findings:#?}");
        }
    }
    let Some(folder) = support::shared_or_skip("corpus") else { return };
    for path in support::dumps_in(&folder.join("mozilla-services__minidump-stackwalk")) {
        let (findings, _) = conclusions(&path).expect("a dump");
        assert_eq!(worse_than_notes(&findings), [""; 0], "{}: {findings:#?}", path.display());
    }
}
