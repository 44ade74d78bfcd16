//! The pieces of a map as columns of numbers, each a difference from what was
//! expected: nearly all are then 0 or small, and compress well.
//!
//! Every number is a varint: seven bits a byte, low ones first. A page is 4096
//! bytes, and an address is a page and a rest, since JavaScript's numbers hold
//! 53 bits.
//!
//! | column | of a piece |
//! | --- | --- |
//! | gap, gap rest | pages and bytes from the end of the piece before |
//! | size, size rest | pages and bytes |
//! | class | which of `classes` |
//! | claims | which of `standings`, plus 1; 0 for none |
//! | group | 0 no allocation, 1 begins one, 2 as the piece before, 3 another; plus 4 where a region begins |
//! | captured | 0 nothing, 1 all, else bytes plus 2 |
//!
//! Bases of other allocations follow as pages and rests.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::evidence::{Confidence, EvidenceSource, RegionKind};
use crate::map::{MemoryType, Protection, State};
use crate::report::{Base, By, Hex, Names, ProtectionIs, Row, rows};

const NAMES: [&str; 10] = [
    "gap",
    "gap_rest",
    "size",
    "size_rest",
    "class",
    "claims",
    "group",
    "captured",
    "base",
    "base_rest",
];
const PAGE: u64 = 4096;

/// Columns, and the tables that they point into.
pub(super) struct Columns<'n, 'a> {
    names: &'n Names<'a>,
    count: u64,
    columns: [Vec<u8>; NAMES.len()],
    classes: Vec<Class>,
    class_ids: HashMap<Class, usize>,
    last_class: usize,
    standings: Vec<Standing>,
    standing_ids: HashMap<(Vec<u32>, u64, RegionKind), u64>,
    claims: Vec<ClaimText>,
    claim_ids: HashMap<ClaimText, u32>,
    end: u64,
    allocation: Option<u64>,
    region: Option<u64>,
}

/// What the region's own record says, and the answer.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Class {
    state: State,
    memory_type: Option<MemoryType>,
    protect: Protection,
    allocation_protect: Protection,
    kind: RegionKind,
    confidence: Confidence,
    base: Base,
}

/// The words and claims of a piece.
struct Standing {
    usage: String,
    name: String,
    thread: Option<u32>,
    heap: Option<Hex>,
    claims: Vec<u32>,
    more: u64,
}

/// One claim in words.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ClaimText {
    source: EvidenceSource,
    confidence: Confidence,
    kind: Option<RegionKind>,
    detail: String,
}

impl<'n, 'a> Columns<'n, 'a> {
    /// One pass over the pieces.
    pub(super) fn of(names: &'n Names<'a>) -> Columns<'n, 'a> {
        let mut columns = Columns {
            names,
            count: 0,
            columns: Default::default(),
            classes: Vec::new(),
            class_ids: HashMap::new(),
            last_class: 0,
            standings: Vec::new(),
            standing_ids: HashMap::new(),
            claims: Vec::new(),
            claim_ids: HashMap::new(),
            end: 0,
            allocation: None,
            region: None,
        };
        for row in rows(&names.input, By::Piece) {
            columns.add(&row);
        }
        columns
    }

    fn add(&mut self, row: &Row) {
        let start = row.range.start();
        let gap = start.wrapping_sub(self.end);
        let size = row.range.size();
        let class = self.class(row);
        let standing = self.standing(row);
        let base = row.region.allocation_base;
        let mut group = match base {
            None => 0,
            Some(base) if self.allocation == Some(base) => 2,
            Some(base) if base == start => 1,
            Some(_) => 3,
        };
        if let (3, Some(base)) = (group, base) {
            varint(base / PAGE, &mut self.columns[8]);
            varint(base % PAGE, &mut self.columns[9]);
        }
        let region = row.region.range.start();
        if self.region != Some(region) {
            group |= 4;
        }
        let captured = match row.captured {
            0 => 0,
            all if all == size => 1,
            part => part.saturating_add(2),
        };
        let values =
            [gap / PAGE, gap % PAGE, size / PAGE, size % PAGE, class, standing, group, captured];
        for (value, column) in values.into_iter().zip(&mut self.columns) {
            varint(value, column);
        }
        (self.allocation, self.region) = (base, Some(region));
        self.end = row.range.end();
        self.count += 1;
    }

    /// Many a piece has the class of the one before.
    fn class(&mut self, row: &Row) -> u64 {
        let region = &row.region;
        let class = Class {
            state: region.state,
            memory_type: region.memory_type,
            protect: region.protect,
            allocation_protect: region.allocation_protect,
            kind: row.kind,
            confidence: row.confidence,
            base: self.names.base(row),
        };
        if self.classes.get(self.last_class) != Some(&class) {
            let next = self.classes.len();
            self.last_class = *self.class_ids.entry(class.clone()).or_insert(next);
            if self.last_class == next {
                self.classes.push(class);
            }
        }
        self.last_class as u64
    }

    fn standing(&mut self, row: &Row) -> u64 {
        if row.standing.claims.is_empty() {
            return 0;
        }
        let key = (row.standing.claims.clone(), row.standing.more, row.kind);
        if let Some(id) = self.standing_ids.get(&key) {
            return *id;
        }
        let names = self.names;
        let labels = names.labels(row);
        let claims = row.standing.claims.iter().filter_map(|index| self.claim(*index)).collect();
        self.standings.push(Standing {
            usage: labels.usage.into_owned(),
            name: labels.name.into_owned(),
            thread: labels.thread_id,
            heap: labels.heap.map(|heap| names.input.hex(heap)),
            claims,
            more: row.standing.more,
        });
        let id = self.standings.len() as u64;
        self.standing_ids.insert(key, id);
        id
    }

    fn claim(&mut self, index: u32) -> Option<u32> {
        let claim = self.names.claim(index)?;
        let text = ClaimText {
            source: claim.source,
            confidence: claim.confidence,
            kind: claim.kind,
            detail: self.names.input.owned(claim.detail.to_string()),
        };
        if let Some(id) = self.claim_ids.get(&text) {
            return Some(*id);
        }
        let id = u32::try_from(self.claims.len()).ok()?;
        self.claims.push(text.clone());
        self.claim_ids.insert(text, id);
        Some(id)
    }

    /// Bytes of all columns.
    pub(super) fn len(&self) -> usize {
        self.columns.iter().map(Vec::len).sum()
    }

    /// The columns, one after the other.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        for column in &self.columns {
            out.extend_from_slice(column);
        }
    }

    /// The tables as JSON: what the columns are, and what they point into.
    pub(super) fn tables(&self) -> serde_json::Value {
        let hex = |hex: Hex| hex.to_string();
        let classes = self.classes.iter().map(|class| {
            serde_json::json!({
                "state": class.state.as_str(),
                "type": class.memory_type.map(MemoryType::as_str),
                "protect": name(class.protect),
                "access": ProtectionIs::short(class.protect),
                "words": class.protect.words(),
                "guard": class.protect.is_guard(),
                "allocation_protect": name(class.allocation_protect),
                "kind": class.kind.index(),
                "confidence": class.confidence.as_str(),
                "base": [
                    class.base.source.as_str(),
                    class.base.confidence.as_str(),
                    class.base.kind.index(),
                    class.base.detail.unwrap_or(""),
                ],
            })
        });
        let standings = self.standings.iter().map(|standing| {
            serde_json::json!([
                standing.usage,
                standing.name,
                standing.thread,
                standing.heap.map(hex),
                standing.claims,
                standing.more,
            ])
        });
        let claims = self.claims.iter().map(|claim| {
            serde_json::json!([
                claim.source.as_str(),
                claim.confidence.as_str(),
                claim.kind.map(RegionKind::index),
                claim.detail,
            ])
        });
        let columns = NAMES.iter().zip(&self.columns).map(|(name, bytes)| (name, bytes.len()));
        serde_json::json!({
            "count": self.count,
            "columns": columns.collect::<Vec<_>>(),
            "kinds": RegionKind::ALL.map(|kind| {
                let ink = super::picture::ink(kind);
                (kind.as_str(), kind.title(), crate::render::paint::letter(kind), ink)
            }),
            "classes": classes.collect::<Vec<_>>(),
            "standings": standings.collect::<Vec<_>>(),
            "claims": claims.collect::<Vec<_>>(),
        })
    }
}

fn name(protect: Protection) -> Cow<'static, str> {
    if protect.0 == 0 { Cow::Borrowed("") } else { Cow::Owned(protect.name()) }
}

/// Seven bits a byte, low ones first; the high bit says that more follow.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
