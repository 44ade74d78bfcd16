//! A row back from its JSON: what a process of its own printed.

use serde_json::Value as Json;

use super::nested::Items;
use super::{Nested, ScanRow, Scanned, ScannedCrash, Unit};
use crate::dump::PointerWidth;
use crate::evidence::RegionKind;
use crate::limits::Depth;
use crate::report::{Hex, time};
use crate::totals::{Free, Row};

impl ScanRow {
    /// The row that a line of `-f jsonl` holds; `None` when it holds none.
    pub fn from_json(line: &[u8]) -> Option<ScanRow> {
        let json: Json = serde_json::from_slice(line).ok()?;
        let path = json.get("path")?.as_str()?.to_owned();
        if let Some(error) = json["error"].as_str() {
            return Some(ScanRow { path, result: Err(error.into()), nested: Vec::new() });
        }
        let nested = Nested::ALL.into_iter();
        let nested = nested.filter_map(|of| Some(items(of, json.get(of.as_str())?.as_array()?)));
        let nested = nested.collect();
        Some(ScanRow { path, result: Ok(Box::new(scanned(&json)?)), nested })
    }
}

fn scanned(json: &Json) -> Option<Scanned> {
    let number = |name: &str| json[name].as_u64();
    let small = |name: &str| number(name).and_then(|number| u32::try_from(number).ok());
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let word = |name: &str| text(name).map(Into::into);
    Some(Scanned {
        depth: [Depth::Streams, Depth::Headers, Depth::Walk]
            .into_iter()
            .find(|depth| json["depth"] == depth.as_str())?,
        dump_id: text("dump_id"),
        file_size: number("file_size")?,
        time: json["time"].as_str().and_then(time::seconds),
        process_id: small("process_id"),
        process_name: text("process_name"),
        process_version: text("process_version"),
        platform: word("platform")?,
        os_version: text("os_version"),
        arch: word("arch")?,
        pointer_bits: small("pointer_bits")?,
        writer: word("writer"),
        map_source: word("map_source")?,
        counts: ["threads", "modules", "unloaded_modules", "stacks"]
            .map(|name| number(name).unwrap_or(0)),
        heaps: number("heaps"),
        total: Row {
            size: number("total_size")?,
            committed: number("total_committed"),
            reserved: number("total_reserved"),
            private: number("total_private"),
            captured: number("total_captured")?,
            blocks: number("total_blocks")?,
            allocations: number("total_allocations"),
            ..Row::default()
        },
        kinds: RegionKind::ALL.map(|kind| kind_row(json, kind)),
        free: free(json),
        crash: crash(json),
        verdict: word("verdict")?,
        findings: ["errors", "warnings", "notes"].map(|name| number(name).unwrap_or(0)),
        rules: json["rules"]
            .as_array()?
            .iter()
            .filter_map(|rule| rule.as_str().map(|rule| rule.to_owned().into()))
            .collect(),
        issue_count: number("issue_count")?,
        first_issue: text("first_issue"),
    })
}

/// As much of the sums of a kind as a row has.
fn kind_row(json: &Json, kind: RegionKind) -> Option<Row> {
    let name = kind.as_str().replace('-', "_");
    let number = |field: &str| json.get(format!("{name}_{field}")).and_then(Json::as_u64);
    Some(Row {
        size: number("size")?,
        committed: number("committed"),
        private: number("private"),
        ..Row::default()
    })
}

fn free(json: &Json) -> Option<Free> {
    let number = |name: &str| json[name].as_u64();
    Some(Free {
        size: number("free_size")?,
        blocks: number("free_blocks")?,
        largest: number("free_largest")?,
        tiny: number("free_tiny")?,
        ..Free::default()
    })
}

fn crash(json: &Json) -> Option<ScannedCrash> {
    let small = |name: &str| json[name].as_u64().and_then(|number| u32::try_from(number).ok());
    Some(ScannedCrash {
        code: small("exception_code")?,
        name: json["exception_name"].as_str()?.to_owned(),
        address: json["exception_address"].as_str().and_then(hex),
        thread_id: small("exception_thread_id")?,
        signature: json["signature"].as_str()?.to_owned(),
    })
}

fn items(of: Nested, list: &[Json]) -> Items {
    let mut items = Items::none(of);
    for item in list {
        for field in of.fields() {
            let value = &item[field.name];
            match (value, field.unit) {
                (Json::String(text), Unit::Address) => items.push_address(hex(text)),
                (Json::String(text), _) => items.push_text(Some(text)),
                (other, _) => items.push_number(other.as_u64()),
            }
        }
    }
    items
}

fn hex(text: &str) -> Option<Hex> {
    let digits = text.strip_prefix("0x")?;
    let width = if digits.len() > 8 { PointerWidth::Bits64 } else { PointerWidth::Bits32 };
    Some(Hex { address: u64::from_str_radix(digits, 16).ok()?, width })
}
