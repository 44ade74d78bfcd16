//! Sections of an image whose header is not captured, guessed from the
//! protections of its regions.
//!
//! Wrong when two neighbouring sections have one protection: they are one
//! run. So a run has a number, never a section's name.

use super::Section;
use crate::addr::AddressRange;
use crate::evidence::Use;
use crate::map::{Protection, Region, State};

/// As many as an image can have sections.
const MAX_RUNS: usize = 96;

/// The runs of one protection in `part` of an image. Writable pages become
/// PAGE_READWRITE from PAGE_WRITECOPY when they are written, so both are one
/// protection; reserved pages and pages without access are alignment.
pub(super) fn runs(regions: impl Iterator<Item = Region>, part: AddressRange) -> Vec<Section> {
    let mut runs: Vec<Section> = Vec::new();
    for region in regions {
        let Some(range) = region.range.intersect(part) else { continue };
        let protect = Protection(region.protect.0 & 0xff);
        if region.state != State::Commit || protect == Protection::NO_ACCESS {
            continue;
        }
        if let Some(run) = runs.last_mut()
            && run.range.end() == range.start()
            && access(run.protect) == access(protect)
            && let Some(joined) = AddressRange::spanning(run.range.start(), range.last())
        {
            run.range = joined;
            if protect != run.protect {
                run.protect = written(run.protect);
            }
            continue;
        }
        if runs.len() >= MAX_RUNS {
            break;
        }
        let number = u16::try_from(runs.len()).unwrap_or(u16::MAX).saturating_add(1);
        runs.push(Section { usage: Use::SectionRun(number), range, protect });
    }
    runs
}

/// Executable and writable.
fn access(protect: Protection) -> (bool, bool) {
    (protect.is_executable(), protect.is_writable())
}

/// What a copy-on-write protection becomes.
fn written(protect: Protection) -> Protection {
    match protect.0 {
        0x08 => Protection::READ_WRITE,
        0x80 => Protection::EXECUTE_READ_WRITE,
        _ => protect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Origin;

    fn check(rows: &[(u64, u64, u32)], expected: &[(u64, u64, u32)]) {
        let regions = rows.iter().map(|(start, end, protect)| {
            let range = AddressRange::between(*start, *end).unwrap();
            let state = if *protect == 0 { State::Reserve } else { State::Commit };
            Region { protect: Protection(*protect), ..Region::bare(range, state, Origin::Captured) }
        });
        let part = AddressRange::between(0x1000, 0x9000).unwrap();
        let runs: Vec<_> = runs(regions, part)
            .iter()
            .map(|run| (run.range.start(), run.range.end(), run.protect.0))
            .collect();
        assert_eq!(runs, expected);
    }

    #[test]
    fn written_and_unwritten_pages_are_one_run() {
        check(
            &[
                (0x1000, 0x2000, 2),
                (0x2000, 0x3000, 0x20),
                (0x3000, 0x4000, 8),
                (0x4000, 0x5000, 4),
                (0x5000, 0x6000, 8),
                (0x6000, 0x7000, 2),
            ],
            &[
                (0x1000, 0x2000, 2),
                (0x2000, 0x3000, 0x20),
                (0x3000, 0x6000, 4),
                (0x6000, 0x7000, 2),
            ],
        );
    }

    #[test]
    fn alignment_ends_a_run_and_the_part_clips_it() {
        check(
            &[(0, 0x2000, 2), (0x2000, 0x4000, 0), (0x4000, 0xa000, 2)],
            &[(0x1000, 0x2000, 2), (0x4000, 0x9000, 2)],
        );
    }

    #[test]
    fn hostile_stripes_are_bounded() {
        let regions = (0..10_000_u64).map(|at| Region {
            protect: Protection(if at % 2 == 0 { 2 } else { 4 }),
            ..Region::bare(AddressRange::new(at, 1).unwrap(), State::Commit, Origin::Captured)
        });
        assert_eq!(runs(regions, AddressRange::new(0, 10_000).unwrap()).len(), MAX_RUNS);
    }
}
