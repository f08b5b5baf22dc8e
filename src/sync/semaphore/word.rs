//! The word that a semaphore lives in as long as nobody waits.

use crate::primitives::{AtomicUsize, Ordering, const_fn};

/// What the word says at one moment: `permits << 2 | QUEUED | CLOSED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(usize);

/// The semaphore is closed. Set once, under the lock of the queue, and never cleared.
const CLOSED: usize = 1;
/// Somebody is in the queue, and no permit may be taken past them. Set and cleared only under the
/// lock of the queue. Permits that lie in the word while it is set are on their way into the queue:
/// who put them there will take the lock and see to it.
const QUEUED: usize = 2;
const SHIFT: u32 = 2;
const FLAGS: usize = CLOSED | QUEUED;

/// The most permits that the word has room for, with a bit to spare.
pub(super) const MAX: usize = usize::MAX >> 3;

impl Seen {
    pub(super) fn permits(self) -> usize {
        self.0 >> SHIFT
    }

    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(super) fn is_queued(self) -> bool {
        self.0 & QUEUED != 0
    }
}

/// What came of an attempt to take permits without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All are the caller's.
    All,
    /// None are: too few, or others came first.
    None,
    /// None are, and none will be.
    Closed,
}

/// What came of an attempt to take permits by one who is ready to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// All are the caller's; it need not wait.
    All,
    /// This many are the caller's, fewer than it wanted; it has to stand in the queue.
    Some(usize),
    /// None are, and none will be.
    Closed,
}

/// The permits nobody holds, and whether anybody waits.
#[derive(Debug)]
pub(super) struct Word(AtomicUsize);

// Order: a permit that is put back (Release) and taken again (Acquire) carries what its last holder
// did to the next. All changes are read-modify-writes, so a permit that others were added to or
// taken from in between still heads the same release sequence. Permits that go through the queue
// are carried by its lock and by the standing of the waiter.
impl Word {
    const_fn! {
        pub(super) fn new(permits: usize) -> Self {
            Self(AtomicUsize::new(permits << SHIFT))
        }
    }

    #[inline]
    pub(super) fn load(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Takes `n` permits if they are there, nobody waits and the semaphore is open.
    #[inline]
    pub(super) fn take(&self, n: usize) -> Taken {
        let mut seen = self.load();
        loop {
            if seen.is_closed() {
                return Taken::Closed;
            }
            if n == 0 {
                return Taken::All;
            }
            if seen.is_queued() || seen.permits() < n {
                return Taken::None;
            }
            match self.exchange(seen, seen.0 - (n << SHIFT)) {
                Ok(()) => return Taken::All,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes `n` permits, or those that are there; in that case the caller, who holds the lock of
    /// the queue, puts a waiter into it.
    pub(super) fn claim(&self, n: usize) -> Claimed {
        let mut seen = self.load();
        loop {
            if seen.is_closed() {
                return Claimed::Closed;
            }
            if seen.is_queued() {
                return Claimed::Some(0);
            }
            let (new, claimed) = match seen.permits() {
                there if there < n => (QUEUED, Claimed::Some(there)),
                _ => (seen.0 - (n << SHIFT), Claimed::All),
            };
            match self.exchange(seen, new) {
                Ok(()) => return claimed,
                Err(now) => seen = now,
            }
        }
    }

    /// Adds `n` permits, and says what was there before.
    #[inline]
    pub(super) fn put(&self, n: usize) -> Seen {
        Seen(self.0.fetch_add(n << SHIFT, Ordering::Release))
    }

    /// Adds `n` permits and clears `QUEUED`, which the caller knows to be set, under the lock.
    pub(super) fn put_last(&self, n: usize) {
        // One addition does both: what it borrows from the flag is exactly the flag.
        self.0.fetch_add((n << SHIFT).wrapping_sub(QUEUED), Ordering::Release);
    }

    /// Takes all permits, for the queue.
    pub(super) fn drain(&self) -> usize {
        Seen(self.0.fetch_and(FLAGS, Ordering::Acquire)).permits()
    }

    /// Takes as many of `n` permits as are there.
    pub(super) fn take_up_to(&self, n: usize) -> usize {
        let mut seen = self.load();
        loop {
            let some = n.min(seen.permits());
            match self.exchange(seen, seen.0 - (some << SHIFT)) {
                Ok(()) => return some,
                Err(now) => seen = now,
            }
        }
    }

    /// Closes; says what was there before. The caller holds the lock of the queue.
    pub(super) fn close(&self) -> Seen {
        Seen(self.0.fetch_or(CLOSED, Ordering::AcqRel))
    }

    #[inline]
    fn exchange(&self, seen: Seen, new: usize) -> Result<(), Seen> {
        self.0
            .compare_exchange_weak(seen.0, new, Ordering::Acquire, Ordering::Acquire)
            .map(drop)
            .map_err(Seen)
    }
}
