//! `crash` as text: what happened and why first, then the thread, who called
//! whom, and the registers.

use super::{head_lines, labelled, tables::short};
use crate::dump::file_name;
use crate::render::paint::{ALARM, BOLD, DIM, Paint};
use crate::render::table::{Cell, Table, numbers, words};
use crate::render::{WIDTH, sanitize};
use crate::report::{CrashReport, FrameView, RegionView, ThreadView};
use crate::size::human;

/// Rows of scanned frames: the first are the likeliest, all are in the JSON.
const SCANNED: usize = 10;

/// Columns of the labels on the left.
const LABEL: usize = 11;

/// The whole report.
pub fn crash(report: &CrashReport<'_>, paint: Paint) -> String {
    let mut out = head(report, paint);
    out.push('\n');
    if !report.recorded {
        out.push_str(&labelled("", no_crash(report), paint, BOLD));
        return out;
    }
    out.push_str(&labelled("", &title(report), paint, ALARM));
    let message = sanitize::terminal(report.message.as_deref().unwrap_or("")).into_owned();
    for line in sanitize::wrap(&message, WIDTH) {
        out.push_str(&format!("{}\n", paint.paint(BOLD, &line)));
    }
    for sentence in &report.explanation {
        out.push_str(&labelled("- ", sentence, paint, DIM));
    }
    out.push('\n');
    for (label, text) in facts(report) {
        out.push_str(&labelled(&format!("{label:<LABEL$}"), &text, paint, DIM));
    }
    out.push('\n');
    out.push_str(&frames(report).text(paint, WIDTH));
    for note in frames_notes(report) {
        out.push_str(&labelled("", note, paint, DIM));
    }
    for line in symbol_lines(report) {
        out.push_str(&labelled("- ", &line, paint, DIM));
    }
    let registers = registers(report);
    if !registers.is_empty() {
        out.push_str(&format!("\n{}\n{registers}", paint.paint(BOLD, "Registers")));
    }
    out.push('\n');
    let signature = report.signature.as_deref().unwrap_or("");
    out.push_str(&labelled("signature: ", signature, paint, BOLD));
    out
}

fn head(report: &CrashReport<'_>, paint: Paint) -> String {
    let lines = head_lines(&report.dump);
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        let name = report.dump.file_name();
        match line.strip_prefix(name).filter(|_| at == 0) {
            Some(rest) => out.push_str(&format!("{}{rest}\n", paint.paint(BOLD, name))),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// Why there is nothing to tell.
pub(crate) fn no_crash(report: &CrashReport<'_>) -> &'static str {
    match report.on_request {
        true => "no crash recorded: the dump was written on request",
        false => "no crash recorded: the dump has no exception stream",
    }
}

/// `EXCEPTION_ACCESS_VIOLATION_WRITE (0xc0000005)`.
pub(crate) fn title(report: &CrashReport<'_>) -> String {
    let name = report.name.as_deref().unwrap_or("");
    match report.code {
        Some(code) if !name.contains(&format!("{code:#010x}")) => {
            // Signals and Mach exceptions are known by small numbers.
            if code < 0x1000 { format!("{name} ({code})") } else { format!("{name} ({code:#x})") }
        }
        _ => name.to_owned(),
    }
}

/// Label and text of each fact.
pub(crate) fn facts(report: &CrashReport<'_>) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(accessed) = report.accessed {
        let access = report.access.map(|access| format!(", {access}")).unwrap_or_default();
        out.push(("address", format!("{}{access}", short(accessed))));
    }
    // What is around an instruction is its module.
    let in_module = report.frames.first().is_some_and(|first| first.module.is_some());
    if report.accessed.is_some() || !in_module {
        let region = report.fault_region.as_ref().map(region_line);
        out.push(("region", region.unwrap_or_else(|| "not in the map".to_owned())));
    }
    if let Some(first) = report.frames.first() {
        let section = first.section.as_deref().map(|name| format!(", {name}"));
        let section = section.unwrap_or_default();
        out.push(("code", format!("{}  {}{section}", short(first.address), location(first))));
    }
    if let (Some(id), Some(thread)) = (report.thread_id, &report.thread) {
        out.push(("thread", thread_line(id, thread)));
        out.push(("stack", stack_line(thread)));
    }
    out
}

/// `module+0x12`, nothing where the address says it all.
fn location(frame: &FrameView) -> &str {
    if frame.module.is_some() { &frame.location } else { "no module" }
}

fn region_line(region: &RegionView<'_>) -> String {
    let state = [Some(region.state), region.memory_type].into_iter().flatten();
    let mut parts: Vec<String> = vec![state.collect::<Vec<_>>().join(" ")];
    parts.extend(region.protect.clone());
    if region.kind != region.state && Some(region.kind) != region.memory_type {
        parts.push(region.kind.to_owned());
    }
    let texts = [region.usage.as_deref(), region.name.as_deref()];
    parts.extend(texts.into_iter().flatten().map(str::to_owned));
    let range = format!("{}-{}", short(region.base), short(region.end));
    format!("{range}, {}, {}", human(region.size), parts.join(", "))
}

fn thread_line(id: u32, thread: &ThreadView<'_>) -> String {
    let name = thread.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    let listed = if thread.listed { "" } else { ", not in the thread list" };
    format!("{id}{name}{listed}")
}

fn stack_line(thread: &ThreadView<'_>) -> String {
    match &thread.stack {
        None if thread.registers.is_empty() => "not known: no registers".into(),
        None => "not known: none holds the stack pointer".into(),
        Some(stack) => {
            let range = format!("{}-{}", short(stack.low), short(stack.base));
            let used = human(stack.used);
            match stack.left {
                None => format!("{used} used, its size is not known, {range}"),
                Some(left) => {
                    format!("{used} used of {}, {} left, {range}", human(stack.size), human(left))
                }
            }
        }
    }
}

/// The table of frames: those that are known, and the first that the scan
/// found; frames that repeat are one row.
pub(crate) fn frames(report: &CrashReport<'_>) -> Table {
    let mut table =
        Table::new([numbers("#"), words("Found by"), words("Address"), words("Location")]);
    let same = |a: &FrameView, b: &FrameView| a.address == b.address && a.trust == b.trust;
    let (mut at, mut scanned) = (0, 0);
    for run in report.frames.chunk_by(same) {
        let Some(frame) = run.first() else { continue };
        let last = at + run.len() - 1;
        let number = if last > at { format!("{at}-{last}") } else { at.to_string() };
        at = last + 1;
        scanned += usize::from(frame.trust == "scan");
        if frame.trust == "scan" && scanned > SCANNED {
            continue;
        }
        let found = match (frame.trust, frame.confidence) {
            ("scan", "fallback") => "scan?",
            ("frame-pointer", "heuristic") => "frame-pointer?",
            (trust, _) => trust,
        };
        let style = if frame.trust == "scan" { DIM } else { anstyle::Style::new() };
        let cell = |text: &str| Cell::styled(text, style);
        table.rows.push(vec![
            cell(&number),
            cell(found),
            cell(&short(frame.address)),
            cell(location(frame)),
        ]);
        for line in source_lines(frame) {
            table.rows.push(vec![cell(""), cell(""), cell(""), cell(&line)]);
        }
    }
    table
}

/// The function and its place in the source, what is inlined in it first.
fn source_lines(frame: &FrameView) -> Vec<String> {
    let place = |file: Option<&str>, line: Option<u32>| match (file.map(file_name), line) {
        (Some(file), Some(line)) => format!(" ({file}:{line})"),
        (Some(file), None) => format!(" ({file})"),
        (None, _) => String::new(),
    };
    let inlined = frame
        .inlined
        .iter()
        .map(|of| format!("  {}, inlined{}", of.function, place(of.file.as_deref(), of.line)));
    let function = frame.function.as_ref().map(|function| {
        let offset = frame.function_offset.unwrap_or(0);
        format!("  {function}+{offset:#x}{}", place(frame.file.as_deref(), frame.line))
    });
    inlined.chain(function).collect()
}

/// What there is to say about symbol files.
pub(crate) fn symbol_lines(report: &CrashReport<'_>) -> Vec<String> {
    let Some(symbols) = &report.symbols else { return Vec::new() };
    let missing = symbols.missing.iter().map(|file| format!("no symbols: {file} is in no folder"));
    let issues = symbols.issues.iter().map(|issue| format!("no symbols: {issue}"));
    issues.chain(missing).collect()
}

/// What the words in the table mean.
pub(crate) fn frames_notes(report: &CrashReport<'_>) -> Vec<&'static str> {
    if report.dump.depth == "streams" {
        return vec!["callers are not known: stacks are not read at this depth (--depth streams)"];
    }
    let is = |trust, confidence| {
        report.frames.iter().any(|of| of.trust == trust && of.confidence == confidence)
    };
    let mut notes = Vec::new();
    if is("frame-pointer", "heuristic") {
        notes.push("frame-pointer?: of a chain that the scan found, or in no module");
    }
    if is("scan", "fallback") {
        notes.push("scan?: a value on the stack that points to code; may be no return address");
    } else if is("scan", "heuristic") {
        notes.push("scan: a value on the stack with a call before it; may be left over");
    }
    notes
}

/// As many in a line as fit.
fn registers(report: &CrashReport<'_>) -> String {
    let Some(thread) = &report.thread else { return String::new() };
    let each: Vec<String> = thread
        .registers
        .iter()
        .map(|register| format!("{:>6} {}", register.name, register.value))
        .collect();
    let widest = each.iter().map(String::len).max().unwrap_or(0);
    let across = (WIDTH / (widest + 1)).max(1);
    let lines = each.chunks(across).map(|line| format!("{}\n", line.join(" ")));
    lines.collect()
}
