//! What the kernel says is ready, and who waits for it. Knows wakers only.
//!
//! A [`Registration`] belongs to one descriptor for as long as that lives. It holds the readiness
//! word, the wakers that wait, and the *binding*: the [`Reactor`] whose `epoll` or `kqueue` watches
//! the descriptor, if one does. A descriptor is bound when it first has to wait, and it may be bound
//! to another reactor later.
//!
//! # Locks
//!
//! Three kinds, taken in this order and never the other way round:
//!
//! 1. a registration's `binding`, held across `epoll_ctl` for its own descriptor;
//! 2. a reactor's `slots`, held for a batch of events, never across a system call;
//! 3. a registration's `waiters`, held for a few instructions.
//!
//! Wakers are collected under the last two and woken by the caller, under none.
//!
//! # No event is missed
//!
//! Descriptors are watched edge-triggered, so the kernel tells each change once. Whoever waits
//! first clears the readiness that its attempt has disproved, then leaves its waker under `waiters`
//! *after looking at the word again*; whoever delivers an event first sets the word, then collects
//! the wakers under the same lock. One of the two sees the other. An attempt that was made before
//! an event arrived must not clear what that event said: the word counts events, and clearing
//! compares the count.
//!
//! A late event for a descriptor that was closed meanwhile finds a slot with another generation,
//! and is dropped.

mod bound;
mod poller;
mod readiness;
mod registration;
mod slots;
#[cfg(all(test, not(loom)))]
mod tests;
mod waiters;

pub(crate) use poller::{Alarm, Poller};
pub(crate) use readiness::{Direction, Seen};
pub(crate) use registration::Registration;
pub(crate) use slots::{Dispatched, Reactor};
pub(crate) use waiters::WaitKey;

/// The runtime that a reactor belonged to has ended, or there never was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoReactor;

impl std::fmt::Display for NoReactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "no living runtime watches this descriptor: wait for it inside block_on or a spawned task",
        )
    }
}

impl std::error::Error for NoReactor {}

/// This process was forked from the one to which the reactor belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forked;

impl std::fmt::Display for Forked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "this process was forked from the one that made the runtime, whose event queue it must \
             not touch: make a new runtime here",
        )
    }
}

impl std::error::Error for Forked {}

impl From<Forked> for std::io::Error {
    fn from(error: Forked) -> Self {
        std::io::Error::other(error)
    }
}

impl From<NoReactor> for std::io::Error {
    fn from(error: NoReactor) -> Self {
        std::io::Error::other(error)
    }
}
