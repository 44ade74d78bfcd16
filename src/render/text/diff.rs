//! `diff` as text: the conclusion, then growth by kind, by owner and by
//! region.

use super::tables::short;
use super::{join_parts, labelled};
use crate::render::number::{count, grouped, size};
use crate::render::paint::{ALARM, BOLD, DIM, Paint};
use crate::render::table::{Table, numbers, words};
use crate::render::{WIDTH, sanitize};
use crate::report::{ChangeView, DiffReport, DumpView, GrowthView};

/// Which tables are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffTables {
    /// All of them.
    All,
    /// Kinds of memory.
    Kinds,
    /// Owners.
    Owners,
    /// Regions.
    Regions,
}

impl DiffTables {
    /// Whether this one is among them.
    pub(crate) fn has(self, table: DiffTables) -> bool {
        self == DiffTables::All || self == table
    }
}

/// The whole report.
pub fn diff(report: &DiffReport, tables: DiffTables, paint: Paint) -> String {
    let mut out = String::new();
    for line in head_lines(report) {
        out.push_str(&format!("{line}\n"));
    }
    out.push('\n');
    for (at, sentence) in report.conclusion.iter().enumerate() {
        let style = if at == 0 { BOLD } else { anstyle::Style::new() };
        for line in sanitize::wrap(&sanitize::terminal(sentence), WIDTH) {
            out.push_str(&format!("{}\n", paint.paint(style, &line)));
        }
    }
    for note in &report.notes {
        out.push_str(&labelled("note: ", note, paint, BOLD));
    }
    let mut section = |title: &str, table: &Table, more: String| {
        if !table.rows.is_empty() {
            out.push('\n');
            for line in sanitize::wrap(title, WIDTH) {
                out.push_str(&format!("{}\n", paint.paint(BOLD, &line)));
            }
            out.push_str(&table.wrapped(WIDTH).text(paint, WIDTH));
            out.push_str(&more);
        }
    };
    if tables.has(DiffTables::Kinds) {
        section("by kind: committed; of free memory its size", &kind_table(report), String::new());
    }
    if tables.has(DiffTables::Owners) {
        let more = more(report.owner_count, report.owners.len() as u64);
        section("by owner: growth of committed memory and of size", &owner_table(report), more);
        section("images", &image_table(report), String::new());
    }
    if tables.has(DiffTables::Regions) {
        let more = more(report.changes.iter().map(|tally| tally.count).sum(), shown(report));
        section(&region_title(report), &region_table(report), more);
    }
    let (proven, line) = audit_line(report);
    out.push('\n');
    out.push_str(&labelled("audit: ", &line, paint, if proven { DIM } else { ALARM }));
    out
}

fn more(all: u64, shown: u64) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => format!("and {} more; --top N shows more\n", grouped(more)),
    }
}

/// The dumps, and whether they are of one run.
pub(crate) fn head_lines(report: &DiffReport) -> Vec<String> {
    let mut lines = Vec::new();
    for dump in &report.dumps {
        lines.extend(join_parts(&[dump_parts(dump)]));
    }
    let run = &report.run;
    let how = match (run.same, run.decided_by) {
        (true, "option") => "compared as one run, as asked",
        (false, "option") => "compared as two runs, as asked",
        (true, _) => "one run",
        (false, _) => "two runs: compared by names and shapes, not by address",
    };
    // What says otherwise is named first.
    let says = if run.same { "same" } else { "other" };
    let clues = run.evidence.iter().filter(|clue| clue.says == says || run.decided_by == "option");
    let clues: Vec<String> = clues.map(|clue| format!("{}: {}", clue.what, clue.text)).collect();
    let why = match (clues.is_empty(), run.same) {
        (false, _) => format!(" ({})", clues.join("; ")),
        (true, false) => " (nothing says that they are one)".into(),
        (true, true) => String::new(),
    };
    let run = format!("{how}{why}");
    let run = sanitize::terminal(&run);
    lines.extend(sanitize::wrap(&run, WIDTH).into_iter().map(std::borrow::Cow::into_owned));
    lines
}

fn dump_parts(dump: &DumpView<'_>) -> Vec<String> {
    let name = match dump.file_name() {
        "-" => "standard input",
        name => name,
    };
    let program = dump.process_name.as_deref().unwrap_or("unknown program");
    let mut parts = vec![format!("{name}   {program}")];
    parts.extend(dump.process_id.map(|id| format!("pid {id}")));
    parts.extend(dump.time.as_deref().map(crate::report::time::for_people));
    parts
}

/// `+4,096 K`, `-64 K`, `0`.
fn growth(bytes: i64) -> String {
    let sign = match bytes {
        0 => "",
        ..0 => "-",
        _ => "+",
    };
    format!("{sign}{}", size(bytes.unsigned_abs()))
}

/// `12.5 K` by the unit of the slopes.
fn slope(growth: &GrowthView) -> String {
    match growth.slope {
        None => "-".into(),
        Some(slope) => self::growth(slope as i64),
    }
}

/// `2 → 42`; a single number when it stays.
fn ends(values: impl DoubleEndedIterator<Item = Option<u64>> + Clone) -> String {
    let shown = |value: Option<Option<u64>>| match value.flatten() {
        Some(value) => grouped(value),
        None => "-".into(),
    };
    let (first, last) = (shown(values.clone().next()), shown(values.clone().next_back()));
    if first == last { first } else { format!("{first} → {last}") }
}

fn per(report: &DiffReport) -> Option<&'static str> {
    Some(match report.slope_per? {
        "hour" => "Per hour",
        "minute" => "Per minute",
        "second" => "Per second",
        _ => "Per dump",
    })
}

/// One row a kind.
pub(crate) fn kind_table(report: &DiffReport) -> Table {
    let mut columns = vec![words("Type"), numbers("Before"), numbers("After"), numbers("Growth")];
    columns.extend(per(report).map(numbers));
    columns.extend([numbers("Size growth"), numbers("Allocs")]);
    let mut table = Table::new(columns);
    let total = report.total.iter().map(|total| ("Total", total));
    let kinds = report.kinds.iter().map(|kind| (kind.title, &kind.growth));
    for (title, of) in total.chain(kinds) {
        let value = |place: Option<&crate::report::AmountView>| {
            place.map_or_else(|| "-".into(), |value| size(value.committed.unwrap_or(value.size)))
        };
        let grown = of.committed.unwrap_or(of.size);
        let mut row = vec![
            title.to_owned(),
            value(of.values.first()),
            value(of.values.last()),
            growth(grown),
        ];
        row.extend(per(report).map(|_| slope(of)));
        row.extend([growth(of.size), ends(of.values.iter().map(|value| value.count))]);
        table.rows.push(row.into_iter().map(Into::into).collect());
    }
    table
}

/// One row an owner.
pub(crate) fn owner_table(report: &DiffReport) -> Table {
    let mut columns = vec![numbers("Growth")];
    columns.extend(per(report).map(numbers));
    columns.extend([numbers("Size"), numbers("Count"), words("Kind"), words("Owner")]);
    let mut table = Table::new(columns);
    for owner in &report.owners {
        let mut row = vec![growth(owner.growth.committed.unwrap_or(0))];
        row.extend(per(report).map(|_| slope(&owner.growth)));
        row.extend([
            growth(owner.growth.size),
            ends(owner.growth.values.iter().map(|value| value.count)),
            owner.kind.to_owned(),
            owner.owner.clone(),
        ]);
        table.rows.push(row.into_iter().map(Into::into).collect());
    }
    table
}

/// At most this many images of each sort.
const IMAGES: usize = 20;

/// Images that came, went, moved or are of another build.
pub(crate) fn image_table(report: &DiffReport) -> Table {
    let mut table = Table::new([words("Change"), words("Base"), numbers("Size"), words("Image")]);
    let images = &report.images;
    let mut row = |what: &str, base: String, bytes: String, name: &str| {
        table.rows.push(vec![what.into(), base.into(), bytes.into(), name.into()]);
    };
    for (what, list) in [("loaded", &images.loaded), ("unloaded", &images.unloaded)] {
        for image in list.iter().take(IMAGES) {
            row(what, short(image.base), size(image.size), &image.name);
        }
        let more = list.len().saturating_sub(IMAGES);
        if more > 0 {
            row(what, String::new(), String::new(), &format!("and {} more", grouped(more as u64)));
        }
    }
    for (what, list) in [("moved", &images.moved), ("rebuilt", &images.rebuilt)] {
        for pair in list.iter().take(IMAGES) {
            row(what, short(pair.base_after), size(pair.size_after), &pair.name);
        }
        let more = list.len().saturating_sub(IMAGES);
        if more > 0 {
            row(what, String::new(), String::new(), &format!("and {} more", grouped(more as u64)));
        }
    }
    table
}

/// What the rows of the regions are.
pub(crate) fn region_title(report: &DiffReport) -> String {
    let what = if report.run.same { "by region" } else { "by offset in images that both have" };
    let ends = match report.dumps.len() {
        ..3 => "",
        _ => ", the first dump against the last",
    };
    let alike = match has_alike(report) {
        true => "; changes that are alike in one row, at the first address",
        false => "",
    };
    format!("{what}{ends}{alike}")
}

/// Changes that the rows of the regions stand for.
pub(crate) fn shown(report: &DiffReport) -> u64 {
    report.regions.iter().map(|region| region.count).sum()
}

fn has_alike(report: &DiffReport) -> bool {
    report.regions.iter().any(|region| region.count > 1)
}

/// One row a run of bytes, or several that are alike.
pub(crate) fn region_table(report: &DiffReport) -> Table {
    let has_alike = has_alike(report);
    let mut columns = vec![words("Base")];
    columns.extend(has_alike.then(|| numbers("Count")));
    columns.extend([numbers("Size"), numbers("Committed"), words("Change"), words("What")]);
    let mut table = Table::new(columns);
    for region in &report.regions {
        let base = match &region.image {
            Some(_) => format!("+{:#x}", region.base.address),
            None => short(region.base),
        };
        let kind = both(region.kind_before, region.kind_after);
        let owner = region.image.clone().unwrap_or_else(|| owner(region));
        let committed = region.committed.saturating_mul(region.count as i64);
        let mut row = vec![base];
        row.extend(has_alike.then(|| grouped(region.count)));
        row.extend([
            size(region.size),
            growth(committed),
            region.change.to_owned(),
            format!("{} {kind}  {owner}", access(region)).trim_end().to_owned(),
        ]);
        table.rows.push(row.into_iter().map(Into::into).collect());
    }
    table
}

/// `RW → RX`; what is there where nothing was, and the other way round.
fn access(region: &ChangeView) -> String {
    let (before, after) = (&region.short.0, &region.short.1);
    match region.change {
        "new" => after.clone(),
        "gone" => before.clone(),
        _ if before == after => after.clone(),
        _ => format!("{before} → {after}"),
    }
}

fn both(before: Option<&str>, after: Option<&str>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
        (before, after) => after.or(before).unwrap_or("").to_owned(),
    }
}

fn owner(region: &ChangeView) -> String {
    match (&region.owner_before, &region.owner_after) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
        (before, after) => after.as_ref().or(before.as_ref()).cloned().unwrap_or_default(),
    }
}

/// Whether the rows add up, and the line that says so.
pub(crate) fn audit_line(report: &DiffReport) -> (bool, String) {
    if report.incomparable.is_some() {
        return (true, "sizes are not compared".into());
    }
    let audit = &report.audit;
    let broken: Vec<&str> =
        audit.owners.iter().chain(audit.regions.iter().flatten()).copied().collect();
    if !broken.is_empty() {
        let kinds = broken.join(", ");
        return (false, format!("does not add up for {kinds}: please report it with the dumps"));
    }
    let changes: u64 = report.changes.iter().map(|tally| tally.count).sum();
    let line = match &audit.regions {
        Some(_) => format!(
            "{} of regions add up to the difference of the totals of each kind; owners add up to \
             the totals",
            count(changes, "change")
        ),
        None => "owners add up to the totals of each kind".into(),
    };
    (true, line)
}
