//! The conclusion of `diff` in sentences: only what its numbers say.

use super::Views;
use crate::diff::{Amount, Diff, OwnerRow, Size, Snapshot, What, Who};
use crate::report::DumpView;
use crate::size::{count, human};

/// What grew most, and what it looks like.
pub(super) fn conclusion(views: &Views<'_, '_>, snapshots: &[Snapshot]) -> Vec<String> {
    let diff = views.diff;
    let mut sentences = Vec::new();
    match (diff.difference, diff.incomparable) {
        (false, None) => return vec!["no difference".into()],
        (false, Some(why)) => {
            sentences.push(format!(
                "no difference in images, threads and handles; what grew cannot be told: {why}"
            ));
            return sentences;
        }
        (true, Some(why)) => sentences.push(format!("what grew cannot be told: {why}")),
        (true, None) => sentences.push(headline(views)),
    }
    sentences.extend(counts(diff, snapshots));
    sentences.extend(inside(diff));
    sentences
}

fn headline(views: &Views<'_, '_>) -> String {
    let (diff, total) = (views.diff, &views.diff.total);
    let committed = total.committed();
    let (what, growth, ends): (_, _, fn(&Amount) -> u64) = match (committed, total.size()) {
        (0, 0) => return "as much memory is in use as before, but not the same".into(),
        (0, size) => ("address space in use", size, |amount| amount.size),
        _ => ("committed memory", committed, |amount| amount.committed),
    };
    let end = |amount: Option<&Amount>| human(amount.map_or(0, ends));
    let mut out = format!(
        "{what} {} by {} ({} → {})",
        if growth > 0 { "grew" } else { "shrank" },
        human(magnitude(growth)),
        end(total.0.first()),
        end(total.0.last()),
    );
    if let Some(private) = private(diff).filter(|_| committed != 0) {
        out.push_str(&format!(", {} of it private", human(private)));
    }
    if let Some(axis) = &diff.axis
        && committed > 0
    {
        let slope = total.slope(axis).filter(|slope| *slope > 0.0).map(|slope| slope as u64);
        if let Some(slope) = slope {
            out.push_str(&format!(", {} per {}", human(slope), axis.per.as_str()));
        }
        if total.only_grew() {
            out.push_str(", never less than in the dump before");
        }
    }
    let drivers: Vec<String> = diff.drivers.iter().map(|row| driver(views, row)).collect();
    if !drivers.is_empty() {
        out.push_str(&format!(": {}", drivers.join("; ")));
    }
    out
}

/// Committed private memory that moved the same way as all; `None` when less
/// than a tenth of it did, or all.
fn private(diff: &Diff) -> Option<u64> {
    let (_, series) = diff.types.iter().find(|(name, _)| *name == "private")?;
    let (all, private) = (diff.total.committed(), series.committed());
    let same_way = private.signum() == all.signum() && private != all;
    (same_way && magnitude(private) >= magnitude(all) / 10).then(|| magnitude(private))
}

/// `40 more 1 MiB allocations, Read/Write (+40 MiB)`.
fn driver(views: &Views<'_, '_>, row: &OwnerRow) -> String {
    let title = views.ends.last.owned(row.who.title());
    let growth = match row.series.committed() {
        0 => row.series.size(),
        committed => committed,
    };
    let bytes = signed(growth);
    let more = |noun: &str| {
        let things = row.series.count();
        let number = crate::size::grouped(magnitude(things));
        format!("{number} {} {noun}", if things > 0 { "more" } else { "fewer" })
    };
    match (&row.who, row.series.count()) {
        (_, 0) => format!("{title} ({bytes})"),
        (Who::Allocations { size: Size::Exactly(_), .. }, _) => {
            format!("{} ({bytes})", more(&title))
        }
        (Who::Threads { .. }, things) if row.kind == crate::evidence::RegionKind::Stack => {
            let stacks = if magnitude(things) == 1 { "stack" } else { "stacks" };
            format!("{} of {title} ({bytes})", more(stacks))
        }
        _ => format!("{title} ({bytes})"),
    }
}

/// `threads 2 → 42; handles 17 → 99`.
fn counts(diff: &Diff, snapshots: &[Snapshot]) -> Option<String> {
    let (first, last) = snapshots.first().zip(snapshots.last())?;
    let mut parts = Vec::new();
    if first.threads != last.threads {
        parts.push(format!("threads {} → {}", first.threads, last.threads));
    }
    if let (Some(a), Some(b)) = (first.handles, last.handles)
        && a != b
    {
        parts.push(format!("handles {a} → {b}"));
    }
    let images = &diff.images;
    for (list, word) in [(images.loaded.len(), "loaded"), (images.unloaded.len(), "unloaded")] {
        if list > 0 {
            parts.push(format!("{} {word}", count(list as u64, "image")));
        }
    }
    for (list, word) in [(images.moved.len(), "moved"), (images.rebuilt.len(), "of another build")]
    {
        if list > 0 {
            parts.push(format!("{} {word}", count(list as u64, "image")));
        }
    }
    if let (Some(a), Some(b)) = (first.free, last.free)
        && diff.incomparable.is_none()
    {
        let (a, b) = (human(a.largest), human(b.largest));
        if a != b {
            parts.push(format!("largest free block {a} → {b}"));
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What happened inside allocations that were there before, and what only the
/// labels did.
fn inside(diff: &Diff) -> Vec<String> {
    let tally = |what: What| {
        let place = What::ALL.iter().position(|other| *other == what);
        diff.regions.tallies[place.unwrap_or(0)]
    };
    let mut out = Vec::new();
    let committed = tally(What::Committed);
    if committed.count > 0 {
        out.push(format!(
            "{} of it in memory that was reserved before ({})",
            human(committed.size),
            count(committed.count, "place")
        ));
    }
    let labels = tally(What::Relabelled);
    if labels.count > 0 {
        out.push(format!(
            "{} did not change but is known as something else: the dumps hold other evidence, or \
             it was given to another owner ({})",
            human(labels.size),
            count(labels.count, "place")
        ));
    }
    out
}

/// What to bear in mind of these dumps.
pub(super) fn notes(dumps: &[DumpView<'_>], snapshots: &[Snapshot]) -> Vec<String> {
    let mut notes = Vec::new();
    let pairs = dumps.windows(2).zip(snapshots.windows(2));
    for (names, two) in pairs {
        if let (Some(a), Some(b)) = (two[0].run.written, two[1].run.written)
            && b < a
        {
            notes.push(format!(
                "{} was written {} s before {}: growth is from the first given to the last",
                names[1].file_name(),
                a - b,
                names[0].file_name()
            ));
        }
    }
    for (dump, of) in dumps.iter().zip(snapshots).filter(|(_, of)| of.dropped > 0) {
        notes.push(format!(
            "{} of the region list of {} could not be used: dumpmap streams lists them",
            count(of.dropped, "record"),
            dump.file_name()
        ));
    }
    notes
}

/// `+4 MiB`, `-64 KiB`.
fn signed(bytes: i128) -> String {
    let sign = if bytes < 0 { "-" } else { "+" };
    format!("{sign}{}", human(magnitude(bytes)))
}

fn magnitude(bytes: i128) -> u64 {
    u64::try_from(bytes.unsigned_abs()).unwrap_or(u64::MAX)
}
