//! The claims on a collector's memory.

use super::Collector;
use crate::addr::AddressRange;
use crate::evidence::{Claim, Confidence, Detail, EvidenceSource, RegionKind, Subject, Use};

/// The claims of a collector: its reservations, and what is in them.
pub(super) fn of(collector: &Collector) -> Vec<Claim> {
    let known = collector.confidence;
    let by_shape = known == Confidence::Heuristic;
    let source = if by_shape { EvidenceSource::Shape } else { EvidenceSource::ClrRuntime };
    let claim = |range: AddressRange, usage: &'static str, detail: Detail| Claim {
        range,
        kind: Some(RegionKind::ManagedHeap),
        usage: Use::Named(usage),
        subject: Subject::None,
        confidence: known,
        source,
        detail,
    };
    let reserved = if by_shape {
        "reserved and committed as the collector does"
    } else {
        "the collector's segments lie in it"
    };
    let mut claims = Vec::new();
    for range in collector.heaps.iter().flat_map(|heap| &heap.ranges) {
        let detail = Detail::At("heap_segment at", range.segment);
        claims.push(claim(range.range, range.generation.as_str(), detail));
    }
    for range in &collector.free_regions {
        let detail = Detail::Words("in the region table, in no generation");
        claims.push(claim(*range, "free GC region", detail));
    }
    if let Some(range) = &collector.bookkeeping {
        let detail = if by_shape { "its share of the heap's size" } else { "bookkeeping_start" };
        claims.push(claim(*range, "GC bookkeeping", Detail::Words(detail)));
    }
    // A segment may be all of its allocation: of claims that are alike, the
    // first one wins.
    for range in &collector.reservations {
        claims.push(claim(*range, "GC heap", Detail::Words(reserved)));
    }
    claims
}
