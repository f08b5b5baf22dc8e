//! Who of a runtime's threads has ended, and who waits for that.

use super::shards::Homes;
use crate::driver::{Clock, Instant};
use crate::primitives::{Mutex, MutexGuard, Parker};
use std::sync::Arc;
use std::time::Duration;

/// How long is waited for what takes but a moment, unless something is wrong.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Ends(Mutex<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    /// Who runs tasks.
    working: usize,
    /// Who helps them.
    helping: usize,
    waits: Option<Arc<Parker>>,
}

impl Ends {
    /// Keeps the workers from beginning that are [expected](Inner::expect) meanwhile.
    pub(super) fn hold(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }

    /// Waits until all have ended, or `deadline` has come; how many of those who run tasks have not.
    pub(super) fn wait(&self, deadline: Instant) -> usize {
        let parker = Arc::new(Parker::new());
        let clock = Clock::real();
        loop {
            let mut inner = self.0.lock();
            let left = deadline.saturating_duration_since(clock.now());
            if inner.working + inner.helping == 0 || left.is_zero() {
                inner.waits = None;
                return inner.working;
            }
            inner.waits = Some(Arc::clone(&parker));
            drop(inner);
            parker.park_timeout(left);
        }
    }
}

impl Inner {
    /// A worker's thread was started, which makes itself a [`Working`].
    pub(super) fn expect(&mut self) {
        self.working += 1;
    }
}

/// A thread that runs tasks, until this is dropped at its end, also where that is by a panic.
pub(super) struct Working {
    ends: Arc<Ends>,
    homes: Arc<Homes>,
}

impl Working {
    /// A worker's thread, as was [expected](Inner::expect). It begins when all have been started.
    pub(super) fn expected(ends: Arc<Ends>, homes: Arc<Homes>) -> Self {
        let working = Self { ends, homes };
        drop(working.ends.0.lock());
        working
    }

    /// One more, that is to stand in for a worker; `None` if all have ended.
    pub(super) fn beside(ends: &Arc<Ends>, homes: &Arc<Homes>) -> Option<Self> {
        let mut inner = ends.0.lock();
        (inner.working > 0).then(|| {
            inner.working += 1;
            Self { ends: Arc::clone(ends), homes: Arc::clone(homes) }
        })
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut inner = self.ends.0.lock();
        inner.working -= 1;
        if inner.working > 0 {
            return;
        }
        let waits = inner.waits.take();
        drop(inner);
        // There is nobody left to watch.
        self.homes.shards.bell.end();
        match waits {
            Some(parker) => parker.unpark(),
            // Nobody waits any more, or did ever.
            None => self.homes.end(Clock::real().now() + PATIENCE),
        }
    }
}

/// A thread that helps those who run tasks, until this is dropped at its end.
pub(super) struct Helping(Arc<Ends>);

impl Helping {
    /// One more; `None` if there is nobody to help any more.
    pub(super) fn begin(ends: &Arc<Ends>) -> Option<Self> {
        let mut inner = ends.0.lock();
        (inner.working > 0).then(|| {
            inner.helping += 1;
            Self(Arc::clone(ends))
        })
    }
}

impl Drop for Helping {
    fn drop(&mut self) {
        let mut inner = self.0.0.lock();
        inner.helping -= 1;
        if inner.working + inner.helping == 0 {
            let waits = inner.waits.take();
            drop(inner);
            waits.into_iter().for_each(|parker| parker.unpark());
        }
    }
}
