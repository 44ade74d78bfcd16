//! A row of `regions` as one line of JSON, written by hand: a dump can have a
//! million of them. The same bytes as `serde_json` gives for
//! [`RegionView`](crate::report::RegionView); a test compares them.

use std::fmt::Write as _;

use crate::dump::PointerWidth;
use crate::evidence::{Claim, RegionKind};
use crate::map::Protection;
use crate::report::{Base, Names, Row};

/// Writes rows into a line that is used again and again.
#[derive(Debug)]
pub struct RegionLines<'n, 'a> {
    names: &'n Names<'a>,
    width: PointerWidth,
    line: Vec<u8>,
    scratch: String,
    /// Protections in words, in the order in which they turned up.
    protections: Vec<(Protection, String)>,
    /// Objects of the base layer, likewise.
    bases: Vec<(Base, String)>,
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
            bases: Vec::new(),
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
        self.base(names.base(row));
        for claim in claims().filter(|claim| !supports(claim)) {
            self.raw(",");
            self.claim(claim);
        }
    }

    /// Nearly every row has one of a handful.
    fn base(&mut self, base: Base) {
        let known = self.bases.iter().position(|(other, _)| *other == base);
        let at = known.unwrap_or_else(|| {
            let detail = base.detail.map_or("null".into(), |detail| format!("\"{detail}\""));
            let (source, confidence) = (base.source.as_str(), base.confidence.as_str());
            let text = format!(
                "{{\"source\":\"{source}\",\"confidence\":\"{confidence}\",\"kind\":\"{}\",\"detail\":{detail}}}",
                base.kind.as_str()
            );
            self.bases.push((base, text));
            self.bases.len() - 1
        });
        self.line.extend_from_slice(self.bases[at].1.as_bytes());
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
        let Some(address) = address else { return self.raw("null") };
        let mut text = *b"\"0x0000000000000000\"";
        text[3..11].copy_from_slice(&hex_digits((address >> 32) as u32));
        text[11..19].copy_from_slice(&hex_digits(address as u32));
        // An address that does not fit its width is written in full.
        let zeros = match self.width {
            PointerWidth::Bits32 => (address.leading_zeros() as usize / 4).min(8),
            PointerWidth::Bits64 => 0,
        };
        text.copy_within(..3, zeros);
        self.line.extend_from_slice(&text[zeros..]);
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

/// Eight hexadecimal digits, all at once: each half of a byte gets a byte of
/// its own, then `0`, or `a` less ten, is added to each.
#[inline]
fn hex_digits(number: u32) -> [u8; 8] {
    let mut spread = u64::from(number);
    spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (spread + 0x3030_3030_3030_3030 + letters * 0x27).to_be_bytes()
}

/// What JSON does not allow in a string.
#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits() {
        for number in [0, 1, 0x9abc_def0, 0xffff_ffff, 0x0123_4567] {
            assert_eq!(hex_digits(number), format!("{number:08x}").as_bytes());
        }
    }
}
