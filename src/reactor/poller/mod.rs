//! The kernel's wait, and what ends it early.
//!
//! Three arms offer the same names. loom cannot see into the kernel, so its arm replaces these types
//! and nothing else: all that is built on them, up to a whole runtime, is checked as it is. Where mio
//! has neither epoll nor kqueue, `over_poll` makes up for what its `poll(2)` back end lacks.

// The list is that of mio's `src/sys/unix/mod.rs`, for `selector/poll.rs`; this is its one copy here.
#[cfg(not(loom))]
#[cfg_attr(
    any(
        mio_unsupported_force_poll_poll,
        target_os = "aix",
        target_os = "cygwin",
        target_os = "espidf",
        target_os = "fuchsia",
        target_os = "haiku",
        target_os = "hermit",
        target_os = "horizon",
        target_os = "hurd",
        target_os = "nto",
        target_os = "nuttx",
        target_os = "vita",
        target_os = "wasi",
    ),
    path = "over_poll.rs"
)]
mod kernel;
#[cfg(loom)]
mod stand_in;

#[cfg(not(loom))]
pub(crate) use kernel::{Alarm, Poller};
#[cfg(not(loom))]
pub(super) use kernel::{REARMS, Registry};
#[cfg(loom)]
pub(crate) use stand_in::{Alarm, Poller};
#[cfg(loom)]
pub(super) use stand_in::{REARMS, Registry};

/// Events taken from the kernel in one turn; more wait for the next.
pub(super) const EVENTS: usize = 1024;
