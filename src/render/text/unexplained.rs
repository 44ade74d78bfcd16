//! `unexplained` as text: a line a family, and below it what its memory holds
//! and who points to it.

use super::labelled;
use super::summary::share;
use super::tables::short;
use crate::dump::file_name;
use crate::render::number::{count, grouped, size};
use crate::render::paint::{BOLD, DIM, Paint};
use crate::render::table::{Cell, Table, numbers, words};
use crate::render::{WIDTH, sanitize};
use crate::report::{ContentsView, FamilyView, PointersView, UnexplainedReport};

/// Places of pointers that are named.
const PLACES: usize = 4;

/// The whole report.
pub fn unexplained(report: &UnexplainedReport<'_>, paint: Paint) -> String {
    let mut out = String::new();
    for line in sanitize::wrap(&title(report), WIDTH) {
        out.push_str(&format!("{}\n", paint.paint(BOLD, &line)));
    }
    if report.families.is_empty() {
        return out;
    }
    out.push('\n');
    let table = figures(report).text(paint, WIDTH);
    let mut lines = table.lines();
    out.extend(lines.next().map(|line| format!("{line}\n")));
    for (line, family) in lines.zip(&report.families) {
        out.push_str(&format!("{line}\n"));
        for sentence in sentences(family) {
            out.push_str(&labelled("    ", &sentence, paint, DIM));
        }
    }
    let listed = report.families.len() as u64;
    if report.family_count > listed {
        let more = count(report.family_count - listed, "more family");
        let more = more.replace("familys", "families");
        out.push_str(&format!("and {more}; --top N shows more\n"));
    }
    let unread = report.families.iter().all(|family| family.contents.is_none());
    let hint = match () {
        () if unread => Some("their contents are not captured, or were not to be read"),
        () if report.scan.is_none() => Some("--pointers counts the pointers that lead to them"),
        () => None,
    };
    if let Some(hint) = hint {
        out.push_str(&labelled("", hint, paint, DIM));
    }
    if let Some(scan) = report.scan {
        let rest = if scan.complete { "" } else { ", not all of it" };
        let line = format!(
            "looked for pointers in {} of modules' data and stacks{rest}",
            size(scan.bytes)
        );
        out.push_str(&labelled("", &line, paint, DIM));
    }
    out
}

fn title(report: &UnexplainedReport<'_>) -> String {
    let Some(private) = report.private else {
        return "which memory is private is not known: the map was rebuilt".into();
    };
    if private.unexplained == 0 {
        return format!("all of {} committed private memory is explained", size(private.committed));
    }
    let families = count(report.family_count, "family").replace("familys", "families");
    format!(
        "unexplained: {} ({}) of {} committed private memory, {} in {families}",
        size(private.unexplained),
        share(private.unexplained, private.committed),
        size(private.committed),
        count(report.allocations, "allocation"),
    )
}

fn figures(report: &UnexplainedReport<'_>) -> Table {
    let mut table = Table::new([
        numbers("Committed"),
        numbers("Allocs"),
        numbers("Each"),
        words("Access"),
        words("Lowest"),
    ]);
    for family in &report.families {
        table.rows.push(cells(family));
    }
    table
}

fn cells(family: &FamilyView) -> Vec<Cell> {
    vec![
        size(family.bytes).into(),
        grouped(family.allocations).into(),
        size(family.size).into(),
        family.access.clone().into(),
        short(family.lowest).into(),
    ]
}

/// All of it as one table, for Markdown.
pub fn families_table(report: &UnexplainedReport<'_>) -> Table {
    let mut table = figures(report);
    table.columns.push(words("What"));
    for (row, family) in table.rows.iter_mut().zip(&report.families) {
        row.push(sentences(family).join(". ").into());
    }
    table
}

fn sentences(family: &FamilyView) -> Vec<String> {
    let mut sentences = Vec::new();
    sentences.extend(family.contents.as_ref().map(contents));
    sentences.extend(
        family.pointers.as_ref().map(|pointers| format!("pointers: {}", pointers_line(pointers))),
    );
    sentences.extend(family.first_bytes.as_ref().map(|text| format!("begins with [{text}]")));
    sentences
}

/// What memory holds, in words.
pub(super) fn contents(contents: &ContentsView) -> String {
    let mut parts = Vec::new();
    if contents.zero == contents.sampled {
        parts.push("all zero".to_owned());
    } else {
        parts.push(format!("{} zero", share(contents.zero, contents.sampled)));
        parts.push(format!("{} entropy", contents.entropy_class));
    }
    if let Some(fill) = contents.fill {
        let name = fill.name.unwrap_or("one word, again and again");
        parts.push(format!("{} {name}", share(fill.bytes, contents.sampled)));
    }
    if let Some(first) = contents.first_word.as_ref().filter(|_| contents.zero < contents.sampled) {
        let image = first.image.as_deref().map_or("an image", file_name);
        let leads = match first.leads {
            "zero" => "is 0".to_owned(),
            "itself" => "leads into the block itself".to_owned(),
            "image" => format!("leads into {image}"),
            "memory" => "leads to other memory".to_owned(),
            _ => "is no address".to_owned(),
        };
        parts.push(match (first.blocks, first.same) {
            (1, _) => format!("first word {leads}"),
            (_, 1) => "first words differ".into(),
            (all, same) => {
                let same = format!("the same in {} of {}", grouped(same), grouped(all));
                format!("first word {leads}, {same}")
            }
        });
    }
    format!("{} ({} looked at)", parts.join(", "), size(contents.sampled))
}

/// Where pointers lie, in words.
pub(super) fn pointers_line(pointers: &[PointersView]) -> String {
    if pointers.is_empty() {
        return "none from modules' data or stacks".into();
    }
    let place = |pointers: &PointersView| match pointers.from {
        "stack" => format!("{} from stacks", grouped(pointers.count)),
        _ => {
            let image = pointers.image.as_deref().map_or("an image without a name", file_name);
            format!("{} from data of {image}", grouped(pointers.count))
        }
    };
    let mut places: Vec<String> = pointers.iter().take(PLACES).map(place).collect();
    let rest: u64 = pointers.iter().skip(PLACES).map(|pointers| pointers.count).sum();
    if rest > 0 {
        places.push(format!("{} from elsewhere", grouped(rest)));
    }
    places.join(", ")
}

/// The family of one allocation, in words, and where in it an address is.
pub(super) fn family(family: &FamilyView, offset: u64) -> String {
    let access = if family.access == "mixed" { "mixed access" } else { &family.access };
    match family.allocations {
        1 => format!(
            "unexplained, +{offset:#x}; no other allocation of {}, {access}",
            size(family.size)
        ),
        all => format!(
            "unexplained, +{offset:#x}; one of {} allocations of {}, {access}, {} committed in all",
            grouped(all),
            size(family.size),
            size(family.bytes)
        ),
    }
}
