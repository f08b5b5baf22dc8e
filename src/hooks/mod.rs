//! What an embedder can watch: the life of tasks and of the threads that run them.
//!
//! Give a runtime's builder something that implements [`Hooks`]; every method has an empty
//! default. A runtime without hooks pays one predictable branch for each event.
//!
//! # Examples
//!
//! ```
//! use mainspring::hooks::{Finish, Hooks, TaskInfo};
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! #[derive(Default)]
//! struct Count(AtomicUsize);
//!
//! impl Hooks for Count {
//!     fn on_finish(&self, _task: &TaskInfo, how: Finish) {
//!         if how == Finish::Finished {
//!             self.0.fetch_add(1, Ordering::Relaxed);
//!         }
//!     }
//! }
//!
//! let count = Arc::new(Count::default());
//! let rt = mainspring::LocalRuntime::builder().hooks(count.clone()).build()?;
//! rt.block_on(async { mainspring::spawn(async {}).await })?;
//! assert_eq!(count.0.load(Ordering::Relaxed), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod doing;
mod info;
mod metrics;
mod set;
mod stall;

use std::any::Any;

pub(crate) use doing::Doing;
pub(crate) use info::{Extension, UserData};
pub use info::{Finish, PollOutcome, TaskId, TaskInfo, TaskKind};
pub use metrics::{BlockingMetrics, Metrics, WorkerMetrics};
pub(crate) use set::{HookSet, OnStall, OnUnhandledPanic};
pub use stall::{Stall, StallKind, Within};

/// Calls that a runtime makes as tasks live and threads sleep.
///
/// # What a hook may and may not do
///
/// - It runs on the thread where the event happens: `on_spawn` and `on_wake` on whichever thread
///   spawns or wakes, which need not belong to the runtime; the others on the runtime's threads, or
///   where the runtime is dropped; `on_unhandled_panic` also where a handle is.
/// - Several threads call hooks at the same time: the workers of a [`Runtime`](crate::Runtime), those
///   of the pool, and whoever spawns or wakes. What is told of one task comes in order, with two
///   exceptions: `on_wake` may come while the task is polled, and a task that was woken meanwhile may
///   be polled by another worker before the one before has told `on_poll_end`, so that the two overlap.
/// - It runs under no lock of the runtime, so it may spawn, wake and send. It must not cause the
///   event that it answers to (a spawn from `on_spawn`), or it recurses without end.
/// - It must not drop the runtime (out of a thread-local, say), which would wait for the event that
///   the hook is in the middle of.
/// - It must be short and must not block: the runtime waits for it.
/// - It must not keep a [`Handle`](crate::Handle) of its own runtime, nor wakers or handles of its
///   tasks: they would keep each other in memory after the runtime's end. It can ask for
///   [`Handle::try_current`](crate::Handle) when it needs one.
/// - A hook that panics is caught. The first panic is reported on standard error, and the hooks of
///   that runtime are not called again; nor are they after a panic in `on_unhandled_panic`, which is
///   one of them. A closure set beside them, as by
///   [`LocalBuilder::on_unhandled_panic`](crate::LocalBuilder::on_unhandled_panic), is called still.
pub trait Hooks: Send + Sync + 'static {
    /// A task was made and is about to be queued for the first time.
    fn on_spawn(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// A task is about to be polled, or dropped because it was aborted.
    fn on_poll_start(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// What [`on_poll_start`](Self::on_poll_start) announced is done; if the task ended by it,
    /// [`on_finish`](Self::on_finish) came before.
    fn on_poll_end(&self, task: &TaskInfo, outcome: PollOutcome) {
        let _ = (task, outcome);
    }

    /// A task that was waiting is about to be put into a queue, or asked to end by `abort`.
    ///
    /// A task that is woken while it is queued or polled is not told of again; but where another thread
    /// wakes a task of a [`LocalRuntime`](crate::LocalRuntime), it may be, once, as that thread does not
    /// know.
    fn on_wake(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// A task ended; its future is dropped, and whoever joins it has not seen the outcome yet.
    fn on_finish(&self, task: &TaskInfo, how: Finish) {
        let _ = (task, how);
    }

    /// A task panicked, and its [`JoinHandle`](crate::JoinHandle) told nobody: that was dropped, before
    /// the task ended, or after that without being asked.
    ///
    /// [`on_finish`](Self::on_finish) came before. If the handle was gone by then, this comes next, on
    /// the same thread, where the task ended: for a closure of `spawn_blocking` that is the pool's. Else
    /// it is called by the drop of the handle, on whichever thread that is, also after the end of the
    /// runtime.
    ///
    /// `payload` is what the task panicked with, as
    /// [`JoinError::into_panic`](crate::task::JoinError::into_panic) would give it: a `&'static str` or a
    /// `String` where `panic!` was given a text. It is only lent, and dropped after this returns.
    ///
    /// Not told of: a panic in the drop of an output that nobody takes; and those of what is no task, as
    /// the closures of [`Handle::call_soon`](crate::Handle::call_soon). The panic hook of std has
    /// printed them all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::hooks::{Hooks, TaskInfo};
    /// use std::any::Any;
    /// use std::sync::{Arc, Mutex};
    ///
    /// #[derive(Default)]
    /// struct Lost(Mutex<Vec<String>>);
    ///
    /// impl Hooks for Lost {
    ///     fn on_unhandled_panic(&self, task: &TaskInfo, payload: &(dyn Any + Send)) {
    ///         let text = payload.downcast_ref::<&str>().copied().unwrap_or("no text");
    ///         self.0.lock().unwrap().push(format!("{:?}: {text}", task.kind));
    ///     }
    /// }
    ///
    /// let lost = Arc::new(Lost::default());
    /// let rt = mainspring::LocalRuntime::builder().hooks(lost.clone()).build()?;
    /// rt.block_on(async {
    ///     drop(mainspring::spawn(async { panic!("nobody waits") }));
    ///     mainspring::yield_now().await;
    /// });
    /// assert_eq!(*lost.0.lock().unwrap(), ["Send: nobody waits"]);
    /// # Ok::<(), mainspring::BuildError>(())
    /// ```
    fn on_unhandled_panic(&self, task: &TaskInfo, payload: &(dyn Any + Send)) {
        let _ = (task, payload);
    }

    /// A closure given to `spawn_blocking` is about to run, on the pool's thread where this is
    /// called.
    ///
    /// Such a task has no polls to be told of. One that was aborted before its turn never starts.
    fn on_blocking_start(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// A closure given to `spawn_blocking` ended; [`on_finish`](Self::on_finish) came before, and
    /// says how.
    fn on_blocking_end(&self, task: &TaskInfo) {
        let _ = task;
    }

    /// A worker found nothing to do and is about to sleep in its driver, on its own thread.
    ///
    /// `worker` counts from 0; a [`LocalRuntime`](crate::LocalRuntime) has one, number 0.
    fn on_park(&self, worker: usize) {
        let _ = worker;
    }

    /// A worker is back from its sleep, or did not sleep as something had come meanwhile; before it wakes
    /// the tasks whose events ended it.
    fn on_unpark(&self, worker: usize) {
        let _ = worker;
    }

    /// A worker's thread has started, and this is the first that it does.
    ///
    /// `worker` counts from 0, as everywhere here. Each comes before all else that is told of the
    /// worker, and on the worker's thread. A [`LocalRuntime`](crate::LocalRuntime), which has no thread
    /// of its own, does not call it, nor do the threads of the pool. Threads that stand in for workers that
    /// are stuck do, and their numbers come after those of the workers; a number may come again.
    fn on_worker_start(&self, worker: usize) {
        let _ = worker;
    }

    /// A worker's thread is about to end, and this is the last that it does: what was left of its
    /// tasks has been dropped.
    ///
    /// On the worker's thread; not called where [`on_worker_start`](Self::on_worker_start) is not. The
    /// end of the runtime waits for it, as far as it waits for the worker.
    fn on_worker_stop(&self, worker: usize) {
        let _ = worker;
    }

    /// A worker that had nothing to do has taken `tasks` tasks, one at least, out of the queue of the
    /// worker `from`, and is about to run them. (Those that a third worker took from it at once are
    /// not counted.)
    ///
    /// On the thread of `worker`, the thief. A [`LocalRuntime`](crate::LocalRuntime) has nobody to
    /// steal from.
    fn on_steal(&self, worker: usize, from: usize, tasks: usize) {
        let _ = (worker, from, tasks);
    }

    /// The thread `worker` has taken over what lay behind `stuck`, which does not return from a poll:
    /// `tasks` tasks that were queued there, or woken by events and timers that are due there.
    ///
    /// On the thread of `worker`. It comes again for as long as the stall lasts and there is something to
    /// take over; what is taken once is not told of again. Threads that stand in for workers count from
    /// the number of workers on, here and below.
    fn on_relief(&self, worker: usize, stuck: usize, tasks: usize) {
        let _ = (worker, stuck, tasks);
    }

    /// The thread `rescuer` begins to stand in for the worker `stuck`, which does not return from a poll
    /// while nobody is free to relieve it.
    ///
    /// On the thread of `rescuer`; if that was started for it,
    /// [`on_worker_start`](Self::on_worker_start) came before.
    fn on_rescue(&self, rescuer: usize, stuck: usize) {
        let _ = (rescuer, stuck);
    }

    /// A thread has been in the middle of one poll for longer than
    /// [`report_stall_after`](crate::Builder::report_stall_after); told once for each such poll, while it
    /// lasts.
    ///
    /// On a thread that does nothing else, so that it may be slow: writing to a log is fine. If it is
    /// slower than stalls come, some are not told; [`Metrics::stalls`] counts them all. The end of a
    /// [`Runtime`](crate::Runtime) waits for it as for its workers; that of a
    /// [`LocalRuntime`](crate::LocalRuntime) does not, so that it may be called after that.
    fn on_stall(&self, stall: &Stall) {
        let _ = stall;
    }
}
