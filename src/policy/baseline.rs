//! Findings that were looked at and accepted.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::analysis::Analysis;
use crate::rules::Finding;

/// What makes a finding the same in another dump of the program: never an
/// address or a size, which differ between any two runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The rule's id.
    pub rule: String,
    /// File name of the program, in lower case; empty when not known.
    pub process: String,
    /// File names of the images that the finding is about, in lower case and
    /// sorted; none when it is about the process.
    pub images: Vec<String>,
}

/// The accepted findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Sorted, each once.
    pub accepted: BTreeSet<Fingerprint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: String,
    accepted: Vec<Fingerprint>,
}

impl Baseline {
    /// Reads the JSON of a baseline.
    ///
    /// # Errors
    /// It is no such JSON; the text says where.
    pub fn parse(text: &str) -> Result<Baseline, String> {
        let Document { schema_version, accepted } =
            serde_json::from_str(text).map_err(|error| format!("not a baseline: {error}"))?;
        if schema_version.split('.').next() != Some("1") {
            return Err(format!("a baseline of version {schema_version}; this reads 1.x"));
        }
        Ok(Baseline { accepted: accepted.into_iter().collect() })
    }
}

impl Fingerprint {
    /// That of a finding.
    pub fn of(analysis: &Analysis<'_>, finding: &Finding) -> Fingerprint {
        let images = &analysis.evidence.images;
        let at = |address| images.iter().find(|image| image.range.contains(address));
        let names: BTreeSet<String> = finding
            .ranges
            .iter()
            .filter_map(|range| at(range.start()))
            .map(|image| image.name().to_lowercase())
            .collect();
        Fingerprint {
            rule: finding.rule.into(),
            process: analysis.process_name().unwrap_or("").to_lowercase(),
            images: names.into_iter().collect(),
        }
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.rule, self.process)?;
        self.images.iter().try_for_each(|image| write!(f, "/{image}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_are_read_strictly() {
        let good = r#"{"schema_version": "1.0", "accepted": [
            {"rule": "unlisted-image", "process": "a.exe", "images": ["x.dll"]}]}"#;
        let baseline = Baseline::parse(good).unwrap();
        let fingerprint = baseline.accepted.first().unwrap();
        assert_eq!(fingerprint.to_string(), "unlisted-image/a.exe/x.dll");
        for (text, expected) in [
            ("{}", "not a baseline: missing field `schema_version` at line 1 column 2"),
            ("nonsense", "not a baseline: expected ident at line 1 column 2"),
            (r#"{"schema_version": "2.0", "accepted": []}"#, "a baseline of version 2.0"),
        ] {
            let error = Baseline::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
