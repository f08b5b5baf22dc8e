//! Who sleeps and who searches, so that work which appears finds a worker, and few are woken for it.
//!
//! The states, the protocol, and the argument why no wake is lost are in this folder's README.md. The
//! word here is what a push looks at; the list under the lock says who sleeps. Both are written under
//! the lock, but for the searchers, who only count themselves.

use crate::primitives::{AtomicU64, Mutex, Ordering};
use Ordering::{AcqRel, Acquire, Relaxed};

/// How many workers search, and how many are parked, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts(u64);

const SEARCHING: u64 = 1;
const PARKED: u64 = 1 << 32;

impl Counts {
    fn searching(self) -> u32 {
        self.0 as u32
    }

    fn parked(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Idle {
    counts: AtomicU64,
    /// INVARIANT: each worker is in here once at the most, and as many as the word says are parked.
    sleepers: Mutex<Vec<usize>>,
    workers: usize,
    /// How many may stand in for workers.
    rescuers: usize,
}

/// How a worker came to leave the sleepers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Left {
    /// By itself: something of its own has ended the sleep.
    ByItself,
    /// Somebody has taken it out, and has counted it as one that searches.
    Called,
}

impl Idle {
    pub(super) fn new(workers: usize, rescuers: usize) -> Self {
        let sleepers = Mutex::new(Vec::with_capacity(workers + rescuers));
        Self { counts: AtomicU64::new(0), sleepers, workers, rescuers }
    }

    /// Whether somebody should be called for work that has appeared. Asked after a full fence that
    /// comes after the push, a *no* means that somebody who is awake will look for it.
    #[inline]
    pub(super) fn wants_call(&self) -> bool {
        let counts = Counts(self.counts.load(Relaxed));
        counts.parked() > 0 && counts.searching() == 0
    }

    /// Takes out a sleeper, whom the caller unparks; nobody, where one searches or none sleeps.
    ///
    /// The one that slept least is the one whose caches are the warmest.
    pub(super) fn call(&self) -> Option<usize> {
        let mut sleepers = self.sleepers.lock();
        if Counts(self.counts.load(Acquire)).searching() > 0 {
            return None;
        }
        self.take_out(&mut sleepers)
    }

    /// The same, whoever searches: those may be stuck themselves.
    pub(super) fn call_anyhow(&self) -> Option<usize> {
        self.take_out(&mut self.sleepers.lock())
    }

    fn take_out(&self, sleepers: &mut Vec<usize>) -> Option<usize> {
        let worker = sleepers.pop()?;
        self.counts.fetch_add(SEARCHING.wrapping_sub(PARKED), AcqRel);
        self.check(sleepers);
        Some(worker)
    }

    /// Counts the caller as one that searches, unless half of the workers do.
    #[must_use]
    pub(super) fn begin_search(&self) -> bool {
        let searching = Counts(self.counts.load(Relaxed)).searching();
        if 2 * searching as usize >= self.workers {
            return false;
        }
        self.counts.fetch_add(SEARCHING, AcqRel);
        true
    }

    /// The same, however many search, for one that stands in for a worker.
    pub(super) fn begin_search_anyhow(&self) {
        self.counts.fetch_add(SEARCHING, AcqRel);
    }

    /// A searcher has found something; `true` if it was the last one.
    #[must_use]
    pub(super) fn end_search(&self) -> bool {
        Counts(self.counts.fetch_sub(SEARCHING, AcqRel)).searching() == 1
    }

    /// Announces that `worker`, who was `searching` or not, is about to sleep; whether others search,
    /// of whom the last looks again for all. If not, the caller does, after a full fence.
    #[must_use]
    pub(super) fn park(&self, worker: usize, searching: bool) -> bool {
        let mut sleepers = self.sleepers.lock();
        debug_assert!(!sleepers.contains(&worker), "parked twice");
        sleepers.push(worker);
        let searched = if searching { SEARCHING } else { 0 };
        let before = Counts(self.counts.fetch_add(PARKED.wrapping_sub(searched), AcqRel));
        self.check(&sleepers);
        before.searching() > u32::from(searching)
    }

    /// The sleep of `worker` is over.
    pub(super) fn unpark(&self, worker: usize) -> Left {
        let mut sleepers = self.sleepers.lock();
        // The last that came is the likeliest to go.
        match sleepers.iter().rposition(|sleeper| *sleeper == worker) {
            Some(at) => {
                sleepers.remove(at);
                self.counts.fetch_sub(PARKED, AcqRel);
                self.check(&sleepers);
                Left::ByItself
            }
            None => Left::Called,
        }
    }

    /// Whether all workers are parked, if nobody stands in for one. Asked after a full fence, a *yes* means
    /// that whoever leaves the sleepers from now on sees what was stored before that fence.
    pub(super) fn are_all_parked(&self) -> bool {
        Counts(self.counts.load(Acquire)).parked() as usize == self.workers
    }

    /// How many are parked.
    #[cfg(all(test, not(loom)))]
    fn parked(&self) -> usize {
        Counts(self.counts.load(Relaxed)).parked() as usize
    }

    /// Whether nobody is counted or listed, as in the end.
    #[cfg(all(test, loom))]
    pub(super) fn is_clear(&self) -> bool {
        self.sleepers.lock().is_empty() && self.counts.load(Acquire) == 0
    }

    fn check(&self, sleepers: &[usize]) {
        let counts = Counts(self.counts.load(Relaxed));
        debug_assert_eq!(counts.parked() as usize, sleepers.len());
        debug_assert!(counts.searching() as usize + sleepers.len() <= self.workers + self.rescuers);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn at_most_half_search() {
        let idle = Idle::new(3, 0);
        assert!(idle.begin_search() && idle.begin_search());
        assert!(!idle.begin_search());
        assert!(!idle.end_search());
        assert!(idle.end_search());
        assert!(Idle::new(1, 0).begin_search(), "one may look into the injector");
    }

    #[test]
    fn nobody_is_called_while_one_searches() {
        let idle = Idle::new(4, 0);
        assert!(!idle.park(2, false));
        assert!(idle.wants_call());
        assert_eq!(idle.call(), Some(2));
        assert_eq!(idle.unpark(2), Left::Called);
        assert!(!idle.park(1, false) || !idle.wants_call());
        assert_eq!(
            (idle.wants_call(), idle.call()),
            (false, None),
            "the one that was called searches"
        );
        assert!(idle.end_search());
        assert_eq!(idle.call(), Some(1));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Search(usize),
        Find(usize),
        Park(usize),
        Unpark(usize),
        Call,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let worker = 0_usize..5;
        let step = prop_oneof![
            worker.clone().prop_map(Step::Search),
            worker.clone().prop_map(Step::Find),
            worker.clone().prop_map(Step::Park),
            worker.prop_map(Step::Unpark),
            Just(Step::Call),
        ];
        prop::collection::vec(step, 0..100)
    }

    proptest! {
        /// Against sets: of those who search, sleep, and were called but have not noticed.
        #[test]
        fn as_the_sets_say(steps in steps()) {
            let idle = Idle::new(5, 0);
            let (mut searching, mut parked, mut called) =
                (BTreeSet::new(), Vec::new(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Search(w) if !searching.contains(&w) && !parked.contains(&w) && !called.contains(&w) => {
                        let may = 2 * (searching.len() + called.len()) < 5;
                        prop_assert_eq!(idle.begin_search(), may);
                        if may {
                            searching.insert(w);
                        }
                    }
                    Step::Find(w) if searching.remove(&w) => {
                        prop_assert_eq!(idle.end_search(), searching.is_empty() && called.is_empty());
                    }
                    Step::Park(w) if !parked.contains(&w) && !called.contains(&w) => {
                        let searched = searching.remove(&w);
                        let others = !searching.is_empty() || !called.is_empty();
                        prop_assert_eq!(idle.park(w, searched), others);
                        parked.push(w);
                    }
                    Step::Unpark(w) if called.remove(&w) => {
                        prop_assert_eq!(idle.unpark(w), Left::Called);
                        searching.insert(w);
                    }
                    Step::Unpark(w) if parked.contains(&w) => {
                        prop_assert_eq!(idle.unpark(w), Left::ByItself);
                        parked.retain(|sleeper| *sleeper != w);
                    }
                    Step::Call => {
                        let expected = match searching.is_empty() && called.is_empty() {
                            true => parked.pop(),
                            false => None,
                        };
                        prop_assert_eq!(idle.call(), expected);
                        called.extend(expected);
                    }
                    _ => {}
                }
                prop_assert_eq!(idle.parked(), parked.len());
            }
        }
    }
}
