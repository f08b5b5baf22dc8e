//! When a sentry looks, and which of its looks count.
//!
//! It looks every [`CALM`]; and every [`ALERT`] for a while after it has last seen somebody stuck. While
//! there is nothing to watch it sleeps; see `bell`.
//!
//! A look that is late says nothing about the time before it: the process may have stood still, by a
//! signal, a debugger, or the machine under it. Where looks are late again and again, there is too much to
//! do for the processors, and more threads would add to that: see [`strain`](Rounds::strain).

use super::bell::Bell;
use crate::driver::Instant;
use crate::primitives::Parker;
use std::time::Duration;

/// The time from look to look while nothing is stuck.
const CALM: Duration = Duration::from_millis(5);

/// The same while something is, or was not long ago.
const ALERT: Duration = Duration::from_millis(1);

/// For so long it stays alert.
const STAYS_ALERT: Duration = Duration::from_secs(10);

/// After so long without anything to do it sleeps until there is.
const QUIET: Duration = Duration::from_millis(100);

/// A look is late that comes after this time, or twice the time that was meant.
const LATE: Duration = Duration::from_millis(5);

/// How much a late look adds to the strain.
const STRAIN: u32 = 8;
const MOST_STRAIN: u32 = 64;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Rounds {
    last: Instant,
    pace: Pace,
    alert_until: Option<Instant>,
    quiet_since: Option<Instant>,
    /// Grows by [`STRAIN`] with each look that was late, and falls by one with each that was not.
    strain: u32,
}

/// When the next look is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    After(Duration),
    /// When there is something to watch again.
    Deep,
}

impl Rounds {
    /// They begin now.
    pub(super) fn new(now: Instant) -> Self {
        let (alert_until, quiet_since, strain) = (None, None, 0);
        Self { last: now, pace: Pace::After(CALM), alert_until, quiet_since, strain }
    }

    /// When it was looked last.
    #[cfg(all(test, not(loom)))]
    pub(super) fn last_look(&self) -> Instant {
        self.last
    }

    /// Waits for the next look, on the sentry's thread; `false` if there is none any more.
    pub(super) fn wait(
        &mut self,
        bell: &Bell,
        parker: &Parker,
        now: impl Fn() -> Instant,
        is_quiet: impl FnOnce() -> bool,
    ) -> bool {
        match self.pace {
            Pace::After(time) => bell.sleep(parker, time),
            Pace::Deep => {
                bell.sleep_deep(parker, is_quiet);
                self.last = now();
                self.quiet_since = None;
            }
        }
        !bell.has_ended()
    }

    /// A look begins: the time since the last one, if it counts.
    pub(super) fn step_until(&mut self, now: Instant) -> Option<Duration> {
        let step = now.saturating_duration_since(self.last);
        self.last = now;
        let meant = match self.pace {
            Pace::After(time) => time,
            Pace::Deep => Duration::ZERO,
        };
        if step > LATE.max(2 * meant) {
            self.strain = (self.strain + STRAIN).min(MOST_STRAIN);
            return None;
        }
        self.strain = self.strain.saturating_sub(1);
        Some(step)
    }

    /// A look was made at that time: whether anybody is stuck, and whether there is anybody to watch.
    pub(super) fn looked(&mut self, now: Instant, any_stuck: bool, is_quiet: bool) {
        if any_stuck {
            self.alert_until = Some(now + STAYS_ALERT);
        }
        let since = is_quiet.then(|| self.quiet_since.unwrap_or(now));
        self.quiet_since = since;
        let alert = self.alert_until.is_some_and(|until| now < until);
        self.pace = match since {
            Some(since) if now.saturating_duration_since(since) >= QUIET => Pace::Deep,
            _ => Pace::After(if alert { ALERT } else { CALM }),
        };
    }

    /// By how much all takes longer on this machine, as far as looks show: from 1 to 16.
    pub(super) fn strain(&self) -> u32 {
        1 << (self.strain / 16)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::Clock;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn looks_are_seldom_but_for_a_while_after_a_stall_and_none_where_all_is_quiet() {
        let start = Clock::real().now();
        let mut rounds = Rounds::new(start);
        rounds.looked(start, false, false);
        assert_eq!(rounds.pace, Pace::After(CALM));
        rounds.looked(start + ms(5), true, false);
        assert_eq!(rounds.pace, Pace::After(ALERT));
        rounds.looked(start + ms(10_004), false, false);
        assert_eq!(rounds.pace, Pace::After(ALERT));
        rounds.looked(start + ms(10_005), false, false);
        assert_eq!(rounds.pace, Pace::After(CALM));
        rounds.looked(start + ms(20_000), true, true);
        rounds.looked(start + ms(20_099), false, true);
        assert_eq!(rounds.pace, Pace::After(ALERT));
        rounds.looked(start + ms(20_100), false, true);
        assert_eq!(rounds.pace, Pace::Deep);
        rounds.looked(start + ms(20_101), false, false);
        assert_eq!(rounds.pace, Pace::After(ALERT), "as it was before");
    }

    #[test]
    fn late_looks_do_not_count_and_many_of_them_are_a_strain() {
        let mut now = Clock::real().now();
        let mut rounds = Rounds::new(now);
        let mut look_after = |time| {
            now += time;
            let step = rounds.step_until(now);
            (step, rounds.strain())
        };
        assert_eq!(look_after(2 * CALM), (Some(2 * CALM), 1));
        assert_eq!(look_after(2 * CALM + ms(1)), (None, 1));
        assert_eq!(look_after(ms(3_600_000)), (None, 2), "as after a SIGSTOP");
        let strains: Vec<_> = (0..10).map(|_| look_after(ms(50)).1).collect();
        assert_eq!(strains, [2, 4, 4, 8, 8, 16, 16, 16, 16, 16]);
        let calm = (0..64).map(|_| look_after(CALM)).last().unwrap();
        assert_eq!(calm, (Some(CALM), 1));
    }
}
