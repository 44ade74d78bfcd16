//! Who called whom: frame pointers, link register, stack top, scan.

use dumpmap::crash::Crash;
use dumpmap::evidence::Confidence;
use dumpmap::synth::{
    Architecture, Context, DumpBuilder, Exception, Module, PAGE_EXECUTE_READ, PAGE_READONLY,
    PAGE_READWRITE, Platform, Region, Registers, Stack, Thread, windows,
};

use crate::{crash, frames};

const CODE: u64 = 0x40_1000;
const DATA: u64 = 0x40_3000;
const STACK: u64 = 0x20_0000;
/// Where threads start.
const NTDLL: u64 = 0x7700_0000;

/// A program of two sections, its first loaded at `base`, and a thread whose stack holds these words.
fn program(dump: DumpBuilder, slide: u64, registers: Registers, words: &[u64]) -> DumpBuilder {
    let wide = dump.system.as_ref().unwrap().architecture.pointer_size() == 8;
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word| word.to_le_bytes().into_iter().take(if wide { 8 } else { 4 }))
        .collect();
    let base = 0x40_0000 + slide;
    let context = Context::Registers(registers);
    let exception = Exception { context, ..Exception::new(7, 0x8000_0003, registers.instruction) };
    let stack = Stack::Captured(dumpmap::synth::Memory::new(STACK, bytes));
    dump.module(Module::new(r"C:\App\Prog.exe", base, 0x4000))
        .module(Module::new(r"C:\Windows\System32\ntdll.dll", NTDLL, 0x2000))
        .region(Region::image(NTDLL, 0x2000, PAGE_EXECUTE_READ, NTDLL))
        .region(Region::commit(STACK, 0x1000, PAGE_READWRITE))
        .region(Region::image(base, 0x1000, PAGE_READONLY, base))
        .region(Region::image(base + 0x1000, 0x2000, PAGE_EXECUTE_READ, base))
        .region(Region::image(base + 0x3000, 0x1000, PAGE_READWRITE, base))
        .thread(Thread { stack, ..Thread::new(7) })
        .exception(exception)
}

fn at(instruction: u64, frame: u64) -> Registers {
    Registers { instruction, stack: STACK, frame, link: 0 }
}

#[test]
fn a_chain_of_frame_pointers_on_x86() {
    // Locals that look like code, two frames, the end of the chain, rubbish above it.
    let first = NTDLL + 0x1020;
    for end in [vec![0, first], vec![STACK + 0x20, first, 0, 0]] {
        let mut words = vec![CODE + 0x700, 0, STACK + 0x18, CODE + 0x10, 0, 0];
        words.extend(end);
        words.push(CODE + 0x30);
        let dump = program(DumpBuilder::windows_x86(), 0, at(CODE, STACK + 8), &words);
        let crash = crash(&dump);
        assert_eq!(
            frames(&crash),
            [
                "Prog.exe+0x1000 context",
                "Prog.exe+0x1010 frame-pointer",
                "ntdll.dll+0x1020 frame-pointer"
            ]
        );
        assert_eq!(
            crash.signature,
            "EXCEPTION_BREAKPOINT | prog.exe+0x1000 | prog.exe+0x1010 | ntdll.dll+0x1020"
        );
    }
}

/// A function that uses the register for something else ends the chain; the scan finds where it
/// goes on.
#[test]
fn a_chain_that_breaks_and_begins_again() {
    let words = [
        0,
        CODE + 0x10,
        CODE + 0x700,
        // Left over: it leads to no start of a thread.
        STACK + 0x14,
        CODE + 0x20,
        0x1234,
        CODE + 0x30,
        STACK + 0x28,
        CODE + 0x40,
        0,
        0,
        NTDLL + 0x1020,
        CODE + 0x50,
    ];
    let found = crash(&program(DumpBuilder::windows_x86(), 0, at(CODE, STACK), &words));
    assert_eq!(
        frames(&found),
        [
            "Prog.exe+0x1000 context",
            "Prog.exe+0x1010 frame-pointer",
            "Prog.exe+0x1700 scan",
            "Prog.exe+0x1020 scan",
            "Prog.exe+0x1030 scan",
            "Prog.exe+0x1040 frame-pointer",
            "ntdll.dll+0x1020 frame-pointer"
        ]
    );
    let known: Vec<Confidence> = found.frames[4..].iter().map(|of| of.confidence).collect();
    assert_eq!(known, [Confidence::Fallback, Confidence::Heuristic, Confidence::Heuristic]);
    assert_eq!(found.signature, "EXCEPTION_BREAKPOINT | prog.exe+0x1000 | prog.exe+0x1010");
}

/// Code made at run time is in no module, and a map without protections does not know of it.
#[test]
fn a_chain_through_code_made_at_run_time() {
    let (base, made) = (0x1_0000_0000, 0x3_0000_0000_u64);
    let of = |words: &[u64]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let stack = Stack::Captured(dumpmap::synth::Memory::new(STACK, bytes));
        let context = Context::Registers(at(base + 0x1000, STACK));
        let dump = DumpBuilder::with_system(Architecture::Arm64, Platform::MacOs, (14, 0, 0))
            .module(Module::new("/App/node", base, 0x4000))
            .thread(Thread { stack, ..Thread::new(7) })
            .exception(Exception { context, ..Exception::new(7, 1, base + 0x1000) });
        crash(&dump)
    };
    let found = of(&[STACK + 0x10, made, STACK + 0x20, base + 0x1010, STACK + 0x30, made, 0, 8]);
    assert_eq!(
        frames(&found),
        ["node+0x1000 context", "0x300000000 frame-pointer", "node+0x1010 frame-pointer",],
        "what follows the last frame in a module is not known"
    );
    let known: Vec<Confidence> = found.frames.iter().map(|of| of.confidence).collect();
    assert_eq!(known, [Confidence::Recorded, Confidence::Heuristic, Confidence::Derived]);
    // A number that no code can have, and an address of the stack, end the chain.
    for other in [0x2c0c, STACK + 8] {
        let found = of(&[STACK + 0x10, other, STACK + 0x20, base + 0x1010]);
        assert_eq!(frames(&found), ["node+0x1000 context", "node+0x1010 scan"]);
    }
}

/// The loader's notes point to the headers of images, which lie in executable pages.
#[test]
fn headers_of_images_are_no_code() {
    let words = [0x40_0000, 0x40_0040, NTDLL + 0x1ff, NTDLL + 0x200];
    let found = crash(&program(DumpBuilder::windows_x64(), 0, at(CODE, 0), &words));
    assert_eq!(frames(&found), ["Prog.exe+0x1000 context", "ntdll.dll+0x200 scan"]);
}

#[test]
fn on_x64_one_link_may_be_chance() {
    let chain = |second: u64| {
        let words = [STACK + 0x10, CODE + 0x10, 0, second];
        frames(&crash(&program(DumpBuilder::windows_x64(), 0, at(CODE, STACK), &words)))
    };
    assert_eq!(
        chain(CODE + 0x20),
        [
            "Prog.exe+0x1000 context",
            "Prog.exe+0x1010 frame-pointer",
            "Prog.exe+0x1020 frame-pointer"
        ]
    );
    assert_eq!(chain(DATA), ["Prog.exe+0x1000 context", "Prog.exe+0x1010 scan"]);
    // A call before it is proof enough.
    let words = [STACK + 0x10, CODE + 0x10, 0, DATA];
    let dump = program(DumpBuilder::windows_x64(), 0, at(CODE, STACK), &words);
    let called =
        |code: &[u8]| frames(&crash(&dump.clone().memory(CODE + 9, code.to_vec())))[1].clone();
    assert_eq!(called(&[0x90, 0x90, 0xe8, 0, 0, 0, 0]), "Prog.exe+0x1010 frame-pointer");
}

#[test]
fn arm64_signs_return_addresses() {
    let signed = (CODE + 0x10) | 0x0055_8000_0000_0000;
    let words = [STACK + 0x10, signed, 0, CODE + 0x20];
    let dump = program(DumpBuilder::windows_arm64(), 0, at(CODE, STACK), &words);
    assert_eq!(
        frames(&crash(&dump)),
        [
            "Prog.exe+0x1000 context",
            "Prog.exe+0x1010 frame-pointer",
            "Prog.exe+0x1020 frame-pointer"
        ]
    );
}

#[test]
fn the_caller_of_a_bad_function_pointer() {
    let words = [CODE + 0x10, STACK + 0x18, CODE + 0x700, 0, CODE + 0x20];
    let registers = at(0x1234, STACK + 8);
    let x86 = [CODE + 0x10, STACK + 0x14, CODE + 0x20, 0, 0, 0, CODE + 0x30];
    let dump = program(DumpBuilder::windows_x86(), 0, at(0x1234, STACK + 4), &x86);
    let found = crash(&dump);
    assert_eq!(
        frames(&found)[..3],
        ["0x1234 context", "Prog.exe+0x1010 stack-top", "Prog.exe+0x1020 frame-pointer"]
    );
    assert_eq!(
        found.signature,
        "EXCEPTION_BREAKPOINT | no-module | prog.exe+0x1010 | prog.exe+0x1020"
    );
    let linked = Registers { link: CODE + 0x40, ..registers };
    let dump = program(DumpBuilder::windows_arm64(), 0, linked, &words);
    assert_eq!(frames(&crash(&dump))[1], "Prog.exe+0x1040 link-register");
}

#[test]
fn a_recursion_counts_once_in_the_signature() {
    let again = CODE + 0x10;
    let words = [STACK + 8, again, STACK + 0x10, again, STACK + 0x18, again, 0, CODE + 0x20];
    let found = crash(&program(DumpBuilder::windows_x86(), 0, at(CODE, STACK), &words));
    assert_eq!(found.frames.len(), 5);
    assert_eq!(
        found.signature,
        "EXCEPTION_BREAKPOINT | prog.exe+0x1000 | prog.exe+0x1010 | prog.exe+0x1020"
    );
}

#[test]
fn a_link_register_in_code_is_a_guess() {
    let linked = Registers { link: CODE + 0x41, ..at(CODE, 0) };
    let arm = DumpBuilder::with_system(Architecture::Arm, Platform::Android, (6, 1, 0));
    let found = crash(&program(arm, 0, linked, &[]));
    assert_eq!(frames(&found), ["Prog.exe+0x1000 context", "Prog.exe+0x1040 link-register"]);
    assert_eq!(found.frames[1].confidence, Confidence::Heuristic);
    assert!(found.signature.ends_with(" | prog.exe+0x1000"), "{}", found.signature);
}

#[test]
fn the_scan_wants_code_with_a_call_before_it() {
    let words = [DATA, CODE + 0x20, STACK, CODE + 0x30, 0x1234, CODE + 0x1fff];
    let dump = || program(DumpBuilder::windows_x64(), 0, at(CODE, 0), &words);
    let unseen = crash(&dump());
    assert_eq!(
        frames(&unseen),
        [
            "Prog.exe+0x1000 context",
            "Prog.exe+0x1020 scan",
            "Prog.exe+0x1030 scan",
            "Prog.exe+0x2fff scan"
        ]
    );
    assert!(unseen.frames[1..].iter().all(|frame| frame.confidence == Confidence::Fallback));
    let mut code = vec![0x90; 0x1000];
    code[0x1b] = 0xe8;
    let seen = crash(&dump().memory(CODE, code));
    // The code of the last is not captured: it may be one.
    assert_eq!(
        frames(&seen),
        ["Prog.exe+0x1000 context", "Prog.exe+0x1020 scan", "Prog.exe+0x2fff scan"]
    );
    assert_eq!(seen.frames[1].confidence, Confidence::Heuristic);
    assert_eq!(seen.signature, "EXCEPTION_BREAKPOINT | prog.exe+0x1000");
}

#[test]
fn the_signature_is_the_same_wherever_modules_are() {
    let of = |slide: u64| -> Crash {
        let code = CODE + slide;
        let words = [STACK + 0x10, code + 0x10, 0, code + 0x20, code + 0x30];
        crash(&program(DumpBuilder::windows_x64(), slide, at(code, STACK), &words))
    };
    let (here, there) = (of(0), of(0x1234_0000));
    assert_ne!(here.frames[0].instruction, there.frames[0].instruction);
    assert_eq!(here.signature, there.signature);
    assert!(!here.signature.contains("0x40"), "{}", here.signature);
}

#[test]
fn a_whole_process_of_each_kind() {
    use windows::{Capture, Process};
    for process in [Process::x64(), Process::x86(), Process::arm64(), Process::wow64()] {
        for capture in [Capture::MapOnly, Capture::Small, Capture::Full] {
            let layout = process.lay_out();
            let code = layout.images[0].module.base + 0x1000;
            let context = Context::at(code, layout.threads[0].stack.pointer);
            let exception = Exception { context, ..Exception::new(0x1000, 0x8000_0003, code) };
            let crash = crash(&layout.dump(capture).exception(exception));
            assert_eq!(frames(&crash)[0], "app.exe+0x1000 context");
            assert_eq!(crash.signature, "EXCEPTION_BREAKPOINT | app.exe+0x1000");
            let stack = crash.thread.stack.expect("a stack");
            let low = layout.threads[0].stack.allocation_base;
            let left = layout.threads[0].stack.pointer - low;
            assert_eq!((stack.range.start(), stack.used, stack.left), (low, 0x400, Some(left)));
        }
    }
}
