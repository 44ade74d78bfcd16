//! Rows summed up by what they share, and those that stand out of their group.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clusters::Clusters;
use super::{Column, ScanRow, column};

/// What rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The crash signature.
    Signature,
    /// The program's file name.
    Process,
    /// The program's file name and version.
    Version,
    /// Why memory ran out.
    Verdict,
    /// Program and map: those with nearly as many committed bytes of each kind.
    Map,
}

/// The figures that groups have percentiles of.
pub(super) const FIGURES: [&str; 5] =
    ["total_private", "total_committed", "free_largest", "threads", "total_captured"];

/// Groups with fewer known values have no outliers: there is no usual value.
const ENOUGH: usize = 5;

/// An outlier is farther from the median than so many median deviations
/// (scaled to a standard deviation of normal values). Source: Iglewicz and
/// Hoaglin, How to Detect and Handle Outliers, 1993.
const FAR: f64 = 3.5;

/// And by at least a quarter of the median: nearly equal values have
/// deviations that mean nothing.
const LEAST: f64 = 0.25;

/// At most so many outliers of a figure are listed; the farthest.
const LISTED: usize = 10;

impl GroupBy {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            GroupBy::Signature => "signature",
            GroupBy::Process => "process",
            GroupBy::Version => "version",
            GroupBy::Verdict => "verdict",
            GroupBy::Map => "map",
        }
    }

    /// The group of a row; `None` when the dump does not say.
    fn key(self, row: &ScanRow, clusters: &mut Clusters) -> Option<String> {
        let dump = row.dump()?;
        let process = dump.process_name.as_deref();
        match self {
            GroupBy::Signature => dump.crash.as_ref().map(|crash| crash.signature.clone()),
            GroupBy::Process => process.map(str::to_owned),
            GroupBy::Version => {
                let version = dump.process_version.as_deref().unwrap_or("?");
                process.map(|process| format!("{process} {version}"))
            }
            GroupBy::Verdict => Some(dump.verdict.to_string()),
            GroupBy::Map => clusters.of(dump),
        }
    }
}

/// The document of `scan --group-by`.
#[derive(Debug, Serialize)]
pub struct GroupsReport {
    /// Version of the document.
    pub schema_version: &'static str,
    /// `signature`, `process`, `version`, `verdict` or `map`.
    pub group_by: &'static str,
    /// The largest first.
    pub groups: Vec<GroupView>,
}

impl GroupsReport {
    /// The document of these groups.
    pub fn of(by: GroupBy, groups: Vec<GroupView>) -> GroupsReport {
        GroupsReport {
            schema_version: crate::report::SCHEMA_VERSION,
            group_by: by.as_str(),
            groups,
        }
    }
}

/// One group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    /// What they share; null for dumps that do not say, and for files that are
    /// no dumps.
    pub group: Option<String>,
    /// How many rows.
    pub dumps: u64,
    /// How many of them are files that could not be read.
    pub unreadable: u64,
    /// How many of the dumps have findings of severity error.
    pub with_errors: u64,
    /// When the first of them was written, UTC.
    pub first: Option<String>,
    /// When the last was.
    pub last: Option<String>,
    /// The first row's path.
    pub example: String,
    /// Their figures.
    pub figures: Vec<FigureView>,
}

/// A figure over a group.
#[derive(Clone, Debug, Serialize)]
pub struct FigureView {
    /// The column.
    pub name: &'static str,
    /// How many dumps know it.
    pub known: u64,
    /// The least.
    pub min: Option<u64>,
    /// The median: the value of nearest rank, as of all percentiles.
    pub p50: Option<u64>,
    /// 90 of 100 are at most this.
    pub p90: Option<u64>,
    /// 99 of 100 are at most this.
    pub p99: Option<u64>,
    /// The most.
    pub max: Option<u64>,
    /// Those far from the median, the farthest first, ten at most.
    pub outliers: Vec<OutlierView>,
}

/// A dump that stands out.
#[derive(Clone, Debug, Serialize)]
pub struct OutlierView {
    /// Its path.
    pub path: String,
    /// Its value.
    pub value: u64,
}

/// Takes rows and keeps what the groups need: a path and five numbers a row.
#[derive(Debug)]
pub struct Groups {
    by: GroupBy,
    figures: Vec<&'static Column>,
    groups: BTreeMap<Option<String>, Group>,
    clusters: Clusters,
}

#[derive(Debug, Default)]
struct Group {
    unreadable: u64,
    with_errors: u64,
    times: Option<(u32, u32)>,
    paths: Vec<String>,
    values: [Vec<Option<u64>>; FIGURES.len()],
}

impl Groups {
    /// No rows yet.
    pub fn new(by: GroupBy) -> Groups {
        let figures = FIGURES.iter().filter_map(|name| column(name)).collect();
        Groups { by, figures, groups: BTreeMap::new(), clusters: Clusters::default() }
    }

    /// One more.
    pub fn add(&mut self, row: &ScanRow) {
        let key = self.by.key(row, &mut self.clusters);
        let group = self.groups.entry(key).or_default();
        group.paths.push(row.path.clone());
        for (values, figure) in group.values.iter_mut().zip(&self.figures) {
            values.push(figure.of(row).whole());
        }
        let Some(dump) = row.dump() else {
            group.unreadable += 1;
            return;
        };
        group.with_errors += u64::from(dump.findings[0] > 0);
        if let Some(time) = dump.time {
            let (first, last) = group.times.unwrap_or((time, time));
            group.times = Some((first.min(time), last.max(time)));
        }
    }

    /// The groups, the largest first.
    pub fn finish(self) -> Vec<GroupView> {
        let figures = self.figures;
        let mut views: Vec<GroupView> =
            self.groups.into_iter().map(|(key, group)| group.view(key, &figures)).collect();
        // The map's order, that of the keys, stands for groups of one size.
        views.sort_by_key(|view| std::cmp::Reverse(view.dumps));
        views
    }
}

impl Group {
    fn view(self, key: Option<String>, figures: &[&'static Column]) -> GroupView {
        let iso = crate::report::time::iso;
        let of = figures.iter().zip(&self.values);
        GroupView {
            group: key,
            dumps: self.paths.len() as u64,
            unreadable: self.unreadable,
            with_errors: self.with_errors,
            first: self.times.and_then(|(first, _)| iso(first)),
            last: self.times.and_then(|(_, last)| iso(last)),
            figures: of.map(|(figure, values)| view(figure, values, &self.paths)).collect(),
            example: self.paths.into_iter().next().unwrap_or_default(),
        }
    }
}

fn view(figure: &Column, values: &[Option<u64>], paths: &[String]) -> FigureView {
    let mut sorted: Vec<u64> = values.iter().copied().flatten().collect();
    sorted.sort_unstable();
    FigureView {
        name: figure.name,
        known: sorted.len() as u64,
        min: sorted.first().copied(),
        p50: percentile(&sorted, 50),
        p90: percentile(&sorted, 90),
        p99: percentile(&sorted, 99),
        max: sorted.last().copied(),
        outliers: outliers(&sorted, values, paths),
    }
}

/// The value of nearest rank: the least that at least `percent` of the values
/// do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

fn outliers(sorted: &[u64], values: &[Option<u64>], paths: &[String]) -> Vec<OutlierView> {
    let Some(median) = percentile(sorted, 50).filter(|_| sorted.len() >= ENOUGH) else {
        return Vec::new();
    };
    let mut deviations: Vec<u64> = sorted.iter().map(|value| value.abs_diff(median)).collect();
    deviations.sort_unstable();
    let deviation = percentile(&deviations, 50).unwrap_or(0) as f64 * 1.4826;
    let limit = (FAR * deviation).max(LEAST * median as f64);
    let mut far: Vec<(u64, OutlierView)> = values
        .iter()
        .zip(paths)
        .filter_map(|(value, path)| {
            let value = (*value)?;
            let distance = value.abs_diff(median);
            let view = || OutlierView { path: path.clone(), value };
            (distance as f64 > limit).then(|| (distance, view()))
        })
        .collect();
    far.sort_by_key(|(distance, _)| std::cmp::Reverse(*distance));
    far.truncate(LISTED);
    far.into_iter().map(|(_, view)| view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_nearest_rank() {
        let ten: Vec<u64> = (1..=10).collect();
        let of = |percent| percentile(&ten, percent).unwrap();
        assert_eq!((of(50), of(90), of(99)), (5, 9, 10));
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn outliers_are_far_from_the_median() {
        let listed = |values: &[u64]| -> Vec<u64> {
            let paths: Vec<String> = values.iter().map(|value| format!("{value}.dmp")).collect();
            let mut sorted = values.to_vec();
            sorted.sort_unstable();
            let values: Vec<Option<u64>> = values.iter().copied().map(Some).collect();
            outliers(&sorted, &values, &paths).into_iter().map(|of| of.value).collect()
        };
        assert_eq!(listed(&[100, 110, 90, 105, 95, 1000, 100, 3]), [1000, 3]);
        // Equal but for one that hardly differs.
        assert_eq!(listed(&[100, 100, 100, 100, 101]), [0; 0]);
        assert_eq!(listed(&[100, 100, 100, 100, 200]), [200]);
        // Too few to say what is usual.
        assert_eq!(listed(&[1, 1, 1, 1000]), [0; 0]);
    }
}
