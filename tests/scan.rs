//! `scan` from outside: which files have rows, what is in them, and that they
//! are the same in every format, at any number of workers, and after a stop.

mod support;

#[path = "cli/dumps.rs"]
mod dumps;
#[path = "cli/schema.rs"]
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use dumps::{Scratch, crowded, hostile, small};
use serde_json::Value;
use support::{Output, run, shared_or_skip};

/// Dumps in folders, things that are no dumps, and dumps that are damaged.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("d/below")).unwrap();
    scratch.write("d/1-small.bin", &small());
    scratch.write("d/2-full.dmp", &crowded());
    scratch.write("d/3-empty.dmp", b"");
    scratch.write("d/4-cut.dmp", &small()[..2000]);
    scratch.write("d/5-notes.txt", b"no dump");
    scratch.write("d/6-core", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0");
    scratch.write("d/7-head.dmp", b"MDMP\x93\xa7");
    scratch.write("d/8-text.dmp", b"hello");
    scratch.write("d/below/again.dmp", &small());
    scratch
}

fn scan(scratch: &Scratch, args: &str) -> Output {
    scratch.run(std::iter::once("scan").chain(args.split_whitespace()))
}

fn rows(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn paths(text: &str) -> Vec<String> {
    rows(text).iter().map(|row| row["path"].as_str().unwrap().replace('\\', "/")).collect()
}

#[test]
fn every_file_is_accounted_for() {
    let scratch = scratch();
    let output = scan(&scratch, "d -f jsonl");
    assert_eq!(output.status, Some(2), "{}", output.stderr);
    let statuses: Vec<(String, String)> = rows(&output.stdout)
        .iter()
        .map(|row| {
            (
                row["path"].as_str().unwrap().replace('\\', "/"),
                row["status"].as_str().unwrap().into(),
            )
        })
        .collect();
    let expected = [
        ("d/1-small.bin", "ok"),
        ("d/2-full.dmp", "ok"),
        ("d/3-empty.dmp", "error"),
        ("d/4-cut.dmp", "partial"),
        ("d/7-head.dmp", "error"),
        ("d/8-text.dmp", "error"),
        ("d/below/again.dmp", "ok"),
    ];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(path, status)| ((*path).into(), (*status).into())).collect();
    assert_eq!(statuses, expected);
    assert_eq!(
        output.stderr,
        "dumpmap: 7 dumps: 3 ok, 1 partial, 3 failed; passed over: 1 core file, 1 other file\n"
    );
    for line in output.stdout.lines() {
        schema::check("scan", line);
    }
    assert_eq!(scan(&scratch, "d -f jsonl --ignore-unreadable").status, Some(0));
    assert_eq!(scan(&scratch, "d/below -f jsonl").status, Some(0));
    // What is named has to be a dump.
    assert_eq!(scan(&scratch, "d/5-notes.txt -f jsonl").status, Some(2));
    assert_eq!(scan(&scratch, "nowhere -f jsonl").status, Some(2));
    fs::create_dir(scratch.path("empty")).unwrap();
    let none = scan(&scratch, "empty");
    assert_eq!(none.status, Some(2));
    assert!(none.stderr.contains("no dump found"), "{}", none.stderr);
}

#[test]
fn rows_do_not_depend_on_the_number_of_workers() {
    let scratch = scratch();
    for args in ["-f jsonl", "-f csv", "", "-f jsonl --with regions,findings,threads,modules"] {
        let one = scan(&scratch, &format!("d -j 1 {args}"));
        for jobs in [2, 3, 16] {
            let many = scan(&scratch, &format!("d -j {jobs} {args}"));
            assert_eq!(many.stdout, one.stdout, "{args}");
        }
    }
}

#[test]
fn a_row_says_what_the_summary_says() {
    let scratch = scratch();
    let row = &rows(&scan(&scratch, "d/2-full.dmp -f jsonl").stdout)[0];
    let summary = scratch.run("summary d/2-full.dmp -f json --depth streams".split(' '));
    let summary: Value = serde_json::from_str(&summary.stdout).unwrap();
    for name in [
        "file_size",
        "time",
        "process_id",
        "process_name",
        "platform",
        "os_version",
        "arch",
        "pointer_bits",
        "writer",
        "map_source",
        "depth",
        "threads",
        "modules",
    ] {
        assert_eq!(row[name], summary["dump"][name], "{name}");
    }
    let total = &summary["summary"]["total"];
    for name in ["size", "committed", "reserved", "private", "captured", "blocks", "allocations"] {
        assert_eq!(row[format!("total_{name}")], total[name], "{name}");
    }
    for name in ["size", "blocks", "largest", "tiny", "fragmentation"] {
        assert_eq!(row[format!("free_{name}")], summary["summary"]["free"][name], "{name}");
    }
    for kind in summary["summary"]["kinds"].as_array().unwrap() {
        let name = kind["kind"].as_str().unwrap().replace('-', "_");
        if name != "free" {
            assert_eq!(row[format!("{name}_size")], kind["size"], "{name}");
        }
    }
    assert_eq!(row["verdict"], summary["verdict"]);
    let findings = summary["findings"].as_array().unwrap().iter();
    let rules: BTreeSet<&str> = findings.map(|finding| finding["rule"].as_str().unwrap()).collect();
    let of_row = row["rules"].as_array().unwrap().iter();
    assert_eq!(of_row.map(|rule| rule.as_str().unwrap()).collect::<BTreeSet<_>>(), rules);
    assert_eq!(row["issue_count"], summary["issue_count"]);
    let crash = scratch.run("crash d/2-full.dmp -f json --depth streams".split(' '));
    let crash: Value = serde_json::from_str(&crash.stdout).unwrap();
    assert_eq!(row["signature"], crash["signature"]);
}

#[test]
fn what_was_not_read_is_unknown_and_no_issue() {
    let scratch = scratch();
    let row = |args: &str| {
        rows(&scan(&scratch, &format!("d/1-small.bin -f jsonl {args}")).stdout).remove(0)
    };
    let (streams, headers) = (row(""), row("--depth headers"));
    assert_eq!((&streams["depth"], &streams["heaps"]), (&"streams".into(), &Value::Null));
    assert_eq!((&streams["heap_size"], &streams["issue_count"]), (&Value::Null, &0.into()));
    assert!(headers["heaps"].as_u64().unwrap() > 0 && headers["heap_size"].as_u64().unwrap() > 0);
    for same in ["total_size", "total_committed", "free_largest", "threads", "image_size"] {
        assert_eq!(streams[same], headers[same], "{same}");
    }
}

#[test]
fn commands_say_what_they_did_not_read() {
    let scratch = Scratch::new();
    scratch.write("app.dmp", &small());
    let shown = |args: &str| scratch.run(args.split(' ')).stdout;
    assert!(
        shown("summary app.dmp --depth streams")
            .contains("of memory contents, not read at this depth")
    );
    assert!(shown("heaps app.dmp --depth streams").contains("not read at this depth"));
    for args in ["app.dmp", "heaps app.dmp"] {
        assert!(!shown(args).contains("at this depth"), "{args}");
    }
}

#[test]
fn an_isolated_dump_gives_the_same_row() {
    let scratch = scratch();
    for args in
        ["-f jsonl --hash", "-f csv", "", "-f jsonl --with regions,findings,threads,modules"]
    {
        let here = scan(&scratch, &format!("d {args}"));
        let apart = scan(&scratch, &format!("d {args} --isolate -j 2"));
        assert_eq!(apart.stdout, here.stdout, "{args}");
        assert_eq!(apart.status, here.status);
    }
    let late = scan(&scratch, "d/1-small.bin -f jsonl --isolate --memory-limit 1M");
    if cfg!(target_os = "linux") {
        let row = rows(&late.stdout).remove(0);
        assert_eq!((late.status, &row["status"]), (Some(2), &"error".into()));
    }
}

#[test]
fn text_reads_well() {
    let scratch = scratch();
    let shown = |args: &str| {
        let output = scan(&scratch, args);
        for line in output.stdout.lines() {
            assert!(dumpmap::render::sanitize::width(line) <= 80, "{args}: {line}");
        }
        output.stdout.replace('\\', "/")
    };
    insta::assert_snapshot!("rows", shown("d"));
    insta::assert_snapshot!("sorted", shown("d --sort threads --reverse"));
    insta::assert_snapshot!("groups", shown("d --group-by process"));
    insta::assert_snapshot!("groups_by_map", shown("d --group-by map"));
    scratch.write("hostile.dmp", &hostile());
    let line = shown("hostile.dmp");
    assert!(!line.contains('\u{1b}') && !line.contains('\u{202e}'), "{line}");
}

#[test]
fn every_row_is_in_one_group() {
    let scratch = scratch();
    let all = rows(&scan(&scratch, "d -f jsonl").stdout).len() as u64;
    for by in ["signature", "process", "version", "verdict", "map"] {
        let output = scan(&scratch, &format!("d -f json --group-by {by}"));
        schema::check("scan-groups", &output.stdout);
        let json: Value = serde_json::from_str(&output.stdout).unwrap();
        let groups = json["groups"].as_array().unwrap();
        let dumps: u64 = groups.iter().map(|group| group["dumps"].as_u64().unwrap()).sum();
        let keys: std::collections::HashSet<_> =
            groups.iter().map(|group| group["group"].to_string()).collect();
        assert_eq!((dumps, keys.len()), (all, groups.len()), "{by}");
    }
}

#[test]
fn sorted_and_first() {
    let scratch = scratch();
    let sizes = |args: &str| -> Vec<Option<u64>> {
        let output = scan(&scratch, &format!("d -f jsonl {args}"));
        rows(&output.stdout).iter().map(|row| row["total_size"].as_u64()).collect()
    };
    let mut all: Vec<u64> = sizes("").into_iter().flatten().collect();
    all.sort_unstable();
    let up: Vec<Option<u64>> = all.iter().copied().map(Some).collect();
    let unknown = [None; 3];
    let down: Vec<_> = up.iter().rev().copied().collect();
    assert_eq!(sizes("--sort total_size"), [&down[..], &unknown].concat());
    assert_eq!(sizes("--sort total_size_bytes --reverse"), [&up[..], &unknown].concat());
    assert_eq!(sizes("--sort total_size --top 2"), down[..2]);
    assert_eq!(sizes("--top 1").len(), 1);
    let wrong = scan(&scratch, "d --sort size");
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("there is no such column"), "{}", wrong.stderr);
}

/// More rows than are sorted at once, and more bytes than are kept in memory.
#[test]
fn many_rows_are_sorted() {
    let scratch = Scratch::new();
    let path = |number: u32| format!("no/{:05}", number * 7_919 % 6_007);
    let list: Vec<String> = (0..6_007).map(path).collect();
    scratch.write("list", list.join("\n").as_bytes());
    let mut expected = list;
    expected.sort_unstable();
    let sorted =
        |args: &str| scan(&scratch, &format!("--files-from list --sort path {args}")).stdout;
    assert_eq!(paths(&sorted("-f jsonl")), expected);
    assert_eq!(paths(&sorted("-f jsonl --top 7")), expected[..7]);
    assert_eq!(paths(&sorted("-f jsonl --top 3000 -j 1")), expected[..3000]);
    let last: Vec<&str> = expected.iter().rev().map(String::as_str).take(1500).collect();
    let csv = sorted("-f csv --reverse --top 1500");
    assert_eq!(
        csv.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect::<Vec<_>>(),
        last
    );
    assert!(sorted("-f jsonl").len() > 4 << 20);
    assert_eq!(sorted("--top 0").lines().count(), 1);
    assert_eq!(sorted("--top 0 -f csv"), "");
}

#[test]
fn csv_and_schema_have_the_columns() {
    let scratch = scratch();
    let text = scan(&scratch, "d -f csv").stdout;
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    let columns: Vec<&str> =
        dumpmap::report::scan::COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(names, columns);
    let lines = rows(&scan(&scratch, "d -f jsonl").stdout);
    for (record, row) in csv.records().zip(&lines) {
        for (name, cell) in names.iter().zip(record.unwrap().iter()) {
            let expected = match &row[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Array(words) => {
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    words.join("; ")
                }
                other => other.to_string(),
            };
            let same = cell == expected
                || cell.parse::<f64>().is_ok_and(|cell| expected.parse() == Ok(cell));
            assert!(same, "{name}: {cell} is not {expected}");
        }
    }
    let schema: Value = serde_json::from_str(&run(["schema", "scan"]).stdout).unwrap();
    for column in columns {
        assert!(schema["properties"].get(column).is_some(), "{column}");
    }
}

#[test]
fn lists_shards_and_patterns() {
    let scratch = scratch();
    let all = paths(&scan(&scratch, "d -f jsonl").stdout);
    let mut parts: Vec<String> = (1..=3)
        .flat_map(|part| paths(&scan(&scratch, &format!("d -f jsonl --shard {part}/3")).stdout))
        .collect();
    parts.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(parts, sorted);
    scratch.write("list", b"d/2-full.dmp\r\nd/below\n");
    let listed = paths(&scan(&scratch, "--files-from list -f jsonl").stdout);
    assert_eq!(listed, ["d/2-full.dmp", "d/below/again.dmp"]);
    scratch.write("list0", b"d/2-full.dmp\0nowhere\0");
    let output = scan(&scratch, "--files0-from list0 -f jsonl");
    assert_eq!((output.status, paths(&output.stdout).len()), (Some(2), 2));
    assert_eq!(paths(&scan(&scratch, "d/**/*.dmp -f jsonl").stdout).len(), 6);
    let wrong = scan(&scratch, "d --shard 0/3");
    assert!(wrong.status == Some(2) && wrong.stderr.contains("1/4 to 4/4"), "{}", wrong.stderr);
}

#[test]
fn standard_input_is_one_dump() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dumpmap"))
        .args(["scan", "-", "-f", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&small()).unwrap();
    let output = child.wait_with_output().unwrap();
    let row = rows(std::str::from_utf8(&output.stdout).unwrap()).remove(0);
    assert_eq!((&row["path"], &row["status"]), (&"-".into(), &"ok".into()));
}

#[test]
fn a_run_goes_on_where_another_ended() {
    let scratch = scratch();
    for format in ["jsonl", "csv"] {
        let whole = scan(&scratch, &format!("d -f {format}")).stdout;
        let place = format!("out.{format}");
        // A run that was killed: some whole rows and a part of one.
        for kept in [0, 1, 700, 1500, whole.len() / 2, whole.len() - 1, whole.len()] {
            let _ = fs::remove_file(scratch.path(&place));
            scratch.write(&format!("{place}.partial"), &whole.as_bytes()[..kept]);
            let output = scan(&scratch, &format!("d -f {format} -o {place} --resume"));
            assert_eq!(
                fs::read_to_string(scratch.path(&place)).unwrap(),
                whole,
                "{format} {kept}: {}",
                output.stderr
            );
            assert!(!scratch.path(&format!("{place}.partial")).exists());
        }
        // One that was complete.
        let again = scan(&scratch, &format!("d -f {format} -o {place} --resume"));
        assert!(again.stderr.contains("0 dumps"), "{}", again.stderr);
        assert_eq!(fs::read_to_string(scratch.path(&place)).unwrap(), whole);
        // And one that wrote something else.
        scratch.write("other", b"something else\n");
        let wrong = scan(&scratch, &format!("d -f {format} -o other --resume"));
        assert_eq!(wrong.status, Some(2));
        assert!(wrong.stderr.contains("no rows of scan"), "{}", wrong.stderr);
        assert_eq!(fs::read(scratch.path("other")).unwrap(), b"something else\n");
    }
    assert_eq!(scan(&scratch, "d -f jsonl --resume").status, Some(2));
    let input = scan(&scratch, "d/2-full.dmp -f jsonl -o d/2-full.dmp");
    assert!(input.stderr.contains("is the input"), "{}", input.stderr);
    assert_eq!(fs::read(scratch.path("d/2-full.dmp")).unwrap(), crowded());
}

#[test]
fn ids_are_of_the_streams() {
    let scratch = Scratch::new();
    scratch.write("a.dmp", &small());
    scratch.write("b.dmp", &small());
    scratch.write("c.dmp", &crowded());
    // Bytes behind the last stream are no part of any.
    scratch.write("d.dmp", &[small(), vec![0; 100]].concat());
    let rows = rows(&scan(&scratch, "a.dmp b.dmp c.dmp d.dmp -f jsonl --hash").stdout);
    let id = |at: usize| rows[at]["dump_id"].as_str().unwrap().to_owned();
    assert_eq!(id(0).len(), 64);
    assert_eq!((id(0) == id(1), id(0) == id(2), id(0) == id(3)), (true, false, true));
}

#[test]
fn redacted_rows_name_nobody() {
    let scratch = Scratch::new();
    scratch.write("hostile.dmp", &hostile());
    let args = "hostile.dmp -f jsonl --with regions,findings,threads,modules";
    let plain = scan(&scratch, args).stdout;
    let redacted = scan(&scratch, &format!("{args} --redact")).stdout;
    assert!(plain.contains("Ann Lee"));
    for name in ["Ann Lee", "attacker.example", "secretshare"] {
        assert!(!redacted.contains(name), "{name}");
    }
    schema::check("scan", redacted.lines().next().unwrap());
}

#[test]
fn the_collected_dumps() {
    let Some(corpus) = shared_or_skip("corpus") else { return };
    let corpus = corpus.to_str().unwrap();
    let output = run(["scan", corpus, "-f", "jsonl"]);
    assert_eq!(output.status, Some(2));
    let rows = rows(&output.stdout);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *counts.entry(row["status"].as_str().unwrap()).or_default() += 1;
        schema::check("scan", &row.to_string());
    }
    // 197 files and the list of them; the cores among them do not say that
    // they are dumps.
    assert!(output.stderr.contains("passed over: 9 core files, 1 other file"), "{}", output.stderr);
    assert_eq!(rows.len(), 197 - 9);
    assert_eq!(counts["error"], 8, "{counts:?}");
    // By a kind of figures: those of another program.
    let with_map = rows.iter().filter(|row| row["map_source"] == "memory-info").count();
    assert!(with_map >= 10, "{with_map}");
}

/// Other programs cut dumps while they are read: that is a row, not the end.
#[test]
fn files_that_change_while_they_are_read() {
    let scratch = Scratch::new();
    let mut dump = small();
    dump.resize(400_000, 0);
    for number in 0..60 {
        scratch.write(&format!("{number:02}.dmp"), &dump);
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let path = scratch.path(&format!("{:02}.dmp", number % 60));
                let file = fs::OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(if number % 2 == 0 { 1_000 } else { 400_000 }).unwrap();
                number += 7;
            }
        });
        for depth in ["streams", "walk"] {
            let output = scan(&scratch, &format!(". -f jsonl --depth {depth}"));
            assert_eq!(rows(&output.stdout).len(), 60, "{}", output.stderr);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_whole_rows() {
    let scratch = scratch();
    let mut child = Command::new(env!("CARGO_BIN_EXE_dumpmap"))
        .args(["scan", "--files-from", "-", "-f", "jsonl", "-o", "out.jsonl"])
        .current_dir(scratch.path(""))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut list = child.stdin.take().unwrap();
    list.write_all("d\n".repeat(50).as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    // The list goes on: without the interrupt there would be no end.
    for _ in 0..100 {
        if list.write_all(b"d\n").is_err() || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(list);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    let text = fs::read_to_string(scratch.path("out.jsonl")).unwrap();
    assert!(text.ends_with('\n') && !rows(&text).is_empty());
}
