//! A row of `regions` as one line of JSON, written by hand: a dump can have a
//! million of them. The same bytes as `serde_json` gives for
//! [`RegionView`](crate::report::RegionView); a test compares them.

use std::fmt::Write as _;

use crate::dump::PointerWidth;
use crate::evidence::{Claim, RegionKind};
use crate::map::Protection;
use crate::report::{Names, Row};

/// Writes rows into a line that is used again and again.
#[derive(Debug)]
pub struct RegionLines<'n, 'a> {
    names: &'n Names<'a>,
    width: PointerWidth,
    line: Vec<u8>,
    scratch: String,
    /// Protections in words, in the order in which they turned up.
    protections: Vec<(Protection, String)>,
}

impl<'n, 'a> RegionLines<'n, 'a> {
    /// For rows with these names.
    pub fn new(names: &'n Names<'a>) -> RegionLines<'n, 'a> {
        RegionLines {
            names,
            width: names.input.analysis.dump.system.width,
            line: Vec::with_capacity(1024),
            scratch: String::new(),
            protections: Vec::new(),
        }
    }

    /// One object, without a newline.
    pub fn line(&mut self, row: &Row) -> &[u8] {
        let names = self.names;
        let (region, labels) = (&row.region, names.labels(row));
        self.line.clear();
        self.raw("{\"base\":");
        self.address(Some(row.range.start()));
        self.raw(",\"end\":");
        self.address(Some(row.range.end()));
        self.raw(",\"size\":");
        self.number(row.range.size());
        self.raw(",\"state\":");
        self.word(Some(region.state.as_str()));
        self.raw(",\"type\":");
        self.word(region.memory_type.map(|memory_type| memory_type.as_str()));
        self.raw(",\"protect\":");
        self.protection(region.protect);
        self.raw(if region.protect.is_guard() { ",\"guard\":true" } else { ",\"guard\":false" });
        self.raw(",\"allocation_base\":");
        self.address(region.allocation_base);
        self.raw(",\"allocation_protect\":");
        self.protection(region.allocation_protect);
        self.raw(",\"kind\":");
        self.word(Some(row.kind.as_str()));
        self.raw(",\"use\":");
        self.text(&labels.usage);
        self.raw(",\"name\":");
        self.text(&labels.name);
        self.raw(",\"thread_id\":");
        match labels.thread_id {
            Some(id) => self.number(u64::from(id)),
            None => self.raw("null"),
        }
        self.raw(",\"heap\":");
        self.address(labels.heap);
        self.raw(",\"confidence\":");
        self.word(Some(row.confidence.as_str()));
        self.raw(",\"evidence\":[");
        self.evidence(row);
        self.raw("],\"captured\":");
        self.number(row.captured);
        self.raw("}");
        &self.line
    }

    fn evidence(&mut self, row: &Row) {
        let names = self.names;
        let claims = || row.standing.claims.iter().filter_map(|index| names.claim(*index));
        let supports = |claim: &&Claim| claim.kind == Some(row.kind);
        for claim in claims().filter(supports) {
            self.claim(claim);
            self.raw(",");
        }
        let base = names.base(row);
        self.head(base.source.as_str(), base.confidence.as_str(), Some(base.kind));
        self.text(base.detail.unwrap_or(""));
        self.raw("}");
        for claim in claims().filter(|claim| !supports(claim)) {
            self.raw(",");
            self.claim(claim);
        }
    }

    fn claim(&mut self, claim: &Claim) {
        self.head(claim.source.as_str(), claim.confidence.as_str(), claim.kind);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let _ = write!(scratch, "{}", claim.detail);
        self.text(&self.names.input.text(&scratch));
        self.scratch = scratch;
        self.raw("}");
    }

    fn head(&mut self, source: &str, confidence: &str, kind: Option<RegionKind>) {
        self.raw("{\"source\":");
        self.word(Some(source));
        self.raw(",\"confidence\":");
        self.word(Some(confidence));
        self.raw(",\"kind\":");
        self.word(kind.map(RegionKind::as_str));
        self.raw(",\"detail\":");
    }

    #[inline]
    fn raw(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }

    /// A word of ours: nothing in it needs escaping.
    #[inline]
    fn word(&mut self, word: Option<&str>) {
        let Some(word) = word else { return self.raw("null") };
        self.line.push(b'"');
        self.raw(word);
        self.line.push(b'"');
    }

    #[inline]
    fn address(&mut self, address: Option<u64>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let Some(address) = address else { return self.raw("null") };
        // An address that does not fit its width is written in full.
        let count = match self.width {
            PointerWidth::Bits32 if address >> 32 == 0 => 8,
            PointerWidth::Bits32 => (64 - address.leading_zeros() as usize).div_ceil(4),
            PointerWidth::Bits64 => 16,
        };
        let mut text = *b"\"0x0000000000000000\"";
        for (place, digit) in text[3..3 + count].iter_mut().enumerate() {
            let nibble = address >> (4 * (count - 1 - place)) & 0xf;
            *digit = DIGITS[nibble as usize];
        }
        text[3 + count] = b'"';
        self.line.extend_from_slice(&text[..4 + count]);
    }

    #[inline]
    fn number(&mut self, mut number: u64) {
        let mut text = [0_u8; 20];
        let mut at = text.len();
        loop {
            at -= 1;
            text[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.line.extend_from_slice(&text[at..]);
    }

    fn protection(&mut self, protect: Protection) {
        if protect.0 == 0 {
            return self.raw("null");
        }
        let known = self.protections.iter().position(|(other, _)| *other == protect);
        let at = known.unwrap_or_else(|| {
            // A hostile dump can have a million different ones.
            self.protections.truncate(63);
            self.protections.push((protect, protect.name()));
            self.protections.len() - 1
        });
        let name = &self.protections[at].1;
        self.line.push(b'"');
        self.line.extend_from_slice(name.as_bytes());
        self.line.push(b'"');
    }

    /// A text from the dump; null when it is empty.
    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return self.raw("null");
        }
        self.line.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
            self.line.extend_from_slice(&rest[..at]);
            self.escape(rest[at]);
            rest = &rest[at + 1..];
        }
        self.line.extend_from_slice(rest);
        self.line.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'"' | b'\\' => self.line.extend([b'\\', byte]),
            b'\n' => self.raw("\\n"),
            b'\r' => self.raw("\\r"),
            b'\t' => self.raw("\\t"),
            0x08 => self.raw("\\b"),
            0x0c => self.raw("\\f"),
            _ => {
                self.raw("\\u00");
                let digits = [byte >> 4, byte & 0xf].map(|nibble| DIGITS[usize::from(nibble)]);
                self.line.extend(digits);
            }
        }
    }
}

/// What JSON does not allow in a string.
#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
