//! How a runtime is reached from outside, and from any thread.

use crate::context::{self, Current, Outside};
use crate::hooks::Metrics;
use crate::offload::{BlockingLimits, PoolHandle};
use crate::task::{self, Busy, JoinHandle, NoSuchShard, Spawn, TaskDump};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

/// A reference to a runtime, for any thread; cheap to clone.
///
/// It keeps no runtime alive: what is spawned through the handle of one that has ended is cancelled
/// at once.
///
/// # Examples
///
/// ```
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// let handle = rt.handle();
/// let thread = std::thread::spawn(move || handle.spawn(async { 5 }));
/// let task = thread.join().unwrap();
/// assert_eq!(rt.block_on(task)?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    outside: Outside,
    pool: PoolHandle,
}

impl Handle {
    pub(super) fn new(current: &Current) -> Self {
        Self { outside: current.outside(), pool: PoolHandle::of(current) }
    }

    pub(super) fn of(outside: Outside, pool: PoolHandle) -> Self {
        Self { outside, pool }
    }

    pub(super) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// The runtime that runs the calling code.
    ///
    /// # Panics
    ///
    /// Outside `block_on` and tasks; [`try_current`](Self::try_current) answers an error there.
    #[track_caller]
    pub fn current() -> Self {
        match Self::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("Handle::current: {error}"),
        }
    }

    /// The runtime that runs the calling code, if there is one.
    ///
    /// # Errors
    ///
    /// [`NoRuntime`] outside `block_on` and tasks.
    pub fn try_current() -> Result<Self, NoRuntime> {
        let current = context::current().map_err(|_| NoRuntime)?;
        Ok(Self::new(&current))
    }

    /// Makes `future` a task of this runtime.
    ///
    /// If the runtime has ended, the future is dropped here, and the handle answers that the task
    /// was cancelled.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::spawn(&*self.outside.spawn, future, Location::caller())
    }

    /// Makes a future on worker number `shard`, and a task of it that stays there; see
    /// [`spawn_pinned`](crate::spawn_pinned).
    ///
    /// # Errors
    ///
    /// [`NoSuchShard`], with `make` in it, if the runtime has no worker of that number.
    #[track_caller]
    pub fn spawn_pinned<M, F>(
        &self,
        shard: usize,
        make: M,
    ) -> Result<JoinHandle<F::Output>, NoSuchShard<M>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        task::spawn_pinned(&*self.outside.spawn, shard, make, Location::caller())
    }

    /// How many workers the runtime has; they are numbered from 0.
    pub fn workers(&self) -> usize {
        self.outside.spawn.workers()
    }

    /// Makes this runtime the current one on the calling thread, until the guard drops.
    ///
    /// [`spawn`](crate::spawn()), [`sleep`](crate::time::sleep), sockets and
    /// [`Handle::current`] find it then, as they do inside `block_on`. Nothing runs by that: the tasks,
    /// timers and sockets of a [`LocalRuntime`](crate::LocalRuntime) wait until that itself runs, and
    /// those of a [`Runtime`](crate::Runtime) go on on its workers as ever. The thread is not taken for
    /// one of the runtime's either, so it may call `block_on`, or
    /// [`wait_blocking`](JoinHandle::wait_blocking) if it runs no other runtime.
    ///
    /// Guards nest, and may be dropped in any order: the last that is left over counts. One that is
    /// forgotten stays in force for as long as the thread lives. Do not keep one across an `await`:
    /// it is about the thread, and would hold for every task that runs there meanwhile. That is why it
    /// is `!Send`.
    ///
    /// A runtime that has ended can be entered as well; what is spawned there is cancelled at once,
    /// sockets answer with an error, and a sleep panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::time::sleep;
    /// use std::time::Duration;
    ///
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// let entered = rt.handle().enter();
    /// // Both would panic outside a runtime.
    /// let task = mainspring::spawn(async { 5 });
    /// let pause = sleep(Duration::from_millis(1));
    /// drop(entered);
    /// rt.block_on(pause);
    /// assert_eq!(rt.block_on(task)?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enter(&self) -> EnterGuard {
        EnterGuard { _entered: self.outside.visit(Arc::new(self.pool.clone())) }
    }

    /// Runs `f`, which may block, on a thread of this runtime's pool; see
    /// [`spawn_blocking`](crate::spawn_blocking), whose semantics it has.
    ///
    /// If the runtime has ended, the closure is dropped here, and the handle answers that the task
    /// was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// let task = rt.handle().spawn_blocking(|| 6 * 7);
    /// assert_eq!(rt.block_on(task)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.pool.spawn(f, Location::caller())
    }

    /// Like [`spawn_blocking`](Self::spawn_blocking), but gives the closure back where it would have
    /// to wait for a place in the queue.
    ///
    /// # Errors
    ///
    /// [`Busy`], with the closure in it: the queue is full, others wait for a place, the runtime has
    /// ended, or no thread can be had at all.
    #[track_caller]
    pub fn try_spawn_blocking<F, T>(&self, f: F) -> Result<JoinHandle<T>, Busy<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.pool.try_spawn(f, Location::caller())
    }

    /// What this runtime's pool for blocking work is doing, and the way to change its limits.
    pub fn blocking(&self) -> BlockingLimits {
        BlockingLimits::new(&self.pool)
    }

    /// What the runtime has counted so far, and holds now; from any thread, at any time.
    ///
    /// It stops nothing. The counters are read where they lie. For the numbers of tasks and timers it
    /// takes locks that the runtime's own threads have nearly for free, so that to ask from another one
    /// costs that microseconds, and makes these locks cost a few nanoseconds more for a while: ask some
    /// times a second, not thousands of times.
    ///
    /// Of a runtime that has ended it says what it counted until then.
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// rt.block_on(rt.spawn_local(async {}))?;
    /// let metrics = rt.handle().metrics();
    /// assert_eq!((metrics.workers.len(), metrics.workers[0].polls), (1, 1));
    /// assert_eq!((metrics.alive_tasks, metrics.blocking.limit), (0, 64));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        self.outside.spawn.measure(&mut metrics);
        self.pool.measure(&mut metrics);
        metrics
    }

    /// What each live task is doing, closures of [`spawn_blocking`](crate::spawn_blocking) among them;
    /// from any thread, at any time.
    ///
    /// It stops nothing: a lock is held while the tasks are counted out, and they are looked at one by
    /// one afterwards. So the answers are not of one and the same moment, and a task that begins or ends
    /// meanwhile may be in or not. A task of another runtime is never in; nor are futures of `block_on`,
    /// which are no tasks. They come in no order.
    ///
    /// For each task it costs a look at memory that another processor may be writing, twice; and what is
    /// said at [`metrics`](Self::metrics) of locks.
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = mainspring::LocalRuntime::builder().build()?;
    /// let task = rt.spawn_local(std::future::pending::<()>());
    /// for task in rt.handle().dump_tasks() {
    ///     println!(
    ///         "{} {:?} at {}: {:?}, {} polls in {:?}",
    ///         task.info.id, task.info.name(), task.info.location, task.state, task.polls, task.age,
    ///     );
    /// }
    /// # assert_eq!(rt.handle().dump_tasks()[0].info.id, task.id());
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    pub fn dump_tasks(&self) -> Vec<TaskDump> {
        let mut tasks = Vec::new();
        self.outside.spawn.dump(&mut tasks);
        self.pool.dump(&mut tasks);
        tasks
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("runtime", &self.outside.driver.runtime()).finish()
    }
}

/// Leaves the runtime that [`Handle::enter`] has entered, when it drops.
#[must_use = "the runtime is left when the guard drops"]
pub struct EnterGuard {
    _entered: context::EnterGuard,
}

impl fmt::Debug for EnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

/// No runtime runs the calling code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRuntime;

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no runtime runs here: call it inside block_on or a task, or use a Handle")
    }
}

impl std::error::Error for NoRuntime {}
