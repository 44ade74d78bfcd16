//! The signature of the containers of the NT heap's low-fragmentation heap in
//! captured memory. Few pages have one, and all are read for it: once, also
//! where it is looked for to find the key and then to find the blocks.

use super::position::position;
use crate::addr::AddressRange;
use crate::dump::MemoryReader;

/// `_HEAP_USERDATA_HEADER.Signature`.
pub(super) const SIGNATURE: u32 = 0xf0e0_d0c0;

/// A search through the captured memory of a range.
pub(super) struct Signatures<'k> {
    known: &'k Known,
    /// What is left of the range.
    rest: Option<AddressRange>,
    /// The captured run that was read last.
    run: Option<AddressRange>,
}

impl<'k> Signatures<'k> {
    pub(super) fn of(range: AddressRange, known: &'k Known) -> Signatures<'k> {
        Signatures { known, rest: Some(range), run: None }
    }

    /// The address of the next one, upwards.
    pub(super) fn next(&mut self, memory: &mut MemoryReader<'_, '_>) -> Option<u64> {
        while let Some(rest) = self.rest {
            let (last, hit) = self.known.next(rest).unwrap_or_else(|| self.read(memory, rest));
            let end = last.checked_add(1);
            self.rest = end.and_then(|end| AddressRange::spanning(end, rest.last()));
            if hit.is_some() {
                return hit;
            }
        }
        None
    }

    /// What of the range the search has behind it.
    pub(super) fn passed(&self, range: AddressRange) -> Option<AddressRange> {
        match self.rest {
            Some(rest) => AddressRange::between(range.start(), rest.start()),
            None => Some(range),
        }
    }

    /// Reads on, to the first signature or as far as there are bytes without a
    /// gap: gives the last byte that was passed, and the signature.
    fn read(
        &mut self,
        memory: &mut MemoryReader<'_, '_>,
        rest: AddressRange,
    ) -> (u64, Option<u64>) {
        if self.run.is_none_or(|run| !run.contains(rest.start())) {
            self.run = memory.run_from(rest.start());
        }
        let part = self.run.and_then(|run| run.intersect(rest));
        let at = part.and_then(|part| part.start().checked_next_multiple_of(4));
        let (Some(part), Some(at)) = (part, at) else { return (rest.last(), None) };
        let left = usize::try_from(part.end().saturating_sub(at)).unwrap_or(usize::MAX);
        let bytes = memory.rest(at);
        let words = bytes.get(..left).unwrap_or(bytes).as_chunks::<4>().0;
        let to =
            |words: usize| at.saturating_add(u64::try_from(words).unwrap_or(0).saturating_mul(4));
        let is_signature = |word: &[u8; 4]| u32::from_le_bytes(*word) == SIGNATURE;
        match position::<32, _>(words, is_signature).map(to) {
            Some(hit) => (hit.saturating_add(3), Some(hit)),
            None if words.is_empty() => (part.last(), None),
            None => (to(words.len()).saturating_sub(1), None),
        }
    }
}

/// Ranges that were searched, and the signatures in them.
#[derive(Debug, Default)]
pub(super) struct Known {
    ranges: Vec<AddressRange>,
    hits: Vec<u64>,
}

impl Known {
    /// Signatures kept in all; where there are more, the search is done again.
    pub(super) const HITS: usize = 4_096;

    /// Adds a range, disjoint from those before, with all signatures in it.
    pub(super) fn add(&mut self, range: AddressRange, hits: &[u64]) {
        if self.hits.len().saturating_add(hits.len()) <= Self::HITS {
            self.ranges.push(range);
            self.hits.extend(hits);
        }
    }

    /// In the order that searches want.
    pub(super) fn sorted(mut self) -> Known {
        self.ranges.sort_unstable_by_key(|range| range.start());
        self.hits.sort_unstable();
        self
    }

    /// As [`Signatures::read`], where the bytes at the start of `rest` were
    /// searched.
    fn next(&self, rest: AddressRange) -> Option<(u64, Option<u64>)> {
        let after = self.ranges.partition_point(|range| range.start() <= rest.start());
        let range = self.ranges.get(after.checked_sub(1)?)?;
        let seen = range.intersect(rest).filter(|seen| seen.start() == rest.start())?;
        let after = self.hits.partition_point(|hit| *hit < seen.start());
        let ends = |hit: &u64| hit.saturating_add(3);
        let hit = self.hits.get(after).copied().filter(|hit| ends(hit) <= seen.last());
        Some((hit.as_ref().map_or(seen.last(), ends), hit))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::dump_of;
    use super::*;
    use crate::dump::Dump;
    use crate::limits::Limits;
    use crate::source::Source;

    const START: u64 = 0x10_0000;

    fn search(dump: &Dump<'_>, range: AddressRange, known: &Known) -> Vec<u64> {
        let (mut memory, mut search) = (dump.captured.reader(), Signatures::of(range, known));
        std::iter::from_fn(|| search.next(&mut memory)).collect()
    }

    #[test]
    fn what_is_known_changes_no_answer() {
        let mut bytes = vec![0xc0; 0x2000];
        let expected = [0, 4, 0x7c, 0x80, 0xffc, 0x1000, 0x1ff8];
        // The last two are no words, or not whole.
        for place in expected.into_iter().chain([0x201, 0x1ffe]) {
            let word = SIGNATURE.to_le_bytes();
            let size = word.len().min(bytes.len() - place);
            bytes[place..][..size].copy_from_slice(&word[..size]);
        }
        let gap = (START + 0x8000, SIGNATURE.to_le_bytes().repeat(3)[..11].to_vec());
        let source = Source::from_bytes(dump_of(&[(START, bytes), gap]));
        let dump = Dump::read(&source, &Limits::default()).unwrap();
        let mut expected = expected.map(|place| START + place as u64).to_vec();
        expected.extend([START + 0x8000, START + 0x8004]);

        let whole = AddressRange::new(START - 0x1000, 0x1_0000).unwrap();
        let nothing = Known::default();
        assert_eq!(search(&dump, whole, &nothing), expected);
        for wanted in 0..=expected.len() {
            let (mut memory, mut first) = (dump.captured.reader(), Signatures::of(whole, &nothing));
            let hits: Vec<u64> = (0..wanted).filter_map(|_| first.next(&mut memory)).collect();
            let mut known = Known::default();
            if let Some(passed) = first.passed(whole) {
                known.add(passed, &hits);
            }
            let known = known.sorted();
            assert_eq!(search(&dump, whole, &known), expected);
            for from in [0, 1, 4, 0x80, 0x1003, 0x8002] {
                let part = AddressRange::new(START + from, 0x7f00).unwrap();
                assert_eq!(search(&dump, part, &known), search(&dump, part, &nothing));
            }
        }
    }

    #[test]
    fn what_has_too_many_is_not_kept() {
        let mut known = Known::default();
        let range = AddressRange::new(START, 0x10_0000).unwrap();
        let hits: Vec<u64> = (0..=Known::HITS as u64).map(|at| START + at * 4).collect();
        known.add(range, &hits);
        assert!(known.next(range).is_none());
        known.add(range, &hits[1..]);
        assert_eq!(known.next(range), Some((START + 7, Some(START + 4))));
    }
}
