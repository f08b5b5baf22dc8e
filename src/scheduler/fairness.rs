//! How often a thread that has work looks what the kernel and other threads have for it.

use crate::driver::Instant;

/// The longest that events should wait behind a queue of ready tasks: 250 µs.
const INTERVAL_NANOS: u64 = 250_000;

/// However short polls are, events are looked at after as many.
const MOST: u32 = 256;

/// Counts polls down to the next look.
///
/// Reading the clock costs more than a short poll, so it is read once per look: how long the last
/// polls took says how many may come before the next one. The count grows at most twofold at a
/// time, because one long poll among short ones is soon followed by another.
#[derive(Debug)]
pub(super) struct Fairness {
    allowed: u32,
    left: u32,
    last_look: Instant,
}

impl Fairness {
    pub(super) fn new(now: Instant) -> Self {
        Self { allowed: 1, left: 1, last_look: now }
    }

    /// One poll was made; `true` if it is time to look.
    #[inline]
    pub(super) fn spend(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// Whether events have waited long enough for a look, however few polls there were: where waits
    /// come between them, how many are left says little.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_look).as_nanos() >= u128::from(INTERVAL_NANOS)
    }

    /// A look was made after the polls that were allowed.
    pub(super) fn looked(&mut self, now: Instant) {
        let spent = self.allowed - self.left;
        let took = now.saturating_duration_since(self.last_look).as_nanos();
        let took = u64::try_from(took).unwrap_or(u64::MAX).max(1);
        let fits = u64::from(spent) * INTERVAL_NANOS / took;
        let most = (self.allowed * 2).min(MOST);
        self.restart(u32::try_from(fits).unwrap_or(MOST).clamp(1, most), now);
    }

    /// A look was made; allows so many polls until the next one, whatever the clock says.
    pub(super) fn allow(&mut self, polls: u32) {
        (self.allowed, self.left) = (polls, polls);
    }

    /// The thread slept, so how long the last polls took is not known.
    pub(super) fn slept(&mut self, now: Instant) {
        self.restart(self.allowed, now);
    }

    fn restart(&mut self, allowed: u32, now: Instant) {
        (self.allowed, self.left, self.last_look) = (allowed, allowed, now);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::Clock;
    use std::time::Duration;

    fn polls_until_look(fairness: &mut Fairness) -> u32 {
        let mut polls = 1;
        while !fairness.spend() {
            polls += 1;
        }
        polls
    }

    #[test]
    fn short_polls_are_looked_at_seldom_and_long_ones_often() {
        let mut now = Clock::real().now();
        let mut fairness = Fairness::new(now);
        let mut seen = Vec::new();
        for _ in 0..10 {
            let polls = polls_until_look(&mut fairness);
            seen.push(polls);
            now += Duration::from_nanos(100) * polls;
            fairness.looked(now);
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256], "at most twofold");
        let polls = polls_until_look(&mut fairness);
        now += Duration::from_micros(50) * polls;
        fairness.looked(now);
        assert_eq!(polls_until_look(&mut fairness), 5, "250 µs of 50 µs each");
        now += Duration::from_secs(1);
        fairness.looked(now);
        assert_eq!(polls_until_look(&mut fairness), 1);
    }

    #[test]
    fn a_look_is_due_after_an_interval_without_polls() {
        let start = Clock::real().now();
        let mut fairness = Fairness::new(start);
        let later = start + Duration::from_micros(250);
        assert!(!fairness.is_due(later - Duration::from_nanos(1)));
        assert!(fairness.is_due(later));
        fairness.looked(later);
        assert!(!fairness.is_due(later));
        fairness.slept(later + Duration::from_secs(1));
        assert!(!fairness.is_due(later + Duration::from_secs(1)));
    }
}
