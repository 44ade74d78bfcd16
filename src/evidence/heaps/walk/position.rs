//! Looks for what few items are.

/// The place of the first item that `is` holds for. Chunks without one are
/// passed as a whole: a test without branches is then done for several at once.
pub(super) fn position<const CHUNK: usize, T>(
    items: &[T],
    is: impl Fn(&T) -> bool,
) -> Option<usize> {
    let none = |chunk: &&[T; CHUNK]| !chunk.iter().fold(false, |any, item| any | is(item));
    let chunks = items.as_chunks::<CHUNK>().0;
    let before = chunks.iter().take_while(none).count().saturating_mul(CHUNK);
    let place = items.get(before..)?.iter().position(is)?;
    Some(before.saturating_add(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_wherever_it_is() {
        for size in 0..40 {
            let none = vec![1; size];
            assert_eq!(position::<8, _>(&none, |item| *item == 2), None);
            for place in 0..size {
                let mut items = none.clone();
                items[place..].fill(2);
                assert_eq!(position::<8, _>(&items, |item| *item == 2), Some(place));
            }
        }
    }
}
