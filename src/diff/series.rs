//! Amounts of one thing over several dumps, and how fast it grows.

use super::snapshot::Amount;

/// What the slopes are by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// The dumps span an hour or more.
    Hour,
    /// They span a minute or more.
    Minute,
    /// They span less.
    Second,
    /// One of them has no time, or all have one.
    Dump,
}

impl Per {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Per::Hour => "hour",
            Per::Minute => "minute",
            Per::Second => "second",
            Per::Dump => "dump",
        }
    }
}

/// Where the dumps stand on the axis of a slope.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its unit.
    pub per: Per,
    /// A place for each dump.
    places: Vec<f64>,
}

impl Axis {
    /// `None` with fewer than three dumps: two points fit any line.
    pub(super) fn of(times: &[Option<u32>]) -> Option<Axis> {
        if times.len() < 3 {
            return None;
        }
        let known: Option<Vec<u32>> = times.iter().copied().collect();
        let ends = known.as_ref().and_then(|of| of.iter().min().copied().zip(of.iter().max()));
        let (begin, span) = ends.map_or((0, 0), |(begin, end)| (begin, end - begin));
        let (per, unit) = match span {
            0 => (Per::Dump, 1),
            1..60 => (Per::Second, 1),
            60..3600 => (Per::Minute, 60),
            _ => (Per::Hour, 3600),
        };
        let places = match known.filter(|_| per != Per::Dump) {
            Some(times) => {
                times.iter().map(|time| f64::from(time - begin) / f64::from(unit)).collect()
            }
            None => (0..times.len()).map(|at| at as f64).collect(),
        };
        Some(Axis { per, places })
    }

    /// The slope of the line with the least squares.
    fn slope(&self, values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
        let count = self.places.len() as f64;
        let mean_place = self.places.iter().sum::<f64>() / count;
        let mean = values.clone().sum::<f64>() / count;
        let (mut over, mut under) = (0.0, 0.0);
        for (place, value) in self.places.iter().zip(values) {
            over += (place - mean_place) * (value - mean);
            under += (place - mean_place) * (place - mean_place);
        }
        (under > 0.0).then(|| over / under)
    }
}

/// Amounts of one thing, one a dump; zero where a dump has none of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Series(pub Vec<Amount>);

impl Series {
    fn ends(&self, of: impl Fn(&Amount) -> u64) -> i128 {
        let value = |amount: Option<&Amount>| i128::from(amount.map_or(0, &of));
        value(self.0.last()) - value(self.0.first())
    }

    /// Growth of its size from the first dump to the last.
    pub fn size(&self) -> i128 {
        self.ends(|amount| amount.size)
    }

    /// Growth of committed bytes from the first dump to the last.
    pub fn committed(&self) -> i128 {
        self.ends(|amount| amount.committed)
    }

    /// Growth of the count from the first dump to the last.
    pub fn count(&self) -> i128 {
        self.ends(|amount| amount.count)
    }

    /// Committed bytes by the axis' unit.
    pub fn slope(&self, axis: &Axis) -> Option<f64> {
        axis.slope(self.0.iter().map(|amount| amount.committed as f64))
    }

    /// Whether it never shrank from one dump to the next, and grew.
    pub fn only_grew(&self) -> bool {
        self.0.is_sorted_by_key(|amount| amount.committed) && self.committed() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[u64]) -> Series {
        let amount = |committed: &u64| Amount { committed: *committed, ..Amount::default() };
        Series(values.iter().map(amount).collect())
    }

    #[test]
    fn slopes() {
        let hours = Axis::of(&[Some(0), Some(3600), Some(7200)]).unwrap();
        assert_eq!((hours.per, series(&[10, 20, 30]).slope(&hours)), (Per::Hour, Some(10.0)));
        let uneven = Axis::of(&[Some(0), Some(10), Some(40)]).unwrap();
        assert_eq!((uneven.per, series(&[0, 20, 80]).slope(&uneven)), (Per::Second, Some(2.0)));
        let minutes = Axis::of(&[Some(60), Some(120), Some(180), Some(240)]).unwrap();
        assert_eq!((minutes.per, series(&[4, 4, 4, 4]).slope(&minutes)), (Per::Minute, Some(0.0)));
        for times in [[Some(5), Some(5), Some(5)], [Some(5), None, Some(9)]] {
            let dumps = Axis::of(&times).unwrap();
            assert_eq!((dumps.per, series(&[1, 3, 5]).slope(&dumps)), (Per::Dump, Some(2.0)));
        }
        assert_eq!(Axis::of(&[Some(1), Some(2)]), None);
    }

    #[test]
    fn growth_without_a_step_back() {
        assert!(series(&[1, 1, 2]).only_grew());
        assert!(!series(&[1, 3, 2]).only_grew());
        assert!(!series(&[2, 2]).only_grew());
    }
}
