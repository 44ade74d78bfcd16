//! The TOML of a policy. Every mistake has its line and column.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::{Assertion, Policy, rule_id, severity};
use crate::rules::{self, Thresholds, Unit};
use crate::size;

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// From 1.
    pub line: usize,
    /// Characters in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    fail_on: Option<Spanned<String>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    thresholds: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<Value>>>,
    #[serde(default)]
    assert: Vec<Spanned<String>>,
}

/// What is wrong, and where in the text.
type Wrong = (Range<usize>, String);

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// It is no TOML, or has a key, a rule, a threshold or a figure that is
    /// not known.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let message = error.message().replace('\n', "; ");
            place(text, error.span().unwrap_or_default(), message)
        })?;
        policy(document).map_err(|(span, message)| place(text, span, message))
    }
}

fn policy(document: Document) -> Result<Policy, Wrong> {
    let mut policy = Policy::default();
    if let Some(word) = document.fail_on {
        policy.fail_on = severity(word.get_ref()).map_err(|what| (word.span(), what))?;
    }
    policy.deny = document.deny.iter().map(known_rule).collect::<Result<_, Wrong>>()?;
    policy.allow = document.allow.iter().map(known_rule).collect::<Result<_, Wrong>>()?;
    if let Some(both) =
        document.allow.iter().find(|rule| policy.deny.iter().any(|denied| denied == rule.get_ref()))
    {
        return Err((both.span(), format!("{} is denied and allowed", both.get_ref())));
    }
    for (rule, values) in &document.thresholds {
        let id = known_rule(rule)?;
        for (name, value) in values {
            set(&mut policy.thresholds, id, name, value)?;
        }
    }
    for text in &document.assert {
        let assertion = Assertion::parse(text.get_ref());
        policy.assertions.push(assertion.map_err(|error| (text.span(), error.to_string()))?);
    }
    Ok(policy)
}

fn known_rule(name: &Spanned<String>) -> Result<&'static str, Wrong> {
    rule_id(name.get_ref()).map_err(|message| (name.span(), message))
}

fn set(
    thresholds: &mut Thresholds,
    rule: &'static str,
    name: &Spanned<String>,
    value: &Spanned<Value>,
) -> Result<(), Wrong> {
    let known = rules::find_threshold(rule, name.get_ref());
    let threshold = known.ok_or_else(|| (name.span(), unknown_threshold(rule, name.get_ref())))?;
    let number = match (value.get_ref(), threshold.unit) {
        (Value::Integer(number), _) => u64::try_from(*number).ok(),
        (Value::String(text), Unit::Bytes) => size::parse(text).ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| {
        let wanted = match threshold.unit {
            Unit::Bytes => "a size: 64, \"64M\" or \"1.5GiB\"",
            Unit::Percent => "whole hundredths: 90",
            Unit::Count => "a whole number: 500",
        };
        (value.span(), format!("{} takes {wanted}", threshold.name))
    })?;
    thresholds.set(rule, threshold.name, number);
    Ok(())
}

fn unknown_threshold(rule: &str, name: &str) -> String {
    let rule_of = rules::ALL.iter().find(|known| known.id == rule);
    let names: Vec<&str> =
        rule_of.iter().flat_map(|rule| rule.thresholds).map(|threshold| threshold.name).collect();
    match names.is_empty() {
        true => format!("{rule} has no thresholds"),
        false => format!("{rule} has no threshold {name}; it has {}", names.join(", ")),
    }
}

fn place(text: &str, span: Range<usize>, message: String) -> PolicyError {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
    PolicyError { line, column, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Severity;

    #[test]
    fn a_whole_policy() {
        let policy = Policy::parse(
            r#"
            fail_on = "warning"
            deny = ["image-mapped-twice"]
            allow = ["near-limit"]
            assert = ["free.largest >= 64M", "dump.threads < 500"]
            [thresholds.address-space-exhausted]
            largest-free = "128M"
            plenty-free = 1024
            "#,
        )
        .unwrap();
        assert_eq!(policy.fail_on, Severity::Warning);
        assert_eq!((policy.deny, policy.allow), (vec!["image-mapped-twice"], vec!["near-limit"]));
        assert_eq!(policy.assertions.len(), 2);
        let value = |name| {
            let threshold = rules::find_threshold("address-space-exhausted", name).unwrap();
            policy.thresholds.value("address-space-exhausted", threshold)
        };
        assert_eq!((value("largest-free"), value("plenty-free")), (128 << 20, 1024));
        assert!(Policy::parse("").unwrap().assertions.is_empty());
    }

    #[test]
    fn mistakes_have_line_and_column() {
        let cases = [
            ("fail_on = \"worst\"", (1, 11), "worst is no severity; use error"),
            ("\nfail-on = \"error\"", (2, 1), "unknown field `fail-on`"),
            ("deny = [\"near-limit\",\n  \"no-such\"]", (2, 3), "no rule is called no-such; there"),
            ("allow = [3]", (1, 10), "invalid type: integer"),
            (
                "deny = [\"near-limit\"]\nallow = [\"near-limit\"]",
                (2, 10),
                "near-limit is denied and allowed",
            ),
            ("[thresholds.no-such]\nx = 1", (1, 13), "no rule is called no-such"),
            (
                "[thresholds.address-space-exhausted]\nlargest = 1",
                (2, 1),
                "address-space-exhausted has no threshold largest; it has largest-free",
            ),
            (
                "[thresholds.address-space-exhausted]\nlargest-free = \"big\"",
                (2, 16),
                "largest-free takes a size",
            ),
            (
                "[thresholds.address-space-exhausted]\nlargest-free = -1",
                (2, 16),
                "largest-free takes a size",
            ),
            (
                "assert = [\n  \"free.big > 1\",\n]",
                (2, 3),
                "column 1: no figure is called free.big",
            ),
            ("deny = ", (1, 8), ""),
            ("x = [", (1, 6), ""),
        ];
        for (text, place, message) in cases {
            let error = Policy::parse(text).map(|_| ()).unwrap_err();
            assert_eq!((error.line, error.column), place, "{text}: {error}");
            assert!(error.message.starts_with(message), "{text}: {error}");
        }
    }
}
