//! The first screen: what took the address space, and what to conclude.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{join_parts, labelled};
use crate::evidence::RegionKind;
use crate::render::number::{Scale, count, grouped, size};
use crate::render::paint::{self, ALARM, BOLD, DIM, Paint};
use crate::render::table::{Cell, Table, numbers, words};
use crate::render::{WIDTH, sanitize};
use crate::report::{DumpView, FindingView, RowView, SummaryReport, time};
use crate::size::human;
use crate::totals::strip::Scale as StripScale;

/// How many findings and issues the first screen lists.
const FINDINGS: usize = 10;
const ISSUES: usize = 3;
/// How many uses of giant reservations, and columns for one.
const SET_ASIDE: usize = 12;
const USE_WIDTH: usize = 45;

/// The whole screen.
pub fn summary(report: &SummaryReport<'_>, paint: Paint) -> String {
    let mut out = String::new();
    for (at, line) in head_lines(&report.dump).iter().enumerate() {
        let name = report.dump.file_name();
        match line.strip_prefix(name).filter(|_| at == 0) {
            Some(rest) => out.push_str(&format!("{}{rest}\n", paint.paint(BOLD, name))),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out.push('\n');
    findings(report, paint, &mut out);
    strip(report, paint, &mut out);
    out.push_str(&summary_table(report).text(paint, WIDTH));
    out.push('\n');
    if let Some(table) = set_aside_table(report) {
        out.push_str(&table.text(paint, WIDTH));
        out.push('\n');
    }
    issues(report, paint, &mut out);
    if let Some(line) = explained_line(report) {
        out.push_str(&labelled("private memory: ", &line, paint, DIM));
    }
    let proven = report.audit.accounted == report.audit.range_size;
    out.push_str(&labelled(
        "audit: ",
        &audit_line(report),
        paint,
        if proven { DIM } else { ALARM },
    ));
    if let Some(line) = private_line(report) {
        out.push_str(&labelled("       ", &line, paint, DIM));
    }
    out
}

/// Which dump, of which process, when, and what it has.
pub(crate) fn head_lines(dump: &DumpView<'_>) -> Vec<String> {
    let name = match dump.file_name() {
        "-" => "standard input",
        name => name,
    };
    let program = dump.process_name.as_deref().unwrap_or("unknown program");
    let mut who = vec![format!("{name}   {program}")];
    who.extend(dump.process_id.map(|id| format!("pid {id}")));
    who.push(system(dump));
    who.push(dump.arch.into());
    let mut what: Vec<String> = dump.time.as_deref().map(time::for_people).into_iter().collect();
    what.push(count(dump.threads as u64, "thread"));
    what.push(count(dump.modules as u64, "module"));
    what.push(match &dump.exception {
        None => "no crash recorded".into(),
        Some(crash) => match crash.address {
            Some(address) => format!("{} at {:#x}", crash.name, address.address),
            None => crash.name.clone(),
        },
    });
    let map = match dump.map_source {
        "memory-info" => "map from MemoryInfoList",
        "linux-maps" => "map from /proc/PID/maps",
        _ => "map rebuilt from modules, captured memory and stacks",
    };
    let memory = match dump.captured {
        0 => "no memory contents".into(),
        bytes if dump.depth == "streams" => {
            format!("{} of memory contents, not read at this depth", human(bytes))
        }
        bytes => format!("{} of memory contents", human(bytes)),
    };
    let mut has = vec![map.to_owned(), memory];
    has.extend(dump.writer.map(|writer| format!("written by {writer}")));
    let mut lines = join_parts(&[who, what, has]);
    if dump.map_source == "rebuilt" {
        lines.push("not known: reserved and free memory, largest free block, protections".into());
    }
    lines
}

/// `Windows 10.0.19043`, `Linux 6.1.0-13`: of a kernel's description the
/// release only.
pub(crate) fn system(dump: &DumpView<'_>) -> String {
    let title = platform_title(dump.platform);
    let version = dump.os_version.as_deref().unwrap_or("");
    let version = version.strip_prefix(title).unwrap_or(version).trim_start();
    let version = version.split(' ').next().unwrap_or("");
    format!("{title} {version}").trim_end().to_owned()
}

fn platform_title(platform: &str) -> &str {
    match platform {
        "windows" => "Windows",
        "macos" => "macOS",
        "ios" => "iOS",
        "linux" => "Linux",
        "android" => "Android",
        "solaris" => "Solaris",
        "fuchsia" => "Fuchsia",
        _ => "unknown system",
    }
}

fn findings(report: &SummaryReport<'_>, paint: Paint, out: &mut String) {
    for finding in report.findings.iter().take(FINDINGS) {
        out.push_str(&one_finding(finding, paint));
    }
    let more = report.findings.len().saturating_sub(FINDINGS);
    if more > 0 {
        out.push_str(&format!("and {}\n", count(more as u64, "more finding")));
    }
    if report.findings.is_empty() {
        let rules = count(crate::rules::ALL.len() as u64, "rule");
        out.push_str(&format!("no findings: {rules} checked\n"));
    }
    out.push('\n');
}

fn one_finding(finding: &FindingView<'_>, paint: Paint) -> String {
    let word = format!("{:<9}", finding.severity.as_str());
    let message = format!("{}: {}", finding.rule, finding.message);
    let mut out = labelled(&word, &message, paint, paint::severity(finding.severity));
    if !finding.details.is_empty() {
        out.push_str(&labelled("         ", &finding.details.join("; "), paint, DIM));
    }
    if !finding.next.is_empty() {
        out.push_str(&labelled("         ", &format!("next: {}", finding.next), paint, DIM));
    }
    out
}

fn strip(report: &SummaryReport<'_>, paint: Paint, out: &mut String) {
    let cells = report.strip.kinds(WIDTH - 2);
    if cells.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", paint.paint(BOLD, &strip_title(report)));
    let _ = writeln!(out, "[{}]", cells_text(&cells, paint));
    out.push_str(&legend(&cells, WIDTH, paint));
    out.push('\n');
}

/// A cell a letter, coloured.
pub(super) fn cells_text(cells: &[RegionKind], paint: Paint) -> String {
    let runs = cells.chunk_by(|a, b| a == b);
    runs.filter_map(|run| {
        let kind = *run.first()?;
        let letters = paint::letter(kind).to_string().repeat(run.len());
        Some(paint.paint(paint::kind(kind), &letters))
    })
    .collect()
}

/// What the letters mean, in lines of at most `width`.
pub(super) fn legend(cells: &[RegionKind], width: usize, paint: Paint) -> String {
    let shown = RegionKind::ALL.into_iter().filter(|kind| cells.contains(kind));
    let words: Vec<String> = shown
        .map(|kind| format!("{}\u{a0}{}", paint::letter(kind), kind.title().to_lowercase()))
        .collect();
    // A letter and its word stay on one line.
    let words = words.join("  ");
    let lines = sanitize::wrap(&words, width);
    let line = |line: &Cow<'_, str>| paint.paint(DIM, &line.replace('\u{a0}', " ")) + "\n";
    lines.iter().map(line).collect()
}

/// What the strip shows.
pub(crate) fn strip_title(report: &SummaryReport<'_>) -> String {
    match (report.summary.range, report.strip.scale) {
        (Some(range), StripScale::Linear) => format!(
            "Address space {:#x}-{:#x} ({})",
            range.base.address,
            range.end.address,
            human(range.size)
        ),
        (_, _) if report.dump.map_source == "rebuilt" => {
            format!("Known memory in address order ({})", human(report.strip.bytes()))
        }
        _ => format!("Committed memory in address order ({})", human(report.strip.bytes())),
    }
}

/// VMMap's table: the most exact scale of sizes that fits, closer columns
/// before shorter numbers.
pub(crate) fn summary_table(report: &SummaryReport<'_>) -> Table {
    let mut table = Table::new([]);
    for scale in Scale::ALL {
        table = table_at(report, scale);
        for gap in [2, 1] {
            table.gap = gap;
            if table.width() <= WIDTH {
                return table;
            }
        }
    }
    table
}

fn table_at(report: &SummaryReport<'_>, scale: Scale) -> Table {
    let mut table = Table::new([
        words("Type"),
        numbers("Size"),
        numbers("Committed"),
        numbers("Private"),
        numbers("Captured"),
        numbers("Blocks"),
        numbers("Allocs"),
        numbers("Largest"),
    ]);
    let source = report.dump.map_source;
    table.rows.push(row(&report.summary.total, "Total", scale, source));
    for kind in &report.summary.kinds {
        let title = kind.kind.map_or("", RegionKind::title);
        table.rows.push(row(kind, title, scale, source));
    }
    table
}

/// Size and committed bytes without what is set aside. On Linux that counted as
/// committed.
pub(crate) fn kept(row: &RowView, source: &str) -> (u64, Option<u64>) {
    let aside = if source == "linux-maps" { row.set_aside } else { 0 };
    let committed = row.committed.map(|bytes| bytes.saturating_sub(aside));
    (row.size.saturating_sub(row.set_aside), committed)
}

/// Without what is set aside.
fn row(row: &RowView, title: &str, scale: Scale, source: &str) -> Vec<Cell> {
    let rebuilt = source == "rebuilt";
    let free = matches!(row.kind, Some(RegionKind::Free | RegionKind::Unusable));
    let missing = if rebuilt { "?" } else { "-" };
    let sized = |bytes: Option<u64>| bytes.map_or(missing.into(), |bytes| scale.size(bytes));
    let unless_free = |text: String| if free { "-".into() } else { text };
    let style = row.kind.map_or(BOLD, |_| anstyle::Style::new());
    let (bytes, committed) = kept(row, source);
    let cells = [
        scale.size(bytes),
        unless_free(sized(committed)),
        unless_free(sized(row.private)),
        unless_free(scale.size(row.captured)),
        grouped(row.blocks),
        unless_free(row.allocations.map_or(missing.into(), grouped)),
        sized(row.largest_kept),
    ];
    let title = Cell::styled(title, row.kind.map_or(BOLD, paint::kind));
    let cells = cells.into_iter().map(|text| Cell::styled(text, style));
    std::iter::once(title).chain(cells).collect()
}

/// Giant reservations, which the table above leaves out.
pub(crate) fn set_aside_table(report: &SummaryReport<'_>) -> Option<Table> {
    let rows = &report.summary.set_aside;
    let mut table = Table::new([
        words("Reservations set aside"),
        words("Type"),
        numbers("Size"),
        numbers("Allocs"),
    ]);
    for row in rows.iter().take(SET_ASIDE) {
        let usage = row.usage.as_deref().unwrap_or("(unexplained)");
        table.rows.push(vec![
            sanitize::clip(usage, USE_WIDTH).into_owned().into(),
            Cell::styled(row.kind.title(), paint::kind(row.kind)),
            size(row.size).into(),
            grouped(row.allocations).into(),
        ]);
    }
    if let Some(rest) = rows.get(SET_ASIDE..).filter(|rest| !rest.is_empty()) {
        let bytes = rest.iter().fold(0_u64, |sum, row| sum.saturating_add(row.size));
        let allocations = rest.iter().map(|row| row.allocations).sum();
        table.rows.push(vec![
            format!("and {} more", count(rest.len() as u64, "use")).into(),
            "".into(),
            size(bytes).into(),
            grouped(allocations).into(),
        ]);
    }
    (!rows.is_empty()).then_some(table)
}

/// What explains the committed private memory.
pub(crate) fn explained_line(report: &SummaryReport<'_>) -> Option<String> {
    let total = &report.summary.total;
    let shares = [total.by_structure?, total.by_heuristic?, total.unexplained?];
    let all = shares.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
    let [structure, heuristic, nothing] = shares.map(|bytes| share(bytes, all));
    let more = match total.unexplained {
        Some(bytes @ 1..) => {
            let path = crate::report::shell_word(&report.dump.path);
            let family = report.summary.unexplained_family.as_ref().map(|family| {
                let (all, each) = (grouped(family.allocations), size(family.size));
                format!(", most of it {all} allocations of {each}, {}", family.access)
            });
            let family = family.unwrap_or_default();
            format!(" ({}{family}): dumpmap unexplained {path}", size(bytes))
        }
        _ => String::new(),
    };
    let line = format!(
        "{} committed, {structure} explained by structure, {heuristic} by heuristic, {nothing} \
         unexplained{more}",
        size(all)
    );
    (all > 0).then_some(line)
}

/// Percent, rounded down, so that 100 is all.
pub(crate) fn share(bytes: u64, all: u64) -> String {
    let tenths = u128::from(bytes) * 1_000 / u128::from(all.max(1));
    match tenths {
        0 if bytes == 0 => "0 %".into(),
        0 => "<0.1 %".into(),
        1_000 => "100 %".into(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

fn issues(report: &SummaryReport<'_>, paint: Paint, out: &mut String) {
    if report.issue_count == 0 {
        return;
    }
    let title = format!("{} in the dump file", count(report.issue_count, "issue"));
    let _ = writeln!(out, "{}", paint.paint(BOLD, &title));
    for issue in report.issues.iter().take(ISSUES) {
        out.push_str(&labelled("  ", &super::issue_line(issue), paint, DIM));
    }
    if report.issues.len() > ISSUES {
        let path = crate::report::shell_word(&report.dump.path);
        out.push_str(&labelled("  ", &format!("all: dumpmap streams {path}"), paint, DIM));
    }
    out.push('\n');
}

/// The proof that the rows add up.
pub(crate) fn audit_line(report: &SummaryReport<'_>) -> String {
    let audit = &report.audit;
    let accounted = match audit.accounted.cmp(&audit.range_size) {
        std::cmp::Ordering::Equal => "all accounted".to_owned(),
        _ => format!("NOT all accounted: {} in the rows", grouped(audit.accounted)),
    };
    let gaps = match audit.gaps {
        0 => "0 gaps".to_owned(),
        gaps => format!("{} of {}", count(gaps, "gap"), size(audit.gap_bytes)),
    };
    let what = if report.dump.map_source == "rebuilt" { "known" } else { "in range" };
    let aside = match audit.set_aside {
        0 => String::new(),
        bytes => format!(", {} of them set aside", human(bytes)),
    };
    format!(
        "{} bytes {what}, {accounted}{aside}, {gaps}, {}",
        grouped(audit.range_size),
        count(audit.overlaps, "overlap")
    )
}

/// The map's private bytes beside the process' own counter.
pub(crate) fn private_line(report: &SummaryReport<'_>) -> Option<String> {
    let counter = report.counters.process?.private;
    let private = report.summary.total.private?;
    Some(format!("private bytes {} vs {} by the VM counters", size(private), size(counter)))
}
