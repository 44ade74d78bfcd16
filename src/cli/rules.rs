//! `rules`: the list of rules, or the manual of one.

use clap::Args;
use dumpmap::render::{json, markdown, text};
use dumpmap::report::RulesReport;
use dumpmap::rules;

use super::{Done, Failure, Format, Options, output, supported};

#[derive(Debug, Args)]
pub(super) struct Rules {
    /// A rule's id; shows its manual
    id: Option<String>,
}

pub(super) fn run(args: &Rules, options: &Options) -> Done {
    use Format::{Json, Jsonl, Markdown, Text};
    let format = supported("rules", options.format, &[Text, Json, Jsonl, Markdown])?;
    let report = match &args.id {
        None => RulesReport::all(),
        Some(id) => RulesReport::one(id).ok_or_else(|| {
            let ids: Vec<&str> = rules::ALL.iter().map(|rule| rule.id).collect();
            Failure::Message(format!("rules: no rule is called {id}; there are {}", ids.join(", ")))
        })?,
    };
    output::write(options, &[], |out, paint| match (format, &args.id) {
        (Json, _) => json::document(&report, out),
        (Jsonl, _) => json::lines(&report.rules, out),
        (_, Some(_)) => {
            report.rules.iter().try_for_each(|rule| out.write_all(rule.manual.as_bytes()))
        }
        (Markdown, None) => out.write_all(markdown::table(&text::rules_table(&report)).as_bytes()),
        (_, None) => out.write_all(text::rules(&report, paint).as_bytes()),
    })
}
