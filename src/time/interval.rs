//! Moments that come again and again.

use super::sleep::{Sleep, sleep_until};
use crate::driver::Instant;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Ticks every `period`; the first tick is at once.
///
/// # Panics
///
/// If `period` is zero. Outside `block_on` and tasks, like [`sleep`](super::sleep).
///
/// # Examples
///
/// ```
/// use mainspring::time::{Instant, interval};
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// let start = Instant::now();
/// let mut ticks = interval(Duration::from_millis(2));
/// for _ in 0..3 {
///     ticks.tick().await;
/// }
/// assert!(start.elapsed() >= Duration::from_millis(4));
/// # });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Interval::new(Sleep::starting_now(), period)
}

/// Ticks every `period`; the first tick is at `start`.
///
/// If that has passed, ticks were missed: see [`MissedTick`].
///
/// # Panics
///
/// If `period` is zero. Outside `block_on` and tasks, like [`sleep_until`].
///
/// # Examples
///
/// ```
/// use mainspring::time::{Instant, interval_at};
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// let period = Duration::from_millis(2);
/// let start = Instant::now() + period;
/// let mut ticks = interval_at(start, period);
/// assert_eq!(ticks.tick().await, start);
/// assert_eq!(ticks.tick().await, start + period);
/// # });
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(sleep_until(start), period)
}

/// What an [`Interval`] does when it is asked for a tick a whole period or more after its moment.
///
/// Ticks that are asked for less late than that change nothing: the next one keeps the rhythm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTick {
    /// Gives what was missed at once, one after the other, until the rhythm is caught up with.
    #[default]
    Burst,
    /// Starts a new rhythm: the next tick is a period after the late one.
    Delay,
    /// Leaves out what was missed, and goes on in the old rhythm.
    Skip,
}

impl MissedTick {
    /// The moment after `due`, which was noticed at `now`.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let next = due + period;
        match self {
            _ if now < next => next,
            Self::Burst => next,
            Self::Delay => now + period,
            Self::Skip => {
                let late = (now - due).as_nanos();
                let into_period = late % period.as_nanos();
                // Less than a period, which is less than `late`, which is less than 2⁶⁴ nanoseconds.
                now + (period - Duration::from_nanos(u64::try_from(into_period).unwrap_or(0)))
            }
        }
    }
}

/// Ticks at regular moments; made by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTick,
}

impl Interval {
    #[track_caller]
    fn new(first: Sleep, period: Duration) -> Self {
        assert!(!period.is_zero(), "an interval's period must be longer than zero");
        Self { sleep: first, period, missed: MissedTick::default() }
    }

    /// Waits for the next tick; gives the moment at which it was due.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no tick.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick), for use in a `poll` function.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.sleep.deadline();
        self.sleep.reset(self.missed.next(due, Instant::now(), self.period));
        Poll::Ready(due)
    }

    /// Makes the next tick come a period from now.
    pub fn reset(&mut self) {
        self.sleep.reset(Instant::now() + self.period);
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens to ticks that were missed; by default [`MissedTick::Burst`].
    pub fn set_missed_tick(&mut self, missed: MissedTick) {
        self.missed = missed;
    }

    /// What happens to ticks that were missed.
    pub fn missed_tick(&self) -> MissedTick {
        self.missed
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    fn next(missed: MissedTick, late: Duration) -> Duration {
        let due = Instant::now();
        missed.next(due, due + late, PERIOD) - due
    }

    #[test]
    fn a_tick_less_than_a_period_late_keeps_the_rhythm() {
        for missed in [MissedTick::Burst, MissedTick::Delay, MissedTick::Skip] {
            assert_eq!(next(missed, Duration::ZERO), PERIOD);
            assert_eq!(next(missed, PERIOD - Duration::from_nanos(1)), PERIOD);
        }
    }

    #[test]
    fn what_was_missed_is_given_put_off_or_left_out() {
        for (late, delay, skip) in [(10, 20, 20), (25, 35, 30), (30, 40, 40)] {
            let late = Duration::from_millis(late);
            assert_eq!(next(MissedTick::Burst, late), PERIOD);
            assert_eq!(next(MissedTick::Delay, late), Duration::from_millis(delay));
            assert_eq!(next(MissedTick::Skip, late), Duration::from_millis(skip));
        }
    }

    #[test]
    fn periods_without_end_do_not_overflow() {
        let due = Instant::now();
        for missed in [MissedTick::Burst, MissedTick::Delay, MissedTick::Skip] {
            assert_eq!(missed.next(due, due, Duration::MAX), Instant::NEVER);
        }
    }
}
