//! The kernel's wait, and what ends it early.
//!
//! loom cannot see into the kernel, so its arm replaces these types and nothing else: all that is
//! built on them, up to a whole runtime, is checked as it is.

#[cfg(not(loom))]
mod kernel;
#[cfg(loom)]
mod stand_in;

#[cfg(not(loom))]
pub(crate) use kernel::{Alarm, Poller};
#[cfg(loom)]
pub(crate) use stand_in::{Alarm, Poller};

/// Events taken from the kernel in one turn; more wait for the next.
pub(super) const EVENTS: usize = 1024;
