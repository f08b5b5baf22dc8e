//! Choices that could go either way, made by a seed or by a list.

use super::Rng;
use crate::primitives::Mutex;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

/// Where choices come from.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    source: Source,
    /// Where they are written down, if somebody wants to know them.
    made: Option<Made>,
    /// When no more are made, if there is such a moment.
    until: Option<Instant>,
}

/// What a run is broken off with that would still have choices made when its time is over.
pub(crate) struct OutOfTime;

/// Choices that were made, in their order.
pub(crate) type Made = Arc<Mutex<Vec<u32>>>;

/// How many choices are written down at most; a run that makes more cannot be repeated from them.
pub(crate) const MOST_MADE: usize = 100_000;

#[derive(Clone, Debug)]
enum Source {
    Seed(Rng),
    /// One after the other; then always 0.
    List(std::vec::IntoIter<u32>),
}

impl Choices {
    /// Choices drawn from `seed`.
    pub(crate) fn drawn(seed: u64) -> Self {
        Self { source: Source::Seed(Rng::new(seed)), made: None, until: None }
    }

    /// Those of `list`, one after the other, and then always the first there is.
    pub(crate) fn listed(list: Vec<u32>) -> Self {
        Self { source: Source::List(list.into_iter()), made: None, until: None }
    }

    /// The same, written down in `made` up to [`MOST_MADE`].
    pub(crate) fn written_to(self, made: Made) -> Self {
        Self { made: Some(made), ..self }
    }

    /// The same, until that moment. Then it unwinds, once, with [`OutOfTime`].
    pub(crate) fn until(self, moment: Instant) -> Self {
        Self { until: Some(moment), ..self }
    }

    /// One of the numbers below `bound`; 0, which is the ordinary, if that is 0.
    #[inline]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if self.until.is_some_and(|moment| Instant::now() > moment) {
            self.until = None;
            // Not a panic, of which the hook would tell.
            resume_unwind(Box::new(OutOfTime));
        }
        let chosen = match &mut self.source {
            Source::Seed(rng) => rng.below(bound),
            Source::List(list) => (list.next().unwrap_or(0) as usize).min(bound.saturating_sub(1)),
        };
        if let Some(made) = &self.made {
            let mut made = made.lock();
            if made.len() < MOST_MADE {
                // Nothing is chosen from four thousand million.
                made.push(u32::try_from(chosen).unwrap_or(u32::MAX));
            }
        }
        chosen
    }

    /// Puts the items into an order that is chosen: drawn, each has the same chance (Fisher and
    /// Yates; Durstenfeld, algorithm 235, 1964); by zeros they stay as they are.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, end - self.below(end + 1));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_order_comes_about_equally_often() {
        let mut choices = Choices::drawn(1);
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            choices.shuffle(&mut items);
            *seen.entry(items).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 24);
        // Six standard deviations of a count with the mean 1,000.
        assert!(seen.values().all(|&count| (810..1190).contains(&count)), "{seen:?}");
    }

    #[test]
    fn an_empty_list_leaves_all_as_it_is() {
        let mut choices = Choices::listed(Vec::new());
        let mut items = [3, 1, 2];
        choices.shuffle(&mut items);
        assert_eq!(items, [3, 1, 2]);
        assert_eq!(choices.below(5), 0);
    }

    #[test]
    fn a_list_is_held_to_what_there_is() {
        let mut choices = Choices::listed(vec![7, 7]);
        assert_eq!([choices.below(3), choices.below(0), choices.below(9)], [2, 0, 0]);
    }

    #[test]
    fn time_that_is_over_ends_it_once() {
        let mut choices = Choices::listed(vec![1, 2]).until(Instant::now());
        std::thread::sleep(std::time::Duration::from_millis(1));
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| choices.below(9)));
        assert!(payload.unwrap_err().is::<OutOfTime>());
        assert_eq!(choices.below(9), 1);
    }

    proptest! {
        #[test]
        fn what_was_written_down_makes_the_same_choices(
            seed: u64,
            bounds in prop::collection::vec(1_usize..100, 0..50),
        ) {
            let made = Made::default();
            let mut drawn = Choices::drawn(seed).written_to(Arc::clone(&made));
            let chosen: Vec<_> = bounds.iter().map(|&bound| drawn.below(bound)).collect();
            let mut listed = Choices::listed(made.lock().clone());
            prop_assert_eq!(chosen, bounds.iter().map(|&b| listed.below(b)).collect::<Vec<_>>());
        }

        #[test]
        fn shuffling_keeps_the_items(seed: u64, mut items in prop::collection::vec(0..9_u8, 0..50)) {
            let mut shuffled = items.clone();
            Choices::drawn(seed).shuffle(&mut shuffled);
            shuffled.sort_unstable();
            items.sort_unstable();
            prop_assert_eq!(shuffled, items);
        }
    }
}
