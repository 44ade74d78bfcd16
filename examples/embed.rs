//! dumpmap as a library: what took the address space of a dumped process?
#![allow(clippy::print_stdout, reason = "an example prints")]

use dumpmap::{analyze, evidence::RegionKind, limits::Limits, source::Source};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: embed DUMP")?;
    let source = Source::open(path.as_ref())?;
    let analysis = analyze(&source, &Limits::default())?;
    for kind in RegionKind::ALL {
        let row = analysis.totals.row(kind);
        println!("{:<14}{:>20} bytes in {} blocks", kind.title(), row.size, row.blocks);
    }
    for finding in &analysis.findings {
        println!("{}: {}", finding.rule, finding.message);
    }
    Ok(())
}
