//! The command: what it prints, and what it never prints.

use std::fs;
use std::path::Path;

use dumpmap::synth::{
    Context, DumpBuilder, Exception, Memory, Module, PAGE_READWRITE, Region, Stack, Thread,
};
use serde_json::Value;

use crate::support::{Output, dumps_in, run, shared_or_skip, unpacked_path};

fn scenario() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    folder.join("x64-crash-null.mini.dmp").to_string_lossy().into_owned()
}

/// The program's answer about a made dump.
fn of(name: &str, dump: &DumpBuilder, args: &[&str]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{name}.dmp"));
    fs::write(&path, dump.build()).unwrap();
    let path = path.to_string_lossy();
    let Output { status, stdout, stderr } = run(["crash", &path].iter().chain(args));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    stdout
}

#[test]
fn text_and_markdown_read_well() {
    let shown = |format| run(["crash", &scenario(), "-f", format]).stdout;
    insta::assert_snapshot!("text", shown("text"));
    insta::assert_snapshot!("markdown", shown("markdown"));
}

#[test]
fn json_has_the_names_that_others_rely_on() {
    let output = run(["crash", &scenario(), "-f", "json"]).stdout;
    let json: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(json["code"], 0xc000_0005_u32);
    assert_eq!(json["name"], "EXCEPTION_ACCESS_VIOLATION_WRITE");
    assert_eq!(json["address"], "0x0000000000000024");
    assert_eq!(json["access"], "write");
    assert_eq!(json["thread_id"], 1972);
    assert_eq!(json["fault"], "null");
    assert_eq!(json["fault_region"]["state"], "free");
    assert_eq!(json["frames"][0]["location"], "scenario-x64.exe+0x18e2");
    assert_eq!(json["frames"][0]["offset"], 0x18e2);
    assert_eq!(json["signature"], "EXCEPTION_ACCESS_VIOLATION_WRITE | scenario-x64.exe+0x18e2");
    assert_eq!(json["thread"]["name"], "crasher");
    assert_eq!(json["thread"]["registers"][0]["name"], "rax");
}

#[test]
fn a_dump_without_a_crash_says_so() {
    let none = DumpBuilder::windows_x64();
    assert!(
        of("none", &none, &[]).ends_with("no crash recorded: the dump has no exception stream\n")
    );
    let json: Value = serde_json::from_str(&of("null", &none, &["-f", "json"])).unwrap();
    assert_eq!((&json["recorded"], &json["code"]), (&Value::Bool(false), &Value::Null));
    let asked = none.exception(Exception::new(7, 0x0517_a7ed, 0x1000));
    assert!(of("asked", &asked, &[]).ends_with("the dump was written on request\n"));
}

#[test]
fn hostile_names_and_people() {
    let dump = DumpBuilder::windows_x64()
        .module(Module::new("C:\\Users\\Ann Lee\\\u{1b}[31m`evil`\u{202e}|.exe", 0x40_0000, 0x4000))
        .thread(Thread::new(7))
        .thread_name(7, "\\\\srv\\share\\\u{1b}[2J<b>")
        .exception(Exception::write_fault(7, 0x40_1000, 0x40_1000));
    for format in ["text", "markdown", "csv", "json"] {
        let shown = of(&format!("hostile-{format}"), &dump, &["-f", format, "--redact"]);
        assert!(!shown.contains(['\u{1b}', '\u{202e}']) || format == "json", "{shown}");
        assert!(!shown.contains("Ann Lee") && !shown.contains("srv"), "{shown}");
        if format == "markdown" {
            assert!(!shown.contains("`evil`") && !shown.contains("<b>"), "{shown}");
        }
    }
}

/// Of a stack only addresses of code are shown.
#[test]
fn no_contents_of_memory() {
    const SECRET: u64 = 0x5345_4352_4554_2121;
    let bytes: Vec<u8> = [SECRET; 512].iter().flat_map(|word| word.to_le_bytes()).collect();
    let context = Context::at(0x40_1000, 0x20_0000);
    let dump = DumpBuilder::windows_x64()
        .module(Module::new("a.exe", 0x40_0000, 0x4000))
        .region(Region::commit(0x20_0000, 0x1000, PAGE_READWRITE))
        .thread(Thread { stack: Stack::Captured(Memory::new(0x20_0000, bytes)), ..Thread::new(7) })
        .exception(Exception { context, ..Exception::write_fault(7, 0x40_1000, 0x20_0010) });
    for format in ["text", "markdown", "csv", "json"] {
        let shown = of(&format!("secret-{format}"), &dump, &["-f", format]);
        assert!(!shown.contains("53454352") && !shown.contains("SECRET"), "{shown}");
    }
}

#[test]
fn every_real_dump_fits_80_columns() {
    for folder in ["corpus", "scenarios"] {
        let Some(folder) = shared_or_skip(folder) else { return };
        for path in dumps_in(&folder).iter().filter(|path| path.extension() == Some("dmp".as_ref()))
        {
            let path = unpacked_path(path);
            let output = run(["crash".as_ref(), path.as_os_str()]);
            assert!(matches!(output.status, Some(0 | 2)), "{}", path.display());
            for line in output.stdout.lines() {
                let columns = dumpmap::render::sanitize::width(line);
                let long = line.split(' ').any(|word| word.len() > 60);
                assert!(columns <= 80 || long, "{}: {line}", path.display());
                assert_eq!(line.trim_end(), line, "{}", path.display());
            }
        }
    }
}
