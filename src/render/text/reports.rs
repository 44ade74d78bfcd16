//! `stacks`, `images` and `heaps` as text: a table, and what it cannot hold.

use super::labelled;
use super::tables::{self, ImageRows, short};
use crate::dump::file_name;
use crate::render::WIDTH;
use crate::render::number::{count, grouped, size};
use crate::render::paint::{BOLD, DIM, Paint};
use crate::render::table::{Cell, Table, numbers};
use crate::report::{
    BucketView, HeapView, HeapsReport, ImagesReport, SizeView, SizesView, StacksReport,
};

/// The stacks and their sum.
pub fn stacks(report: &StacksReport<'_>, paint: Paint) -> String {
    if report.stacks.is_empty() {
        return "no stack is known: the dump lists no thread, or its stacks cannot be found\n"
            .into();
    }
    let mut out = tables::stacks(report).text(paint, WIDTH);
    out.push_str(&rows_left(report.stacks.len()));
    let mut line =
        format!("{}, {}", count(report.stacks.len() as u64, "stack"), size(report.sums.size));
    if let Some(committed) = report.sums.committed {
        line.push_str(&format!(", {} committed", size(committed)));
    }
    out.push_str(&format!("{}\n", paint.paint(DIM, &line)));
    out
}

/// What a table leaves out; empty when it shows every row.
fn rows_left(rows: usize) -> String {
    match rows.saturating_sub(tables::ROWS) {
        0 => String::new(),
        more => format!("and {} that only -f jsonl lists\n", count(more as u64, "row")),
    }
}

/// The images, then the modules that were unloaded.
pub fn images(report: &ImagesReport<'_>, rows: ImageRows, paint: Paint) -> String {
    if report.images.is_empty() && report.unloaded.is_empty() {
        return "no image is known: the dump has no module list\n".into();
    }
    let mut out = tables::images(report, rows).text(paint, WIDTH);
    let unlisted = report.sums.unlisted;
    out.push_str(&rows_left(report.images.len()));
    let mut line =
        format!("{}, {}", count(report.images.len() as u64, "image"), size(report.sums.size));
    if unlisted > 0 {
        line.push_str(&format!(", {unlisted} of them not in the module list"));
    }
    out.push_str(&format!("{}\n", paint.paint(DIM, &line)));
    if !report.not_images.is_empty() {
        out.push('\n');
        out.push_str(&tables::not_images(report).text(paint, WIDTH));
    }
    if !report.unloaded.is_empty() {
        out.push('\n');
        out.push_str(&tables::unloaded(report).text(paint, WIDTH));
        out.push_str(&rows_left(report.unloaded.len()));
    }
    out
}

/// The heaps, the parts of each, and what is wrong with it.
pub fn heaps(report: &HeapsReport<'_>, paint: Paint) -> String {
    if report.heaps.is_empty() && report.managed.is_empty() {
        let why = match report.dump.platform {
            "windows" if report.dump.depth == "streams" => {
                "heap headers are not read at this depth (--depth streams)"
            }
            "windows" => "the dump has no PEB and no heap header in memory",
            _ => "heap headers are read for Windows processes only",
        };
        return format!("no heap is known: {why}\n");
    }
    let mut out = String::new();
    if !report.heaps.is_empty() {
        out.push_str(&tables::heaps(report).text(paint, WIDTH));
    }
    if !report.walked && report.captured > 0 {
        let line = format!("entries not counted: {} to read; --walk does", size(report.captured));
        out.push_str(&format!("{}\n", paint.paint(DIM, &line)));
    }
    for heap in &report.heaps {
        one_heap(heap, paint, &mut out);
    }
    managed(report, paint, &mut out);
    out
}

/// At most this many problems of a heap are shown.
const PROBLEMS: usize = 10;

fn one_heap(heap: &HeapView, paint: Paint, out: &mut String) {
    if heap.parts.is_empty() && heap.problems.is_empty() && heap.unread.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", paint.paint(BOLD, &short(heap.address))));
    for part in &heap.parts {
        let committed = part.committed.map_or("?".into(), size);
        out.push_str(&format!(
            "  {}  {:>11}  {:>11} committed  {}\n",
            short(part.base),
            size(part.size),
            committed,
            part.role
        ));
    }
    if let (Some(blocks), Some(free)) = (heap.free_blocks, heap.free_bytes) {
        let mut line = format!("{} in {}", size(free), count(blocks, "block"));
        line.push_str(&format!(", the largest {}", size(heap.largest_free.unwrap_or(0))));
        if let Some(percent) = heap.external_fragmentation {
            line.push_str(&format!("; external fragmentation {percent:.1}%"));
        }
        if let Some(percent) = heap.virtual_fragmentation {
            line.push_str(&format!("; virtual {percent:.1}%"));
        }
        out.push_str(&labelled("  free: ", &line, paint, DIM));
    }
    if !heap.buckets.is_empty() {
        let sum = |of: fn(&BucketView) -> u64| heap.buckets.iter().map(of).sum::<u64>();
        let line = format!(
            "{} of {} busy, in {} of {}",
            grouped(sum(|bucket| bucket.busy)),
            count(sum(|bucket| bucket.blocks), "block"),
            count(sum(|bucket| bucket.containers), "container"),
            count(heap.buckets.len() as u64, "size")
        );
        out.push_str(&labelled("  low-fragmentation: ", &line, paint, DIM));
    }
    for problem in heap.problems.iter().take(PROBLEMS) {
        out.push_str(&labelled("  problem: ", problem, paint, DIM));
    }
    let more = heap.problems.len().saturating_sub(PROBLEMS) as u64 + heap.more_corruption;
    if more > 0 {
        out.push_str(&labelled("  ", &format!("and {}", count(more, "more problem")), paint, DIM));
    }
    for unread in heap.unread.iter().take(3) {
        let place = unread.range.map_or_else(String::new, |range| {
            format!("{}-{}: ", short(range.base), short(range.end))
        });
        out.push_str(&labelled("  not read: ", &format!("{place}{}", unread.why), paint, DIM));
    }
    if let Some(sizes) = &heap.sizes {
        block_sizes(heap, sizes, paint, out);
    }
}

/// `!heap -stat`: the sizes with most bytes; then all sizes by powers of two,
/// and the buckets of the low-fragmentation heap.
fn block_sizes(heap: &HeapView, sizes: &SizesView, paint: Paint, out: &mut String) {
    let all: u64 = sizes.histogram.iter().map(|of| of.bytes).sum();
    let row = |of: &SizeView| -> Vec<Cell> {
        let numbers = [of.size, of.count, of.bytes].map(|of| grouped(of).into());
        numbers.into_iter().chain([percent_of(of.bytes, all).into()]).collect()
    };
    let mut table = Table::new(["  Asked for", "Blocks", "Bytes", "Share"].map(numbers));
    table.rows = sizes.top.iter().map(row).collect();
    if !table.rows.is_empty() {
        out.push('\n');
        out.push_str(&table.text(paint, WIDTH));
        let rest = sizes.distinct.saturating_sub(sizes.top.len() as u64);
        let left_out = match sizes.left_out {
            0 => String::new(),
            blocks => format!("; {} of further sizes not counted", count(blocks, "block")),
        };
        if rest > 0 || sizes.left_out > 0 {
            let line = format!("and {}{left_out}", count(rest, "more size"));
            out.push_str(&labelled("  ", &line, paint, DIM));
        }
        let mut table = Table::new(["      Up to", "Blocks", "Bytes", "Share"].map(numbers));
        table.rows = sizes.histogram.iter().map(row).collect();
        out.push('\n');
        out.push_str(&table.text(paint, WIDTH));
    }
    if !heap.buckets.is_empty() {
        let titles = ["     Bucket", "Containers", "Blocks", "Busy", "Free", "In use"];
        let mut table = Table::new(titles.map(numbers));
        for bucket in &heap.buckets {
            let BucketView { block_size, containers, blocks, busy } = *bucket;
            let free = blocks.saturating_sub(busy);
            let mut row: Vec<Cell> =
                [block_size, containers, blocks, busy, free].map(|of| grouped(of).into()).into();
            row.push(percent_of(busy, blocks).into());
            table.rows.push(row);
        }
        out.push('\n');
        out.push_str(&table.text(paint, WIDTH));
    }
}

fn percent_of(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".into(),
        whole => format!("{:.1}%", part as f64 * 100.0 / whole as f64),
    }
}

fn managed(report: &HeapsReport<'_>, paint: Paint, out: &mut String) {
    for runtime in &report.managed {
        if !out.is_empty() {
            out.push('\n');
        }
        // The version is that of a file, which is not always .NET's own.
        let file = Some(file_name(&runtime.path)).filter(|name| !name.is_empty());
        let version = runtime.version.as_deref();
        let file = file.map(|file| [Some(file), version].into_iter().flatten().collect());
        let file = file.map_or_else(String::new, |of: Vec<&str>| format!(", {}", of.join(" ")));
        out.push_str(&labelled(runtime.runtime, &file, paint, BOLD));
        let objects: u64 = runtime.generations.iter().map(|of| of.objects).sum();
        let words = [
            runtime.server.map(|server| if server { "server" } else { "workstation" }.into()),
            runtime.heaps.filter(|heaps| *heaps > 1).map(|heaps| count(heaps, "heap")),
            runtime.layout.map(str::to_owned),
            runtime.committed.map(|bytes| format!("{} committed", size(bytes))),
            (objects > 0).then(|| format!("{} of objects", size(objects))),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        if !words.is_empty() {
            out.push_str(&labelled("  collector: ", &words.join(", "), paint, DIM));
        }
        for problem in runtime.problems.iter().take(PROBLEMS) {
            out.push_str(&labelled("  problem: ", problem, paint, DIM));
        }
    }
    if report.managed.iter().any(|runtime| !runtime.generations.is_empty()) {
        out.push_str(&tables::managed(report).text(paint, WIDTH));
    }
}
