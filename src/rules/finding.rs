//! What a rule says.

use crate::addr::AddressRange;

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The process could not go on like this.
    Error,
    /// Likely a defect, or close to one.
    Warning,
    /// Worth knowing; common in healthy software.
    Note,
}

impl Severity {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, with its numbers: one sentence.
    pub message: String,
    /// What lies behind it: a few short lines.
    pub details: Vec<String>,
    /// Where it is.
    pub ranges: Vec<AddressRange>,
    /// The numbers of the message, by name; sizes in bytes.
    pub numbers: Vec<(&'static str, u64)>,
    /// What to do next.
    pub next: String,
}

/// Why memory ran out, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No room in the address space.
    Exhausted,
    /// Free memory enough, but no block large enough.
    Fragmented,
    /// The system's commit limit was reached.
    CommitLimit,
    /// One request was too large.
    LargeRequest,
    /// Close to a limit.
    NearLimit,
    /// No sign of trouble.
    None,
    /// The dump cannot tell.
    Unknown,
}

impl Verdict {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Exhausted => "exhausted",
            Verdict::Fragmented => "fragmented",
            Verdict::CommitLimit => "commit-limit",
            Verdict::LargeRequest => "large-request",
            Verdict::NearLimit => "near-limit",
            Verdict::None => "none",
            Verdict::Unknown => "unknown",
        }
    }
}
