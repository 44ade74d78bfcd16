//! `crash` against the stack walker that other crash tools use, `minidump-processor`: dump by dump,
//! the thread, the reason, the address, the first frame, and every return address that it finds.
//!
//! Neither has symbols here, so a frame that only one of them has need not be right. What must hold:
//! whatever the peer has and we have not is there for a reason that the dump itself shows. The
//! snapshot has the numbers.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use dumpmap::crash::{Crash, Frame, Trust};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use minidump::format::MINIDUMP_STREAM_TYPE;
use minidump::system_info::{Cpu, PointerWidth};
use minidump::{
    Minidump, MinidumpMemoryInfo, MinidumpMemoryInfoList, Module as _, UnifiedMemoryList,
};
use minidump_processor::{ProcessState, process_minidump};
use minidump_unwind::{FrameTrust, MultiSymbolProvider, StackFrame};

use crate::support::{dumps_in, read_dump, shared_or_skip};

type Theirs = Minidump<'static, Vec<u8>>;

/// What differs in all but the callers, and why.
const DIFFERENCES: [(&str, &str, &str); 17] = [
    ("lx-all.dmp.zst", "crash", "written on request"),
    ("lx-chromium-browser.dmp", "crash", "written on request"),
    ("lx-node.dmp", "crash", "written on request"),
    ("lx-python3.dmp", "crash", "written on request"),
    ("linux-x86_64_not_crashed.dmp", "crash", "written on request"),
    ("linux-x86_64_null_signal-doc1.dmp", "crash", "all of the record is 0: no crash"),
    ("mac-electron-browser.dmp", "reason", "the peer does not read the signal of EXC_CRASH"),
    ("mac-electron-gpu.dmp", "reason", "the peer does not read the signal of EXC_CRASH"),
    ("mac-electron-node.dmp", "reason", "the peer does not read the signal of EXC_CRASH"),
    ("mac-electron-renderer.dmp", "reason", "the peer does not read the signal of EXC_CRASH"),
    ("simple-crashpad.dmp", "reason", "the peer does not read the signal of EXC_CRASH"),
    ("minidump_crashpad_annotation.dmp", "reason", "Crashpad's code for an NSException"),
    ("linux_overflow.dmp", "address", "of a signal that was sent: process and user, no address"),
    ("linux_raise_sigabrt.dmp", "address", "of a signal that was sent: process and user"),
    ("o2y-basic-doc1.dmp", "address", "of a signal that was sent: process and user"),
    ("o2y-basic-doc1.dmp", "thread", "not in the thread list, which the peer needs"),
    (
        "linux_jmp_to_module_not_exe_region.dmp",
        "first frame",
        "in a segment that only the map gives to the module",
    ),
];

/// Why a frame of the peer is none of ours, by what the dump holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Missing {
    /// The map says that its page cannot be executed.
    NotExecutable,
    /// It is in the header of a module.
    Header,
    /// It is in no module, and too low for any.
    Nowhere,
    /// The bytes before it are captured, and no call ends there.
    NoCall,
    /// The peer scans a part of the stack that our frame pointers lead over.
    LedOver,
    /// Our frame pointers end below it, where the thread started.
    AboveStart,
    /// We list no more frames that the scan found.
    Limit,
    Unexplained,
}

/// How often which trust was found again, and why the others were not.
#[derive(Default)]
struct Tally {
    dumps: usize,
    /// The same frames from the first to the peer's last.
    whole: usize,
    found: BTreeMap<&'static str, (usize, usize)>,
    missing: BTreeMap<Missing, usize>,
    lines: Vec<String>,
}

#[test]
fn what_the_stack_walker_finds() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    let (Some(corpus), Some(scenarios)) = (shared_or_skip("corpus"), shared_or_skip("scenarios"))
    else {
        return;
    };
    let mut tally = Tally::default();
    let mut differences = Vec::new();
    for folder in [fixtures, corpus, scenarios] {
        for path in dumps_in(&folder) {
            let name = path.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/");
            let bytes = read_dump(&path);
            let Ok(dump) = Minidump::read(bytes.clone()) else { continue };
            // What it cannot process at all, for want of a stream, is no difference.
            let Ok(state) = process(&dump) else { continue };
            for what in compare(&name, &bytes, &dump, &state, &mut tally) {
                differences.push((name.rsplit('/').next().unwrap().to_owned(), what));
            }
        }
    }
    let mut known: Vec<_> = DIFFERENCES.map(|(dump, what, _)| (dump.to_owned(), what)).to_vec();
    differences.sort();
    differences.dedup();
    known.sort();
    assert_eq!(differences, known);
    assert_eq!(tally.missing.get(&Missing::Unexplained), None, "{}", tally.text());
    insta::assert_snapshot!("peer", tally.text());
}

impl Tally {
    fn callers(
        &mut self,
        name: &str,
        dump: &Theirs,
        state: &ProcessState,
        theirs: &[StackFrame],
        ours: &[Frame],
    ) {
        // The lowest bit of an address of ARM is the instruction set.
        let mask = if state.system_info.cpu == Cpu::Arm { !1 } else { u64::MAX };
        let theirs_at: Vec<u64> = theirs.iter().map(|frame| frame.resume_address & mask).collect();
        let ours_at: Vec<u64> = ours.iter().map(|frame| frame.instruction).collect();
        let top = theirs_at.iter().zip(&ours_at).take_while(|(a, b)| a == b).count();
        let found = in_order(&theirs_at, &ours_at);
        let stack = theirs[0].context.get_stack_pointer();
        let judge = Judge::of(dump, state, stack, ours);
        let mut missing = BTreeMap::<Missing, usize>::new();
        for (frame, found) in theirs.iter().zip(&found) {
            let (of, all) = self.found.entry(frame.trust.as_str()).or_default();
            *of += usize::from(*found);
            *all += 1;
            if !found {
                let why = judge.why(frame);
                *missing.entry(why).or_default() += 1;
                *self.missing.entry(why).or_default() += 1;
            }
        }
        self.dumps += 1;
        self.whole += usize::from(top == theirs.len());
        if top < theirs.len() {
            let (peer, here) = (theirs.len(), ours.len());
            self.lines
                .push(format!("{name}: {top} of {peer} from the top, {here} here {missing:?}"));
        }
    }

    fn text(&self) -> String {
        let (dumps, whole) = (self.dumps, self.whole);
        let mut out = self.lines.join("\n");
        out.push_str(&format!("\n\n{dumps} crashes, {whole} with all frames of the peer first\n"));
        for (trust, (found, all)) in &self.found {
            out.push_str(&format!("{trust}: {found} of {all}\n"));
        }
        for (missing, count) in &self.missing {
            out.push_str(&format!("{missing:?}: {count}\n"));
        }
        out
    }
}

/// The peer's answer. It is made for an executor; all that it does here is ready at once.
fn process(dump: &Theirs) -> Result<ProcessState, String> {
    let symbols = MultiSymbolProvider::new();
    let mut work = pin!(process_minidump(dump, &symbols));
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(state) => state.map_err(|error| error.to_string()),
        Poll::Pending => unreachable!("without symbols it waits for nothing"),
    }
}

/// What differs; the callers go to the tally.
fn compare(
    name: &str,
    bytes: &[u8],
    dump: &Theirs,
    state: &ProcessState,
    tally: &mut Tally,
) -> Vec<&'static str> {
    let source = Source::from_bytes(bytes.to_vec());
    let analysis = dumpmap::analyze(&source, &Limits::default()).expect("the peer reads it");
    let crash = Crash::of(&analysis.dump, &analysis.map, &analysis.evidence);
    let (Some(crash), Some(theirs)) = (&crash, &state.exception_info) else {
        let differs = crash.is_some() != state.exception_info.is_some();
        return if differs { vec!["crash"] } else { Vec::new() };
    };
    let mut differences = Vec::new();
    let mut same = |what, is_same: bool| {
        if !is_same {
            differences.push(what);
        }
    };
    same("reason", crash.name == theirs.reason.to_string());
    same("address", crash.address == Some(theirs.address.0));
    let Some(thread) = state.requesting_thread.and_then(|at| state.threads.get(at)) else {
        same("thread", false);
        return differences;
    };
    same("thread", thread.thread_id == crash.thread.id);
    same("first frame", is_same_place(&crash.frames[0], &thread.frames[0]));
    tally.callers(name, dump, state, &thread.frames, &crash.frames);
    differences
}

/// The same instruction, in the same module.
fn is_same_place(ours: &Frame, theirs: &StackFrame) -> bool {
    let place = theirs.module.as_ref().map(|module| {
        let name = module.code_file();
        let name = name.rsplit(['/', '\\']).next().unwrap_or("").to_owned();
        (name, theirs.instruction - module.base_address())
    });
    let module = ours.place.module.filter(|_| !ours.place.name.ends_with(" (unloaded)"));
    let here = module.map(|_| (ours.place.name.clone(), ours.place.offset));
    here == place && ours.instruction == theirs.instruction
}

/// Which of `theirs` are in `ours` in the same order: the longest common subsequence.
fn in_order(theirs: &[u64], ours: &[u64]) -> Vec<bool> {
    let (n, m) = (theirs.len(), ours.len());
    let mut longest = vec![vec![0_usize; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            longest[i][j] = match theirs[i] == ours[j] {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut found, mut i, mut j) = (vec![false; n], 0, 0);
    while i < n && j < m {
        if theirs[i] == ours[j] {
            found[i] = true;
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

/// Says why a frame is missing, by the raw map and by the `minidump` crate's reading of the rest.
struct Judge<'a> {
    state: &'a ProcessState,
    ours: &'a [Frame],
    map: Option<Map>,
    memory: UnifiedMemoryList<'a>,
    /// Where on the stack our frame pointers end.
    chain_end: u64,
}

/// First and last address, and whether it can be executed.
type Map = Vec<(u64, u64, bool)>;

impl<'a> Judge<'a> {
    fn of(dump: &'a Theirs, state: &'a ProcessState, from: u64, ours: &'a [Frame]) -> Judge<'a> {
        let memory = dump.get_memory().unwrap_or_default();
        let mut judge = Judge { state, ours, map: map_of(dump), memory, chain_end: 0 };
        let wide = state.system_info.cpu.pointer_width() != PointerWidth::Bits32;
        let width = if wide { 8 } else { 4 };
        let mut at = from;
        for frame in ours.iter().filter(|of| of.trust == Trust::FramePointer) {
            while let Some(value) = judge.word(at, wide) {
                at += width;
                if value == frame.instruction {
                    judge.chain_end = at;
                    break;
                }
            }
        }
        judge
    }

    fn word(&self, address: u64, wide: bool) -> Option<u64> {
        let memory = self.memory.memory_at_address(address)?;
        match wide {
            true => memory.get_memory_at_address::<u64>(address),
            false => memory.get_memory_at_address::<u32>(address).map(u64::from),
        }
    }

    fn why(&self, frame: &StackFrame) -> Missing {
        let address = frame.resume_address;
        let module = self.state.modules.module_at_address(address);
        let holds = |(low, high, _): &&(u64, u64, bool)| (*low..=*high).contains(&address);
        let page = self.map.as_ref().map(|map| map.iter().find(holds));
        let is_scan = frame.trust == FrameTrust::Scan;
        let ends_by_chain = self.ours.last().is_some_and(|of| of.trust == Trust::FramePointer);
        match page {
            Some(page) if !page.is_some_and(|page| page.2) => Missing::NotExecutable,
            _ if module.is_none() && address < 0x1_0000 => Missing::Nowhere,
            _ if module.is_some_and(|of| address - of.base_address() < 0x200) => Missing::Header,
            _ if self.follows_call(address) == Some(false) => Missing::NoCall,
            _ if is_scan && frame.context.get_stack_pointer() <= self.chain_end => Missing::LedOver,
            _ if is_scan && ends_by_chain => Missing::AboveStart,
            _ if self.ours.len() >= 64 => Missing::Limit,
            _ => Missing::Unexplained,
        }
    }

    /// Whether a call of x86 may end at an address: E8 and four bytes, or FF /2 and up to five.
    /// `None` where the bytes are not captured.
    fn follows_call(&self, address: u64) -> Option<bool> {
        if !matches!(self.state.system_info.cpu, Cpu::X86 | Cpu::X86_64) {
            return None;
        }
        let memory = self.memory.memory_at_address(address - 7)?;
        let byte = |at: u64| memory.get_memory_at_address::<u8>(address - 7 + at);
        let before: Option<Vec<u8>> = (0..7).map(byte).collect();
        let before = before?;
        let indirect = |at: usize| {
            let (length, operand) = (7 - at, before[at + 1]);
            let index = usize::from(operand & 7 == 4);
            let lengths = match operand >> 6 {
                0 => [2 + index, 6 + index],
                1 => [3 + index; 2],
                2 => [6 + index; 2],
                _ => [2; 2],
            };
            before[at] == 0xff && (operand >> 3) & 7 == 2 && lengths.contains(&length)
        };
        Some(before[2] == 0xe8 || (0..6).any(indirect))
    }
}

/// The map from its raw stream: the text of /proc/PID/maps, or MemoryInfoList.
fn map_of(dump: &Theirs) -> Option<Map> {
    if let Ok(text) = dump.get_raw_stream(MINIDUMP_STREAM_TYPE::LinuxMaps as u32) {
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let line = |line: &str| {
            let (range, rest) = line.split_once(' ')?;
            let (low, high) = range.split_once('-')?;
            Some((hex(low)?, hex(high)? - 1, rest.as_bytes().get(2) == Some(&b'x')))
        };
        return Some(String::from_utf8_lossy(text).lines().filter_map(line).collect());
    }
    let list = dump.get_stream::<MinidumpMemoryInfoList<'_>>().ok()?;
    let of = |info: &MinidumpMemoryInfo<'_>| {
        let range = info.memory_range()?;
        Some((range.start, range.end, info.is_executable()))
    };
    Some(list.iter().filter_map(of).collect())
}
