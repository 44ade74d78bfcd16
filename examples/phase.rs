use dumpmap::{
    classify::sweep, dump::Dump, limits::Limits, map::RegionMap, source::Source, totals::Totals,
};
use std::time::Instant;
fn main() {
    let p = std::env::args().nth(1).unwrap();
    for _ in 0..3 {
        let s = Source::open(p.as_ref()).unwrap();
        let t = Instant::now();
        let d = Dump::read(&s, &Limits::default()).unwrap();
        let a = t.elapsed();
        let t = Instant::now();
        let m = RegionMap::build(&d);
        let b = t.elapsed();
        let t = Instant::now();
        let n: u64 = m.iter().map(|r| r.range.size() & 1).sum();
        let c = t.elapsed();
        let t = Instant::now();
        let n2: u64 = sweep(&m, &[]).map(|r| r.range.size() & 1).sum();
        let e = t.elapsed();
        let t = Instant::now();
        let tt = Totals::of(&d, &m, &[]);
        let f = t.elapsed();
        println!(
            "read {a:?} build {b:?} iter {c:?} sweep {e:?} totals {f:?} {}",
            n + n2 + tt.audit.gaps
        );
    }
}
