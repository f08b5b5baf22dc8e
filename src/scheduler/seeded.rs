//! The order of a deterministic runtime: whatever could go either way is drawn from a seed.
//!
//! Each pick is one among those that are ready, the root included, each with the same chance; of more
//! than [`WINDOW`] it is one of those that wait longest, so that a pick does not cost the more the
//! longer the queue is. Every [`OLDEST`]th pick is the one that waits longest of all. So a task which has
//! `n` others before it runs within `OLDEST × (n + 1)` picks, whatever the seed.
//!
//! Where each choice is 0, who waits longest runs first, and nothing is shuffled: what differs from 0
//! is what is unusual about an order.

use crate::driver::Instant;
use crate::util::{Choices, WakeList};

/// Every so many picks the oldest is taken.
const OLDEST: u32 = 16;

/// A pick is among so many.
const WINDOW: usize = 256;

/// Between two looks at the kernel there are at most as many polls.
const MOST_POLLS: usize = 64;

/// What decides instead of the queue.
#[derive(Debug)]
pub(crate) struct Seeded {
    choices: Choices,
    picks: u32,
    endless: Option<Endless>,
}

/// Counts polls between which time stands still.
#[derive(Debug)]
struct Endless {
    limit: u64,
    polls: u64,
    since: Option<Instant>,
}

impl Seeded {
    /// Panics in the loop after `limit` polls at one moment, if there is a limit.
    pub(crate) fn new(choices: Choices, limit: Option<u64>) -> Self {
        let endless = limit.map(|limit| Endless { limit, polls: 0, since: None });
        Self { choices, picks: 0, endless }
    }

    /// Picks one of `ready`, of which the first waits longest.
    ///
    /// # Panics
    ///
    /// If there is a limit of polls at one moment, and this would be one too many.
    pub(super) fn pick(&mut self, ready: usize, now: Instant) -> Option<usize> {
        if ready == 0 {
            return None;
        }
        self.count(now);
        self.picks = (self.picks + 1) % OLDEST;
        Some(if self.picks == 0 { 0 } else { self.choices.below(ready.min(WINDOW)) })
    }

    fn count(&mut self, now: Instant) {
        let Some(endless) = &mut self.endless else { return };
        if endless.since != Some(now) {
            (endless.since, endless.polls) = (Some(now), 0);
        }
        endless.polls += 1;
        assert!(
            endless.polls <= endless.limit,
            "{} polls at one moment, and time goes on only when nothing can run: livelock",
            endless.limit
        );
    }

    /// How many polls may come before the next look at the kernel.
    pub(super) fn polls_until_look(&mut self) -> u32 {
        u32::try_from(1 + self.choices.below(MOST_POLLS)).unwrap_or(1)
    }

    pub(super) fn shuffle(&mut self, wakes: &mut WakeList) {
        wakes.shuffle(&mut self.choices);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, VecDeque};

    #[test]
    fn all_that_are_ready_take_part() {
        let mut seeded = Seeded::new(Choices::drawn(7), None);
        let seen: BTreeSet<_> = (0..200).map(|_| seeded.pick(4, Instant::NEVER)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn with_nothing_ready_nothing_is_picked() {
        let mut seeded = Seeded::new(Choices::drawn(7), None);
        assert_eq!(seeded.pick(0, Instant::NEVER), None);
    }

    #[test]
    #[should_panic(expected = "3 polls at one moment")]
    fn polls_without_end_are_noticed() {
        let mut seeded = Seeded::new(Choices::drawn(0), Some(3));
        while seeded.pick(1, Instant::NEVER).is_some() {}
    }

    proptest! {
        /// A queue of numbers, to which one is added for each that is taken.
        #[test]
        fn each_runs_within_its_bound(seed: u64, length in 1_usize..400) {
            let mut seeded = Seeded::new(Choices::drawn(seed), None);
            // (picks so far when it was queued, how many stood before it)
            let mut queue: VecDeque<(usize, usize)> = (0..length).map(|n| (0, n)).collect();
            for pick in 1..10_000 {
                let at = seeded.pick(queue.len(), Instant::NEVER).unwrap();
                let (since, before) = queue.remove(at).unwrap();
                queue.push_back((pick, queue.len()));
                prop_assert!(pick - since <= OLDEST as usize * (before + 1));
            }
        }
    }
}
