//! The runtime of one thread.

use super::builder::LocalBuilder;
use super::free;
use super::handle::Handle;
use crate::driver::Instant;
use crate::offload::ThreadPool;
use crate::scheduler::host::{Budget, TurnError, TurnReport};
use crate::scheduler::local::Local;
use crate::task::{self, JoinHandle, TaskDump};
use std::fmt;
use std::future::Future;
#[cfg(not(mio_unsupported_force_poll_poll))]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::time::Duration;

/// A runtime that lives on the thread that made it, and runs futures that need not be `Send`.
///
/// It starts no threads, except for closures of [`spawn_blocking`](crate::spawn_blocking). Tasks run
/// while [`block_on`](Self::block_on) or [`turn`](Self::turn) does; those that have not ended by then
/// go on in the next one.
///
/// Dropping it ends all its tasks: their futures are dropped on this thread, and their handles
/// answer that they were cancelled. So are closures that have not started; those that have are
/// waited for, at most 5 s (see [`shutdown_timeout`](Self::shutdown_timeout)). Wakers, handles and
/// sockets that outlive it are harmless; as long as there is one, the descriptors of the event loop
/// (three, and one more for a timer of the kernel's) stay open.
///
/// In a child process made by `fork` it runs nothing, and says so: [`turn`](Self::turn) is an error,
/// [`block_on`](Self::block_on) panics. There it leaves alone what it shares with its parent. Dropping
/// it drops its tasks, those of the child. That may wait for ever if, at the time of the fork, another
/// thread was just spawning, waking or ending a task of it, because the lock that this thread held is
/// held for good then; so a child of a process in which others do that should
/// [forget](std::mem::forget) it.
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
    /// runs a closure of one: await the future there instead, or spawn it. If this process was forked
    /// from the one that made the runtime. If the kernel's event queue cannot be waited for any more,
    /// because its descriptor was closed by someone else.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        free::check_block_on(&self.scheduler.current().driver);
        match self.scheduler.block_on(future) {
            Ok(output) => output,
            Err(reentered) => panic!("{reentered}"),
        }
    }

    /// Does a bounded part of what there is to do, and never sleeps: for a host whose thread this is.
    ///
    /// It asks the kernel once what is ready, fires timers, and polls tasks until none is ready or
    /// `budget` is spent. Between turns the host may sleep as long as the descriptor of
    /// [`as_fd`](Self::as_fd) is not readable and [`next_deadline`](Self::next_deadline) has not come.
    ///
    /// It may be called inside other runtimes, by a task that watches the descriptor, for example.
    ///
    /// # Errors
    ///
    /// [`TurnError`]: a task of this runtime has called it, or a child process did, or the kernel
    /// cannot be asked any more.
    ///
    /// # Examples
    ///
    /// The loop of a host that draws frames:
    ///
    /// ```
    /// use mainspring::{Budget, LocalRuntime};
    /// use std::time::Duration;
    ///
    /// let rt = LocalRuntime::builder().build()?;
    /// let task = rt.spawn_local(async {
    ///     mainspring::time::sleep(Duration::from_millis(5)).await;
    /// });
    /// while !task.is_finished() {
    ///     let report = rt.turn(Budget::new().max_time(Duration::from_millis(2)))?;
    ///     // … draw, and sleep until the next frame, or until `rt.as_fd()` is readable …
    ///     # let _ = report;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn turn(&self, budget: Budget) -> Result<TurnReport, TurnError> {
        self.scheduler.turn_once(budget)
    }

    /// The descriptor that is readable while a [`turn`](Self::turn) would do something.
    ///
    /// It stays the same for the runtime's life. Watch it level-triggered, with `poll`, `epoll`,
    /// `kqueue` or whatever loop the host has, and never read it. It becomes readable for ready
    /// sockets, for tasks that are woken or spawned from anywhere, the host itself included, and for
    /// what a spent budget has left over. Deadlines make it readable with
    /// [`timer_fd`](LocalBuilder::timer_fd) only; else ask [`next_deadline`](Self::next_deadline)
    /// before each sleep.
    ///
    /// From the first call on, wakes between turns cost a system call for each time that the
    /// descriptor becomes readable.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.scheduler.descriptor()
    }

    /// Until when the host may sleep: the next deadline, the present if something is to be done now,
    /// or `None` if only events end the sleep.
    ///
    /// In [virtual time](crate::time#virtual-time) the next turn brings the deadline by itself, so that
    /// this says the present, on the runtime's own clock, where there is one. `has_more` and the
    /// descriptor say so, too.
    ///
    /// Ask it last, right before the sleep. A timer that is armed for an earlier moment afterwards
    /// makes the descriptor readable.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::time::{Instant, sleep};
    /// use mainspring::{Budget, LocalRuntime};
    /// use std::time::Duration;
    ///
    /// let rt = LocalRuntime::builder().build()?;
    /// assert_eq!(rt.next_deadline(), None);
    /// let task = rt.spawn_local(async { sleep(Duration::from_secs(60)).await });
    /// rt.turn(Budget::new())?;
    /// assert!(rt.next_deadline() > Some(Instant::now()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        self.scheduler.next_deadline()
    }

    /// Makes `future`, which need not be `Send`, a task of this runtime.
    ///
    /// It first runs in the next [`block_on`](Self::block_on) or [`turn`](Self::turn).
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
        Leftover { tasks: Vec::new(), threads: 0, blocking: pool.shutdown_timeout(limit) }
    }
}

/// What a runtime left behind when it ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leftover {
    /// Tasks that have not ended: they are in the middle of a poll, or stay on a worker that is.
    pub tasks: Vec<TaskDump>,
    /// Workers that are in the middle of a poll.
    pub threads: usize,
    /// Closures of [`spawn_blocking`](crate::spawn_blocking) that are still running, each on a
    /// thread that nobody owns any more. One that has just finished may still count.
    pub blocking: usize,
}

#[cfg(not(mio_unsupported_force_poll_poll))]
impl AsFd for LocalRuntime {
    fn as_fd(&self) -> BorrowedFd<'_> {
        Self::as_fd(self)
    }
}

#[cfg(not(mio_unsupported_force_poll_poll))]
impl AsRawFd for LocalRuntime {
    fn as_raw_fd(&self) -> RawFd {
        Self::as_fd(self).as_raw_fd()
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime").field("live_tasks", &self.live_tasks()).finish()
    }
}
