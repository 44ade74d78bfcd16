//! Which rows `regions` shows.

use super::{Names, Row};
use crate::addr::AddressRange;
use crate::evidence::RegionKind;
use crate::map::{MemoryType, Protection, State};

/// Conditions; a row has to meet all that are given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these kinds.
    pub kinds: Vec<RegionKind>,
    /// One of these states.
    pub states: Vec<State>,
    /// One of these types.
    pub types: Vec<MemoryType>,
    /// One of these protections.
    pub protections: Vec<ProtectionIs>,
    /// At least so many bytes.
    pub min_size: u64,
    /// Some byte in this range.
    pub range: Option<AddressRange>,
    /// The name's file name is this, with or without extension.
    pub module: Option<String>,
    /// Of this thread.
    pub thread: Option<u32>,
    /// The name or use has this in it.
    pub name: Option<String>,
}

impl Filter {
    /// Whether a row is shown. An allocation is when one of the pieces is that
    /// are kept of it.
    pub fn shows(&self, names: &Names<'_>, row: &Row) -> bool {
        row.range.size() >= self.min_size
            && (self.meets(names, row) || row.parts.iter().any(|part| self.meets(names, part)))
    }

    fn meets(&self, names: &Names<'_>, row: &Row) -> bool {
        let region = &row.region;
        let any = |listed: bool, none: bool| none || listed;
        any(self.kinds.contains(&row.kind), self.kinds.is_empty())
            && any(self.states.contains(&region.state), self.states.is_empty())
            && any(
                region.memory_type.is_some_and(|of| self.types.contains(&of)),
                self.types.is_empty(),
            )
            && any(
                self.protections.iter().any(|wanted| wanted.holds(region.protect)),
                self.protections.is_empty(),
            )
            && self.range.is_none_or(|range| range.overlaps(row.range))
            && self.meets_words(names, row)
    }

    fn meets_words(&self, names: &Names<'_>, row: &Row) -> bool {
        if self.module.is_none() && self.thread.is_none() && self.name.is_none() {
            return true;
        }
        let labels = names.labels(row);
        let module = |wanted: &String| {
            let file = crate::dump::file_name(&labels.name);
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            file.eq_ignore_ascii_case(wanted) || stem.eq_ignore_ascii_case(wanted)
        };
        let named = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            [&labels.name, &labels.usage].iter().any(|text| text.to_lowercase().contains(&wanted))
        };
        self.module.as_ref().is_none_or(module)
            && self.thread.is_none_or(|thread| labels.thread_id == Some(thread))
            && self.name.as_ref().is_none_or(named)
    }
}

/// A condition on a protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectionIs {
    /// The access is this one, whatever flags are set.
    Access(u32),
    /// This flag is set.
    Flag(u32),
}

impl ProtectionIs {
    /// Short forms, PAGE_* names with or without `PAGE_`.
    const WORDS: [(&'static str, &'static str, ProtectionIs); 11] = [
        ("NA", "NOACCESS", ProtectionIs::Access(0x01)),
        ("R", "READONLY", ProtectionIs::Access(0x02)),
        ("RW", "READWRITE", ProtectionIs::Access(0x04)),
        ("WC", "WRITECOPY", ProtectionIs::Access(0x08)),
        ("X", "EXECUTE", ProtectionIs::Access(0x10)),
        ("RX", "EXECUTE_READ", ProtectionIs::Access(0x20)),
        ("RWX", "EXECUTE_READWRITE", ProtectionIs::Access(0x40)),
        ("WCX", "EXECUTE_WRITECOPY", ProtectionIs::Access(0x80)),
        ("G", "GUARD", ProtectionIs::Flag(0x100)),
        ("NC", "NOCACHE", ProtectionIs::Flag(0x200)),
        ("COMBINE", "WRITECOMBINE", ProtectionIs::Flag(0x400)),
    ];

    /// Reads `RW`, `readwrite` or `PAGE_READWRITE`.
    pub fn parse(text: &str) -> Option<ProtectionIs> {
        let word = text.to_ascii_uppercase();
        let word = word.strip_prefix("PAGE_").unwrap_or(&word);
        let found = Self::WORDS.iter().find(|(short, long, _)| word == *short || word == *long);
        found.map(|(_, _, condition)| *condition)
    }

    /// `RW`, `RX guard`: the short form of a protection; empty for 0.
    pub fn short(protect: Protection) -> String {
        let access = protect.0 & 0xff;
        let word = Self::WORDS.iter().find(|(_, _, is)| *is == ProtectionIs::Access(access));
        let word = word.map_or(if access == 0 { "" } else { "?" }, |(short, _, _)| short);
        if protect.is_guard() { format!("{word} guard") } else { word.to_owned() }
    }

    fn holds(self, protect: Protection) -> bool {
        match self {
            ProtectionIs::Access(access) => protect.0 & 0xff == access,
            ProtectionIs::Flag(flag) => protect.0 & flag != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protections_by_many_names() {
        for text in ["RW", "rw", "PAGE_READWRITE", "readwrite"] {
            assert_eq!(ProtectionIs::parse(text), Some(ProtectionIs::Access(4)), "{text}");
        }
        assert_eq!(ProtectionIs::parse("guard"), Some(ProtectionIs::Flag(0x100)));
        assert_eq!(ProtectionIs::parse("RZ"), None);
        assert_eq!(ProtectionIs::short(Protection(0x104)), "RW guard");
        assert_eq!(ProtectionIs::short(Protection(0)), "");
    }
}
