//! The word by which the receiver tells that places are free, and senders that they wait for some.

use crate::primitives::{AtomicUsize, Ordering};

/// `popped << 1 | WAITING`: how many messages were received, which wraps, and whether somebody waits.
///
/// It has cache lines of its own, as the receiver writes it with each message.
#[repr(align(128))]
pub(super) struct Popped(AtomicUsize);

/// A count of received messages, at some moment.
#[derive(Clone, Copy)]
pub(super) struct Count(usize);

/// Somebody waits for places. Set and cleared only under the lock of the channel; whenever that is
/// free, it says that the queue is not empty.
const WAITING: usize = 1;

impl Count {
    pub(super) const NONE: Self = Self(0);

    /// How many of `taken` places, also a count that wraps, are still in use.
    #[inline]
    pub(super) fn in_use(self, taken: usize) -> usize {
        // What is shifted out is the same on both sides: no channel has as many places.
        (taken << 1).wrapping_sub(self.0) >> 1
    }
}

// Order: a count that is added with Release and read with Acquire carries what came before a
// message was received to who uses its place again. All other changes are read-modify-writes, so
// they continue the release sequence. What comes through the queue is carried by its waiters.
impl Popped {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    #[inline]
    pub(super) fn load(&self) -> Count {
        Count(self.0.load(Ordering::Acquire) & !WAITING)
    }

    /// Counts `n` more; whether somebody waits. Only the receiver does this.
    #[inline]
    pub(super) fn add(&self, n: usize) -> bool {
        self.0.fetch_add(n << 1, Ordering::Release) & WAITING != 0
    }

    /// Says that `popped` were received in all, where nobody ever waits. Only the receiver does
    /// this.
    #[inline]
    pub(super) fn set(&self, popped: usize) {
        self.0.store(popped << 1, Ordering::Release);
    }

    /// Says that somebody waits; how many were received before that. The caller holds the lock.
    pub(super) fn announce(&self) -> Count {
        Count(self.0.fetch_or(WAITING, Ordering::Acquire) & !WAITING)
    }

    /// Says that nobody waits any more, unless it says so. The caller holds the lock.
    pub(super) fn retract(&self) {
        if self.is_announced() {
            self.0.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }

    /// Whether it says that somebody waits. The caller holds the lock.
    pub(super) fn is_announced(&self) -> bool {
        self.0.load(Ordering::Relaxed) & WAITING != 0
    }
}
