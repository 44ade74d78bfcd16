//! `crash`: why the process died.

use std::borrow::Cow;

use serde::Serialize;

use super::regions::{By, Names, RegionView, rows};
use super::{DumpView, Hex, Input, SCHEMA_VERSION};
use crate::crash::{Crash, CrashThread, Frame, Module};

/// The document of `crash`.
#[derive(Debug, Serialize)]
pub struct CrashReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// Whether the dump records a crash. Without one everything below is null
    /// or empty.
    pub recorded: bool,
    /// Whether somebody asked for the dump, which then has an exception
    /// stream to name the thread.
    pub on_request: bool,
    /// Exception code or signal.
    pub code: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// What happened, in one sentence.
    pub message: Option<String>,
    /// What the map, the stack and the parameters say about it.
    pub explanation: Vec<String>,
    /// The address that the reason is about: what was accessed, else the
    /// instruction.
    pub address: Option<Hex>,
    /// What was accessed.
    pub accessed: Option<Hex>,
    /// `read`, `write` or `execute`; null where the dump does not say.
    pub access: Option<&'static str>,
    /// The instruction that did it.
    pub instruction: Option<Hex>,
    /// Bytes of the allocation that failed.
    pub requested: Option<u64>,
    /// NTSTATUS of an in-page error, HRESULT of a .NET exception, code of a
    /// fail-fast.
    pub status: Option<u32>,
    /// The exception's parameters.
    pub parameters: Vec<Hex>,
    /// The thread that crashed, or that the dump was asked for.
    pub thread_id: Option<u32>,
    /// What else is known of it.
    pub thread: Option<ThreadView<'a>>,
    /// Why the access failed, in one word: `null`, `free`, `guard` …
    pub fault: Option<&'static str>,
    /// The piece of the map that holds the accessed address, else the
    /// instruction; null outside the map.
    pub fault_region: Option<RegionView<'a>>,
    /// The crashing instruction first, then who called it.
    pub frames: Vec<FrameView>,
    /// Groups crashes over runs: the same with and without symbols.
    pub signature: Option<String>,
    /// Which symbol files there were; null when none were asked for.
    pub symbols: Option<SymbolsView>,
}

/// The symbol files of one dump.
#[derive(Clone, Debug, Serialize)]
pub struct SymbolsView {
    /// Those that were read.
    pub used: Vec<String>,
    /// Those that no folder has, as `app.pdb/DEBUGID/app.sym`.
    pub missing: Vec<String>,
    /// Those that are not used, and why.
    pub issues: Vec<String>,
}

/// The thread that crashed.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadView<'a> {
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// Whether the thread list has it.
    pub listed: bool,
    /// Its registers at the exception.
    pub registers: Vec<RegisterView>,
    /// Its stack; null when none is known that holds the stack pointer.
    pub stack: Option<StackUse>,
}

/// One register.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RegisterView {
    /// `rax`, `x0` …
    pub name: &'static str,
    /// Its value.
    pub value: Hex,
}

/// How full the stack was.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StackUse {
    /// Its lowest address.
    pub low: Hex,
    /// One past the highest byte.
    pub base: Hex,
    /// The lowest committed byte.
    pub limit: Option<Hex>,
    /// Bytes, reserved included.
    pub size: u64,
    /// Bytes from the stack pointer to the base.
    pub used: u64,
    /// Bytes below the stack pointer; null where the stack may go further.
    pub left: Option<u64>,
}

/// One frame.
#[derive(Clone, Debug, Serialize)]
pub struct FrameView {
    /// The instruction, or the return address.
    pub address: Hex,
    /// `context`, `link-register`, `stack-top`, `frame-pointer` or `scan`.
    pub trust: &'static str,
    /// How well it is known.
    pub confidence: &'static str,
    /// File name of the module, without its path.
    pub module: Option<String>,
    /// Whether that module was unloaded.
    pub unloaded: bool,
    /// Bytes from the module's base; null where there is no module.
    pub offset: Option<u64>,
    /// The section.
    pub section: Option<String>,
    /// `module+0x12`, or the address.
    pub location: String,
    /// The function, where a symbol file names it.
    pub function: Option<String>,
    /// Bytes from its first instruction.
    pub function_offset: Option<u64>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it, of the call where something is inlined.
    pub line: Option<u32>,
    /// What is inlined there, the innermost first.
    pub inlined: Vec<InlinedView>,
}

/// A function that the compiler put into another.
#[derive(Clone, Debug, Serialize)]
pub struct InlinedView {
    /// Its name.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

impl<'a> CrashReport<'a> {
    /// The document for one analysis.
    pub fn of(names: &'a Names<'a>) -> CrashReport<'a> {
        let analysis = names.input.analysis;
        let crash = Crash::of(&analysis.dump, &analysis.map, &analysis.evidence);
        report(names, crash)
    }

    /// As [`of`](Self::of), with the names that symbol files in `folders` have
    /// for the frames.
    #[cfg(feature = "symbols")]
    pub fn with_symbols(names: &'a Names<'a>, folders: &[std::path::PathBuf]) -> CrashReport<'a> {
        let input = &names.input;
        let analysis = input.analysis;
        let crash = Crash::of(&analysis.dump, &analysis.map, &analysis.evidence);
        let frames = crash.as_ref().map_or(&[][..], |crash| &crash.frames);
        let found = crate::symbols::look_up(folders, &analysis.dump, &analysis.evidence, frames);
        let mut report = report(names, crash);
        for (frame, symbol) in report.frames.iter_mut().zip(found.frames) {
            if let Some(symbol) = symbol {
                name(input, frame, symbol);
            }
        }
        let path = |path: &std::path::PathBuf| input.owned(path.to_string_lossy().into_owned());
        report.symbols = Some(SymbolsView {
            used: found.used.iter().map(path).collect(),
            missing: found.missing.into_iter().map(|text| input.owned(text)).collect(),
            issues: found.issues.iter().map(|issue| input.owned(issue.to_string())).collect(),
        });
        report
    }
}

#[cfg(feature = "symbols")]
fn name(input: &Input<'_>, frame: &mut FrameView, symbol: crate::symbols::Symbol) {
    frame.function = Some(input.owned(symbol.function));
    frame.function_offset = Some(symbol.offset);
    if let Some((file, line)) = symbol.source {
        frame.file = Some(input.owned(file));
        frame.line = Some(line);
    }
    let inlined = symbol.inlined.into_iter().map(|of| InlinedView {
        function: input.owned(of.function),
        file: of.file.map(|file| input.owned(file)),
        line: of.line,
    });
    frame.inlined = inlined.collect();
}

fn report<'a>(names: &'a Names<'a>, crash: Option<Crash>) -> CrashReport<'a> {
    let input = &names.input;
    let analysis = input.analysis;
    let Some(crash) = crash else { return none(input) };
    let hex = |address| input.hex(address);
    let exception = analysis.dump.exception.as_ref();
    let parameters = exception.map_or(&[][..], |exception| &exception.parameters);
    let at = crash.accessed.or(crash.instruction);
    let row = at.and_then(|at| rows(input, By::Piece).find(|row| row.range.contains(at)));
    CrashReport {
        recorded: true,
        on_request: false,
        code: Some(crash.code),
        name: Some(crash.name),
        message: Some(input.owned(crash.message)),
        explanation: crash.explanation.into_iter().map(|text| input.owned(text)).collect(),
        address: crash.address.map(hex),
        accessed: crash.accessed.map(hex),
        access: crash.access.map(|access| access.as_str()),
        instruction: crash.instruction.map(hex),
        requested: crash.requested,
        status: crash.status,
        parameters: parameters.iter().map(|value| hex(*value)).collect(),
        thread_id: Some(crash.thread.id),
        thread: Some(thread(input, &crash.thread)),
        fault: crash.fault.map(|fault| fault.place.as_str()),
        fault_region: row.map(|row| RegionView::of(names, &row)),
        frames: crash.frames.into_iter().map(|of| frame(input, of)).collect(),
        signature: Some(input.owned(crash.signature)),
        ..none(input)
    }
}

/// The document of a dump that records no crash.
fn none<'a>(input: &Input<'a>) -> CrashReport<'a> {
    CrashReport {
        schema_version: SCHEMA_VERSION,
        dump: DumpView::of(input),
        recorded: false,
        on_request: input.analysis.dump.exception.is_some(),
        code: None,
        name: None,
        message: None,
        explanation: Vec::new(),
        address: None,
        accessed: None,
        access: None,
        instruction: None,
        requested: None,
        status: None,
        parameters: Vec::new(),
        thread_id: input.analysis.dump.exception.as_ref().map(|exception| exception.thread_id),
        thread: None,
        fault: None,
        fault_region: None,
        frames: Vec::new(),
        signature: None,
        symbols: None,
    }
}

fn thread<'a>(input: &Input<'a>, thread: &CrashThread) -> ThreadView<'a> {
    let listed = thread.index.and_then(|at| input.analysis.dump.threads.get(at as usize));
    ThreadView {
        name: listed.and_then(|thread| thread.name.as_deref()).map(|name| input.text(name)),
        listed: listed.is_some(),
        registers: thread
            .registers
            .iter()
            .map(|(name, value)| RegisterView { name, value: input.hex(*value) })
            .collect(),
        stack: thread.stack.map(|stack| StackUse {
            low: input.hex(stack.range.start()),
            base: input.hex(stack.range.end()),
            limit: stack.limit.map(|limit| input.hex(limit)),
            size: stack.range.size(),
            used: stack.used,
            left: stack.left,
        }),
    }
}

fn frame(input: &Input<'_>, frame: Frame) -> FrameView {
    let location = match frame.place.module {
        Some(_) => input.owned(frame.place.label()),
        None => input.hex(frame.instruction).to_string(),
    };
    FrameView {
        address: input.hex(frame.instruction),
        trust: frame.trust.as_str(),
        confidence: frame.confidence.as_str(),
        module: frame.place.module.map(|_| input.owned(frame.place.name.clone())),
        unloaded: matches!(frame.place.module, Some(Module::Unloaded(_))),
        offset: frame.place.module.map(|_| frame.place.offset),
        section: frame.place.section,
        location,
        function: None,
        function_offset: None,
        file: None,
        line: None,
        inlined: Vec::new(),
    }
}
