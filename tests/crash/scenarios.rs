//! Programs that crashed on purpose, against what they wrote down.

use std::fs;
use std::path::Path;

use dumpmap::Analysis;
use dumpmap::crash::{Access, Crash, Place};
use dumpmap::map::State;
use serde_json::Value;

use crate::support::{dumps_in, read_dump, shared_or_skip};
use crate::with;

/// Every dump of a scenario with an exception: its name, its truth, its analysis.
fn each(mut check: impl FnMut(&str, &Value, &Analysis<'_>, &Crash)) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    let folders = [Some(fixtures), shared_or_skip("scenarios")];
    for path in folders.iter().flatten().flat_map(|folder| dumps_in(folder)) {
        let Some(truth) = truth_of(&path) else { continue };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        with(read_dump(&path), |analysis, crash| {
            check(&name, &truth, analysis, &crash.unwrap_or_else(|| panic!("{name}: no crash")));
        });
    }
}

/// The truth beside a dump, when it has an exception.
fn truth_of(dump: &Path) -> Option<Value> {
    let name = dump.file_name()?.to_string_lossy().into_owned();
    let stem = name.split('.').next()?;
    let text = fs::read(dump.with_file_name(format!("{stem}.truth.json"))).ok()?;
    let truth: Value = serde_json::from_slice(&text).expect("JSON");
    truth["exception"].is_object().then_some(truth)
}

fn number(value: &Value) -> u64 {
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    value.as_u64().unwrap_or_else(|| hex(value.as_str().unwrap()))
}

#[test]
fn the_exception_is_the_one_that_was_raised() {
    let mut dumps = 0;
    each(|name, truth, _, crash| {
        let raised = &truth["exception"];
        assert_eq!(u64::from(crash.code), number(&raised["code"]), "{name}");
        assert_eq!(u64::from(crash.thread.id), number(&raised["tid"]), "{name}");
        assert_eq!(crash.instruction, Some(number(&raised["address"])), "{name}");
        assert_eq!(crash.frames[0].instruction, number(&raised["address"]), "{name}");
        if crash.code != 0xc000_0017 {
            let access = match number(&raised["info0"]) {
                0 => Access::Read,
                1 => Access::Write,
                _ => Access::Execute,
            };
            assert_eq!(crash.access, Some(access), "{name}");
            assert_eq!(crash.accessed, Some(number(&raised["info1"])), "{name}");
        }
        dumps += 1;
    });
    assert!(dumps >= 2, "{dumps} dumps");
}

#[test]
fn the_thread_is_known() {
    each(|name, truth, _, crash| {
        let mut threads = truth["threads"].as_array().unwrap().iter();
        let thread = threads.find(|thread| number(&thread["tid"]) == u64::from(crash.thread.id));
        let thread = thread.expect("the thread of the exception");
        let pointer = crash.thread.pointers.expect("registers").stack_pointer;
        assert!(!crash.thread.registers.is_empty(), "{name}");
        let stack = crash.thread.stack.unwrap_or_else(|| panic!("{name}: no stack"));
        let (low, base) = (number(&thread["dealloc_stack"]), number(&thread["stack_base"]));
        assert_eq!((stack.range.end(), stack.used), (base, base - pointer), "{name}");
        if let Some(left) = stack.left {
            assert_eq!((stack.range.start(), left), (low, pointer - low), "{name}");
        }
    });
}

/// The state of the region at the fault, and why the access failed, by scenario.
#[test]
fn the_map_explains_the_address() {
    let mut explained = 0;
    each(|name, truth, analysis, crash| {
        let Some(fault) = crash.fault else { return assert!(name.contains("oom"), "{name}") };
        if analysis.dump.memory_info.is_none() {
            let by_number = name.contains("null");
            let expected = if by_number { Place::Null } else { Place::Unknown };
            return assert_eq!(fault.place, expected, "{name}");
        }
        let mut walk = truth["walk"].as_array().unwrap().iter();
        let holds = |row: &&Value| {
            let base = number(&row["base"]);
            base <= fault.address && fault.address - base < number(&row["size"])
        };
        let expected = match walk.find(holds).expect("a row of the walk")["state"].as_str() {
            Some("free") => State::Free,
            Some("reserve") => State::Reserve,
            _ => State::Commit,
        };
        assert_eq!(fault.region.map(|region| region.state), Some(expected), "{name}");
        let places = [
            ("null", Place::Null),
            ("uaf", Place::Free),
            ("reserved", Place::Reserved),
            ("readonly", Place::NotWritable),
            ("dep", Place::NotExecutable),
            ("unloaded", Place::Free),
            ("stackoverflow", Place::Accessible),
        ];
        let (_, place) = places.into_iter().find(|(word, _)| name.contains(word)).expect("known");
        assert_eq!(fault.place, place, "{name}");
        explained += 1;
    });
    assert!(explained >= 1, "{explained} dumps");
}

#[test]
fn what_only_one_scenario_has() {
    let Some(folder) = shared_or_skip("scenarios") else { return };
    let of = |name: &str| with(read_dump(&folder.join(name)), |_, crash| crash.expect("a crash"));
    let said = |crash: &Crash, words: &str| {
        let sentences = crash.explanation.join("; ");
        assert!(sentences.contains(words), "{sentences} lacks {words}");
    };
    let unloaded = of("x64-crash-unloaded.mini.dmp");
    said(&unloaded, "plug_c-x64.dll was there (+0x1370) until it was unloaded");
    assert_eq!(unloaded.frames[0].place.label(), "plug_c-x64.dll (unloaded)+0x1370");
    let null = of("x86-crash-null.mini.dmp");
    assert_eq!(null.message, "access violation writing 0x24");
    said(&null, "a field at +0x24 of a null pointer");
    let overflow = of("x64-stackoverflow.mini.dmp");
    said(&overflow, "(overflower) used 1003 KiB of its stack of 1 MiB; 21.4 KiB are left");
    said(&overflow, "of the stack of thread 1752");
    let oom = of("x86-oom.info.dmp");
    assert_eq!(oom.message, "out of memory: an allocation failed");
    assert_eq!((oom.name.as_str(), oom.requested), ("STATUS_NO_MEMORY", None));
    said(&of("x64-crash-dep.mini.dmp"), "cannot be executed (PAGE_READWRITE)");
    said(&of("x64-crash-readonly.mini.dmp"), "cannot be written (PAGE_READONLY)");
}

#[test]
fn linux() {
    let Some(folder) = shared_or_skip("scenarios") else { return };
    with(read_dump(&folder.join("lx-crash.dmp.zst")), |_, crash| {
        let crash = crash.expect("a crash");
        assert_eq!((crash.code, crash.accessed), (11, Some(0x24)));
        assert_eq!(crash.name, "SIGSEGV / SEGV_MAPERR");
        assert_eq!(crash.message, "segmentation fault at 0x24: no memory is mapped there");
        assert_eq!(crash.fault.map(|fault| fault.place), Some(Place::Null));
        assert!(crash.signature.starts_with("SIGSEGV / SEGV_MAPERR | lxtarget+0x"));
    });
    for name in ["lx-node.dmp", "lx-python3.dmp", "lx-chromium-browser.dmp", "lx-all.dmp.zst"] {
        with(read_dump(&folder.join(name)), |_, crash| assert_eq!(crash, None, "{name}"));
    }
}

/// Dumps of the same crash: other runs, other writers, more or less memory, with and without a map.
#[test]
fn one_crash_has_one_signature() {
    let Some(folder) = shared_or_skip("scenarios") else { return };
    let signature = |name: &str| {
        with(read_dump(&folder.join(name)), |_, crash| crash.expect("a crash").signature)
    };
    let same = |names: &[&str]| {
        let signatures: Vec<String> = names.iter().map(|name| signature(name)).collect();
        assert!(signatures.windows(2).all(|pair| pair[0] == pair[1]), "{signatures:?}");
    };
    same(&[
        "x64-crash-null.mini.dmp",
        "x64-crash-null.normal.dmp",
        "x64-winedbghelp-crash-null.dbghelp.dmp",
        "wine8-x64-crash-null.normal.dmp",
        "wine8-x64-crash-null.dbghelp.dmp",
    ]);
    same(&[
        "x86-crash-null.mini.dmp",
        "x86-crash-null.normal.dmp",
        "x86-winedbghelp-crash-null.dbghelp.dmp",
    ]);
    same(&["wine8-x86-crash-null.normal.dmp", "wine8-x86-crash-null.dbghelp.dmp"]);
    same(&["x86-crash-uaf.mini.dmp", "x86-crash-uaf.normal.dmp"]);
    same(&["x64-stackoverflow.mini.dmp", "x64-stackoverflow.info.dmp"]);
    same(&["x64-crash-dep.mini.dmp", "x64-crash-dep.normal.dmp"]);
    same(&["x86-crash-dep.mini.dmp", "x86-crash-dep.normal.dmp"]);
}
