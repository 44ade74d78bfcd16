//! Dumps with similar maps: of one program, with nearly as many committed
//! bytes of each kind.

use std::collections::HashMap;

use super::Scanned;
use crate::evidence::RegionKind;
use crate::size::human;

/// Two maps are similar when the bytes that differ, kind by kind, are at most
/// this part of the larger of both.
const DIFFERENT: f64 = 0.2;

/// With more clusters than this nothing is learned from them, and each row
/// would be compared with all of them.
const MOST: usize = 4_096;

/// Kinds that a cluster's name has.
const NAMED: usize = 3;

const KINDS: usize = RegionKind::COUNT;

/// The clusters so far. Each is what its first dump is: a dump belongs to the
/// nearest first dump that it is similar to, else it begins a cluster. So the
/// answer depends on the order of the dumps, which is that of their paths.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    found: HashMap<Program, Vec<Cluster>>,
    count: usize,
    /// How many clusters have a name, before the number that tells them apart.
    names: HashMap<String, usize>,
}

/// What dumps must share to be compared at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Program {
    name: Option<String>,
    pointer_bits: u32,
    map_source: String,
}

#[derive(Debug)]
struct Cluster {
    name: String,
    /// Committed bytes by kind, of the first dump.
    committed: [u64; KINDS],
}

impl Clusters {
    /// The name of the cluster that a dump belongs to; `None` when its map
    /// does not tell what is committed.
    pub(super) fn of(&mut self, dump: &Scanned) -> Option<String> {
        dump.total.committed?;
        let committed = committed(dump);
        let program = Program {
            name: dump.process_name.as_deref().map(str::to_lowercase),
            pointer_bits: dump.pointer_bits,
            map_source: dump.map_source.to_string(),
        };
        let clusters = self.found.entry(program).or_default();
        let near =
            clusters.iter().map(|cluster| (distance(&cluster.committed, &committed), cluster));
        let near = near.filter(|(distance, _)| *distance <= DIFFERENT);
        if let Some((_, cluster)) = near.min_by(|left, right| left.0.total_cmp(&right.0)) {
            return Some(cluster.name.clone());
        }
        if self.count >= MOST {
            return Some("other maps".into());
        }
        self.count += 1;
        let mut name = name(dump, &committed);
        let same = self.names.entry(name.clone()).or_default();
        *same += 1;
        if *same > 1 {
            name = format!("{name} ({same})");
        }
        clusters.push(Cluster { name: name.clone(), committed });
        Some(name)
    }
}

fn committed(dump: &Scanned) -> [u64; KINDS] {
    let of = |kind: usize| dump.kinds.get(kind).copied().flatten().and_then(|row| row.committed);
    std::array::from_fn(|kind| of(kind).unwrap_or(0))
}

/// The part of the larger of two maps that differs, kind by kind: 0 for equal
/// ones, 1 for maps with nothing in common. (Weighted Jaccard distance.)
fn distance(left: &[u64; KINDS], right: &[u64; KINDS]) -> f64 {
    let sum = |of: fn(u64, u64) -> u64| {
        left.iter().zip(right).map(|(left, right)| u128::from(of(*left, *right))).sum::<u128>()
    };
    match sum(u64::max) {
        0 => 0.0,
        larger => sum(u64::abs_diff) as f64 / larger as f64,
    }
}

/// The program, how much is committed, and what most of it is.
fn name(dump: &Scanned, committed: &[u64; KINDS]) -> String {
    let total: u128 = committed.iter().map(|bytes| u128::from(*bytes)).sum();
    let mut kinds: Vec<(RegionKind, u64)> =
        RegionKind::ALL.into_iter().zip(committed.iter().copied()).collect();
    kinds.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let parts = kinds.iter().take(NAMED).filter_map(|(kind, bytes)| {
        let percent = (u128::from(*bytes) * 100).checked_div(total)?;
        (percent > 0).then(|| format!("{percent} % {}", kind.title().to_lowercase()))
    });
    let program = dump.process_name.as_deref().unwrap_or("unnamed");
    let size = human(u64::try_from(total).unwrap_or(u64::MAX));
    let parts = parts.collect::<Vec<_>>().join(", ");
    match parts.is_empty() {
        true => format!("{program}: {size} committed"),
        false => format!("{program}: {size} committed, {parts}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::analyze;
    use crate::limits::Limits;
    use crate::report::scan::ScanRow;
    use crate::report::{Input, Privacy};
    use crate::source::Source;
    use crate::synth::windows::{Allocation, Capture, Process};
    use crate::synth::{DumpBuilder, PAGE_READWRITE};

    fn dump(image: &str, megabytes: u64) -> DumpBuilder {
        let size = megabytes << 20;
        let process = Process::x64().image(image);
        let allocation = Allocation::private().commit(size, PAGE_READWRITE);
        process.allocate(allocation).lay_out().dump(Capture::Small)
    }

    fn cluster(clusters: &mut Clusters, dump: &DumpBuilder) -> Option<String> {
        let source = Source::from_bytes(dump.build());
        let analysis = analyze(&source, &Limits::default()).unwrap();
        let input = Input { analysis: &analysis, path: "a.dmp".as_ref(), privacy: Privacy::Full };
        let row = ScanRow::of(&input, &[]);
        clusters.of(row.dump().unwrap())
    }

    #[test]
    fn nearly_as_much_of_each_kind_is_one_cluster() {
        let mut clusters = Clusters::default();
        let mut of = |megabytes| cluster(&mut clusters, &dump(r"C:\a\x.dll", megabytes)).unwrap();
        let (first, near, far) = (of(100), of(110), of(200));
        assert_eq!(first, near);
        assert!(first != far && far == of(190), "{first} {far}");
        assert!(first.contains("committed, ") && first.contains("% private"), "{first}");
    }

    #[test]
    fn a_map_that_does_not_tell_belongs_to_none() {
        let mut clusters = Clusters::default();
        assert_eq!(cluster(&mut clusters, &DumpBuilder::windows_x64()), None);
    }

    #[test]
    fn the_distance_is_the_part_that_differs() {
        let of = |image, private| {
            let mut bytes = [0; KINDS];
            bytes[RegionKind::Image.index()] = image;
            bytes[RegionKind::Private.index()] = private;
            bytes
        };
        assert_eq!(distance(&of(10, 10), &of(10, 10)), 0.0);
        assert_eq!(distance(&of(10, 0), &of(0, 10)), 1.0);
        assert_eq!(distance(&of(10, 10), &of(10, 20)), 10.0 / 30.0);
        assert_eq!(distance(&of(0, 0), &of(0, 0)), 0.0);
        assert_eq!(distance(&[u64::MAX; KINDS], &[0; KINDS]), 1.0);
    }
}
