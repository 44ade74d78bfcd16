//! Nothing that a dump says makes the walk long, or anything panic.

use dumpmap::synth::{
    Architecture, Context, Damage, DumpBuilder, Exception, Memory, Module, PAGE_EXECUTE_READ,
    PAGE_READWRITE, Platform, Region, Registers, Stack, Thread, stream,
};

use crate::{crash, frames, with};

const STACK: u64 = 0x20_0000;
const CODE: u64 = 0x40_1000;

fn on_stack(dump: DumpBuilder, registers: Registers, words: &[u64]) -> DumpBuilder {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let context = Context::Registers(registers);
    let exception = Exception { context, ..Exception::new(7, 0x8000_0003, CODE) };
    let stack = Stack::Captured(Memory::new(STACK, bytes));
    dump.module(Module::new("a.exe", 0x40_0000, 0x4000))
        .region(Region::commit(STACK, 0x10_0000, PAGE_READWRITE))
        .region(Region::image(CODE, 0x1000, PAGE_EXECUTE_READ, 0x40_0000))
        .thread(Thread { stack, ..Thread::new(7) })
        .exception(exception)
}

#[test]
fn frame_pointers_in_a_circle() {
    let registers = Registers { instruction: CODE, stack: STACK, frame: STACK, link: 0 };
    for back in [STACK, STACK + 0x10, 0, u64::MAX] {
        let words = [STACK + 0x10, CODE + 1, back, CODE + 2];
        let crash = crash(&on_stack(DumpBuilder::windows_x64(), registers, &words));
        assert_eq!(
            frames(&crash),
            ["a.exe+0x1000 context", "a.exe+0x1001 frame-pointer", "a.exe+0x1002 frame-pointer"]
        );
    }
}

#[test]
fn a_stack_full_of_return_addresses_is_bounded() {
    let words = vec![CODE + 4; 100_000];
    for frame in [0, STACK] {
        let registers = Registers { instruction: CODE, stack: STACK, frame, link: 0 };
        let crash = crash(&on_stack(DumpBuilder::windows_x64(), registers, &words));
        assert_eq!(crash.frames.len(), 64);
    }
    // A chain that goes on for ever: by the register, and where the scan finds it.
    let chain: Vec<u64> = (1..5_000).flat_map(|at| [STACK + 16 * at, CODE + 4]).collect();
    for (frame, frames) in [(STACK, 1025), (0, 64)] {
        let registers = Registers { instruction: CODE, stack: STACK, frame, link: 0 };
        let crash = crash(&on_stack(DumpBuilder::windows_arm64(), registers, &chain));
        assert_eq!(crash.frames.len(), frames);
    }
}

#[test]
fn registers_that_point_nowhere() {
    let platforms = [
        DumpBuilder::windows_x64(),
        DumpBuilder::windows_x86(),
        DumpBuilder::windows_arm64(),
        DumpBuilder::linux_x64(),
    ];
    for dump in platforms {
        for value in [0, 1, 7, STACK, CODE, u64::from(u32::MAX), 1 << 47, u64::MAX - 7, u64::MAX] {
            for stack in [0, 3, STACK, STACK + 0x10_0000, u64::MAX] {
                let registers = Registers { instruction: value, stack, frame: value, link: value };
                let crash = crash(&on_stack(dump.clone(), registers, &[value; 64]));
                assert!((1..=64).contains(&crash.frames.len()));
            }
        }
    }
}

#[test]
fn no_context_no_thread_no_map() {
    let raised = Exception::write_fault(99, CODE, 0x24);
    let found = crash(&DumpBuilder::windows_x64().exception(raised.clone()));
    assert_eq!((found.thread.id, found.thread.index, found.thread.pointers), (99, None, None));
    assert_eq!(frames(&found), ["0x401000 context"]);
    let listed = DumpBuilder::windows_x64()
        .module(Module::new("a.exe", 0x40_0000, 0x4000))
        .thread(Thread::new(99))
        .exception(Exception { context: Context::Raw(vec![0xff; 64]), ..raised });
    let found = crash(&listed);
    assert_eq!((found.thread.index, found.thread.pointers), (Some(0), None));
    assert_eq!(found.signature, "EXCEPTION_ACCESS_VIOLATION_WRITE | a.exe+0x1000");
    // Registers of a thread that the list does not have.
    let context = Context::at(CODE + 4, STACK);
    let unlisted =
        DumpBuilder::windows_x64().exception(Exception { context, ..Exception::new(1, 2, 3) });
    assert_eq!(frames(&crash(&unlisted)), ["0x401004 context"]);
}

#[test]
fn parameters_that_point_anywhere() {
    let codes = [
        0xc000_0005,
        0xc000_0006,
        0xc000_0409,
        0xe06d_7363,
        0xc06d_007e,
        0xc06d_007f,
        0xe000_0008,
        0xc000_0374,
    ];
    for dump in [DumpBuilder::windows_x64(), DumpBuilder::windows_x86()] {
        for code in codes {
            for value in [0, 8, STACK, STACK + 0xff8, 1 << 63, u64::MAX - 3, u64::MAX] {
                let parameters = vec![value; 15];
                let exception = Exception { parameters, ..Exception::new(7, code, value) };
                let bytes: Vec<u8> = (0..0x200).flat_map(|_| STACK.to_le_bytes()).collect();
                let dump = dump.clone().memory(STACK, bytes).exception(exception);
                assert!(!crash(&dump).message.is_empty());
            }
        }
    }
}

#[test]
fn every_code_of_every_system() {
    let platforms = [
        Platform::Windows,
        Platform::Linux,
        Platform::Android,
        Platform::MacOs,
        Platform::Ios,
        Platform::Other(7),
    ];
    let architectures = [
        Architecture::X86,
        Architecture::Amd64,
        Architecture::Arm,
        Architecture::Arm64,
        Architecture::Other(0x8004),
    ];
    for platform in platforms {
        for architecture in architectures {
            for code in (0..40).chain([0xc000_0005, 0xc000_00fd, 0x4350_6e78, u32::MAX]) {
                for flags in [0, 1, 2, 0xd, 0x80, u32::MAX] {
                    let exception = Exception {
                        flags,
                        parameters: vec![1, u64::MAX],
                        ..Exception::new(1, code, u64::MAX)
                    };
                    let dump = DumpBuilder::with_system(architecture, platform, (10, 0, 0));
                    with(dump.exception(exception).build(), |_, crash| {
                        if let Some(crash) = crash {
                            assert!(!crash.signature.is_empty());
                        }
                    });
                }
            }
        }
    }
}

#[test]
fn a_damaged_stream() {
    let whole = || DumpBuilder::windows_x64().exception(Exception::write_fault(7, CODE, 0x24));
    for damage in [Damage::Count(u64::MAX), Damage::Count(0)] {
        with(whole().damage(stream::EXCEPTION, damage).build(), |_, _| {});
    }
    let bytes = whole().build();
    for size in 0..bytes.len() {
        let source = dumpmap::source::Source::from_bytes(&bytes[..size]);
        let Ok(analysis) = dumpmap::analyze(&source, &dumpmap::limits::Limits::default()) else {
            continue;
        };
        let _ = dumpmap::crash::Crash::of(&analysis.dump, &analysis.map, &analysis.evidence);
    }
}
