//! The runtime of several threads.

use super::free;
use super::handle::{EnterGuard, Handle};
use super::local::Leftover;
use super::multi_builder::Builder;
use crate::context::{self, Occupied};
use crate::driver::Clock;
use crate::offload::ThreadPool;
use crate::scheduler::workers::Workers;
use crate::task::{self, JoinHandle};
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::panic::Location;
use std::time::Duration;

/// How long the drop of a runtime waits.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// So many tasks that go on are named.
const MOST_TOLD: usize = 8;

/// A runtime with threads of its own, among which tasks move to where there is time for them.
///
/// Each *worker* has an event loop, timers and a queue. What a task wakes runs on the same worker, as
/// long as that comes to it; a worker with nothing to do takes tasks from others. Tasks begin to run at
/// once, and run whether or not somebody is in [`block_on`](Self::block_on).
///
/// Dropping it ends all its tasks. Their futures are dropped by the workers, and their handles answer
/// that they were cancelled. A task that is just being polled is cancelled when that poll returns;
/// this is waited for at most 5 s, and so are closures of [`spawn_blocking`](crate::spawn_blocking)
/// that have started (see [`shutdown_timeout`](Self::shutdown_timeout)). Where the last of it is
/// dropped by one of its own tasks nothing is waited for: it ends as soon as that task lets it.
/// Wakers, handles and sockets that outlive it are harmless.
///
/// A child process made by `fork` has none of the threads. There [`block_on`](Self::block_on) panics,
/// and dropping the runtime leaves alone what it shares with its parent. What else is called there on its
/// handles may wait for ever, if a thread of the parent was inside the same thing when it forked.
///
/// A worker that was given something by another thread, and a thread in [`block_on`](Self::block_on),
/// may look for a few dozen microseconds whether there is more before they sleep: as long as answers
/// come at once, which saves both sides a sleep. Who is answered late sleeps at once. A runtime that has
/// nothing to do makes no system calls.
///
/// # Examples
///
/// ```
/// let rt = mainspring::Runtime::builder().worker_threads(2).build()?;
/// let sum = rt.block_on(async {
///     let tasks: Vec<_> = (0..10u64).map(|n| mainspring::spawn(async move { n * n })).collect();
///     let mut sum = 0;
///     for task in tasks {
///         sum += task.await?;
///     }
///     Ok::<_, mainspring::task::JoinError>(sum)
/// })?;
/// assert_eq!(sum, 285);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runtime {
    /// Dropped before the pool: what its tasks hold may be what a closure waits for.
    workers: Workers,
    pool: ThreadPool,
    ended: bool,
}

impl Runtime {
    pub(super) fn new(workers: Workers, pool: ThreadPool) -> Self {
        Self { workers, pool, ended: false }
    }

    /// The settings, with their defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Polls `future` on the calling thread until it is ready, while the workers run the tasks.
    ///
    /// The future need not be `Send`. The calling thread polls nothing else, so that no task of others
    /// can hold it up; the other way round, it is no worker, so that a wake crosses threads. What is
    /// to be fast runs in tasks. Several threads may be in `block_on` at a time.
    ///
    /// # Panics
    ///
    /// If `future` does; the runtime can be used on. If this thread is inside a runtime already, or
    /// runs a closure of one: await the future there instead, or spawn it. If this process was forked
    /// from the one that made the runtime.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        free::check_block_on(&self.workers.outside().driver);
        self.workers.block_on(future)
    }

    /// Makes `future` a task of this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::spawn(&*self.workers.outside().spawn, future, Location::caller())
    }

    /// A handle that reaches this runtime from any thread.
    pub fn handle(&self) -> Handle {
        Handle::of(self.workers.outside().clone(), self.pool.handle().clone())
    }

    /// Makes this runtime the current one on the calling thread, until the guard drops; see
    /// [`Handle::enter`].
    pub fn enter(&self) -> EnterGuard {
        self.handle().enter()
    }

    /// How many tasks have been spawned and have not ended; closures are not counted here.
    pub fn live_tasks(&self) -> usize {
        self.workers.live_tasks()
    }

    /// Ends the runtime as dropping it does, but waits up to `limit` in all; and up to 100 ms more where
    /// the drop of what is left takes so long.
    ///
    /// What has not ended by then goes on by itself on threads that nobody owns, and is cancelled as
    /// soon as its poll returns.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// let rt = mainspring::Runtime::builder().worker_threads(1).build()?;
    /// let (tx, rx) = std::sync::mpsc::channel();
    /// drop(rt.spawn(async move {
    ///     tx.send(()).unwrap();
    ///     thread::sleep(Duration::from_secs(3600)) // never do that
    /// }));
    /// rx.recv().unwrap();
    /// let left = rt.shutdown_timeout(Duration::from_millis(10));
    /// assert_eq!((left.tasks.len(), left.threads, left.blocking), (1, 1, 0));
    /// println!("still in a poll: {:?}", left.tasks[0].info);
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    pub fn shutdown_timeout(mut self, limit: Duration) -> Leftover {
        self.shut_down(limit)
    }

    fn shut_down(&mut self, limit: Duration) -> Leftover {
        self.ended = true;
        let clock = Clock::real();
        let inside = self.workers.are_here();
        if inside {
            tell("a runtime was dropped by a task of its own; it ends in the background");
        }
        // Who is inside would wait for itself.
        let deadline = clock.now() + if inside { Duration::ZERO } else { limit };
        self.workers.close();
        // While the workers are waited for no further closure begins.
        self.pool.close();
        let rest = self.workers.shut_down(deadline);
        let left = match self.is_in_pool() {
            true => Duration::ZERO,
            false => deadline.saturating_duration_since(clock.now()),
        };
        Leftover { tasks: rest.tasks, threads: rest.threads, blocking: self.pool.finish(left) }
    }

    /// Whether the present thread runs a closure of this runtime.
    fn is_in_pool(&self) -> bool {
        let runtime = self.workers.outside().driver.runtime();
        context::occupied() == Occupied::ByPool
            && context::current().is_ok_and(|current| current.runtime() == runtime)
    }
}

/// Unlike eprintln!, it does not panic where nobody reads standard error.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "mainspring: {what}");
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let left = self.shut_down(DROP_WAIT);
        if !self.workers.are_here() {
            left.tasks.iter().take(MOST_TOLD).for_each(|task| {
                let (id, at) = (task.info.id, task.info.location);
                let name = task.info.name().unwrap_or("without a name");
                tell(&format!("a runtime was dropped, but its task {id} ({name}, {at}) goes on"));
            });
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("live_tasks", &self.live_tasks()).finish()
    }
}
