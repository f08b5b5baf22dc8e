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
use crate::task::Runnable;
use crate::util::{Choices, WakeList};
use std::collections::VecDeque;

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
    /// Who was picked and not taken yet.
    picked: Option<Picked>,
    /// How many of the queued tasks came before the root, which was found woken.
    before_root: Option<usize>,
    endless: Option<Endless>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Picked {
    Root,
    /// The task at this place of the queue.
    Task(usize),
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
        Self { choices, picks: 0, picked: None, before_root: None, endless }
    }

    /// Picks the next to run of the queued tasks and of the root, if that is woken; `true` if it is
    /// the root. A pick stands until [`take`](Self::take) or [`take_root`](Self::take_root).
    ///
    /// # Panics
    ///
    /// If there is a limit of polls at one moment, and this would be one too many.
    pub(super) fn picks_root(&mut self, woken: bool, tasks: usize, now: Instant) -> bool {
        match self.picked {
            Some(Picked::Task(_)) => return false,
            Some(Picked::Root) if woken => return true,
            // Left by a `block_on` that unwound.
            Some(Picked::Root) | None => self.picked = None,
        }
        // The root stands between the tasks that came before it and those that came after.
        let root = woken.then(|| (*self.before_root.get_or_insert(tasks)).min(tasks));
        let ready = tasks + usize::from(root.is_some());
        if ready == 0 {
            return false;
        }
        self.count(now);
        self.picks = (self.picks + 1) % OLDEST;
        let at = if self.picks == 0 { 0 } else { self.choices.below(ready.min(WINDOW)) };
        let picked = match root {
            Some(root) if at == root => Picked::Root,
            Some(root) if at > root => Picked::Task(at - 1),
            _ => Picked::Task(at),
        };
        self.picked = Some(picked);
        picked == Picked::Root
    }

    /// The root, which was picked, runs.
    pub(super) fn take_root(&mut self) {
        (self.picked, self.before_root) = (None, None);
    }

    /// Takes the task out that was picked.
    pub(super) fn take(&mut self, queue: &mut VecDeque<Runnable>) -> Option<Runnable> {
        let Some(Picked::Task(at)) = self.picked else { return None };
        self.picked = None;
        if let Some(before) = &mut self.before_root
            && at < *before
        {
            *before -= 1;
        }
        // In order, so that the first stays the oldest.
        queue.remove(at)
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
    use std::collections::BTreeSet;

    /// Stands in for `take`, whose queue has no tasks here.
    fn taken(seeded: &mut Seeded) -> usize {
        let Some(Picked::Task(at)) = seeded.picked else { panic!("no task was picked") };
        assert!(seeded.take(&mut VecDeque::new()).is_none());
        at
    }

    #[test]
    fn all_that_are_ready_take_part() {
        let mut seeded = Seeded::new(Choices::drawn(7), None);
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            seen.insert(match seeded.picks_root(true, 3, Instant::NEVER) {
                true => {
                    assert!(seeded.picks_root(true, 3, Instant::NEVER), "the pick stands");
                    seeded.take_root();
                    None
                }
                false => Some(taken(&mut seeded)),
            });
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [None, Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn with_nothing_ready_nothing_is_picked() {
        let mut seeded = Seeded::new(Choices::drawn(7), None);
        assert!(!seeded.picks_root(false, 0, Instant::NEVER));
        assert_eq!(seeded.picked, None);
    }

    #[test]
    #[should_panic(expected = "3 polls at one moment")]
    fn polls_without_end_are_noticed() {
        let mut seeded = Seeded::new(Choices::drawn(0), Some(3));
        while seeded.picks_root(true, 0, Instant::NEVER) {
            seeded.take_root();
        }
    }

    proptest! {
        /// A queue of numbers, to which one is added for each that is taken.
        #[test]
        fn each_runs_within_its_bound(seed: u64, length in 1_usize..400, root: bool) {
            let mut seeded = Seeded::new(Choices::drawn(seed), None);
            // (picks so far when it was queued, how many stood before it)
            let mut queue: VecDeque<(usize, usize)> = (0..length).map(|n| (0, n)).collect();
            let mut root_since = (0, length);
            for pick in 1..10_000 {
                let (since, before) = if seeded.picks_root(root, queue.len(), Instant::NEVER) {
                    seeded.take_root();
                    std::mem::replace(&mut root_since, (pick, queue.len()))
                } else {
                    let at = taken(&mut seeded);
                    let taken = queue.remove(at).unwrap();
                    queue.push_back((pick, queue.len() + usize::from(root)));
                    taken
                };
                prop_assert!(pick - since <= OLDEST as usize * (before + 1));
            }
        }
    }
}
