//! Time that stands still while anything can run, and jumps when nothing can.

use super::clock::Instant;
use crate::primitives::{AtomicU64, Mutex, Ordering};
use crate::util::WakeList;
use std::task::Waker;
use std::time::Duration;

/// Where virtual clocks begin, in nanoseconds: a year, so that moments before the start exist.
const START: u64 = 365 * 24 * 3600 * 1_000_000_000;

/// A clock that is moved by the driver it belongs to, see `Driver::turn`.
///
/// It moves from one deadline to the next: of the timers, and of those who [advance](Self::advance)
/// it. Only the thread that turns the driver moves it; anybody may read it.
#[derive(Debug)]
pub(crate) struct VirtualTime {
    now: AtomicU64,
    rules: Mutex<Rules>,
    /// How long, in real time, a thread that nothing inside can wake waits for the outside.
    patience: Option<Duration>,
}

#[derive(Debug, Default)]
struct Rules {
    /// It does not move by itself.
    paused: bool,
    advances: Vec<Waiting>,
    last_number: u64,
}

/// Somebody who moves time by hand, until `target`.
#[derive(Debug)]
struct Waiting {
    number: u64,
    target: Instant,
    waker: Waker,
}

/// The number of an advance that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance(u64);

impl VirtualTime {
    /// A clock at its start, which runs. With `patience`, a sleep that only the outside can end is
    /// given up after it.
    pub(crate) fn new(patience: Option<Duration>) -> Self {
        Self { now: AtomicU64::new(START), rules: Mutex::new(Rules::default()), patience }
    }

    #[inline]
    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.now.load(Ordering::Acquire))
    }

    /// The time since the clock's start.
    pub(crate) fn since_start(&self) -> Duration {
        self.now() - Instant::from_nanos(START)
    }

    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.rules.lock().paused
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.rules.lock().paused = paused;
    }

    /// Lets time run to `target` as fast as everything else has run; wakes `waker` there.
    ///
    /// The advance is begun by the first call, and later ones tell of a new waker. `false` if it is
    /// over.
    #[must_use]
    pub(crate) fn advance(&self, at: &mut Option<Advance>, target: Instant, waker: &Waker) -> bool {
        if self.now() >= target {
            *at = None;
            return false;
        }
        let mut waker = waker.clone();
        let mut rules = self.rules.lock();
        let begun = at.and_then(|Advance(number)| {
            rules.advances.iter_mut().find(|waiting| waiting.number == number)
        });
        if let Some(waiting) = begun {
            std::mem::swap(&mut waiting.waker, &mut waker);
            // Not under the lock: it is somebody else's.
            drop(rules);
            drop(waker);
        } else {
            rules.last_number += 1;
            let number = rules.last_number;
            rules.advances.push(Waiting { number, target, waker });
            *at = Some(Advance(number));
        }
        true
    }

    /// Ends an advance that is not awaited any more.
    pub(crate) fn cancel(&self, Advance(number): Advance) {
        let mut rules = self.rules.lock();
        let at = rules.advances.iter().position(|waiting| waiting.number == number);
        let gone = at.map(|at| rules.advances.remove(at));
        drop(rules);
        drop(gone);
    }

    /// Where time goes next, if the next timer is due at `timer`; `None` if it has to stand. A timer
    /// that is due already, having been moved there, is met without any time.
    pub(super) fn next(&self, timer: Option<Instant>) -> Option<Instant> {
        let rules = self.rules.lock();
        let by_hand = rules.advances.iter().map(|waiting| waiting.target).min();
        match timer {
            Some(at) if at <= self.now() => Some(at),
            _ if rules.paused => by_hand.map(|target| timer.map_or(target, |at| at.min(target))),
            Some(Instant::NEVER) => by_hand,
            _ => timer.into_iter().chain(by_hand).min(),
        }
    }

    /// Moves to a later moment, and the wakers of those who wanted to get there to `wakes`.
    pub(super) fn jump(&self, to: Instant, wakes: &mut WakeList) -> usize {
        let to = to.max(self.now());
        self.now.store(to.as_nanos(), Ordering::Release);
        let mut rules = self.rules.lock();
        let (there, on_the_way): (Vec<_>, Vec<_>) =
            std::mem::take(&mut rules.advances).into_iter().partition(|w| w.target <= to);
        rules.advances = on_the_way;
        drop(rules);
        let count = there.len();
        there.into_iter().for_each(|waiting| wakes.push(waiting.waker));
        count
    }
}
