//! How long to wait before the next try.

use crate::context;
use crate::util::Rng;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How often something is tried, and how long the waits between are.
///
/// By default it is tried 5 times in all, no wait is longer than 60 s, and the waits are exact. An
/// exponential wait doubles each time.
///
/// It is also a sequence of the delays: [`IntoIterator`], one delay less than there are tries.
///
/// # Examples
///
/// ```
/// use mainspring::group::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1)).max_delay(Duration::from_secs(5));
/// let delays: Vec<_> = backoff.into_iter().map(|delay| delay.as_secs()).collect();
/// assert_eq!(delays, [1, 2, 4, 5]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a backoff does nothing by itself: give it to retry()"]
pub struct Backoff {
    base: Duration,
    factor: u32,
    max_delay: Duration,
    max_tries: Option<u32>,
    jitter: bool,
}

impl Backoff {
    /// The same wait each time.
    pub fn constant(delay: Duration) -> Self {
        let max_delay = Duration::from_secs(60);
        Self { base: delay, factor: 1, max_delay, max_tries: Some(5), jitter: false }
    }

    /// Waits that grow: `base`, then each time [`factor`](Self::factor) times as long.
    pub fn exponential(base: Duration) -> Self {
        Self { factor: 2, ..Self::constant(base) }
    }

    /// How many times as long as the one before each wait is; by default 2 for
    /// [`exponential`](Self::exponential) waits, and 1 for others. With 0, all waits but the first are
    /// none.
    pub fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// Draws each wait evenly from between nothing and what it would be, so that many who failed
    /// together do not come back together.
    ///
    /// This is the "full jitter" of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture
    /// Blog, 2015, which has clients do the least work in his comparison. It is drawn when the wait
    /// begins, from the source of chance of the runtime that runs, hence the same each time in a
    /// [deterministic](crate::LocalBuilder::deterministic) one; where none runs, from one that std
    /// has seeded.
    pub fn jitter(mut self) -> Self {
        self.jitter = true;
        self
    }

    /// How often it is tried in all, the first time included; by default 5. `None` is for ever, and 0
    /// is as 1.
    pub fn max_tries(mut self, tries: impl Into<Option<u32>>) -> Self {
        self.max_tries = tries.into();
        self
    }

    /// The longest wait; by default 60 s.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }
}

impl IntoIterator for Backoff {
    type Item = Duration;
    type IntoIter = Delays;

    fn into_iter(self) -> Delays {
        let left = self.max_tries.map(|tries| tries.saturating_sub(1));
        Delays { next: self.base, left, backoff: self, own: None }
    }
}

/// The delays of a [`Backoff`], one after the other.
#[derive(Clone, Debug)]
pub struct Delays {
    backoff: Backoff,
    next: Duration,
    /// How many there are still; `None` for no end.
    left: Option<u32>,
    /// Used where no runtime runs.
    own: Option<Rng>,
}

impl Delays {
    fn random(&mut self) -> u64 {
        match context::current() {
            Ok(current) => current.driver.random(),
            Err(_) => {
                let own = self.own.get_or_insert_with(|| Rng::new(RandomState::new().hash_one(0)));
                own.next_u64()
            }
        }
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        let delay = self.next.min(self.backoff.max_delay);
        self.next = self.next.saturating_mul(self.backoff.factor);
        if !self.backoff.jitter {
            return Some(delay);
        }
        Some(part(delay, self.random()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.left {
            Some(left) => (left as usize, Some(left as usize)),
            None => (usize::MAX, None),
        }
    }
}

/// The part of `whole` that `random` stands for: nothing for 0, nearly all for the greatest.
fn part(whole: Duration, random: u64) -> Duration {
    let scale = |amount: u64, of: u64| ((u128::from(amount) * u128::from(of)) >> 64) as u64;
    // What is beyond 584 years is cut off.
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(scale(random, nanos.saturating_add(1)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn seconds(backoff: Backoff) -> Vec<u64> {
        backoff.into_iter().take(8).map(|delay| delay.as_secs()).collect()
    }

    #[test]
    fn the_defaults() {
        assert_eq!(seconds(Backoff::constant(7 * S)), [7; 4]);
        assert_eq!(seconds(Backoff::exponential(20 * S)), [20, 40, 60, 60]);
    }

    #[test]
    fn the_tries_are_counted_with_the_first() {
        for (tries, delays) in [(0, 0), (1, 0), (2, 1), (6, 5)] {
            assert_eq!(seconds(Backoff::constant(S).max_tries(tries)).len(), delays);
        }
        let forever = Backoff::constant(S).max_tries(None).into_iter();
        assert_eq!(forever.size_hint(), (usize::MAX, None));
        assert_eq!(forever.take(100_000).count(), 100_000);
    }

    #[test]
    fn delays_do_not_overflow() {
        let backoff = Backoff::exponential(Duration::MAX / 2).factor(u32::MAX).max_tries(None);
        assert_eq!(seconds(backoff.clone().max_delay(Duration::MAX))[1..], [u64::MAX; 7]);
        assert_eq!(seconds(backoff), [60; 8]);
        assert_eq!(seconds(Backoff::exponential(S).factor(3)), [1, 3, 9, 27]);
        assert_eq!(seconds(Backoff::exponential(S).factor(0)), [1, 0, 0, 0]);
    }

    #[test]
    fn jitter_is_between_nothing_and_all() {
        assert_eq!(part(S, 0), Duration::ZERO);
        assert_eq!(part(S, u64::MAX), S);
        assert_eq!(part(S, 1 << 63), S / 2);
        assert_eq!(part(Duration::ZERO, u64::MAX), Duration::ZERO);
        assert!(part(Duration::MAX, u64::MAX) >= Duration::from_secs(584 * 365 * 24 * 3600));
        let drawn: Vec<_> = Backoff::constant(S).jitter().max_tries(101).into_iter().collect();
        assert!(drawn.iter().all(|delay| *delay <= S));
        assert!(drawn.iter().any(|delay| *delay < S / 4), "{drawn:?}");
        assert!(drawn.iter().any(|delay| *delay > S * 3 / 4), "{drawn:?}");
        assert!(drawn.windows(2).any(|two| two[0] != two[1]));
    }
}
