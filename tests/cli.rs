//! The program from outside: what it prints, where, and its exit codes.

mod support;

#[path = "cli/dumps.rs"]
mod dumps;
#[path = "cli/schema.rs"]
mod schema;

use std::fs;
use std::path::Path;

use dumps::{Scratch, crowded, hostile, small};
use support::{Output, dumps_in, run, shared_or_skip, unpacked_path};

/// What a command prints of a dump, run in the folder where the dump lies, so
/// that no path of this machine gets into the text.
fn shown(dump: Vec<u8>, args: &str) -> String {
    let scratch = Scratch::new();
    scratch.write("app.dmp", &dump);
    let output = scratch.run(args.split_whitespace());
    assert_eq!(output.status, Some(0), "{args}: {}", output.stderr);
    assert_eq!(output.stderr, "", "{args}");
    // How many rules there are is no part of how a report looks.
    let rules = format!("{} rules checked", dumpmap::rules::ALL.len());
    output.stdout.replace(&rules, "N rules checked")
}

const TEXTS: [&str; 13] = [
    "app.dmp",
    "regions app.dmp",
    "regions app.dmp --by allocation",
    "stacks app.dmp",
    "images app.dmp --sections",
    "heaps app.dmp",
    "streams app.dmp",
    "explain app.dmp @rsp @rip 0 ffff800000000000 7ffe0000 plugin+0x1000 7ff`ffff0000",
    "regions app.dmp --sort size --top 5 --state commit,reserve",
    "crash app.dmp",
    "diff app.dmp app.dmp",
    "unexplained app.dmp",
    "unexplained app.dmp --pointers --top 2",
];

#[test]
fn text_reads_well() {
    for (place, args) in TEXTS.iter().enumerate() {
        insta::assert_snapshot!(format!("text_{place}"), shown(small(), args), args);
    }
    insta::assert_snapshot!("text_findings", shown(crowded(), "app.dmp"));
    insta::assert_snapshot!("markdown", shown(crowded(), "app.dmp -f markdown"));
}

#[test]
fn text_has_80_columns_and_no_escapes() {
    for dump in [small(), crowded(), hostile()] {
        for args in TEXTS.iter().filter(|args| !args.starts_with("explain")) {
            check_text(args, &shown(dump.clone(), args));
        }
    }
    let Some(corpus) = shared_or_skip("corpus") else { return };
    for path in dumps_in(&corpus) {
        let scratch = Scratch::new();
        scratch.write("app.dmp", &support::read_dump(&path));
        for args in TEXTS.iter().filter(|args| !args.starts_with("explain")) {
            let output = scratch.run(args.split_whitespace());
            assert!(matches!(output.status, Some(0 | 2)), "{}: {args}", path.display());
            check_text(args, &output.stdout);
        }
    }
}

fn check_text(args: &str, text: &str) {
    for line in text.lines() {
        let columns = dumpmap::render::sanitize::width(line);
        // A word that is longer than a line is not broken.
        let long = line.split(' ').any(|word| word.len() > 60);
        assert!(columns <= 80 || long, "{args}: {columns} columns: {line}");
        assert!(!line.contains(|c: char| c.is_control()), "{args}: {line:?}");
        assert!(!line.contains(['\u{202e}', '\u{2066}']), "{args}: {line:?}");
        assert_eq!(line.trim_end_matches(' '), line, "{args}: blanks at the end");
    }
}

#[test]
fn colour_only_where_it_is_wanted() {
    let coloured = shown(small(), "app.dmp --color always");
    assert!(coloured.contains("\u{1b}["));
    assert!(!shown(small(), "app.dmp --color auto").contains('\u{1b}'));
    assert!(!shown(small(), "app.dmp --color never").contains('\u{1b}'));
    assert!(!shown(small(), "app.dmp -f json --color always").contains('\u{1b}'));
}

#[test]
fn json_is_what_the_schema_says() {
    for dump in [small(), crowded(), hostile()] {
        for command in
            ["summary", "regions", "crash", "stacks", "images", "heaps", "streams", "unexplained"]
        {
            let json = shown(dump.clone(), &format!("{command} app.dmp -f json"));
            schema::check(command, &json);
            assert!(
                json.trim_start_matches("{\n").trim_start().starts_with("\"schema_version\"")
                    || json.starts_with("{\"schema_version\"")
            );
        }
        for args in ["", "--pointers --first-bytes"] {
            let json =
                shown(dump.clone(), &format!("explain app.dmp 0 30000 7ffe0000 -f json {args}"));
            schema::check("explain", &json);
            let json = shown(dump.clone(), &format!("unexplained app.dmp -f json {args}"));
            schema::check("unexplained", &json);
        }
    }
    schema::check("rules", &run(["rules", "-f", "json"]).stdout);
}

#[test]
fn json_of_real_dumps_is_what_the_schema_says() {
    let Some(scenarios) = shared_or_skip("scenarios") else { return };
    for path in dumps_in(&scenarios).iter().filter(|path| !path.ends_with(".zst")).take(40) {
        let path = unpacked_path(path);
        for command in
            ["summary", "regions", "crash", "stacks", "images", "heaps", "streams", "unexplained"]
        {
            let args = [command.as_ref(), path.as_os_str(), "-f".as_ref(), "json".as_ref()];
            schema::check(command, &run(args).stdout);
        }
    }
}

#[test]
fn heaps_are_walked_when_they_are_asked_to() {
    let of = |args: &str| -> serde_json::Value {
        serde_json::from_str(&shown(small(), &format!("heaps app.dmp -f json {args}"))).unwrap()
    };
    let walked = of("--sizes");
    schema::check("heaps", &walked.to_string());
    assert_eq!(walked["walked"], true);
    assert_eq!(of("--no-walk")["walked"], false);
    assert!(of("--no-walk")["heaps"][0]["busy_bytes"].is_null());
    let address = walked["heaps"][0]["address"].as_str().unwrap();
    assert_eq!(of(&format!("--heap {address}"))["heaps"].as_array().unwrap().len(), 1);
    for line in shown(small(), "heaps app.dmp --blocks").lines() {
        let block: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(block["heap"], address);
    }
}

#[test]
fn every_format_has_the_same_rows() {
    for command in ["stacks", "images", "heaps", "regions", "streams"] {
        let rows = |format| shown(small(), &format!("{command} app.dmp -f {format}"));
        let json: serde_json::Value = serde_json::from_str(&rows("json")).unwrap();
        let count = json[command].as_array().unwrap().len();
        assert!(count > 0, "{command}");
        assert_eq!(rows("jsonl").lines().count(), count, "{command}");
        let csv = rows("csv");
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let heading = reader.headers().unwrap().clone();
        assert_eq!(reader.records().map(Result::unwrap).count(), count, "{command}");
        let first: serde_json::Value =
            serde_json::from_str(rows("jsonl").lines().next().unwrap()).unwrap();
        let names: Vec<&str> = heading.iter().collect();
        assert_eq!(names.len(), first.as_object().unwrap().len());
        assert!(names.iter().all(|name| first.get(name).is_some()), "{command}: {names:?}");
    }
}

#[test]
fn region_lines_are_what_serde_would_write() {
    use dumpmap::render::RegionLines;
    use dumpmap::report::{By, Input, Names, Privacy, RegionView, rows};
    for bytes in [small(), crowded(), hostile()] {
        let source = dumpmap::source::Source::from_bytes(bytes);
        let analysis = dumpmap::analyze(&source, &dumpmap::limits::Limits::default()).unwrap();
        for privacy in [Privacy::Full, Privacy::Redacted] {
            let input = Input { analysis: &analysis, path: "app.dmp".as_ref(), privacy };
            let names = Names::of(&input);
            let mut lines = RegionLines::new(&names);
            for by in [By::Piece, By::Region, By::Allocation] {
                for row in rows(&input, by) {
                    let expected = serde_json::to_string(&RegionView::of(&names, &row)).unwrap();
                    assert_eq!(std::str::from_utf8(lines.line(&row)).unwrap(), expected);
                }
            }
        }
    }
}

#[test]
fn filters_keep_what_they_say() {
    let rows = |args: &str| -> Vec<serde_json::Value> {
        let text = shown(small(), &format!("regions app.dmp -f jsonl {args}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = rows("");
    let only = |args: &str, keep: &dyn Fn(&serde_json::Value) -> bool| {
        let expected: Vec<_> = all.iter().filter(|row| keep(row)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{args}");
        assert_eq!(rows(args), expected, "{args}");
    };
    only("--kind stack", &|row| row["kind"] == "stack");
    only("--kind stack,heap", &|row| row["kind"] == "stack" || row["kind"] == "heap");
    only("--state reserve", &|row| row["state"] == "reserve");
    only("--type image", &|row| row["type"] == "image");
    only("--protect RWX", &|row| row["protect"] == "PAGE_EXECUTE_READWRITE");
    only("--protect guard", &|row| row["guard"] == true);
    only("--min-size 64K", &|row| row["size"].as_u64().unwrap() >= 65536);
    only("--thread 0x1004", &|row| row["thread_id"] == 0x1004);
    only("--module plugin", &|row| row["name"] == r"C:\App\plugin.dll");
    only("--name plug", &|row| row["name"] == r"C:\App\plugin.dll");
    let at = rows("--at @rsp");
    assert_eq!(at.len(), 1);
    assert_eq!(at[0]["kind"], "stack");
    let sizes: Vec<u64> =
        rows("--sort size --top 3").iter().map(|row| row["size"].as_u64().unwrap()).collect();
    let mut largest: Vec<u64> = all.iter().map(|row| row["size"].as_u64().unwrap()).collect();
    largest.sort_by_key(|size| std::cmp::Reverse(*size));
    assert_eq!(sizes, largest[..3]);
    let bytes = |rows: &[serde_json::Value]| -> u64 {
        rows.iter().map(|row| row["size"].as_u64().unwrap()).sum()
    };
    assert_eq!(bytes(&rows("--by region")), bytes(&all));
    assert_eq!(bytes(&rows("--by allocation")), bytes(&all));
}

/// What a refusal looks like: exit code 2, nothing on stdout, one line that
/// names the program, then the file.
fn refused(output: &Output, expected: &str) {
    assert_eq!(output.status, Some(2), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains(expected), "{} lacks {expected}", output.stderr);
}

#[test]
fn refusals() {
    let scratch = Scratch::new();
    scratch.write("app.dmp", &small());
    scratch.write("core", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0");
    scratch.write("empty.dmp", b"");
    scratch.write("text.dmp", b"hello");
    fs::create_dir(scratch.path("folder")).unwrap();
    let line = |args: &str, expected: &str| {
        let output = scratch.run(args.split_whitespace());
        refused(&output, expected);
        assert!(output.stderr.starts_with("dumpmap: "), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    };
    line("no.dmp", "dumpmap: no.dmp: cannot read the file: ");
    line("core", "dumpmap: core: an ELF core file, not a minidump; ");
    line("empty.dmp", "empty.dmp: the file is empty");
    line("text.dmp", "text.dmp: not a minidump");
    line("folder", "folder: this is a folder");
    line("app.dmp -f jsonl", "--format jsonl is not supported; use text, json, csv, markdown");
    line("explain app.dmp 0 -f csv", "use text, json, jsonl");
    line("explain app.dmp nomodule+1", "no module is called nomodule");
    line("explain app.dmp @xmm0", "@xmm0 is not known");
    line("explain app.dmp 0xzz", "0xzz is no address");
    line("regions app.dmp --range 5", "5 is no range");
    line("rules no-such-rule", "no rule is called no-such-rule; there are ");
    line("man no-such-command", "no command is called");
    line("app.dmp -o app.dmp", "app.dmp: is the input app.dmp");
    line("app.dmp -o folder", "folder: is a folder");
    line("app.dmp -o no/where.txt", "no/where.txt: cannot write the file");
    for args in ["--no-such-option", "regions app.dmp --min-size big", "regions", "-f yaml app.dmp"]
    {
        refused(&scratch.run(args.split_whitespace()), "");
    }
    let none: [&str; 0] = [];
    refused(&scratch.run(none), "Usage: dumpmap");
    for args in ["--help", "--version", "regions --help", "help explain"] {
        assert_eq!(scratch.run(args.split_whitespace()).status, Some(0), "{args}");
    }
}

/// The value of an option is never taken for a command of that name.
#[test]
fn options_stand_before_or_behind_a_command() {
    let scratch = Scratch::new();
    scratch.write("app.dmp", &small());
    let same = |before: &str, behind: &str| {
        let [before, behind] = [before, behind].map(|args| scratch.run(args.split(' ')));
        assert_eq!((behind.status, behind.stderr.as_str()), (Some(0), ""));
        assert_eq!(before, behind);
        before.stdout
    };
    let summary = same("--depth streams app.dmp", "app.dmp --depth streams");
    assert_eq!(same("--depth streams summary app.dmp", "app.dmp --depth streams"), summary);
    assert_ne!(same("--depth headers app.dmp", "app.dmp"), summary);
    same("--depth streams streams app.dmp", "streams app.dmp --depth streams");
    same("-f json --depth streams heaps app.dmp", "heaps app.dmp -f json --depth=streams");
    same("-o stacks app.dmp", "app.dmp -o stacks");
    assert!(scratch.path("stacks").is_file());
    refused(&scratch.run("app.dmp stacks app.dmp".split(' ')), "a command comes before its dump");
    let late = scratch.run(["app.dmp", "stacks"]);
    assert!(late.stderr.contains("a command comes before its dump"), "{}", late.stderr);
    assert!(!scratch.run(["stacks"]).stderr.contains("a command comes before"));
}

#[test]
fn output_appears_whole_and_never_over_an_input() {
    let scratch = Scratch::new();
    scratch.write("app.dmp", &small());
    let done = scratch.run("app.dmp -o report.txt".split(' '));
    assert_eq!((done.status, done.stdout.as_str()), (Some(0), ""));
    let first = fs::read_to_string(scratch.path("report.txt")).unwrap();
    assert!(first.starts_with("app.dmp   app.exe"), "{first}");
    scratch.write("report.txt", b"older");
    scratch.run("app.dmp -o report.txt".split(' '));
    assert_eq!(fs::read_to_string(scratch.path("report.txt")).unwrap(), first);
    scratch.run("no.dmp -o report.txt".split(' '));
    assert_eq!(fs::read_to_string(scratch.path("report.txt")).unwrap(), first);
    fs::hard_link(scratch.path("app.dmp"), scratch.path("hard.dmp")).unwrap();
    refused(&scratch.run("app.dmp -o ./app.dmp".split(' ')), "is the input");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("app.dmp", scratch.path("soft.dmp")).unwrap();
        refused(&scratch.run("app.dmp -o soft.dmp".split(' ')), "is the input");
        refused(&scratch.run("soft.dmp -o app.dmp".split(' ')), "is the input");
        refused(&scratch.run("app.dmp -o hard.dmp".split(' ')), "is the input");
    }
    assert_eq!(fs::read(scratch.path("app.dmp")).unwrap(), small());
    let left: Vec<_> =
        fs::read_dir(scratch.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
}

/// The page without its compressed data, in which any three letters may stand;
/// tests/html.rs looks into that.
fn without_data(page: &str) -> String {
    let is_data = |line: &&str| {
        line.len() > 40 && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    };
    page.lines().filter(|line| !is_data(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn redaction_reaches_every_output() {
    let commands = [
        "app.dmp",
        "app.dmp -f markdown",
        "app.dmp -f json",
        "regions app.dmp",
        "regions app.dmp -f json",
        "regions app.dmp -f jsonl",
        "regions app.dmp -f csv",
        "regions app.dmp -f markdown",
        "images app.dmp",
        "images app.dmp -f json",
        "images app.dmp -f csv",
        "stacks app.dmp -f json",
        "heaps app.dmp -f json",
        "streams app.dmp -f json",
        "streams app.dmp",
        "diff app.dmp app.dmp --other-run",
        "diff app.dmp app.dmp -f json",
        "diff app.dmp app.dmp -f markdown",
        "unexplained app.dmp --pointers -f json",
        "report app.dmp",
        "regions app.dmp --map",
        "explain app.dmp 30000 33000 38000",
        "explain app.dmp 30000 33000 38000 -f json",
    ];
    for args in commands {
        let plain = shown(hostile(), args);
        let redacted = without_data(&shown(hostile(), &format!("{args} --redact")));
        for name in ["Ann Lee", "attacker.example", "secretshare", "bob"] {
            assert!(!redacted.contains(name), "{args}: {name} in\n{redacted}");
        }
        if args.contains("json") && args.contains("images") {
            assert!(plain.contains("Ann Lee") && redacted.contains("<user>"), "{args}");
        }
    }
}

#[test]
fn standard_input_and_odd_names() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_dumpmap"))
        .args(["-", "-f", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&small()).unwrap();
    let output = child.wait_with_output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["dump"]["path"], "-");
    assert_eq!(json["dump"]["process_name"], "app.exe");

    #[cfg(target_os = "linux")]
    {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let scratch = Scratch::new();
        let name = OsStr::from_bytes(b"a\xff.dmp");
        fs::write(scratch.path("").join(name), small()).unwrap();
        let output = scratch.run([name, OsStr::new("-f"), OsStr::new("json")]);
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(json["dump"]["path"], "a\u{fffd}.dmp");
        assert_eq!(json["dump"]["path_bytes"], "61ff2e646d70");
    }
}

/// A reader that goes away is no failure.
#[cfg(unix)]
#[test]
fn broken_pipe_is_no_failure() {
    use std::process::{Command, Stdio};
    let scratch = Scratch::new();
    scratch.write("app.dmp", &crowded());
    let mut child = Command::new(env!("CARGO_BIN_EXE_dumpmap"))
        .current_dir(scratch.path(""))
        .args(["regions", "app.dmp", "-f", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stderr, b"");
}

#[test]
fn manuals() {
    let list = run(["rules"]).stdout;
    for rule in dumpmap::rules::ALL {
        assert!(list.contains(&format!("{:<9}{}\n", rule.severity.as_str(), rule.id)), "{list}");
    }
    let all = run(["rules", "-f", "json"]);
    let json: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    for rule in json["rules"].as_array().unwrap() {
        let manual = run(["rules", rule["id"].as_str().unwrap()]);
        assert_eq!(manual.stdout, rule["manual"].as_str().unwrap());
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(run(["completions", shell]).stdout.contains("dumpmap"), "{shell}");
    }
    assert!(run(["man"]).stdout.contains(".TH"));
    assert!(run(["man", "regions"]).stdout.contains("min\\-size"));
    let list = run(["schema"]).stdout;
    for name in [
        "summary",
        "regions",
        "explain",
        "stacks",
        "images",
        "heaps",
        "diff",
        "streams",
        "rules",
        "scan-groups",
        "unexplained",
    ] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{name}.json"));
        assert_eq!(run(["schema", name]).stdout, fs::read_to_string(path).unwrap());
        assert!(list.contains(&format!("`{name}`")));
    }
}
