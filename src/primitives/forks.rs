//! Whether this process is the one that it was, or a child of it made by `fork`.
//!
//! A child shares the parent's event queue: what it registers, ends or waits for there, it does to
//! its parent. So what belongs to a queue remembers the generation in which it was made.
//!
//! # Safety essay
//!
//! `pthread_atfork` takes a function that the C library calls in the child, between the fork and the
//! return from it. Only what is async-signal-safe may be done there, as other threads may have been
//! inside any lock: the function adds to an atomic, and does nothing else.
#![allow(clippy::disallowed_types)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many forks lie between the first process that looked and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

static FORKS: AtomicU32 = AtomicU32::new(0);

impl Generation {
    /// That of the present process. Children made from now on will have another; those that the
    /// kernel is asked for directly (`clone`, `vfork`) are not noticed.
    pub(crate) fn watch() -> Self {
        static WATCHED: OnceLock<()> = OnceLock::new();
        WATCHED.get_or_init(imp::watch);
        Self::now()
    }

    #[inline]
    fn now() -> Self {
        Self(FORKS.load(Relaxed))
    }

    /// Whether this is a child of the process in which it was watched.
    #[inline]
    pub(crate) fn is_over(self) -> bool {
        self != Self::now()
    }
}

#[cfg(unix)]
mod imp {
    use super::{FORKS, Relaxed};

    pub(super) fn watch() {
        extern "C" fn in_child() {
            FORKS.fetch_add(1, Relaxed);
        }
        // SAFETY: the function lives as long as the program or library that holds this code, and does
        // only what is allowed there; see the essay. It fails for want of memory alone, and then
        // forks go unnoticed.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}

#[cfg(not(unix))]
mod imp {
    pub(super) fn watch() {}
}
