//! The runtime of one thread.

use super::builder::LocalBuilder;
use super::handle::Handle;
use crate::context::{self, Occupied};
use crate::offload::ThreadPool;
use crate::scheduler::local::Local;
use crate::task::{self, JoinHandle};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

/// A runtime that lives on the thread that made it, and runs futures that need not be `Send`.
///
/// It starts no threads, except for closures of [`spawn_blocking`](crate::spawn_blocking). Tasks run
/// while [`block_on`](Self::block_on) does; those that have not ended by then go on in the next one.
///
/// Dropping it ends all its tasks: their futures are dropped on this thread, and their handles
/// answer that they were cancelled. So are closures that have not started; those that have are
/// waited for, at most 5 s (see [`shutdown_timeout`](Self::shutdown_timeout)). Wakers, handles and
/// sockets that outlive it are harmless; as long as there is one, the descriptors of the event loop
/// (three) stay open.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// let shared = Rc::new(5);
/// let task = rt.spawn_local({
///     let shared = shared.clone();
///     async move { *shared + 1 }
/// });
/// assert_eq!(rt.block_on(task)?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalRuntime {
    /// Dropped before the pool: what its tasks hold may be what a closure waits for.
    scheduler: Local,
    pool: ThreadPool,
}

impl LocalRuntime {
    pub(super) fn new(scheduler: Local, pool: ThreadPool) -> Self {
        Self { scheduler, pool }
    }

    /// The settings, with their defaults.
    pub fn builder() -> LocalBuilder {
        LocalBuilder::default()
    }

    /// Runs `future`, and the tasks beside it, until `future` is ready.
    ///
    /// The thread sleeps while nothing is to be done. Tasks may be `!Send`, and so may `future`.
    ///
    /// # Panics
    ///
    /// If `future` does; the runtime can be used on. If this thread is inside a runtime already, or
    /// runs a closure of one: await the future there instead, or spawn it. If the kernel's event queue cannot be waited
    /// for any more, because its descriptor was closed by someone else.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match context::occupied() {
            Occupied::No => {}
            Occupied::ByRuntime => panic!(
                "block_on was called inside a runtime, whose thread it would block: await the \
                 future instead, or spawn it"
            ),
            Occupied::ByPool => panic!(
                "block_on was called inside a closure of spawn_blocking, whose thread belongs to a \
                 runtime: spawn the future there with mainspring::spawn, or start a thread for it"
            ),
        }
        match self.scheduler.block_on(future) {
            Ok(output) => output,
            Err(reentered) => panic!("{reentered}"),
        }
    }

    /// Makes `future`, which need not be `Send`, a task of this runtime.
    ///
    /// It first runs in the next [`block_on`](Self::block_on).
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::spawn_local(&*self.scheduler.current().spawn, future, Location::caller())
    }

    /// A handle that reaches this runtime from any thread.
    pub fn handle(&self) -> Handle {
        Handle::new(self.scheduler.current())
    }

    /// How many tasks have been spawned and have not ended; closures are not counted here.
    pub fn live_tasks(&self) -> usize {
        self.scheduler.live_tasks()
    }

    /// Ends the runtime as dropping it does, but waits up to `limit` for closures that have started.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// let blocking = rt.handle().blocking();
    /// drop(rt.handle().spawn_blocking(|| thread::sleep(Duration::from_secs(3600))));
    /// # while blocking.in_use() == 0 { thread::yield_now() }
    /// let left = rt.shutdown_timeout(Duration::from_millis(10));
    /// assert_eq!(left.blocking, 1, "it goes on by itself");
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    pub fn shutdown_timeout(self, limit: Duration) -> Leftover {
        let Self { scheduler, pool } = self;
        drop(scheduler);
        Leftover { blocking: pool.shutdown_timeout(limit) }
    }
}

/// What a runtime left behind when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Closures of [`spawn_blocking`](crate::spawn_blocking) that are still running, each on a
    /// thread that nobody owns any more. One that has just finished may still count.
    pub blocking: usize,
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime").field("live_tasks", &self.live_tasks()).finish()
    }
}
