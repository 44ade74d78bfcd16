//! Numbers that rules compare with, and other values for them.

use crate::size::human;

/// A number that a rule compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Its name: unique in its rule, as a policy writes it.
    pub name: &'static str,
    /// Its value unless a policy says otherwise.
    pub default: u64,
    /// What it counts.
    pub unit: Unit,
    /// Where the value comes from.
    pub source: &'static str,
}

/// What a threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Hundredths of a whole.
    Percent,
    /// Threads, heaps, mappings …
    Count,
}

impl Unit {
    /// A value with this unit, for people: `64 MiB`, `90 %`, `500`.
    pub fn text(self, value: u64) -> String {
        match self {
            Unit::Bytes => human(value),
            Unit::Percent => format!("{value} %"),
            Unit::Count => value.to_string(),
        }
    }
}

impl Threshold {
    pub(super) const fn new(
        name: &'static str,
        (default, unit): (u64, Unit),
        source: &'static str,
    ) -> Threshold {
        Threshold { name, default, unit, source }
    }
}

/// Values that replace the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Rule id, threshold name, value. The last one counts.
    set: Vec<(String, String, u64)>,
}

impl Thresholds {
    /// Replaces the value of one threshold. Unknown names are refused by
    /// [`find`], not here.
    pub fn set(&mut self, rule: &str, name: &str, value: u64) {
        self.set.push((rule.into(), name.into(), value));
    }

    /// The value of a rule's threshold.
    pub fn value(&self, rule: &str, threshold: &Threshold) -> u64 {
        let mut set = self.set.iter().rev();
        let found = set.find(|(of, name, _)| of == rule && name == threshold.name);
        found.map_or(threshold.default, |(_, _, value)| *value)
    }
}

/// The threshold of that name of a rule.
pub fn find(rule: &str, name: &str) -> Option<&'static Threshold> {
    let rule = super::ALL.iter().find(|known| known.id == rule)?;
    rule.thresholds.iter().find(|threshold| threshold.name == name)
}
