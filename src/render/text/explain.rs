//! `explain` as text: one block an address, what is certain first.

use super::labelled;
use super::tables::short;
use crate::render::number::{grouped, size};
use crate::render::paint::{ALARM, BOLD, DIM, Paint};
use crate::report::{
    AddressView, BlockView, ChunkView, ClaimView, ExplainReport, InHeap, InMalloc, InStack,
    Neighbour, ReservationView,
};

/// All addresses, a blank line between two.
pub fn explain(report: &ExplainReport<'_>, paint: Paint) -> String {
    let blocks: Vec<String> = report.addresses.iter().map(|view| block(view, paint)).collect();
    blocks.join("\n")
}

fn block(view: &AddressView<'_>, paint: Paint) -> String {
    let mut lines = Lines { out: String::new(), paint };
    let address = short(view.address);
    let title = match view.query.contains(['+', '@']) {
        true => format!("{address}  {}", view.query),
        false => address,
    };
    lines
        .out
        .push_str(&format!("{}\n", paint.paint(BOLD, &crate::render::sanitize::terminal(&title))));
    if let Some(note) = view.note {
        lines.out.push_str(&paint.paint(ALARM, &labelled("  ", note, Paint::Plain, DIM)));
    }
    facts(view, &mut lines);
    place(view, &mut lines);
    contents(view, &mut lines);
    for claim in &view.claims {
        lines.say(claim.verdict, &claim_line(claim));
    }
    if view.more_claims > 0 {
        lines.say("", &format!("and {} more claims", grouped(view.more_claims)));
    }
    if let Some(before) = &view.before {
        lines.say("below", &neighbour(before));
    }
    if let Some(after) = &view.after {
        lines.say("above", &neighbour(after));
    }
    lines.out
}

/// Label and text in two columns.
struct Lines {
    out: String,
    paint: Paint,
}

impl Lines {
    fn say(&mut self, label: &str, text: &str) {
        self.out.push_str(&labelled(&format!("  {label:<11}"), text, self.paint, DIM));
    }
}

fn facts(view: &AddressView<'_>, lines: &mut Lines) {
    let Some(piece) = &view.piece else { return };
    let usage = piece.usage.as_deref().map(|usage| format!(": {usage}")).unwrap_or_default();
    lines.say("is", &format!("{}{usage} ({})", piece.kind, piece.confidence));
    let state = [Some(piece.state), piece.memory_type].into_iter().flatten();
    let mut words: Vec<String> = state.map(str::to_owned).collect();
    words.extend(piece.protect.clone());
    if let Some(region) = view.region {
        let range = format!("{}-{}", short(region.base), short(region.end));
        lines.say("region", &format!("{range}, {}, {}", size(region.size), words.join(", ")));
        if region.size != piece.size {
            let range = format!("{}-{}", short(piece.base), short(piece.end));
            lines.say("piece", &format!("{range}, {}", size(piece.size)));
        }
    }
    if let Some(allocation) = &view.allocation {
        let protect = allocation.protect.as_deref().map(|p| format!(", {p}")).unwrap_or_default();
        let regions = crate::render::number::count(allocation.regions, "region");
        let base = short(allocation.base);
        lines.say("allocation", &format!("{base}, {}, {regions}{protect}", size(allocation.size)));
    }
}

fn place(view: &AddressView<'_>, lines: &mut Lines) {
    if let Some(image) = &view.image {
        let path = image.path.as_deref().unwrap_or("an image without a name");
        lines.say("image", &format!("{path} +{:#x}", image.offset));
        if let (Some(section), Some(offset)) = (&image.section, image.section_offset) {
            lines.say("section", &format!("{section} +{offset:#x}"));
        }
    }
    if let Some(stack) = &view.stack {
        lines.say("stack", &stack_line(stack));
    }
    if let Some(heap) = &view.heap {
        heap_lines(heap, lines);
    }
    if let Some(malloc) = &view.malloc {
        malloc_lines(malloc, lines);
    }
    if let Some(managed) = &view.managed {
        let place = format!("{}, heap {}", managed.generation, managed.heap);
        lines.say("managed", &format!("{place}, {}: {}", managed.runtime, managed.part));
    }
    if let Some(reservation) = &view.reservation {
        lines.say("part of", &reservation_line(reservation));
    }
    if let Some(unexplained) = &view.unexplained {
        let family = super::unexplained::family(&unexplained.family, unexplained.offset);
        lines.say("family", &family);
        if let Some(contents) = &unexplained.contents {
            lines.say("holds", &super::unexplained::contents(contents));
        }
        if let Some(text) = &unexplained.first_bytes {
            lines.say("begins", &format!("[{text}]"));
        }
    }
    if let Some(pointers) = &view.pointers {
        lines.say("pointers", &super::unexplained::pointers_line(pointers));
    }
    for module in &view.unloaded {
        let path = if module.path.is_empty() { "a module without a name" } else { &*module.path };
        lines.say("unloaded", &format!("{path} +{:#x} was here before", module.offset));
    }
}

fn heap_lines(heap: &InHeap, lines: &mut Lines) {
    let kind = heap.heap_type.unwrap_or("unknown");
    let part = match (heap.part, heap.part_base, heap.offset) {
        (Some(part), Some(base), Some(offset)) => format!(", {part} {}+{offset:#x}", short(base)),
        _ => String::new(),
    };
    lines.say("heap", &format!("{}, {kind} heap{part}", short(heap.address)));
    let Some(inside) = &heap.block else { return };
    let offset = match inside.offset {
        below @ ..0 => format!("{} bytes before what it holds", -below),
        offset => format!("{offset} bytes in"),
    };
    lines.say("block", &format!("{}, {offset}", block_line(&inside.block)));
    if let Some(crt) = &inside.crt {
        let line = crt.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let gaps = match crt.intact {
            Some(true) => ", gaps intact",
            Some(false) => ", a gap is overwritten",
            None => "",
        };
        let (at, size) = (short(crt.address), grouped(crt.size));
        let request = grouped(crt.request);
        let usage = crt.usage;
        lines.say(
            "debug crt",
            &format!("{at}, {size} bytes asked for, {usage} block, request {request}{line}{gaps}"),
        );
    }
    if let Some(page) = &inside.page_heap {
        let state = if page.busy { "busy" } else { "free" };
        let fence = match page.fence_intact {
            Some(true) => ", fence intact",
            Some(false) => ", fence overwritten",
            None => "",
        };
        let trace = page
            .stack_trace
            .map(|at| format!(", stack trace at {}", short(at)))
            .unwrap_or_default();
        let (at, size, mode) = (short(page.address), grouped(page.size), page.mode);
        lines.say(
            "page heap",
            &format!("{mode}: {at}, {state}, {size} bytes asked for{fence}{trace}"),
        );
    }
    for (label, block) in [("previous", &inside.previous), ("next", &inside.next)] {
        if let Some(block) = block {
            lines.say(label, &block_line(block));
        }
    }
}

fn block_line(block: &BlockView) -> String {
    let asked = block.user_size.filter(|_| block.state == "busy");
    let asked = asked.map(|size| format!(", {} asked for", grouped(size))).unwrap_or_default();
    let place = match (block.container, block.index) {
        (Some(container), Some(index)) => {
            let bucket = format!("{} bucket of {}", block.place, grouped(block.size));
            format!("{bucket}, block {index} of container {}", short(container))
        }
        (Some(container), None) => format!("{} of container {}", block.place, short(container)),
        (None, _) => block.place.to_owned(),
    };
    let start = short(block.start);
    format!("{start}, {}, {} bytes{asked}, {place}", block.state, grouped(block.size))
}

fn malloc_lines(malloc: &InMalloc, lines: &mut Lines) {
    let whose = match (malloc.heap, malloc.arena) {
        ("main", _) => "the main arena".to_owned(),
        (_, Some(arena)) => format!("the arena at {}", short(arena)),
        (_, None) => "an arena".to_owned(),
    };
    let problem = malloc.problem.as_ref().map(|why| format!("; no chunk: {why}"));
    let heap = match malloc.heap {
        "mapping" => "a large block in a mapping of its own, by its header (heuristic)".to_owned(),
        _ => format!("heap {} of {whose}", short(malloc.base)),
    };
    lines.say("malloc", &format!("{heap}{}", problem.unwrap_or_default()));
    let Some(inside) = &malloc.chunk else { return };
    let offset = match inside.offset {
        below @ ..0 => format!("{} bytes before what malloc returned", -below),
        offset => format!("{offset} bytes in"),
    };
    lines.say("chunk", &format!("{}, {offset}", chunk_line(&inside.chunk)));
    if inside.alike > 0 {
        let (all, used) = (grouped(inside.alike), grouped(inside.alike_in_use));
        let size = grouped(inside.chunk.size);
        let line = match inside.alike {
            1 => format!("no other chunk of {size} bytes in this heap"),
            _ => format!("one of {all} chunks of {size} bytes in this heap, {used} in use"),
        };
        lines.say("family", &line);
    }
    for (label, chunk) in [("previous", &inside.previous), ("next", &inside.next)] {
        if let Some(chunk) = chunk {
            lines.say(label, &chunk_line(chunk));
        }
    }
}

fn chunk_line(chunk: &ChunkView) -> String {
    let state = match chunk.state {
        "in-use" => "in use",
        "tcache" => "free, in a thread's cache",
        "fastbin" => "free, in a fast bin",
        "top" => "top of the heap",
        state => state,
    };
    let start = short(chunk.start);
    format!("{start}, {state}, {} bytes, {} usable", grouped(chunk.size), grouped(chunk.usable))
}

/// How many reservations are like one, and where in it an address is.
fn reservation_line(reservation: &ReservationView<'_>) -> String {
    let usage = reservation.usage.as_deref().unwrap_or("unexplained");
    let protect = reservation.protect.as_ref().map(|protect| format!(", {protect}"));
    let protect = protect.unwrap_or_default();
    let (each, alike) = (size(reservation.size), reservation.alike);
    let family = match alike.count {
        1 => format!("the only one of {each}{protect}"),
        all => {
            let all = grouped(all);
            format!("one of {all} of {each} each{protect}, {} in all", size(alike.bytes))
        }
    };
    let other = reservation.same_use.filter(|all| *all != alike);
    let other =
        other.map(|all| format!("; {} of any size, {}", grouped(all.count), size(all.bytes)));
    let place = format!("{}+{:#x}", short(reservation.base), reservation.offset);
    format!("{usage}, {place}; {family}{}", other.unwrap_or_default())
}

fn stack_line(stack: &InStack<'_>) -> String {
    let thread = match stack.thread_id {
        Some(id) => format!("thread {id}"),
        None => "no known thread".into(),
    };
    let name = stack.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    let pointer = match stack.from_stack_pointer {
        None => String::new(),
        Some(0) => ", at the stack pointer".into(),
        Some(above @ 1..) => format!(", {above:#x} bytes above the stack pointer"),
        Some(below) => format!(", {:#x} bytes below the stack pointer: not in use", -below),
    };
    format!("{thread}{name}{pointer}, {:#x} bytes below the base", stack.from_base)
}

fn contents(view: &AddressView<'_>, lines: &mut Lines) {
    if view.piece.as_ref().is_none_or(|piece| piece.state == "free") {
        return;
    }
    match view.available {
        0 => lines.say("contents", "not captured in the dump"),
        bytes => lines.say("contents", &format!("{} bytes captured from here on", grouped(bytes))),
    }
}

fn claim_line(claim: &ClaimView<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    let what = [claim.kind, claim.usage.as_deref()];
    words.push(what.into_iter().flatten().collect::<Vec<_>>().join(", "));
    words.push(format!("from {} ({})", claim.source, claim.confidence));
    words.extend(claim.detail.clone());
    words.extend(claim.why.as_ref().map(|why| format!("lost: {why}")));
    words.retain(|word| !word.is_empty());
    words.join("; ")
}

fn neighbour(piece: &Neighbour<'_>) -> String {
    let state = if piece.state == piece.kind { "" } else { piece.state };
    let mut parts = vec![short(piece.base), size(piece.size), state.into(), piece.kind.into()];
    parts.extend([&piece.usage, &piece.name].into_iter().flatten().map(|text| text.to_string()));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}
