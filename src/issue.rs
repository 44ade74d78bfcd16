//! What was wrong with the dump, and what was done instead. Issues are about
//! the file; findings (`rules`) are about the process. The two never mix.

use crate::addr::FileOffset;

/// One thing that is wrong with the dump file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The stream it was found in, by its type number; `None` for the header,
    /// the directory, or what no single stream says.
    pub stream: Option<u32>,
    /// Where in the file, when one place can be named.
    pub offset: Option<FileOffset>,
    /// What is wrong, with the value, and what was done: lower case, no full
    /// stop.
    pub message: String,
}

/// The issues of one dump, bounded: at most [`Issues::PER_STREAM`] a stream
/// and [`Issues::TOTAL`] in all are kept, the rest are counted.
#[derive(Clone, Debug, Default)]
pub struct Issues {
    kept: Vec<Issue>,
    counts: Vec<Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    stream: Option<u32>,
    found: u64,
    kept: u64,
}

impl Issues {
    /// How many issues of one stream are kept.
    pub const PER_STREAM: u64 = 1_000;

    /// How many issues are kept in all.
    pub const TOTAL: usize = 2_000;

    /// Records an issue. `message` is built only when it will be kept.
    pub fn add(
        &mut self,
        stream: Option<u32>,
        offset: Option<u64>,
        message: impl FnOnce() -> String,
    ) {
        let position = match self.counts.iter().position(|count| count.stream == stream) {
            Some(position) => position,
            None => {
                self.counts.push(Count { stream, found: 0, kept: 0 });
                self.counts.len().saturating_sub(1)
            }
        };
        let Some(count) = self.counts.get_mut(position) else { return };
        count.found = count.found.saturating_add(1);
        if count.kept < Self::PER_STREAM && self.kept.len() < Self::TOTAL {
            count.kept = count.kept.saturating_add(1);
            self.kept.push(Issue { stream, offset: offset.map(FileOffset), message: message() });
        }
    }

    /// The issues kept, in the order they were found; then, for each stream
    /// that has some in the list, how many are not; then how many of other
    /// streams are not.
    pub fn into_vec(self) -> Vec<Issue> {
        let mut issues = self.kept;
        let mut others = 0_u64;
        for Count { stream, found, kept } in self.counts {
            let more = found.saturating_sub(kept);
            if kept == 0 {
                others = others.saturating_add(more);
            } else if more > 0 {
                let message = format!("{more} more issues of this stream are not listed");
                issues.push(Issue { stream, offset: None, message });
            }
        }
        if others > 0 {
            let message = format!("{others} issues of other streams are not listed");
            issues.push(Issue { stream: None, offset: None, message });
        }
        issues
    }

    /// The first that was recorded.
    pub fn first(&self) -> Option<&Issue> {
        self.kept.first()
    }

    /// How many issues were recorded, listed or not.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| count.found).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_issues_stay_bounded() {
        let mut issues = Issues::default();
        for i in 0..1_000_000u64 {
            issues.add(Some(16), Some(i), || format!("entry {i}"));
        }
        issues.add(None, None, || "header".into());
        assert_eq!(issues.total(), 1_000_001);
        let listed = issues.into_vec();
        assert_eq!(listed.len(), 1_002);
        assert_eq!(
            listed.last().unwrap().message,
            "999000 more issues of this stream are not listed"
        );
    }
}
