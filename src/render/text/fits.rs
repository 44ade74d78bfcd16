//! `fits` as text: the answer, the fences and their owners.

use super::labelled;
use super::tables::short;
use crate::render::number::{count, grouped, size};
use crate::render::paint::{BOLD, DIM, Paint};
use crate::render::table::{Table, numbers, words};
use crate::render::{WIDTH, sanitize};
use crate::report::{FencesView, FitsReport, FitsView};
use crate::size::human;

/// The whole report.
pub fn fits(report: &FitsReport<'_>, paint: Paint) -> String {
    let mut out = String::new();
    for (at, line) in answer_lines(report).iter().enumerate() {
        for line in sanitize::wrap(line, WIDTH) {
            let style = if at == 0 { BOLD } else { anstyle::Style::new() };
            out.push_str(&format!("{}\n", paint.paint(style, &line)));
        }
    }
    let Some(answer) = &report.answer else { return out };
    let fences = &answer.fences;
    if fences.top.is_empty() {
        return out;
    }
    let what = "fences: single allocations between two free blocks, by what would fit without \
                them";
    out.push('\n');
    out.push_str(&labelled("", what, paint, BOLD));
    out.push_str(&fence_table(fences).text(paint, WIDTH));
    out.push_str(&more(fences.count, fences.top.len()));
    out.push_str(&format!("\n{}\n", paint.paint(BOLD, "fences by owner")));
    out.push_str(&owner_table(fences).text(paint, WIDTH));
    out.push_str(&more(fences.owner_count, fences.owners.len()));
    out.push('\n');
    out.push_str(&labelled("assumed: ", &answer.assumptions.join("; "), paint, DIM));
    out
}

fn more(all: u64, shown: usize) -> String {
    match all.saturating_sub(shown as u64) {
        0 => String::new(),
        more => format!("and {} more; --top N shows more\n", grouped(more)),
    }
}

/// The answer in sentences, the verdict first.
pub(crate) fn answer_lines(report: &FitsReport<'_>) -> Vec<String> {
    let asked = human(report.request.size);
    let Some(answer) = &report.answer else {
        let why = report.unknown.unwrap_or("what was free is not known");
        return vec![format!("cannot tell whether {asked} would have fitted: {why}")];
    };
    let times = match answer.times {
        0 => format!("{asked} does not fit"),
        1 => format!("{asked} fits once"),
        times => format!("{asked} fits {}", count(times, "time")),
    };
    let mut lines = vec![match answer.lowest {
        Some(lowest) => format!("{times}, the lowest place is {}", short(lowest)),
        None => times,
    }];
    lines.push(match answer.largest_address {
        Some(address) => format!(
            "the largest that fits is {} ({} bytes) at {}",
            human(answer.largest),
            grouped(answer.largest),
            short(address)
        ),
        None => "nothing fits".into(),
    });
    lines.push(format!(
        "{} free in {}, at multiples of {}",
        human(answer.free),
        count(answer.free_blocks, "block"),
        human(answer.align)
    ));
    lines.extend(pages(answer));
    if let Some(reserve) = &answer.reserve {
        lines.push(format!(
            "the free {} at {} were the crash reporter's reserve and are not counted",
            human(reserve.size),
            short(reserve.base)
        ));
    }
    lines.extend(without(answer));
    lines
}

/// The size of a page, where it is not the one that everybody expects.
fn pages(answer: &FitsView) -> Option<String> {
    let known = match answer.page_source {
        "auxiliary-vector" => "by the auxiliary vector",
        "system-memory" => "by the dump's memory information",
        "processor" => "as this system has them",
        _ => return Some("pages of 4 KiB are assumed: the dump does not tell their size".into()),
    };
    (answer.page != 0x1000).then(|| format!("pages of {}, {known}", human(answer.page)))
}

/// What would have to go for the request to fit.
fn without(answer: &FitsView) -> Option<String> {
    if answer.fits {
        return None;
    }
    let fences = &answer.fences;
    let Some(smallest) = &fences.smallest else {
        let single = "it would not fit without any single allocation either";
        return Some(match &fences.smallest_run {
            Some(run) => format!(
                "{single}; it would without the {} in the {} at {}, mostly {}",
                count(run.allocations, "allocation"),
                human(run.size),
                short(run.base),
                sanitize::terminal(&run.owner)
            ),
            None => single.into(),
        });
    };
    Some(format!(
        "it would without one of {}; the smallest is {} at {}, {}",
        count(fences.enough, "allocation"),
        human(smallest.size),
        short(smallest.base),
        sanitize::terminal(&smallest.owner)
    ))
}

/// One row a fence.
pub(crate) fn fence_table(fences: &FencesView) -> Table {
    let mut table = Table::new([
        words("Base"),
        numbers("Size"),
        numbers("Below"),
        numbers("Above"),
        numbers("Joined"),
        words("Owner"),
    ]);
    for fence in &fences.top {
        let row = [
            short(fence.base),
            size(fence.size),
            size(fence.free_before),
            size(fence.free_after),
            size(fence.joined),
            fence.owner.clone(),
        ];
        table.rows.push(row.map(Into::into).into());
    }
    table
}

/// One row an owner.
pub(crate) fn owner_table(fences: &FencesView) -> Table {
    let mut table = Table::new([
        words("Kind"),
        numbers("Fences"),
        numbers("Size"),
        numbers("Joined"),
        words("Owner"),
    ]);
    for owner in &fences.owners {
        let row = [
            owner.kind.to_owned(),
            grouped(owner.fences),
            size(owner.size),
            size(owner.joined),
            owner.owner.clone(),
        ];
        table.rows.push(row.map(Into::into).into());
    }
    table
}
