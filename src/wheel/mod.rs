//! The timer wheel, a pure data structure: no clock, no thread, no lock.
//!
//! It is the hierarchical wheel of Varghese and Lauck ("Hashed and Hierarchical Timing Wheels",
//! SOSP 1987), in two parts: [`Slab`] holds the timers, [`Levels`] holds lists of their indices.
//! Time is a `u64` of ticks, whatever a tick means to the caller.
//!
//! # How timers are filed
//!
//! A tick is read as eleven digits to the base 64. A timer is filed by the highest digit in which
//! its deadline differs from [`elapsed`](Wheel::elapsed): the place of that digit is its level, the
//! deadline's value there is its slot. Four things follow, and everything here rests on them:
//!
//! 1. All timers of one level are due before all timers of the levels above it, and within a
//!    level the lower slot is due first. So the first occupied slot of the lowest occupied level
//!    holds the earliest timer: one look at one `u64` of occupancy per level.
//! 2. A slot of level 0 is one tick, so its list holds one deadline, in order of insertion.
//! 3. When time enters a slot of a higher level, its list is broken up into the levels below, in
//!    order. A timer moves down at most ten times in its life, whatever its deadline.
//! 4. A timer is always filed as if it had been inserted just now. So a later timer with the same
//!    deadline lands behind it in the same list, and equal deadlines fire in order of insertion.
//!
//! Slot 0 of level 0 is never needed by timers of the future (a differing digit is greater than
//! that of `elapsed`, so it is not 0). The list of late timers, those whose deadline had passed
//! when they were inserted, lives there and so comes first by itself.
//!
//! # Memory
//!
//! An empty wheel has no heap memory. The lists take 512 bytes per level up to the highest ever
//! used: 3 KiB for deadlines up to 2³⁶ ticks away, 5.5 KiB at most. For the timers see [`Slab`].

mod levels;
mod list;
#[cfg(any(all(test, not(loom)), fuzzing))]
pub(crate) mod model;
mod slab;
#[cfg(all(test, not(loom)))]
mod tests;

use levels::{Levels, Slot};
use slab::Slab;
pub(crate) use slab::{Full, TimerKey};
use std::fmt;

/// Timers in order of their deadlines, each with a `T` that is handed out when it fires.
pub(crate) struct Wheel<T> {
    /// Every deadline before this tick has been seen by `expire`.
    elapsed: u64,
    levels: Levels,
    slab: Slab<T>,
    /// Late timers arrive in any order; this says that their list has to be sorted first.
    late_unsorted: bool,
}

impl<T> Wheel<T> {
    /// Makes an empty wheel whose time starts at `now_tick`.
    pub(crate) const fn new(now_tick: u64) -> Self {
        Self { elapsed: now_tick, levels: Levels::new(), slab: Slab::new(), late_unsorted: false }
    }

    /// Adds a timer, in constant time.
    ///
    /// Every deadline is legal. One at or before [`elapsed`](Self::elapsed) fires at the next
    /// [`expire`](Self::expire), and [`next_expiration`](Self::next_expiration) asks for that at
    /// once.
    ///
    /// # Errors
    ///
    /// [`Full`] gives the value back if the wheel holds 2³² − 1 timers.
    #[inline]
    pub(crate) fn insert(&mut self, deadline: u64, value: T) -> Result<TimerKey, Full<T>> {
        let slot = Slot::of(self.elapsed, deadline);
        let key = self.slab.insert(deadline, slot, value)?;
        if slot == Slot::LATE {
            let last = self.levels.last(slot);
            self.late_unsorted |=
                last.is_some_and(|last| self.slab.entry(last).deadline > deadline);
        }
        self.levels.push_back(&mut self.slab, slot, key.index());
        Ok(key)
    }

    /// The value of a timer that has neither fired nor been removed.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        self.slab.get_mut(key)
    }

    /// Takes a timer out, in constant time; `None` if it has fired or been removed.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        self.slab.get_mut(key)?;
        self.take(key.index())
    }

    /// Fires every timer whose deadline is at or before `now`, and sets the time to `now`.
    ///
    /// They fire in order of their deadlines, equal ones in order of insertion. A `now` before
    /// [`elapsed`](Self::elapsed) does nothing. The cost depends on the timers that fire or move to
    /// a lower level, not on how far time jumps.
    ///
    /// If `fire` panics, the timer it was called for is gone and time stands at its deadline; the
    /// others are kept, and fire at the next call.
    pub(crate) fn expire(&mut self, now: u64, mut fire: impl FnMut(T)) {
        if now < self.elapsed {
            return;
        }
        while let Some(slot) = self.levels.first() {
            let start = slot.start(self.elapsed);
            if start > now {
                break;
            }
            if slot == Slot::LATE && self.late_unsorted {
                self.levels.sort(&mut self.slab, slot);
                self.late_unsorted = false;
            }
            // A timer that is alone in its slot takes one step instead of one per level.
            let alone = self.levels.only(slot).map(|index| self.slab.entry(index).deadline);
            self.elapsed = alone.map_or(start, |deadline| deadline.clamp(start, now));
            if slot.level() == 0 || alone.is_some_and(|deadline| deadline <= now) {
                while let Some(value) = self.levels.head(slot).and_then(|index| self.take(index)) {
                    fire(value);
                }
            } else {
                self.levels.break_up(&mut self.slab, slot, self.elapsed);
            }
        }
        self.elapsed = now;
    }

    /// The tick at which [`expire`](Self::expire) must next be called; `None` if there is no timer.
    ///
    /// Never before [`elapsed`](Self::elapsed), and never after the earliest deadline, except that
    /// a deadline which has passed already is answered with `elapsed`. It is earlier than that
    /// deadline only if the earliest timers share a slot of a higher level: then it is the start
    /// of that slot, where the list has to be broken up. Following it takes at most eleven calls
    /// to the deadline. A timer with no neighbour in its slot is answered exactly.
    pub(crate) fn next_expiration(&self) -> Option<u64> {
        let slot = self.levels.first()?;
        Some(match self.levels.only(slot) {
            Some(index) => self.slab.entry(index).deadline.max(self.elapsed),
            None => slot.start(self.elapsed),
        })
    }

    /// The earliest deadline, or `elapsed` if that has passed; `None` if there is no timer.
    ///
    /// Unlike [`next_expiration`](Self::next_expiration) it costs a step for each timer that shares the
    /// slot of the earliest.
    pub(crate) fn earliest(&self) -> Option<u64> {
        let earliest = self.levels.deadlines(&self.slab, self.levels.first()?).min()?;
        Some(earliest.max(self.elapsed))
    }

    /// The time that the wheel has reached.
    #[inline]
    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// How many timers wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no timer waits.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes every timer out, in no particular order, and leaves the time as it is.
    ///
    /// If `f` panics, the timers it has not seen are kept.
    pub(crate) fn drain(&mut self, mut f: impl FnMut(T)) {
        let mut index = 0;
        // The bound is read each time: the slab may give memory back on the way.
        while index < self.slab.bound() {
            if let Some(value) = self.take(index) {
                f(value);
            }
            index += 1;
        }
    }

    /// Takes the timer at `index` out of its list and out of the slab, if one lives there.
    #[inline]
    fn take(&mut self, index: u32) -> Option<T> {
        self.slab.entry(index).value.as_ref()?;
        self.levels.unlink(&mut self.slab, index);
        self.slab.free(index)
    }

    /// Panics unless the parts agree with each other.
    #[cfg(any(all(test, not(loom)), fuzzing))]
    fn check(&self) {
        self.levels.check(&self.slab, self.elapsed);
        self.slab.check();
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("elapsed", &self.elapsed)
            .field("len", &self.len())
            .field("next_expiration", &self.next_expiration())
            .finish_non_exhaustive()
    }
}
