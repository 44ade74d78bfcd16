//! `check` from outside: exit codes, policies, baselines, formats.

mod support;

#[path = "cli/dumps.rs"]
mod dumps;
#[cfg(feature = "ci")]
#[path = "check/junit.rs"]
mod junit;
#[path = "cli/schema.rs"]
mod schema;

use std::fs;
use std::path::Path;

use dumpmap::synth::{DumpBuilder, Module, Region};
use dumps::{Scratch, crowded, hostile, small};
use serde_json::Value;
use support::Output;

/// Two dumps, one of which fails, and things that are no dumps.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("good.dmp", &small());
    scratch.write("full.dmp", &crowded());
    scratch.write("text.dmp", b"hello");
    fs::create_dir_all(scratch.path("folder/below")).unwrap();
    fs::create_dir(scratch.path("empty")).unwrap();
    scratch.write("folder/b.bin", &crowded());
    scratch.write("folder/a.log", b"no dump");
    scratch.write("folder/below/a.dmp", &small());
    scratch
}

fn check(scratch: &Scratch, args: &str) -> Output {
    scratch.run(std::iter::once("check").chain(words(args)))
}

/// Words between blanks; blanks in single quotes stay.
fn words(args: &str) -> Vec<&str> {
    let quoted = args.split('\'').enumerate();
    quoted
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        })
        .collect()
}

fn json(scratch: &Scratch, args: &str) -> Value {
    let output = check(scratch, &format!("{args} -f json"));
    schema::check("check", &output.stdout);
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn exit_codes() {
    let scratch = scratch();
    let cases = [
        ("good.dmp", 0),
        ("full.dmp", 1),
        ("good.dmp full.dmp", 1),
        ("folder", 1),
        ("text.dmp good.dmp", 2),
        ("text.dmp full.dmp", 2),
        ("no.dmp", 2),
        ("text.dmp full.dmp --ignore-unreadable", 1),
        ("text.dmp good.dmp --ignore-unreadable", 0),
        ("empty", 2),
        ("good.dmp --assert 'free.largest >= 64M'", 0),
        ("good.dmp --assert 'free.largest >= 100000T' --assert 'dump.threads > 0'", 1),
        ("full.dmp --deny near-limit --fail-on note", 1),
        ("good.dmp --assert nonsense", 2),
        ("good.dmp --deny nonsense", 2),
        ("good.dmp --fail-on nonsense", 2),
        ("good.dmp --policy no.toml", 2),
        ("good.dmp --baseline text.dmp", 2),
        ("good.dmp -f csv", 2),
        ("", 2),
    ];
    for (args, code) in cases {
        let output = check(&scratch, args);
        assert_eq!(output.status, Some(code), "{args}: {}\n{}", output.stdout, output.stderr);
        let said = code == 2 || args.contains("--ignore-unreadable");
        assert_eq!(said, !output.stderr.is_empty(), "{args}: {}", output.stderr);
    }
}

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    if !folder.is_dir() {
        support::skip("no fixtures/scenarios: the package leaves them out");
        return;
    }
    let status = |name: &str| {
        let path = folder.join(name);
        support::run(["check".as_ref(), path.as_os_str()]).status
    };
    assert_eq!(status("x86-exhausted.info.dmp"), Some(1));
    assert_eq!(status("x64-basic.info.dmp"), Some(0));
}

#[test]
fn text_says_what_fails() {
    let scratch = scratch();
    let output = check(&scratch, "folder text.dmp --assert 'free.largest >= 64M'");
    let expected = "\
failed   folder/b.bin   app.exe
  error    free.largest >= 64M: it is 4 MiB
  error    address-space-exhausted: largest free block is 4 MiB, under 64 MiB
passed   folder/below/a.dmp   app.exe
error    text.dmp
";
    let text = output.stdout.replace('\\', "/");
    let shown: Vec<&str> = text.lines().filter(|line| !line.starts_with("         ")).collect();
    let (last, lines) = shown.split_last().unwrap();
    assert_eq!(lines.join("\n") + "\n", expected, "{text}");
    assert_eq!(*last, "3 dumps: 1 passed, 1 failed, 1 unreadable");
    assert!(output.stderr.starts_with("dumpmap: text.dmp: not a minidump"), "{}", output.stderr);
    for dump in [small(), crowded(), hostile()] {
        scratch.write("x.dmp", &dump);
        for line in check(&scratch, "x.dmp --fail-on note --strict").stdout.lines() {
            assert!(dumpmap::render::sanitize::width(line) <= 80, "{line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

/// Paths are taken as `scan` takes them, and answered in their order.
#[test]
fn many_dumps() {
    let scratch = scratch();
    scratch.write("folder/nothing.dmp", b"");
    scratch.write("list.txt", b"good.dmp\nfull.dmp\n");
    let dumps = |args: &str| -> Vec<(String, String)> {
        let report = json(&scratch, args);
        let word = |value: &Value| value.as_str().unwrap().replace('\\', "/");
        let dumps = report["dumps"].as_array().unwrap().iter();
        dumps.map(|dump| (word(&dump["path"]), word(&dump["status"]))).collect()
    };
    let named = |dumps: &[(&str, &str)]| -> Vec<(String, String)> {
        dumps.iter().map(|(path, status)| ((*path).into(), (*status).into())).collect()
    };
    let one = dumps("folder good.dmp -j 1");
    let expected = [
        ("folder/b.bin", "failed"),
        ("folder/below/a.dmp", "passed"),
        ("folder/nothing.dmp", "error"),
        ("good.dmp", "passed"),
    ];
    assert_eq!(one, named(&expected));
    assert_eq!(dumps("folder good.dmp -j 4"), one);
    assert_eq!(dumps("g*.dmp"), named(&[("good.dmp", "passed")]));
    let list = [("good.dmp", "passed"), ("full.dmp", "failed")];
    assert_eq!(dumps("--files-from list.txt"), named(&list));
    let output = check(&scratch, "folder -o folder/b.bin -f json");
    assert_eq!(output.status, Some(2), "an input is written over");
}

#[test]
fn figures_are_those_of_the_summary() {
    let scratch = scratch();
    for dump in ["good.dmp", "full.dmp"] {
        let summary = scratch.run(["summary", dump, "-f", "json"]).stdout;
        let summary: Value = serde_json::from_str(&summary).unwrap();
        let mut figures: Vec<(String, u64)> = Vec::new();
        let mut add = |prefix: &str, value: &Value| {
            for (name, value) in value.as_object().unwrap() {
                let number = match name.as_str() {
                    "process_id" => None,
                    "fragmentation" => value.as_f64().map(|percent| percent as u64),
                    _ => value.as_u64(),
                };
                figures.extend(number.map(|number| (format!("{prefix}.{name}"), number)));
            }
        };
        add("dump", &summary["dump"]);
        add("audit", &summary["audit"]);
        add("summary.total", &summary["summary"]["total"]);
        add("free", &summary["summary"]["free"]);
        for kind in summary["summary"]["kinds"].as_array().unwrap() {
            add(&format!("kinds.{}", kind["kind"].as_str().unwrap()), kind);
        }
        assert!(figures.len() > 40);
        let mut args = vec!["check".to_owned(), dump.to_owned(), "--fail-on=error".to_owned()];
        for (name, number) in &figures {
            let sign = if name == "free.fragmentation" { ">=" } else { "==" };
            args.push(format!("--assert={name} {sign} {number}"));
        }
        let verdict = summary["verdict"].as_str().unwrap();
        args.push(format!("--assert=verdict == {verdict}"));
        let output = scratch.run(args);
        assert!(!output.stdout.contains(": it is "), "{}", output.stdout);
        assert_eq!(output.stderr, "");
    }
}

#[test]
fn cannot_tell_is_said_and_fails_when_strict() {
    let scratch = Scratch::new();
    let rebuilt = DumpBuilder::windows_x64().module(Module::new("C:\\a.exe", 0x40_0000, 0x1000));
    scratch.write("rebuilt.dmp", &rebuilt.build());
    let args = "rebuilt.dmp --assert 'free.largest > 1' --assert 'heap.size < 1G'";
    let lenient = check(&scratch, args);
    assert_eq!(lenient.status, Some(0), "{}", lenient.stdout);
    assert_eq!(lenient.stdout.matches("the dump cannot tell").count(), 2, "{}", lenient.stdout);
    let strict = check(&scratch, &format!("{args} --strict"));
    assert_eq!(strict.status, Some(1), "{}", strict.stdout);

    let cut = DumpBuilder::windows_x64().region(Region::free(0, 0x1_0000)).build();
    scratch.write("cut.dmp", &cut[..cut.len() - 8]);
    assert_eq!(check(&scratch, "cut.dmp").status, Some(0));
    let strict = json(&scratch, "cut.dmp --strict");
    assert_eq!(strict["outcome"], "failed");
    assert_eq!(strict["dumps"][0]["checks"].as_array().unwrap().last().unwrap()["kind"], "issues");
}

#[test]
fn policies() {
    let scratch = scratch();
    let policy = |text: &str, args: &str| {
        scratch.write("policy.toml", text.as_bytes());
        check(&scratch, &format!("{args} --policy policy.toml"))
    };
    let allow = "allow = ['address-space-exhausted']";
    assert_eq!(policy(allow, "full.dmp").status, Some(0));
    assert_eq!(policy(allow, "full.dmp --deny address-space-exhausted").status, Some(1));
    let lower = "[thresholds.address-space-exhausted]\nlargest-free = '1M'\n";
    let rules = json(&scratch, "full.dmp --policy policy.toml");
    assert_eq!(rules["dumps"][0]["checks"][0]["status"], "allowed");
    assert!(!policy(lower, "full.dmp").stdout.contains("address-space-exhausted"));
    assert_eq!(policy("assert = ['dump.threads > 100']", "good.dmp").status, Some(1));
    for (text, place) in [
        ("\n  fail_on = 'worst'", "policy.toml:2:13: worst is no severity"),
        ("no_such = 1", "policy.toml:1:1: unknown field `no_such`"),
        ("deny = [\n'x']", "policy.toml:2:1: no rule is called x; there are address-space-"),
        ("assert = ['free.big > 1']", "policy.toml:1:11: column 1: no figure is called free.big"),
    ] {
        let output = policy(text, "good.dmp");
        assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""), "{text}");
        assert!(output.stderr.starts_with(&format!("dumpmap: {place}")), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}

#[test]
fn baselines_accept() {
    let scratch = scratch();
    assert_eq!(check(&scratch, "full.dmp --write-baseline known.json").status, Some(0));
    let known = fs::read_to_string(scratch.path("known.json")).unwrap();
    let known: Value = serde_json::from_str(&known).unwrap();
    assert_eq!(known["accepted"][0]["rule"], "address-space-exhausted");
    assert_eq!(known["accepted"][0]["process"], "app.exe");
    let output = check(&scratch, "full.dmp --baseline known.json");
    assert_eq!(output.status, Some(0), "{}", output.stdout);
    assert!(output.stdout.contains("accepted by the baseline"), "{}", output.stdout);
    let again = "good.dmp --baseline known.json --write-baseline known.json";
    assert_eq!(check(&scratch, again).status, Some(0));
    assert_eq!(check(&scratch, "full.dmp --baseline known.json").status, Some(1));
    let over = check(&scratch, "full.dmp --write-baseline full.dmp");
    assert!(over.stderr.contains("is the input"), "{}", over.stderr);
    assert_eq!(fs::read(scratch.path("full.dmp")).unwrap(), crowded());
}

/// A file name and a dump that want to get out of their place.
fn nasty() -> Scratch {
    let scratch = Scratch::new();
    let nasty = DumpBuilder::windows_x86()
        .regions([Region::free(0, 0x10_0000), Region::reserve(0x10_0000, 0x7fef_0000)])
        .module(Module::new(
            "C:\\a]]><x>\r\n::error::&\u{1b}[31m\u{fffe}%,:.exe",
            0x10_0000,
            0x1000,
        ));
    scratch.write("a%,b&'c;.dmp", &nasty.build());
    scratch.write("text.dmp", b"hello");
    scratch
}

const NASTY: [&str; 5] = ["check", "a%,b&'c;.dmp", "text.dmp", "--fail-on=note", "-f"];

#[test]
fn annotations_hold_one_command_a_line() {
    let output = nasty().run(NASTY.iter().chain(&["github"]));
    let lines: Vec<&str> = output.stdout.lines().collect();
    let (last, annotations) = lines.split_last().unwrap();
    assert!(last.starts_with("2 dumps: "), "{last}");
    assert!(annotations.len() >= 2);
    let file = "::error file=a%25%2Cb&'c;.dmp,title=dumpmap%3A address-space-exhausted::address-";
    assert!(annotations.iter().any(|line| line.starts_with(file)), "{}", output.stdout);
    for line in annotations {
        let (head, _) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
        assert_eq!(head.matches(',').count(), 1, "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn markdown_is_one_table() {
    let output = nasty().run(NASTY.iter().chain(&["markdown"]));
    assert!(output.stdout.starts_with("## dumpmap check: incomplete\n"), "{}", output.stdout);
    for row in output.stdout.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
}

#[cfg(feature = "ci")]
#[test]
fn sarif_is_what_its_schema_says() {
    // The published schema has a bare `]` in one pattern, which only JavaScript
    // takes for itself.
    let schema = include_str!("check/sarif-2.1.0.json").replace("{2}]?$", r"{2}\\]?$");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let check = |output: Output| -> Value {
        let log: Value = serde_json::from_str(&output.stdout).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&log).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}\n{}", errors.join("\n"), output.stdout);
        log
    };
    let log = check(nasty().run(NASTY.iter().chain(&["sarif"])));
    let run = &log["runs"][0];
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    let uri = "/locations/0/physicalLocation/artifactLocation/uri";
    assert_eq!(run["results"][0].pointer(uri).unwrap(), "a%25%2Cb%26%27c%3B.dmp");
    assert_eq!(run["results"][0]["ruleId"], "address-space-exhausted");
    assert_eq!(run["results"][0]["level"], "error");
    assert!(run["results"][0]["partialFingerprints"]["dumpmap/v1"].is_string());

    let scratch = scratch();
    let args = "full.dmp good.dmp -f sarif --write-baseline b.json --assert 'heap.size < 1'";
    let log = check(self::check(&scratch, args));
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|result| result["suppressions"][0]["kind"] == "external"));
    assert!(results.iter().any(|result| result["ruleId"] == "assertion"));
    let clean = check(self::check(&scratch, "good.dmp -f sarif"));
    assert_eq!(clean["runs"][0]["results"].as_array().unwrap().len(), 0);
}

/// What the common readers of JUnit need: counts that agree, a name and a
/// class for each case, a message for each failure.
#[cfg(feature = "ci")]
#[test]
fn junit_is_well_formed_and_counts() {
    use quick_xml::Reader;
    use quick_xml::events::{BytesStart, Event};
    let text = nasty().run(NASTY.iter().chain(&["junit"])).stdout;
    let attribute = |element: &BytesStart<'_>, name: &str| -> String {
        let found = element.try_get_attribute(name).unwrap();
        let found = found.unwrap_or_else(|| panic!("no {name}: {text}"));
        String::from_utf8(found.value.into_owned()).unwrap()
    };
    let (mut cases, mut failures, mut errors) = (0, 0, 0);
    let (mut said, mut suites) = ([0; 3], 0);
    let mut reader = Reader::from_str(&text);
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error}: {text}"));
        let (Event::Start(element) | Event::Empty(element)) = &event else {
            if event == Event::Eof {
                break;
            }
            continue;
        };
        match element.name().as_ref() {
            b"testsuites" => {
                said = ["tests", "failures", "errors"]
                    .map(|name| attribute(element, name).parse::<u32>().unwrap());
            }
            b"testsuite" => {
                suites += 1;
                for name in ["name", "tests", "failures", "errors"] {
                    assert!(!attribute(element, name).is_empty());
                }
            }
            b"testcase" => {
                cases += 1;
                assert!(!attribute(element, "name").is_empty());
                assert!(!attribute(element, "classname").is_empty());
            }
            b"failure" => {
                failures += 1;
                assert!(!attribute(element, "message").is_empty());
            }
            b"error" => {
                errors += 1;
                assert!(attribute(element, "message").starts_with("not a minidump"));
            }
            b"skipped" => {}
            other => panic!("{}: {text}", String::from_utf8_lossy(other)),
        }
    }
    assert_eq!((said, suites), ([cases, failures, errors], 2), "{text}");
    assert!(failures > 0 && errors == 1, "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(!text.contains('\u{fffe}'));
}

/// Every kind of outcome, and names that mean something in XML.
#[cfg(feature = "ci")]
#[test]
fn junit_is_what_its_schema_says() {
    let of = |scratch: &Scratch, args: &str| -> String {
        let text = check(scratch, &format!("{args} -f junit")).stdout;
        assert_eq!(junit::broken(&text), [""; 0], "{args}: {text}");
        text
    };
    let scratch = scratch();
    scratch.write("hostile.dmp", &hostile());
    assert!(!of(&scratch, "good.dmp").contains("<failure"));
    assert!(of(&scratch, "full.dmp good.dmp").contains("<failure"));
    assert!(of(&scratch, "text.dmp").contains("<error"));
    assert!(of(&scratch, "full.dmp --fail-on error --assert 'heap.size < 1'").contains("<failure"));
    of(&scratch, "hostile.dmp --fail-on note --strict");
    of(&scratch, "folder hostile.dmp text.dmp --fail-on note");
    let skipped = of(&scratch, "full.dmp --write-baseline accepted.json");
    assert!(skipped.contains("<skipped"), "{skipped}");
    // No such name can be on Windows.
    #[cfg(unix)]
    {
        scratch.write("<a>&'b' skipped=\"1\".dmp", &small());
        let odd = scratch.run(["check", "<a>&'b' skipped=\"1\".dmp", "-f", "junit"]).stdout;
        assert_eq!(junit::broken(&odd), [""; 0], "{odd}");
        assert!(odd.contains("&lt;a&gt;&amp;") && odd.contains("<skipped"), "{odd}");
    }
    let nasty = nasty().run(NASTY.iter().chain(&["junit"])).stdout;
    assert_eq!(junit::broken(&nasty), [""; 0], "{nasty}");
}

/// The check above can fail.
#[cfg(feature = "ci")]
#[test]
fn junit_that_breaks_the_schema_is_seen() {
    let suite = |inside: &str| {
        format!("<testsuite name='a' tests='1' failures='0' errors='0'>{inside}</testsuite>")
    };
    assert_eq!(junit::broken(&suite("<testcase name='b'/>")), [""; 0]);
    for bad in [
        "<testsuites skipped='0'></testsuites>".to_owned(),
        "<testsuite name='a' tests='1' failures='0'/>".to_owned(),
        "<testsuite name='a' tests='x' failures='0' errors='0'/>".to_owned(),
        "<testcase name='a'/>".to_owned(),
        suite("<testcase/>"),
        suite("<testcase name='a' name='b'/>"),
        suite("<testcase name='a' time='1s'/>"),
        suite("<failure/>"),
        suite("text"),
        suite("<testcase name='a'><failure><failure/></failure></testcase>"),
        suite("<testcase name='a'>"),
        suite("") + &suite(""),
    ] {
        assert!(!junit::broken(&bad).is_empty(), "{bad}");
    }
}
