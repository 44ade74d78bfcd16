//! Heaps of every layout with patches on them, then walks of all of them: no
//! panic, no block outside of its heap, and no more blocks than bytes.
#![no_main]

use dumpmap::evidence::heaps::HeapType;
use dumpmap::evidence::heaps::walk::{
    Histogram, Scope, block_at, crt_block, page_heap_block, user_blocks, walk,
};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap_fuzz::heaps::dump;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(dump) = dump(bytes) else { return };
    let source = Source::from_bytes(dump);
    let Ok(analysis) = dumpmap::analyze(&source, &Limits::default()) else { return };
    let scope = Scope::of(&analysis.dump, &analysis.map, &analysis.evidence.heaps);
    for (index, heap) in scope.heaps.iter().enumerate() {
        let mut blocks = 0_u64;
        let mut sample = Vec::new();
        let mut histogram = Histogram::default();
        let sums = walk(&scope, index, &mut |block| {
            let inside = block
                .range()
                .is_some_and(|range| heap.parts.iter().any(|part| part.range.covers(range)));
            assert!(inside || heap.heap_type == Some(HeapType::Page), "{block:x?}");
            blocks += 1;
            histogram.add(block);
            if sample.len() < 8 || blocks.is_multiple_of(61) && sample.len() < 16 {
                sample.push(*block);
            }
        });
        let bytes: u64 = heap.parts.iter().map(|part| part.range.size()).sum();
        assert!(blocks <= bytes || heap.heap_type == Some(HeapType::Page));
        assert!(sums.busy_blocks + sums.free_blocks <= blocks);
        assert!(sums.user_bytes <= sums.busy_bytes, "{sums:x?}");
        for block in sample {
            if let Some(found) = block_at(&scope, block.address) {
                assert!(found.block.range().is_some_and(|range| range.contains(block.address)));
            }
            let _ = (crt_block(&scope, &block), page_heap_block(&scope, &block));
        }
    }
    user_blocks(&scope);
});
