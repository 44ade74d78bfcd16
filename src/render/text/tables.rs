//! The tables of `stacks`, `images` and `heaps`: text clips names, Markdown
//! shows them whole.

use crate::render::number::{Scale, grouped, size, size_or_unknown};
use crate::render::paint::DIM;
use crate::render::table::{Cell, Table, numbers, words};
use crate::report::{HeapsReport, Hex, ImagesReport, StacksReport};

/// One row a stack.
pub fn stacks(report: &StacksReport<'_>) -> Table {
    let both = report.stacks.iter().any(|stack| stack.bits != report.dump.pointer_bits);
    let mut columns = vec![words("Thread")];
    columns.extend(both.then(|| words("Bits")));
    columns.extend([words("Base"), numbers("Size"), numbers("Committed"), numbers("Guard")]);
    columns.extend([numbers("Used"), words("Known"), words("Name, start")]);
    let mut table = Table::new(columns);
    for stack in &report.stacks {
        let thread = stack.thread_id.map_or_else(|| "?".into(), |id| id.to_string());
        let mut row: Vec<Cell> = vec![thread.into()];
        row.extend(both.then(|| Cell::from(stack.bits.to_string())));
        row.push(short(stack.base).into());
        row.push(size(stack.size).into());
        row.extend([stack.committed, stack.guard, stack.used].map(|b| size_or_unknown(b).into()));
        row.push(Cell::styled(stack.confidence, DIM));
        let start = stack.start.clone().or(stack.start_address.map(short));
        let named = [stack.name.as_deref().map(str::to_owned), start];
        row.push(named.into_iter().flatten().collect::<Vec<_>>().join("  ").into());
        table.rows.push(row);
    }
    table
}

/// What an images table lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRows {
    /// Images.
    Images,
    /// Images, each followed by its sections.
    Sections,
}

/// One row an image.
pub fn images(report: &ImagesReport<'_>, rows: ImageRows) -> Table {
    let columns = [words("Base"), numbers("Size"), words("Version"), words("Note"), words("Path")];
    let mut table = Table::new(columns);
    for image in &report.images {
        let note = match (image.listed, image.mapped) {
            (true, true) => "",
            (true, false) => "not mapped",
            (false, _) => "unlisted",
        };
        let path = image.path.as_deref().unwrap_or("?");
        table.rows.push(vec![
            short(image.base).into(),
            size(image.size).into(),
            image.version.clone().unwrap_or_default().into(),
            note.into(),
            path.into(),
        ]);
        if rows == ImageRows::Images {
            continue;
        }
        for section in &image.sections {
            let protect = section.protect.as_deref().unwrap_or("");
            table.rows.push(vec![
                Cell::styled(format!("  {}", short(section.base)), DIM),
                Cell::styled(size(section.size), DIM),
                "".into(),
                "".into(),
                Cell::styled(format!("{}  {protect}", section.name), DIM),
            ]);
        }
    }
    table
}

/// The modules that were there once.
pub(super) fn unloaded(report: &ImagesReport<'_>) -> Table {
    let mut table = Table::new([words("Unloaded"), numbers("Size"), words("Path")]);
    for module in &report.unloaded {
        let row = [short(module.base), size(module.size), module.path.to_string()];
        table.rows.push(row.map(Cell::from).into());
    }
    table
}

/// One row a heap.
pub fn heaps(report: &HeapsReport<'_>) -> Table {
    let mut table = Table::new([
        words("Heap"),
        words("Type"),
        numbers("Bits"),
        numbers("Size"),
        numbers("Committed"),
        numbers("Busy"),
        numbers("Segments"),
        words("Remarks"),
    ]);
    let scale = Scale::ALL[0];
    for heap in &report.heaps {
        let mut remarks: Vec<&str> = Vec::new();
        remarks.extend(heap.is_default.then_some("default"));
        remarks.extend(heap.front_end.filter(|front_end| *front_end != "none"));
        remarks.extend((!heap.complete).then_some("incomplete"));
        let sized = |bytes: Option<u64>| bytes.map_or("?".into(), |bytes| scale.size(bytes));
        table.rows.push(vec![
            short(heap.address).into(),
            heap.heap_type.unwrap_or("?").into(),
            heap.bits.to_string().into(),
            sized(heap.size).into(),
            sized(heap.committed).into(),
            sized(heap.busy_bytes).into(),
            grouped(heap.segments as u64).into(),
            remarks.join(", ").into(),
        ]);
    }
    table
}

/// `0x7ff6e7900000`: 8 or 12 digits, as many as user addresses have.
pub(super) fn short(address: Hex) -> String {
    match address.width.bits() {
        32 => format!("{:#010x}", address.address),
        _ => format!("{:#014x}", address.address),
    }
}
