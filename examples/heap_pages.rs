//! Reads every captured page of a dump's heaps once and adds up its words: the
//! least that a walk of the heaps can cost.
//!
//! ```sh
//! cargo run --release --example heap_pages -- DUMP             # only the sum
//! cargo run --release --example heap_pages -- DUMP --pairs 15  # and walks, in turn
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use dumpmap::evidence::heaps::walk::{Scope, walk};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use dumpmap::{Analysis, analyze};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (path, pairs) = match args.as_slice() {
        [path] => (path, 0),
        [path, option, pairs] if option == "--pairs" => (path, pairs.parse()?),
        _ => return Err("usage: heap_pages DUMP [--pairs N]".into()),
    };
    let source = Source::open(Path::new(path))?;
    let analysis = analyze(&source, &Limits::default())?;
    let (bytes, sum) = pages(&analysis);
    println!("{bytes} bytes, sum {sum:#x}");
    let mut ratios = Vec::new();
    for _ in 0..pairs {
        let reading = time(|| black_box(pages(&analysis)).0);
        let walking = time(|| black_box(blocks(&analysis)));
        ratios.push((walking.as_secs_f64() / reading.as_secs_f64(), reading, walking));
    }
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    if let Some((ratio, reading, walking)) = ratios.get(ratios.len() / 2) {
        let count = blocks(&analysis);
        println!("{count} blocks; pages {reading:?}, walk {walking:?}, ratio {ratio:.2}");
    }
    Ok(())
}

fn time(work: impl FnOnce() -> u64) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

/// Bytes of the heaps and the sum of their words. Pages are read one at a
/// time, as a walk has to.
fn pages(analysis: &Analysis<'_>) -> (u64, u64) {
    let captured = &analysis.dump.captured;
    let mut page = [0; 4096];
    let (mut bytes, mut sum) = (0_u64, 0_u64);
    for part in analysis.evidence.heaps.iter().flat_map(|heap| &heap.parts) {
        let first = captured.ranges().partition_point(|run| run.range.last() < part.range.start());
        let runs = captured.ranges()[first..].iter();
        for run in runs.map_while(|run| run.range.intersect(part.range)) {
            let mut at = run.start();
            while at <= run.last() {
                let size = (4096 - at % 4096).min(run.end() - at);
                let read = &mut page[..size as usize];
                if captured.read(at, read).is_ok() {
                    let words = read.as_chunks::<8>().0.iter();
                    sum = words.fold(sum, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
                    bytes += size;
                }
                at += size;
            }
        }
    }
    (bytes, sum)
}

/// Blocks of all heaps, counted by a walk.
fn blocks(analysis: &Analysis<'_>) -> u64 {
    let scope = Scope::of(&analysis.dump, &analysis.map, &analysis.evidence.heaps);
    let mut count = 0;
    for index in 0..scope.heaps.len() {
        walk(&scope, index, &mut |_| count += 1);
    }
    count
}
