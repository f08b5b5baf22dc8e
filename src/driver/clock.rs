//! The clock of a driver, and the moments that it gives.

use super::virtual_time::VirtualTime;
use crate::primitives::monotonic_nanos;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A moment on the clock of a runtime, in nanoseconds.
///
/// All runtimes that run in real time share one clock, so their moments can be compared. It does
/// not go backwards, and it reaches 584 years; what would lie beyond is held at its end. A runtime
/// in [virtual time](crate::time#virtual-time) has a clock of its own, whose moments mean nothing
/// elsewhere.
///
/// # Examples
///
/// ```
/// use mainspring::time::{Instant, sleep_until};
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// let start = Instant::now();
/// sleep_until(start + Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// A moment that never comes.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(super) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Since the clock's origin.
    #[inline]
    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment, or zero if `earlier` is later.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time from `earlier` to this moment, or `None` if `earlier` is later.
    pub fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// The moment after `duration`, or `None` if it lies beyond the clock's end.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// The moment before `duration`, or `None` if it lies before the clock's start.
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_sub(nanos).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// The moment after `duration`; one beyond the clock's end is a moment that never comes.
    #[inline]
    fn add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::NEVER)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// The moment before `duration`; one before the clock's start is held there.
    fn sub(self, duration: Duration) -> Self {
        self.checked_sub(duration).unwrap_or(Self(0))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time between the two; zero if the second is later.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({:?})", Duration::from_nanos(self.0))
    }
}

/// What gives moments; chosen when a driver is made.
#[derive(Debug)]
pub(crate) enum Clock {
    /// Runs with the system's monotonic clock.
    Real,
    /// Moves when it is moved.
    Virtual(VirtualTime),
}

impl Clock {
    /// The clock of this process, which runs with the system's monotonic one.
    pub(crate) fn real() -> Self {
        Self::Real
    }

    /// The present moment, read afresh.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        if cfg!(loom) {
            // A model must take the same steps each time, so time stands still in it.
            return Instant(1_000_000_000);
        }
        match self {
            Self::Real => Instant(monotonic_nanos()),
            Self::Virtual(time) => time.now(),
        }
    }

    /// The time that can be moved, if this is such a clock.
    #[inline]
    pub(crate) fn as_virtual(&self) -> Option<&VirtualTime> {
        match self {
            Self::Real => None,
            Self::Virtual(time) => Some(time),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_held_at_the_ends() {
        let moment = Instant(5);
        assert_eq!(moment + Duration::MAX, Instant::NEVER);
        assert_eq!(moment - Duration::from_secs(1), Instant(0));
        assert_eq!(moment - Instant(7), Duration::ZERO);
        assert_eq!(moment.checked_add(Duration::MAX), None);
        assert_eq!(moment.checked_sub(Duration::from_nanos(6)), None);
        assert_eq!(moment.checked_duration_since(Instant(7)), None);
        assert_eq!(Instant(7).checked_duration_since(moment), Some(Duration::from_nanos(2)));
    }

    #[test]
    fn real_clocks_agree() {
        let (a, b) = (Clock::real(), Clock::real());
        let first = a.now();
        assert!(b.now() >= first);
    }
}
