//! The word that a mutex lives in as long as nobody waits.

use crate::primitives::{AtomicU32, Ordering, const_fn};

/// Somebody has the mutex. Set by who takes it; cleared by its holder alone. It stays set when the
/// holder hands the mutex over.
const LOCKED: u32 = 1;
/// Somebody is in the queue. Set and cleared only under the lock of the queue, and set exactly while
/// it is not empty whenever that lock is free. Set without `LOCKED`, the mutex is free and the front
/// of the queue was woken to take it: it, or one who comes by before it does, is the next holder.
const QUEUED: u32 = 2;
/// The holder came past those who wait. Set together with `LOCKED`, by one who is not in the queue
/// and finds the mutex free and `QUEUED` set; never set without these two. Whoever holds the mutex
/// while it is set hands it to the front of the queue, and clears it under the lock of the queue;
/// so nobody comes past the same front twice. Cleared too when the queue becomes empty.
const PASSED: u32 = 4;

/// Who has the mutex, and whether anybody waits.
#[derive(Debug)]
pub(super) struct Word(AtomicU32);

/// What came of an attempt to take the mutex by one who is ready to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// It is the caller's.
    Taken,
    /// It is somebody else's; the caller has to stand in the queue.
    Queued,
}

/// What the holder has to do about those who wait, in the same turn of the lock of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// Nothing: nobody waits.
    Alone,
    /// Wake the front of the queue. The mutex is free.
    WakeFront,
    /// Take the front out of the queue, as the next holder. The mutex is not free.
    HandOver,
}

// Order: who frees the mutex does so with Release, and who takes it with Acquire; all changes are
// read-modify-writes, so that those of `QUEUED` in between do not break the chain. A mutex that is
// handed over is carried by the lock of the queue and by the standing of the waiter.
//
// No wake is lost: `QUEUED` is set by a compare-exchange that fails where the mutex became free, and
// a holder frees it without a look at the queue only by one that fails where `QUEUED` is set.
impl Word {
    const_fn! {
        pub(super) fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Takes the mutex, where it is free, for one who is not in the queue.
    #[inline]
    pub(super) fn take(&self) -> bool {
        match self.exchange(0, LOCKED) {
            Ok(()) => true,
            Err(seen) => self.take_past(seen),
        }
    }

    #[cold]
    fn take_past(&self, mut seen: u32) -> bool {
        while seen & LOCKED == 0 {
            match self.exchange(seen, newcomer(seen)) {
                Ok(()) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Takes the mutex, where it is free, for the front of the queue. The caller holds its lock.
    pub(super) fn take_for_front(&self) -> bool {
        // Under the lock only newcomers can change a word with `QUEUED`, and they only set.
        self.exchange(QUEUED, QUEUED | LOCKED).is_ok()
    }

    /// Takes the mutex, or sees to it that its holder looks at the queue. The caller holds the lock
    /// of the queue, and puts a waiter into it in the second case.
    pub(super) fn claim(&self) -> Claimed {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (new, claimed) = if seen & LOCKED == 0 {
                (newcomer(seen), Claimed::Taken)
            } else if seen & QUEUED != 0 {
                return Claimed::Queued;
            } else {
                (seen | QUEUED, Claimed::Queued)
            };
            match self.exchange(seen, new) {
                Ok(()) => return claimed,
                Err(now) => seen = now,
            }
        }
    }

    /// Frees the mutex, where nobody waits. Only the holder calls this.
    #[inline]
    pub(super) fn free(&self) -> bool {
        self.0.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Frees the mutex, or begins to hand it over. Only the holder calls this, and it holds the lock
    /// of the queue: so nobody else changes the word.
    pub(super) fn release(&self) -> Released {
        if self.0.load(Ordering::Relaxed) & PASSED != 0 {
            self.0.fetch_and(!PASSED, Ordering::Relaxed);
            return Released::HandOver;
        }
        match self.0.fetch_and(!LOCKED, Ordering::Release) & QUEUED {
            0 => Released::Alone,
            _ => Released::WakeFront,
        }
    }

    /// Notes that the queue became empty. The caller holds its lock.
    pub(super) fn nobody_waits(&self) {
        self.0.fetch_and(!(QUEUED | PASSED), Ordering::Relaxed);
    }

    /// Whether somebody has the mutex. Where the caller holds the lock of the queue, and it is not
    /// empty, a no may be out of date and a yes is not: nobody frees the mutex but under that lock.
    pub(super) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & LOCKED != 0
    }

    #[inline]
    fn exchange(&self, seen: u32, new: u32) -> Result<(), u32> {
        self.0.compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed).map(drop)
    }
}

/// A word without `LOCKED` after a newcomer took the mutex.
const fn newcomer(seen: u32) -> u32 {
    if seen & QUEUED == 0 { LOCKED } else { seen | LOCKED | PASSED }
}
