//! What a worker counts: words that it alone writes, and anybody may read.

use crate::hooks::WorkerMetrics;
use crate::primitives::{AtomicU64, Ordering::Relaxed};
use crate::task::Present;
use std::time::Duration;

/// The counters of one worker, in cache lines of their own: 128 bytes, as processors fetch two at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Beside the counters, as it is written by the same thread, at the same times.
    pub(crate) present: Present,
    pub(crate) polls: Counter,
    pub(crate) steals: Counter,
    pub(crate) parks: Counter,
    /// In nanoseconds.
    pub(crate) busy: Counter,
    pub(crate) lifo_hits: Counter,
}

/// INVARIANT: written by one thread at a time, the worker's, so that a load and a store do.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Counter {
    /// On the worker's thread.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counters {
    /// For a worker in whose queue so many tasks are.
    pub(crate) fn read(&self, queued: usize) -> WorkerMetrics {
        WorkerMetrics {
            polls: self.polls.get(),
            steals: self.steals.get(),
            parks: self.parks.get(),
            busy: Duration::from_nanos(self.busy.get()),
            lifo_hits: self.lifo_hits.get(),
            queued,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counters_of_two_workers_share_no_line() {
        assert_eq!((align_of::<Counters>(), size_of::<Counters>() % 128), (128, 0));
    }

    #[test]
    fn what_is_counted_is_read() {
        let counters = Counters::default();
        counters.polls.add(3);
        counters.polls.add(4);
        counters.steals.add(1);
        counters.parks.add(2);
        counters.busy.add(1_500_000_000);
        counters.lifo_hits.add(5);
        let read = counters.read(6);
        assert_eq!((read.polls, read.steals, read.parks), (7, 1, 2));
        assert_eq!((read.busy, read.lifo_hits, read.queued), (Duration::from_millis(1500), 5, 6));
    }
}
