//! How the sentry is woken, which looks at nothing while all workers sleep.
//!
//! The sentry says that it is about to sleep (*deep*), and looks after a full fence whether all workers are
//! parked still. A worker that leaves its park looks after a full fence whether the sentry sleeps. One of
//! the two sees the other: so no worker runs unwatched. In between the worker pays a fence and a load,
//! once for each sleep.

use crate::primitives::{AtomicBool, Mutex, Ordering, Parker, full_fence};
use Ordering::{AcqRel, Relaxed};
use std::sync::Arc;
use std::time::Duration;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Bell {
    deep: AtomicBool,
    /// The runtime is over.
    ended: AtomicBool,
    sentry: Mutex<Option<Arc<Parker>>>,
}

impl Bell {
    /// The present thread is the sentry.
    pub(super) fn hang_up(&self) -> Arc<Parker> {
        let parker = Arc::new(Parker::new());
        *self.sentry.lock() = Some(Arc::clone(&parker));
        parker
    }

    /// A worker has left its park.
    #[inline]
    pub(super) fn worker_wakes(&self) {
        full_fence();
        if self.deep.load(Relaxed) {
            self.ring();
        }
    }

    #[cold]
    fn ring(&self) {
        if self.deep.swap(false, AcqRel) {
            self.wake();
        }
    }

    fn wake(&self) {
        let sentry = self.sentry.lock().clone();
        sentry.into_iter().for_each(|parker| parker.unpark());
    }

    /// The sentry sleeps without end, if `may` says so: until a worker leaves its park, or the end.
    pub(super) fn sleep_deep(&self, parker: &Parker, may: impl FnOnce() -> bool) {
        self.deep.store(true, Relaxed);
        full_fence();
        if may() && !self.has_ended() {
            parker.park();
        }
        self.deep.store(false, Relaxed);
    }

    /// The sentry waits for its next tick, or for the end.
    pub(super) fn sleep(&self, parker: &Parker, tick: Duration) {
        if !self.has_ended() {
            parker.park_timeout(tick);
        }
    }

    /// Tells the sentry that there is nothing to watch any more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").field("deep", &self.deep.load(Relaxed)).finish_non_exhaustive()
    }
}
