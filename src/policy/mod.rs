//! What is accepted of a dump and what is not: assertions on the figures of
//! the summary, and findings of rules, with a baseline of accepted ones.
//!
//! Everything here is values in and values out: nothing is read or written.

mod assertion;
mod baseline;
mod document;
mod figures;
mod judge;

pub use assertion::{Assertion, AssertionError, Comparison};
pub use baseline::{Baseline, Fingerprint};
pub use document::PolicyError;
pub use figures::{Figure, FigureUnit, FigureValue, known_figures};
pub use judge::{Judged, JudgedAssertion, JudgedFinding, Standing, judge};

use crate::rules::{self, Severity, Thresholds};

/// What is accepted.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Findings of this severity and worse fail.
    pub fail_on: Severity,
    /// Rules whose findings fail at any severity.
    pub deny: Vec<&'static str>,
    /// Rules whose findings never fail.
    pub allow: Vec<&'static str>,
    /// Other numbers for rules to compare with.
    pub thresholds: Thresholds,
    /// What must hold of the figures.
    pub assertions: Vec<Assertion>,
    /// Whether issues of the dump, and figures that it cannot tell, fail too.
    pub strict: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            fail_on: Severity::Error,
            deny: Vec::new(),
            allow: Vec::new(),
            thresholds: Thresholds::default(),
            assertions: Vec::new(),
            strict: false,
        }
    }
}

impl Policy {
    /// Findings of a rule fail from now on, whatever was said before.
    ///
    /// # Errors
    /// No rule is called so.
    pub fn deny(&mut self, rule: &str) -> Result<(), String> {
        let id = rule_id(rule)?;
        self.allow.retain(|allowed| *allowed != id);
        self.deny.push(id);
        Ok(())
    }
}

/// The severity of that name.
///
/// # Errors
/// It is none.
pub fn severity(name: &str) -> Result<Severity, String> {
    [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .find(|severity| severity.as_str() == name)
        .ok_or_else(|| format!("{name} is no severity; use error, warning or note"))
}

/// The id of a rule, as the registry has it.
fn rule_id(name: &str) -> Result<&'static str, String> {
    rules::ALL.iter().map(|rule| rule.id).find(|id| *id == name).ok_or_else(|| {
        let ids: Vec<&str> = rules::ALL.iter().map(|rule| rule.id).collect();
        format!("no rule is called {name}; there are {}", ids.join(", "))
    })
}
