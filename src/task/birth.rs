//! When a task was spawned, in four bytes.

use crate::primitives::{AtomicU32, Ordering::Relaxed};
use std::num::NonZeroU32;
use std::time::Duration;

/// A moment in milliseconds since the origin of a runtime's clock, modulo 2³², which are 49 days.
///
/// One in so many is taken for the one after it, so that 0 is free to say that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birth(NonZeroU32);

impl Birth {
    /// So many nanoseconds after the origin.
    #[inline]
    pub(crate) fn from_nanos(nanos: u64) -> Self {
        // It is to wrap.
        let millis = (nanos / 1_000_000) as u32;
        Self(NonZeroU32::new(millis).unwrap_or(NonZeroU32::MIN))
    }

    #[inline]
    pub(super) fn from_raw(raw: u32) -> Option<Self> {
        NonZeroU32::new(raw).map(Self)
    }

    #[inline]
    pub(super) fn to_raw(self) -> u32 {
        self.0.get()
    }

    /// The time from this moment to `now`, which is not before it, less whole turns of 49 days.
    pub(super) fn age_at(self, now: Self) -> Duration {
        Duration::from_millis(u64::from(now.to_raw().wrapping_sub(self.to_raw())))
    }
}

/// The present, as the loop of a scheduler has last read it from its clock, for those who spawn there.
///
/// Tasks are born too often for a reading each time. What the loop has seen lies before the present, by
/// as long as the last polls took, and never after it. The loop forgets it before it sleeps and when it
/// leaves the thread; then who spawns reads the clock.
#[derive(Debug)]
pub(crate) struct Present(AtomicU32);

/// Nothing is known yet.
impl Default for Present {
    fn default() -> Self {
        Self(AtomicU32::new(0))
    }
}

impl Present {
    /// The loop has read so many nanoseconds after the origin.
    #[inline]
    pub(crate) fn set(&self, nanos: u64) {
        self.0.store(Birth::from_nanos(nanos).to_raw(), Relaxed);
    }

    /// The loop reads the clock no more for a while.
    #[inline]
    pub(crate) fn forget(&self) {
        self.0.store(0, Relaxed);
    }

    /// What the loop has seen, from any thread; `None` if it is not known.
    #[inline]
    pub(crate) fn get(&self) -> Option<Birth> {
        Birth::from_raw(self.0.load(Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;
    const TURN: u64 = (1 << 32) * MILLI;

    #[test]
    fn ages_are_whole_milliseconds_and_turn_over() {
        let born = Birth::from_nanos(TURN - 3 * MILLI);
        let age_at = |nanos| born.age_at(Birth::from_nanos(nanos));
        assert_eq!(age_at(TURN - 2 * MILLI - 1), Duration::ZERO);
        assert_eq!(age_at(TURN - 2 * MILLI), Duration::from_millis(1));
        assert_eq!(age_at(TURN + 7 * MILLI), Duration::from_millis(10));
        assert_eq!(age_at(2 * TURN - 3 * MILLI), Duration::ZERO, "49 days later");
    }

    #[test]
    fn what_is_spawned_in_the_millisecond_0_is_not_of_the_future() {
        let [first, late, next] = [0, MILLI - 1, MILLI].map(Birth::from_nanos);
        assert_eq!((first.age_at(late), late.age_at(next)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(Birth::from_raw(first.to_raw()), Some(first));
        assert_eq!(Birth::from_raw(0), None);
    }

    #[test]
    fn the_present_is_known_until_it_is_forgotten() {
        let present = Present::default();
        assert_eq!(present.get(), None);
        present.set(5 * MILLI);
        assert_eq!(present.get(), Some(Birth::from_nanos(5 * MILLI)));
        present.forget();
        assert_eq!(present.get(), None);
    }
}
