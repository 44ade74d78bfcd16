//! The top of a page: which dump, of which process, what it lacks. And its
//! foot.

use std::fmt::Write as _;

use super::esc;
use crate::render::number::count;
use crate::render::text::{issue_line, system};
use crate::report::{DumpView, PageReport, SummaryReport, shell_word, time};
use crate::size::human;

/// The document's title, escaped.
pub(super) fn title(dump: &DumpView<'_>) -> String {
    let program = dump.process_name.as_deref().unwrap_or("unknown program");
    format!("{} · {} · dumpmap", esc(program), esc(file_name(dump)))
}

/// Process, system, dump, and what it lacks.
pub(super) fn header(report: &PageReport<'_>, out: &mut String) {
    let dump = &report.summary.dump;
    let program = dump.process_name.as_deref().unwrap_or("unknown program");
    let pid = dump.process_id.map(|id| format!(" <small>pid {id}</small>")).unwrap_or_default();
    let _ = write!(
        out,
        "<a class=\"skip\" href=\"#main\">Skip to the numbers</a>\n<header>\n<div class=\"bar\">\n\
         <h1>{}{pid}</h1>\n<div id=\"tools\" class=\"tools\"></div>\n</div>\n<dl class=\"facts\">\n",
        esc(program)
    );
    for (name, value) in facts(dump) {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", esc(&value));
    }
    out.push_str("</dl>\n");
    lacks(report, out);
    out.push_str("</header>\n");
}

fn facts(dump: &DumpView<'_>) -> Vec<(&'static str, String)> {
    let bits = format!("{} · {} · {}-bit", system(dump), dump.arch, dump.pointer_bits);
    let mut facts = vec![("System", bits)];
    let written = dump.time.as_deref().map_or("time not recorded".into(), time::for_people);
    let by = dump.writer.map(|writer| format!(" by {writer}")).unwrap_or_default();
    facts.push(("Dump", format!("{} · {}", file_name(dump), human(dump.file_size))));
    facts.push(("Written", format!("{written}{by}")));
    let crash = dump.exception.as_ref().map_or("none recorded".into(), |crash| {
        let at = crash.address.map(|address| format!(" at {:#x}", address.address));
        format!("{}{} in thread {}", crash.name, at.unwrap_or_default(), crash.thread_id)
    });
    facts.push(("Crash", crash));
    let map = match dump.map_source {
        "memory-info" => "from MemoryInfoList",
        "linux-maps" => "from /proc/PID/maps",
        _ => "rebuilt from modules, captured memory and stacks",
    };
    facts.push(("Map", map.into()));
    let contents = match dump.captured {
        0 => "none".into(),
        bytes => format!("{} captured", human(bytes)),
    };
    facts.push(("Memory contents", contents));
    let (threads, modules) = (dump.threads as u64, dump.modules as u64);
    facts.push(("Holds", format!("{} · {}", count(threads, "thread"), count(modules, "module"))));
    if let Some(comment) = dump.comment.as_deref().filter(|comment| !comment.trim().is_empty()) {
        facts.push(("Comment", comment.trim().to_owned()));
    }
    facts
}

/// What cannot be known from this dump, and how to have it next time.
fn lacks(report: &PageReport<'_>, out: &mut String) {
    let dump = &report.summary.dump;
    if dump.map_source == "rebuilt" {
        out.push_str(
            "<p class=\"warn\">This dump has no list of regions. Reserved and free memory, the \
             largest free block and protections are not known, and shown as <b>?</b>.</p>\n",
        );
    }
    if report.missing.is_empty() {
        return;
    }
    let names: Vec<&str> = report.missing.iter().map(|missing| missing.what).collect();
    let _ = write!(
        out,
        "<details class=\"lacks\"><summary><b>Not in this dump:</b> {}</summary>\n<table>\n\
         <thead><tr><th scope=\"col\">Missing</th><th scope=\"col\">It would answer</th>\
         <th scope=\"col\">How to capture it</th></tr></thead>\n<tbody>\n",
        esc(&names.join(", "))
    );
    for missing in &report.missing {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            esc(missing.what),
            esc(missing.answers),
            esc(missing.capture)
        );
    }
    out.push_str("</tbody>\n</table>\n</details>\n");
}

/// Issues of the file, the audit, and who made the page.
pub(super) fn footer(report: &SummaryReport<'_>, out: &mut String) {
    out.push_str("<footer>\n");
    if report.issue_count > 0 {
        let title = count(report.issue_count, "issue");
        let _ = write!(out, "<details><summary>{title} in the dump file</summary>\n<ul>\n");
        for issue in &report.issues {
            let _ = writeln!(out, "<li>{}</li>", esc(&issue_line(issue)));
        }
        out.push_str("</ul>\n</details>\n");
    }
    let _ = writeln!(out, "<p>audit: {}</p>", esc(&crate::render::text::audit_line(report)));
    let _ = write!(
        out,
        "<p>dumpmap {} · schema {} · depth {} · <code>dumpmap report {}</code></p>\n</footer>\n",
        env!("CARGO_PKG_VERSION"),
        report.schema_version,
        report.dump.depth,
        esc(&shell_word(&report.dump.path))
    );
}

fn file_name<'a>(dump: &'a DumpView<'_>) -> &'a str {
    match dump.file_name() {
        "-" => "standard input",
        name => name,
    }
}
