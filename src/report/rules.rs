//! `rules`: the rules and their manuals.

use serde::Serialize;

use super::SCHEMA_VERSION;
use crate::rules::{ALL, Rule};

/// The document of `rules`.
#[derive(Clone, Debug, Serialize)]
pub struct RulesReport {
    /// Version of the document.
    pub schema_version: &'static str,
    /// In the order of their findings.
    pub rules: Vec<RuleView>,
}

/// One rule.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RuleView {
    /// Its id.
    pub id: &'static str,
    /// How bad its findings are at worst.
    pub severity: &'static str,
    /// One line: what it finds.
    pub title: &'static str,
    /// Its manual, in Markdown.
    pub manual: &'static str,
}

impl RulesReport {
    /// Every rule.
    pub fn all() -> RulesReport {
        RulesReport { schema_version: SCHEMA_VERSION, rules: ALL.iter().map(view).collect() }
    }

    /// The rule of this id.
    pub fn one(id: &str) -> Option<RulesReport> {
        let rule = ALL.iter().find(|rule| rule.id == id)?;
        Some(RulesReport { schema_version: SCHEMA_VERSION, rules: vec![view(rule)] })
    }
}

fn view(rule: &Rule) -> RuleView {
    RuleView {
        id: rule.id,
        severity: rule.severity.as_str(),
        title: rule.title,
        manual: rule.manual,
    }
}
