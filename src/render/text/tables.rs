//! The tables of `stacks`, `images` and `heaps`: text clips names, Markdown
//! shows them whole.

use crate::render::WIDTH;
use crate::render::number::{grouped, size, size_or_unknown};
use crate::render::paint::DIM;
use crate::render::table::{Cell, Table, numbers, words};
use crate::report::{HeapsReport, Hex, ImageView, ImagesReport, StacksReport};

/// Rows of one table for people; a forged list of a million entries stays
/// bounded. JSON and CSV have all of them.
pub(super) const ROWS: usize = 4_096;

/// One row a stack.
pub fn stacks(report: &StacksReport<'_>) -> Table {
    let (both, unsure) = (report.sums.both_widths, report.sums.unsure);
    let mut columns = vec![words("Thread")];
    columns.extend(both.then(|| words("Bits")));
    columns.extend([words("Base"), numbers("Size"), numbers("Committed"), numbers("Guard")]);
    columns.push(numbers("Used"));
    columns.extend(unsure.then(|| words("Known")));
    columns.push(words("Name, start"));
    let mut table = Table::new(columns);
    for stack in report.stacks.iter().take(ROWS) {
        let thread = stack.thread_id.map_or_else(|| "?".into(), |id| id.to_string());
        let mut row: Vec<Cell> = vec![thread.into()];
        row.extend(both.then(|| Cell::from(stack.bits.to_string())));
        row.push(short(stack.base).into());
        row.push(size(stack.size).into());
        row.extend([stack.committed, stack.guard, stack.used].map(|b| size_or_unknown(b).into()));
        row.extend(unsure.then(|| Cell::styled(stack.confidence, DIM)));
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

/// One row an image; a column of remarks only when there is one.
pub fn images(report: &ImagesReport<'_>, rows: ImageRows) -> Table {
    let remarks = report.sums.unlisted > 0 || report.sums.unmapped > 0;
    let mut columns = vec![words("Base"), numbers("Size"), words("Version")];
    columns.extend(remarks.then(|| words("Remark")));
    columns.push(words("Path"));
    let mut table = Table::new(columns);
    for image in report.images.iter().take(ROWS) {
        let mut row: Vec<Cell> = vec![short(image.base).into(), size(image.size).into()];
        row.push(image.version.clone().unwrap_or_default().into());
        row.extend(remarks.then(|| Cell::from(remark(&image))));
        row.push(image.path.as_deref().unwrap_or("?").into());
        table.rows.push(row);
        if rows == ImageRows::Images {
            continue;
        }
        for section in &image.sections {
            let protect = section.protect.as_deref().unwrap_or("");
            let mut row = vec![Cell::styled(format!("  {}", short(section.base)), DIM)];
            row.push(Cell::styled(size(section.size), DIM));
            row.push("".into());
            row.extend(remarks.then(|| Cell::from("")));
            row.push(Cell::styled(format!("{}  {protect}", section.name), DIM));
            table.rows.push(row);
        }
    }
    table
}

fn remark(image: &ImageView<'_>) -> &'static str {
    match (image.listed, image.mapped) {
        (true, true) => "",
        (true, false) => "not mapped",
        (false, _) => "unlisted",
    }
}

/// PE files in memory that are not images.
pub(super) fn not_images(report: &ImagesReport<'_>) -> Table {
    let mut table =
        Table::new([words("PE, not loaded"), numbers("Size"), words("Type"), words("Name")]);
    for image in &report.not_images {
        let name = image.name.as_deref().unwrap_or("?").to_owned();
        let row = [short(image.base), size(image.size), image.memory_type.into(), name];
        table.rows.push(row.map(Cell::from).into());
    }
    table
}

/// The modules that were there once.
pub(super) fn unloaded(report: &ImagesReport<'_>) -> Table {
    let mut table = Table::new([words("Unloaded"), numbers("Size"), words("Path")]);
    for module in report.unloaded.iter().take(ROWS) {
        let row = [short(module.base), size(module.size), module.path.to_string()];
        table.rows.push(row.map(Cell::from).into());
    }
    table
}

/// One row a heap; what is in use only when some heap was walked.
pub fn heaps(report: &HeapsReport<'_>) -> Table {
    let both = report.heaps.iter().any(|heap| heap.bits != report.dump.pointer_bits);
    let walked = report.heaps.iter().any(|heap| heap.busy_bytes.is_some());
    let mut columns = vec![words("Heap"), words("Type")];
    columns.extend(both.then(|| numbers("Bits")));
    columns.extend([numbers("Size"), numbers("Committed")]);
    match walked {
        true => columns.extend([numbers("Busy"), numbers("Blocks"), numbers("Free")]),
        false => columns.push(numbers("Segments")),
    }
    columns.push(words("Remarks"));
    let mut table = Table::new(columns);
    for heap in &report.heaps {
        let mut row: Vec<Cell> = vec![short(heap.address).into()];
        row.push(heap.heap_type.unwrap_or("?").into());
        row.extend(both.then(|| Cell::from(heap.bits.to_string())));
        row.extend([heap.size, heap.committed].map(|bytes| size_or_unknown(bytes).into()));
        if walked {
            row.push(size_or_unknown(heap.busy_bytes).into());
            row.push(heap.busy_blocks.map_or_else(|| "?".into(), grouped).into());
            row.push(size_or_unknown(heap.free_bytes).into());
        } else {
            row.push(grouped(heap.segments as u64).into());
        }
        let damaged = !heap.corruption.is_empty();
        let remarks = [
            damaged.then_some("corrupt"),
            heap.is_default.then_some("default"),
            heap.front_end.filter(|front_end| *front_end != "none"),
            (!heap.complete || heap.all_read == Some(false)).then_some("incomplete"),
        ];
        row.push(remarks.into_iter().flatten().collect::<Vec<_>>().join(", ").into());
        table.rows.push(row);
    }
    if table.width() > WIDTH {
        table.gap = 1;
    }
    table
}

/// One row a generation of a managed heap.
pub fn managed(report: &HeapsReport<'_>) -> Table {
    let mut table = Table::new([
        words("Managed heap"),
        words("Generation"),
        numbers("Segments"),
        numbers("Size"),
        numbers("Committed"),
        numbers("Objects"),
    ]);
    for runtime in &report.managed {
        for of in &runtime.generations {
            let mut row: Vec<Cell> = vec![of.heap.to_string().into(), of.generation.into()];
            row.push(grouped(of.segments).into());
            row.extend([of.size, of.committed, of.objects].map(|bytes| size(bytes).into()));
            table.rows.push(row);
        }
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
