//! How much of what is queued a worker keeps to itself, and calls nobody for.
//!
//! To call another worker costs more than a short poll: a system call here, a thread that wakes 5 to 30 µs
//! later there, with cold caches, and from then on two threads that take turns at the same lines of
//! memory. So what the worker will have come to within [`INTERVAL`] it runs itself. How many tasks that
//! is, the time says that polls have taken lately, a mean in which the last measurement weighs an eighth:
//! whose tasks compute for long, or some of them, shares as soon as there are two, and one that was
//! interrupted by the system does not lose all that it knows.
//!
//! The mean can be wrong about what comes. Then the others wait for one long poll, as they would behind
//! a poll that never returns: seeing that is not for who is in the middle of it.

use std::time::Duration;

/// What is queued may wait so long for its turn while another worker sleeps.
const INTERVAL: Duration = Duration::from_micros(250);

/// However short polls are, so many tasks are enough to call somebody.
const MOST: u64 = 256;

/// A poll counts as no longer than that, in nanoseconds.
const LONGEST: u64 = 1_000_000;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Keeps {
    /// How long a poll takes, in nanoseconds.
    poll: u64,
    tasks: u64,
}

impl Keeps {
    /// Nothing is known: one task.
    pub(super) fn new() -> Self {
        Self { poll: INTERVAL.as_nanos() as u64, tasks: 1 }
    }

    /// The worker has made so many polls, and they took so long, with what came between.
    pub(super) fn measure(&mut self, polls: u64, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        // However long one was, it is forgotten after a few dozen measurements.
        self.poll = (7 * self.poll + (took / polls.max(1)).min(LONGEST)) / 8;
        self.tasks = (INTERVAL.as_nanos() as u64 / self.poll.max(1)).clamp(1, MOST);
    }

    /// How many queued tasks the worker keeps to itself.
    pub(super) fn tasks(&self) -> usize {
        self.tasks as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn keeps_after(measures: &[(u64, Duration)]) -> usize {
        let mut keeps = Keeps::new();
        measures.iter().for_each(|(polls, took)| keeps.measure(*polls, *took));
        keeps.tasks()
    }

    const SHORT: (u64, Duration) = (10, Duration::from_micros(30));
    const LONG: (u64, Duration) = (1, Duration::from_millis(10));

    #[test]
    fn nothing_is_kept_before_anything_is_known() {
        assert_eq!(Keeps::new().tasks(), 1);
    }

    #[test]
    fn short_polls_are_kept_as_far_as_they_fit() {
        let kept: Vec<_> = [1, 8, 16, 24, 32, 100].map(|n| keeps_after(&vec![SHORT; n])).into();
        assert!(kept.is_sorted() && kept[0] == 1, "{kept:?}");
        assert_eq!(kept[5], 83, "250 µs of 3 µs each");
        assert_eq!(keeps_after(&[(1_000_000, Duration::from_millis(1)); 100]), 256, "and no more");
    }

    #[test]
    fn long_polls_are_shared() {
        assert_eq!(keeps_after(&[LONG; 3]), 1);
        let mut measures = vec![SHORT; 100];
        measures.push(LONG);
        let after_one = keeps_after(&measures);
        assert!(after_one < 4, "one long poll counts as one of a millisecond: {after_one}");
        measures.extend([SHORT; 8]);
        assert!(keeps_after(&measures) < 10, "and is not soon forgotten");
        measures.extend([SHORT; 100]);
        assert_eq!(keeps_after(&measures), 83);
    }

    #[test]
    fn no_number_is_too_large_or_too_small() {
        let ends = [(u64::MAX, Duration::ZERO), (1, Duration::MAX), (u64::MAX, Duration::MAX)];
        for measure in ends {
            assert!((1..=256).contains(&keeps_after(&[measure; 50])));
        }
    }
}
