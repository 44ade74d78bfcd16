//! `stacks`, `images` and `heaps` as text: a table, and what it cannot hold.

use super::labelled;
use super::tables::{self, ImageRows, short};
use crate::render::WIDTH;
use crate::render::number::{count, size};
use crate::render::paint::{BOLD, DIM, Paint};
use crate::report::{HeapsReport, ImagesReport, StacksReport};

/// The stacks and their sum.
pub fn stacks(report: &StacksReport<'_>, paint: Paint) -> String {
    if report.stacks.is_empty() {
        return "no stack is known: the dump lists no thread, or its stacks cannot be found\n"
            .into();
    }
    let mut out = tables::stacks(report).text(paint, WIDTH);
    let sizes = report.stacks.iter().map(|stack| stack.size).sum();
    let committed: Option<u64> = report.stacks.iter().map(|stack| stack.committed).sum();
    let mut line = format!("{}, {}", count(report.stacks.len() as u64, "stack"), size(sizes));
    if let Some(committed) = committed {
        line.push_str(&format!(", {} committed", size(committed)));
    }
    out.push_str(&format!("{}\n", paint.paint(DIM, &line)));
    out
}

/// The images, then the modules that were unloaded.
pub fn images(report: &ImagesReport<'_>, rows: ImageRows, paint: Paint) -> String {
    if report.images.is_empty() && report.unloaded.is_empty() {
        return "no image is known: the dump has no module list\n".into();
    }
    let mut out = tables::images(report, rows).text(paint, WIDTH);
    let unlisted = report.images.iter().filter(|image| !image.listed).count() as u64;
    let sizes = report.images.iter().map(|image| image.size).sum();
    let mut line = format!("{}, {}", count(report.images.len() as u64, "image"), size(sizes));
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
    }
    out
}

/// The heaps, the parts of each, and what is wrong with it.
pub fn heaps(report: &HeapsReport<'_>, paint: Paint) -> String {
    if report.heaps.is_empty() {
        let why = match report.dump.platform {
            "windows" => "the dump has no PEB and no heap header in memory",
            _ => "heap headers are read for Windows processes only",
        };
        return format!("no heap is known: {why}\n");
    }
    let mut out = tables::heaps(report).text(paint, WIDTH);
    for heap in
        report.heaps.iter().filter(|heap| !heap.parts.is_empty() || !heap.problems.is_empty())
    {
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
        for problem in &heap.problems {
            out.push_str(&labelled("  problem: ", problem, paint, DIM));
        }
    }
    out
}
