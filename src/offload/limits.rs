//! What a pool tells of itself, and how its limits are changed.

use super::builder::{BadSetting, check_queue, check_threads};
use super::pool::PoolHandle;
use std::fmt;

/// The limits of a pool and what it is doing, for any thread; cheap to clone.
///
/// Got from [`Handle::blocking`](crate::Handle::blocking), or from
/// [`ThreadPool::limits`](super::ThreadPool::limits). The counts are true at one moment, which is
/// over when the caller looks at them. It does not keep the pool from ending.
///
/// In a [deterministic](crate::LocalBuilder::deterministic) runtime there are no threads: closures
/// run one at a time on the runtime's own, whatever the limit. The bound of the queue holds there
/// too.
///
/// # Examples
///
/// ```
/// let rt = mainspring::LocalRuntime::builder().blocking_threads(4).build()?;
/// let blocking = rt.handle().blocking();
/// assert_eq!((blocking.limit(), blocking.in_use(), blocking.queued()), (4, 0, 0));
/// blocking.set_limit(60)?;
/// assert_eq!(blocking.limit() - blocking.in_use(), 60, "free");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BlockingLimits(PoolHandle);

impl BlockingLimits {
    pub(crate) fn new(pool: &PoolHandle) -> Self {
        Self(pool.clone())
    }

    /// How many closures may run at a time, each on a thread of its own.
    pub fn limit(&self) -> usize {
        usize::from(self.0.crew().word().load().limit)
    }

    /// Changes how many closures may run at a time, from 1 to 8,191.
    ///
    /// A higher limit helps at once those that are queued. A lower one stops nothing that has
    /// started: the threads that are too many end as they become free.
    ///
    /// # Errors
    ///
    /// [`BadSetting`] if it is out of its bounds; the limit stays as it was.
    pub fn set_limit(&self, threads: usize) -> Result<(), BadSetting> {
        self.0.crew().set_limit(check_threads(threads)?);
        Ok(())
    }

    /// How many closures have a place in the queue, at most.
    pub fn queue_limit(&self) -> usize {
        self.0.places().limit()
    }

    /// Changes how many closures may have a place in the queue, from 1 to 1,000,000.
    ///
    /// A higher limit helps at once those who wait for a place. A lower one drops nothing: the
    /// queue takes in no more until it has shrunk below it.
    ///
    /// # Errors
    ///
    /// [`BadSetting`] if it is out of its bounds; the limit stays as it was.
    pub fn set_queue_limit(&self, jobs: usize) -> Result<(), BadSetting> {
        self.0.places().set_limit(check_queue(jobs)?);
        Ok(())
    }

    /// How many threads are busy. One that has just finished may still count.
    pub fn in_use(&self) -> usize {
        match self.0.inline() {
            Some(inline) => usize::from(inline.is_running()),
            None => usize::from(self.0.crew().word().load().busy()),
        }
    }

    /// How many closures are in the queue, and have not started.
    ///
    /// Those that wait inside their handles for a place are not among them.
    pub fn queued(&self) -> usize {
        match self.0.inline() {
            Some(_) => self.0.places().taken(),
            None => self.0.crew().word().load().queued as usize,
        }
    }

    /// How many threads there are, at work, asleep, or on the way.
    pub fn threads(&self) -> usize {
        usize::from(self.0.crew().word().load().threads)
    }

    /// How many threads sleep and have nothing to do.
    pub fn idle(&self) -> usize {
        usize::from(self.0.crew().word().load().idle)
    }
}

impl fmt::Debug for BlockingLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.0.crew().word().load();
        f.debug_struct("BlockingLimits")
            .field("limit", &now.limit)
            .field("threads", &now.threads)
            .field("in_use", &self.in_use())
            .field("idle", &now.idle)
            .field("queued", &self.queued())
            .field("queue_limit", &self.queue_limit())
            .finish()
    }
}
