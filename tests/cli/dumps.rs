//! Dumps made for these tests, and a folder of its own for each.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use dumpmap::synth::windows::{Allocation, Capture, Process, ThreadPlan};
use dumpmap::synth::{
    DumpBuilder, Module, PAGE_EXECUTE_READWRITE, PAGE_READONLY, PAGE_READWRITE, Region, Thread,
    UnloadedModule,
};

use super::support::Output;

/// A 64-bit Windows process with a bit of everything.
pub(crate) fn small() -> Vec<u8> {
    let worker = ThreadPlan {
        name: Some("worker".to_owned()),
        reserve: 0x4_0000,
        ..ThreadPlan::new(0x1004)
    };
    let layout = Process::x64()
        .image(r"C:\App\plugin.dll")
        .thread(worker)
        .allocate(Allocation::private().commit(0x1_0000, PAGE_READWRITE).reserve(0x3_0000))
        .allocate(Allocation::private().commit(0x2000, PAGE_EXECUTE_READWRITE))
        .allocate(Allocation::mapped().commit(0x8000, PAGE_READONLY))
        .lay_out();
    layout.dump(Capture::Small).build()
}

/// A 32-bit process with no room left.
pub(crate) fn crowded() -> Vec<u8> {
    const TOP: u64 = 0x7fff_0000;
    let blocks = (0..31).map(|at| Region::reserve(0x40_0000 + at * 0x400_0000, 0x3f0_0000));
    let gaps = (0..31).map(|at| Region::free(0x430_0000 + at * 0x400_0000, 0x10_0000));
    let mut regions: Vec<Region> = blocks.chain(gaps).collect();
    regions.push(Region::free(0, 0x40_0000));
    regions.push(Region::reserve(0x7c40_0000, TOP - 0x7c40_0000));
    regions.sort_by_key(|region| region.base);
    DumpBuilder::windows_x86()
        .regions(regions)
        .module(Module::new(r"C:\App\app.exe", 0x40_0000, 0x1_0000))
        .thread(Thread::new(7))
        .build()
}

/// Names that want to get out of their place, and names of people.
pub(crate) fn hostile() -> Vec<u8> {
    let image = |at: u64| {
        let base = 0x3_0000 + at * 0x1000;
        Region::image(base, 0x1000, PAGE_READONLY, base)
    };
    DumpBuilder::windows_x64()
        .regions((0..8).map(image))
        .module(Module::new(r"C:\Users\Ann Lee\app.exe", 0x3_0000, 0x1000))
        .module(Module::new("C:\\\u{1b}[31m\u{1b}]0;title\u{7}red.dll", 0x3_1000, 0x1000))
        .module(Module::new("C:\\harmless\u{202e}lld.exe", 0x3_2000, 0x1000))
        .module(Module::new(r"\\attacker.example\secretshare\x.dll", 0x3_3000, 0x1000))
        .module(Module::new("=HYPERLINK(\"http://x\",\"y\")", 0x3_4000, 0x1000))
        .module(Module::new("C:\\two\r\nlines\t|.dll", 0x3_5000, 0x1000))
        .unloaded(UnloadedModule::new(r"C:\Users\bob\gone.dll", 0x3_8000, 0x1000))
        .thread(Thread::new(1))
        .thread_name(1, "\u{1b}[2J<script>")
        .comment_w("from C:\\Users\\bob\\x and \\\\attacker.example\\secretshare\u{1b}[0m")
        .build()
}

/// A folder that goes away with its test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs the program in this folder.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_dumpmap"))
            .current_dir(&self.0)
            .args(args)
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Output {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
