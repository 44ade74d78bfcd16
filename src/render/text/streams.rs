//! `streams` as text.

use super::{head_lines, issue_line, labelled};
use crate::render::WIDTH;
use crate::render::number::{count, grouped};
use crate::render::paint::{ALARM, BOLD, DIM, Paint};
use crate::render::table::{Cell, Table, numbers, words};
use crate::report::StreamsReport;

/// The directory as a table.
pub fn table(report: &StreamsReport<'_>) -> Table {
    let mut table = Table::new([
        words("Type"),
        words("Stream"),
        numbers("Offset"),
        numbers("Bytes"),
        numbers("Entries"),
        words("Issues"),
    ]);
    for stream in &report.streams {
        let stream_type = match stream.stream_type {
            small @ 0..=0xffff => small.to_string(),
            vendor => format!("{vendor:#x}"),
        };
        let issues = match stream.issues {
            0 => Cell::styled("ok", DIM),
            issues => Cell::styled(count(issues as u64, "issue"), ALARM),
        };
        table.rows.push(vec![
            stream_type.into(),
            stream.name.to_string().into(),
            format!("{:#x}", stream.offset).into(),
            grouped(u64::from(stream.size)).into(),
            stream.entries.map_or("-".into(), grouped).into(),
            issues,
        ]);
    }
    table
}

/// The head, the directory, the issues, and what is missing.
pub fn streams(report: &StreamsReport<'_>, paint: Paint) -> String {
    let mut out = head_lines(&report.dump).join("\n");
    let size =
        format!("\n{} bytes, flags {}\n\n", grouped(report.dump.file_size), report.dump.flags);
    out.push_str(&size);
    out.push_str(&table(report).text(paint, WIDTH));
    if report.unused > 0 {
        let line = format!("and {}", count(report.unused as u64, "unused entry"));
        let line = line.replace("entrys", "entries");
        out.push_str(&format!("{}\n", paint.paint(DIM, &line)));
    }
    if report.issue_count > 0 {
        let title = format!("\n{} in the dump file", count(report.issue_count, "issue"));
        out.push_str(&format!("{}\n", paint.paint(BOLD, &title)));
        for issue in &report.issues {
            out.push_str(&labelled("  ", &issue_line(issue), paint, DIM));
        }
    }
    for (at, missing) in report.missing.iter().enumerate() {
        if at == 0 {
            out.push_str(&format!("\n{}\n", paint.paint(BOLD, "Not in this dump")));
        }
        out.push_str(&labelled("- ", missing.what, paint, DIM));
        out.push_str(&labelled("  answers: ", missing.answers, paint, DIM));
        out.push_str(&labelled("  capture: ", missing.capture, paint, DIM));
    }
    out
}
