//! The word that a `Notify` lives in as long as nobody waits.

use crate::primitives::{AtomicU64, Ordering, const_fn};

/// What the word says at one moment: `calls << 2 | QUEUED | PERMIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u64);

/// How often everybody was notified: what a future remembers of the moment at which it was made.
///
/// 62 bits do not run out: at one call a nanosecond they last 146 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calls(u64);

/// A notification is kept for the next one who comes. Never set together with `QUEUED`.
const PERMIT: u64 = 1;
/// Somebody is in the queue: who notifies has to take its lock. Set and cleared only under that
/// lock.
const QUEUED: u64 = 2;
const CALLS_SHIFT: u32 = 2;
const CALL: u64 = 1 << CALLS_SHIFT;

impl Seen {
    pub(super) fn has_permit(self) -> bool {
        self.0 & PERMIT != 0
    }

    #[inline]
    pub(super) fn calls(self) -> Calls {
        Calls(self.0 >> CALLS_SHIFT)
    }

    fn is_queued(self) -> bool {
        self.0 & QUEUED != 0
    }
}

/// What came of an attempt to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A notification: the one that was kept, or one to everybody.
    Yes,
    /// Nothing yet.
    No,
}

/// Whether a notification could be given without the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It was.
    Yes,
    /// Somebody is in the queue, and nothing was changed: the caller takes the lock.
    Queued,
}

/// The notification that nobody has received, how often there was one to everybody, and whether
/// anybody waits.
#[derive(Debug)]
pub(super) struct Word(AtomicU64);

// Order: what was done before a notification happens before it is received. Through the queue that
// is the standing of the waiter (see `waiters`). Through the word, who notifies writes with
// Release, also where the bit was set already, and who receives reads with Acquire. All changes
// are read-modify-writes, so that a later one keeps the chain of an earlier one.
//
// No notification is lost between the two ways, because `QUEUED` is set by a compare-exchange that
// fails once there is a permit or one more call, and these are added by one that fails once
// somebody is queued: one of the two sees the other.
//
// A future loads the count (Acquire) when it is made. If it reads a call, then what was done before
// that call is visible to it, and it need not be woken for it. If it does not, a later poll does:
// either the count has changed when it looks, or it is in the queue when the call comes.
impl Word {
    const_fn! {
        pub(super) fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    #[inline]
    pub(super) fn load(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Keeps a notification for the next one who comes.
    #[inline]
    pub(super) fn keep(&self) -> Given {
        self.change(|seen| seen.0 | PERMIT)
    }

    /// Notes that everybody was notified, where nobody is in the queue.
    #[inline]
    pub(super) fn call(&self) -> Given {
        self.change(|seen| seen.0.wrapping_add(CALL))
    }

    /// Notes that everybody was notified, and that the queue is empty. The caller holds its lock,
    /// and found `QUEUED` set.
    pub(super) fn call_queued(&self) {
        // One addition does both: what it borrows from the flag is exactly the flag.
        self.0.fetch_add(CALL - QUEUED, Ordering::Release);
    }

    /// Notes that the queue is empty. The caller holds its lock, and knows `QUEUED` to be set.
    pub(super) fn unqueue(&self) {
        self.0.fetch_and(!QUEUED, Ordering::Relaxed);
    }

    /// Receives for one that was made when there had been `since` calls.
    #[inline]
    pub(super) fn receive(&self, since: Calls) -> Received {
        self.take(since, |_| None)
    }

    /// Receives, or sets `QUEUED`: the caller, who holds the lock of the queue, then puts a waiter
    /// into it.
    pub(super) fn receive_or_queue(&self, since: Calls) -> Received {
        self.take(since, |seen| Some(seen.0 | QUEUED))
    }

    #[inline]
    fn take(&self, since: Calls, otherwise: impl Fn(Seen) -> Option<u64>) -> Received {
        let mut seen = self.load();
        loop {
            if seen.calls() != since {
                return Received::Yes;
            }
            let (new, received) = if seen.has_permit() {
                (seen.0 & !PERMIT, Received::Yes)
            } else {
                match otherwise(seen) {
                    Some(new) => (new, Received::No),
                    None => return Received::No,
                }
            };
            match self.exchange(seen, new, Ordering::Acquire) {
                Ok(()) => return received,
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn change(&self, new: impl Fn(Seen) -> u64) -> Given {
        let mut seen = Seen(self.0.load(Ordering::Relaxed));
        while !seen.is_queued() {
            match self.exchange(seen, new(seen), Ordering::Release) {
                Ok(()) => return Given::Yes,
                Err(now) => seen = now,
            }
        }
        Given::Queued
    }

    #[inline]
    fn exchange(&self, seen: Seen, new: u64, order: Ordering) -> Result<(), Seen> {
        self.0.compare_exchange_weak(seen.0, new, order, Ordering::Acquire).map(drop).map_err(Seen)
    }
}
