//! `--symbols`: names from Breakpad symbol files, or a line that says why not.

use std::fs;
use std::path::{Path, PathBuf};

use dumpmap::synth::{
    CodeView, Context, DumpBuilder, Exception, Memory, Module, PAGE_EXECUTE_READ, PAGE_READWRITE,
    Region, Registers, Stack, Thread,
};

use crate::support::{Output, run};

const BASE: u64 = 0x40_0000;
const STACK: u64 = 0x20_0000;
const GUID: [u8; 16] = [
    0x5a, 0x98, 0x32, 0xe5, 0x28, 0x72, 0x41, 0xc1, 0x83, 0x8e, 0xd9, 0x89, 0x14, 0xe9, 0xb7, 0xff,
];
const ID: &str = "5A9832E5287241C1838ED98914E9B7FF1";

/// A folder of a test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("symbols-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Crashed at `BASE + 0x1004`, called from before `BASE + 0x1100` and `BASE + 0x1203`.
fn dump(code_view: CodeView) -> DumpBuilder {
    let words = [STACK + 8, BASE + 0x1100, 0, BASE + 0x1203];
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| u32::try_from(*word).unwrap().to_le_bytes()).collect();
    let registers = Registers { instruction: BASE + 0x1004, stack: STACK, frame: STACK, link: 0 };
    let exception = Exception {
        context: Context::Registers(registers),
        ..Exception::write_fault(7, BASE + 0x1004, 0x24)
    };
    DumpBuilder::windows_x86()
        .module(Module { code_view, ..Module::new(r"C:\App\prog.exe", BASE, 0x4000) })
        .region(Region::commit(STACK, 0x1000, PAGE_READWRITE))
        .region(Region::image(BASE, 0x4000, PAGE_EXECUTE_READ, BASE))
        .thread(Thread { stack: Stack::Captured(Memory::new(STACK, bytes)), ..Thread::new(7) })
        .exception(exception)
}

fn pdb(name: &str) -> CodeView {
    CodeView::Pdb70 { guid: GUID, age: 1, pdb: name.into() }
}

fn symbols(id: &str) -> String {
    format!(
        "MODULE windows x86 {id} prog.pdb\n\
         INFO CODE_ID 5A9832E5 prog.exe\n\
         FILE 0 c:\\src\\main.cpp\n\
         FILE 1 c:\\src\\list.h\n\
         INLINE_ORIGIN 0 List::push\n\
         FUNC 1000 10 0 crash_here(int)\n\
         1000 4 41 0\n\
         1004 c 42 0\n\
         FUNC 10f0 10 0 caller\n\
         INLINE 0 17 0 0 10f8 8\n\
         10f0 8 16 0\n\
         10f8 8 90 1\n\
         FUNC 1100 10 0 not_the_caller\n\
         1100 10 99 0\n\
         PUBLIC 1200 0 entry\n\
         STACK WIN 4 1000 10 0 0 0 0 0 0 1 $eip 4 + ^ =\n"
    )
}

fn put(folder: &Path, relative: &str, contents: impl AsRef<[u8]>) {
    let path = folder.join(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

fn run_on(folder: &Path, dump: &DumpBuilder, args: &[&str]) -> Output {
    let path = folder.join("app.dmp");
    fs::write(&path, dump.build()).unwrap();
    run([&["crash", path.to_str().unwrap()], args].concat())
}

#[cfg(not(feature = "symbols"))]
#[test]
fn without_the_feature_the_option_says_what_to_do() {
    let folder = folder("none");
    put(&folder, &format!("prog.pdb/{ID}/prog.sym"), symbols(ID));
    let args = ["--symbols", folder.to_str().unwrap()];
    let output = run_on(&folder, &dump(pdb("prog.pdb")), &args);
    assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""));
    let expected = "needs a dumpmap that has the feature `symbols`";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
    let output = run_on(&folder, &dump(pdb("prog.pdb")), &[]);
    assert!(output.stdout.contains("prog.exe+0x1004"), "{}", output.stdout);
}

#[cfg(feature = "symbols")]
mod with_them {
    use serde_json::Value;

    use super::*;

    fn json(folder: &Path, dump: &DumpBuilder) -> Value {
        let args = ["--symbols", folder.to_str().unwrap(), "-f", "json"];
        let Output { status, stdout, stderr } = run_on(folder, dump, &args);
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
        serde_json::from_str(&stdout).unwrap()
    }

    /// No name from this file, and one issue that names it and has these words.
    fn refused(name: &str, contents: &[u8], expected: &str) {
        let folder = folder(name);
        let relative = format!("prog.pdb/{ID}/prog.sym");
        put(&folder, &relative, contents);
        let json = json(&folder, &dump(pdb("prog.pdb")));
        let issues = json["symbols"]["issues"].as_array().unwrap();
        let issue = issues[0].as_str().unwrap().replace('\\', "/");
        assert!(issue.contains(&relative) && issue.contains(expected), "{issue}");
        assert_eq!((issues.len(), &json["symbols"]["used"]), (1, &Value::Array(vec![])));
        assert_eq!(json["symbols"]["missing"], Value::Array(vec![]));
        assert!(json["frames"].as_array().unwrap().len() >= 3);
        for frame in json["frames"].as_array().unwrap() {
            assert_eq!((&frame["function"], &frame["file"]), (&Value::Null, &Value::Null));
            assert!(frame["location"].as_str().unwrap().starts_with("prog.exe+0x"));
        }
    }

    #[test]
    fn functions_lines_and_what_is_inlined() {
        let folder = folder("good");
        // The path in the dump is whole: only its end is looked for.
        let dump = dump(pdb(r"C:\build\prog.pdb"));
        let plain = run_on(&folder, &dump, &["-f", "json"]).stdout;
        let plain: Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(plain["symbols"], Value::Null);
        put(&folder, &format!("prog.pdb/{ID}/prog.sym"), symbols(ID));
        let json = json(&folder, &dump);
        let [first, second, third, ..] = json["frames"].as_array().unwrap().as_slice() else {
            panic!("{json}")
        };
        assert_eq!(first["function"], "crash_here(int)");
        assert_eq!((&first["function_offset"], &first["line"]), (&4.into(), &42.into()));
        assert_eq!(first["file"], r"c:\src\main.cpp");
        // A return address is looked up one byte before: it is the next function's first.
        assert_eq!(second["function"], "caller");
        assert_eq!((&second["function_offset"], &second["line"]), (&0x10.into(), &17.into()));
        assert_eq!(second["inlined"][0]["function"], "List::push");
        assert_eq!(second["inlined"][0]["line"], 90);
        assert_eq!(second["inlined"][0]["file"], r"c:\src\list.h");
        assert_eq!(third["function"], "entry");
        assert_eq!((&third["function_offset"], &third["line"]), (&3.into(), &Value::Null));
        // Rows group the same with and without symbols.
        assert_eq!(json["signature"], plain["signature"]);
        assert_eq!(first["location"], "prog.exe+0x1004");
        assert_eq!(json["symbols"]["used"].as_array().unwrap().len(), 1);
        assert_eq!(json["symbols"]["issues"], Value::Array(vec![]));
        let shown = |format| {
            let args = ["--symbols", folder.to_str().unwrap(), "-f", format];
            run_on(&folder, &dump, &args).stdout
        };
        insta::assert_snapshot!("symbols_text", shown("text"));
        insta::assert_snapshot!("symbols_markdown", shown("markdown"));
        let csv = shown("csv");
        assert!(csv.contains(",crash_here(int),4,c:\\src\\main.cpp,42,"), "{csv}");
    }

    /// A file of a million functions, in an address space that has no room for them.
    #[cfg(target_os = "linux")]
    #[test]
    fn memory_does_not_grow_with_the_file() {
        use std::io::Write;
        let folder = folder("large");
        let relative = format!("prog.pdb/{ID}/prog.sym");
        put(&folder, &relative, symbols(ID));
        let file = fs::File::options().append(true).open(folder.join(&relative)).unwrap();
        let mut file = std::io::BufWriter::new(file);
        for at in 0..1_000_000_u32 {
            let address = 0x10_0000 + at * 16;
            writeln!(file, "FUNC {address:x} 10 0 ns::function_{at}\n{address:x} 10 {at} 1")
                .unwrap();
        }
        drop(file);
        let dump_path = folder.join("app.dmp");
        fs::write(&dump_path, dump(pdb("prog.pdb")).build()).unwrap();
        let limited = "ulimit -v 150000; exec \"$0\" crash \"$1\" --symbols \"$2\"";
        let output = std::process::Command::new("sh")
            .args(["-c", limited, env!("CARGO_BIN_EXE_dumpmap")])
            .args([&dump_path, &folder])
            .output()
            .unwrap();
        let (text, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("crash_here(int)+0x4 (main.cpp:42)"), "{text}{error}");
        assert!(text.contains("List::push, inlined (list.h:90)"), "{text}{error}");
        let _ = fs::remove_dir_all(&folder);
    }

    #[test]
    fn symbols_of_elf_are_found_by_the_build_id() {
        let folder = folder("elf");
        let mut build = GUID.to_vec();
        build.extend([1, 2, 3, 4]);
        let id = "E532985A7228C141838ED98914E9B7FF0";
        put(&folder, &format!("prog.exe/{id}/prog.exe.sym"), symbols(&id.to_lowercase()));
        let json = json(&folder, &dump(CodeView::Elf(build)));
        assert_eq!(json["frames"][0]["function"], "crash_here(int)");
    }

    #[test]
    fn files_that_are_not_used() {
        let other = "5A9832E5287241C1838ED98914E9B7FF2";
        let text = symbols(ID);
        refused("other", symbols(other).as_bytes(), &format!("of the build {other}, the dump has"));
        refused("empty", b"", "does not begin with a MODULE line");
        refused("garbage", &[0xff, 0, b'\n', 7].repeat(1000), "does not begin with a MODULE line");
        refused("cut", &text.as_bytes()[..text.len() - 9], "cut in line 16");
        let first = text.lines().next().unwrap();
        refused("rest", format!("{first}\nFUNC zz zz\n").as_bytes(), "no good symbol file");
        refused("bytes", format!("{first}\n\u{7f}\u{0}\n").as_bytes(), "no good symbol file");
        let long = format!("{first}\nFUNC 1000 10 0 {}", "a".repeat(2 << 20));
        refused("long", long.as_bytes(), "line 2: longer than 1048576 bytes");
    }

    #[test]
    fn extreme_numbers_give_no_names_and_no_panic() {
        let folder = folder("extreme");
        let most = u64::MAX;
        let lines = format!(
            "MODULE windows x86 {ID} prog.pdb\nFUNC {most:x} ffffffff 0 a\n{most:x} ffffffff 1 0\n\
             FUNC 0 ffffffff 0 all\n0 ffffffff 4294967295 4294967295\nINLINE 0 1 9 9 0 ffffffff\n\
             PUBLIC {most:x} 0 b\n"
        );
        put(&folder, &format!("prog.pdb/{ID}/prog.sym"), lines);
        let json = json(&folder, &dump(pdb("prog.pdb")));
        assert_eq!(json["frames"][0]["function"], "all");
        assert_eq!(json["frames"][0]["file"], Value::Null);
    }

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        let outside = folder("outside");
        let folder = outside.join("inside");
        fs::create_dir_all(&folder).unwrap();
        for name in ["..", r"C:\a\..", "prog.pdb:stream", "x\u{1b}[2J"] {
            let id = PathBuf::from(ID);
            put(&outside, id.join("...sym").to_str().unwrap(), symbols(ID));
            let json = json(&folder, &dump(pdb(name)));
            let issue = json["symbols"]["issues"][0].as_str().unwrap();
            assert!(issue.contains("no name of a file"), "{name}: {issue}");
            assert_eq!(json["frames"][0]["function"], Value::Null, "{name}");
        }
        // Only the last part of a path counts.
        put(&outside, &format!("prog.pdb/{ID}/prog.sym"), symbols(ID));
        let json = json(&folder, &dump(pdb(r"..\prog.pdb")));
        assert_eq!(json["symbols"]["missing"][0], format!("prog.pdb/{ID}/prog.sym"));
        assert_eq!(json["frames"][0]["function"], Value::Null);
    }

    #[test]
    fn folders_in_their_order_and_modules_without_an_id() {
        let (first, second) = (folder("first"), folder("second"));
        let relative = format!("prog.pdb/{ID}/prog.sym");
        put(&first, &relative, symbols("0"));
        put(&second, &relative, symbols(ID));
        let folders = [first.to_str().unwrap(), second.to_str().unwrap()];
        let args = ["--symbols", folders[0], "--symbols", folders[1], "-f", "json"];
        let of = |dump: &DumpBuilder| -> Value {
            serde_json::from_str(&run_on(&first, dump, &args).stdout).unwrap()
        };
        let json = of(&dump(pdb("prog.pdb")));
        assert_eq!(json["frames"][0]["function"], "crash_here(int)");
        assert_eq!(json["symbols"]["issues"].as_array().unwrap().len(), 1);
        let json = of(&dump(CodeView::None));
        let issue = "prog.exe: the dump has no debug id of it";
        assert_eq!(json["symbols"]["issues"][0], issue);
        // A folder in the place of the file.
        fs::create_dir_all(first.join("dir.pdb").join(ID).join("dir.sym")).unwrap();
        let json = of(&dump(pdb("dir.pdb")));
        assert!(json["symbols"]["issues"][0].as_str().unwrap().ends_with(": no regular file"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_mistake() {
        let folder = folder("mistake");
        let output = run_on(&folder, &dump(pdb("prog.pdb")), &["--symbols", "no/such/folder"]);
        assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""));
        let expected = "dumpmap: no/such/folder: cannot read the folder: ";
        assert!(output.stderr.starts_with(expected), "{}", output.stderr);
    }

    #[test]
    fn names_steer_no_terminal_and_paths_are_redacted() {
        let folder = folder("hostile");
        let text = symbols(ID)
            .replace("crash_here(int)", "\u{1b}[2J`<b>`|\u{202e}=1+1")
            .replace("c:\\src\\", "C:\\Users\\Ann Lee\\");
        put(&folder, &format!("prog.pdb/{ID}/prog.sym"), text);
        for format in ["text", "markdown", "csv", "json"] {
            let args = ["--symbols", folder.to_str().unwrap(), "-f", format, "--redact"];
            let shown = run_on(&folder, &dump(pdb("prog.pdb")), &args).stdout;
            assert!(shown.contains("2J"), "{shown}");
            assert!(!shown.contains(['\u{1b}', '\u{202e}']) || format == "json", "{shown}");
            assert!(!shown.contains("Ann Lee"), "{shown}");
            assert!(!shown.contains("<b>") || format != "markdown", "{shown}");
        }
    }
}
