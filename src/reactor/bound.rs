//! Which reactor watches a descriptor, as far as those must know who wait again.

use super::slots::Reactor;
use crate::primitives::{AtomicU32, AtomicU64, Ordering};
use Ordering::{Acquire, Relaxed, Release};
use mio::Interest;
use std::sync::Arc;

/// After so many waits in a row on other threads of the same runtime the binding follows: once or twice
/// is a task that was stolen, whom the next event brings back.
const MOST_AWAY: u32 = 8;

/// What the binding says, for who waits again and wants it as it is. Written under the lock of the
/// binding, read without.
///
/// Who reads it just before it changes is told all the same: a binding moves with all that it is to
/// watch for, and where it cannot, SHUTDOWN is set, which is looked at afterwards under the lock of
/// the waiters.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// The runtime whose reactor watches, and in which directions; or 0.
    word: AtomicU64,
    /// Which of its reactors.
    reactor: AtomicU64,
    /// How many waits in a row were at others; only a hint, which threads may count past each other.
    away: AtomicU32,
}

impl Bound {
    #[inline]
    fn directions(interest: Interest) -> u64 {
        u64::from(interest.is_readable()) << 1 | u64::from(interest.is_writable())
    }

    /// Whether nothing need be changed for who waits at a reactor, or at none.
    #[inline]
    pub(super) fn suffices(&self, wanted: Interest, current: Option<&Arc<Reactor>>) -> bool {
        let stays = current.is_none_or(|now| self.stays_for(now));
        if Reactor::REARMS {
            return false;
        }
        let word = self.word.load(Acquire);
        let wanted = Self::directions(wanted);
        let here = current.is_none_or(|now| now.runtime().get() == word >> 2);
        here && stays && word & wanted == wanted
    }

    /// Counts a wait at `now`; whether the binding stays where it is for all that.
    #[inline]
    fn stays_for(&self, now: &Reactor) -> bool {
        let away = self.away.load(Relaxed);
        if self.reactor.load(Relaxed) == now.number().get() {
            if away != 0 {
                self.away.store(0, Relaxed);
            }
            return true;
        }
        self.away.store(away.saturating_add(1), Relaxed);
        away < MOST_AWAY
    }

    /// Whether the binding, which is to `bound`, moves to `now`: that is of another runtime, or most
    /// waits are there.
    pub(super) fn moves_to(&self, now: &Reactor, bound: &Reactor) -> bool {
        let away = self.away.load(Relaxed) > MOST_AWAY && now.number() != bound.number();
        now.runtime() != bound.runtime() || away
    }

    /// The binding is new, or another.
    pub(super) fn note_new(&self, reactor: &Reactor, interest: Interest) {
        self.reactor.store(reactor.number().get(), Relaxed);
        self.away.store(0, Relaxed);
        self.note(reactor, interest);
    }

    pub(super) fn note(&self, reactor: &Reactor, interest: Interest) {
        // Numbers of runtimes are given one after the other, and never have as many bits.
        let word = reactor.runtime().get() << 2 | Self::directions(interest);
        self.word.store(word, Release);
    }

    pub(super) fn forget(&self) {
        self.word.store(0, Release);
    }
}
