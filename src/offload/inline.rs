//! Closures on the runtime's own thread: what a deterministic runtime has instead of a pool.
//!
//! A closure is queued among the runtime's tasks, and the scheduler hands it back when its turn has
//! come (`DefaultExecutor::run_inline`). Meanwhile it holds its place in the queue by itself, so that
//! the bound holds, and the place comes back wherever the closure is dropped.

use super::places::Places;
use super::pool::{PoolHandle, run_told};
use super::spawn::Run;
use crate::context::Outside;
use crate::hooks::HookSet;
use crate::primitives::{AtomicBool, Ordering};
use crate::task::{self, JoinHandle, Origin, Placement, Runnable, Schedule, Spawn};
use std::sync::Arc;

/// How the closures of a pool without threads get to run.
pub(super) struct Inline {
    outside: Outside,
    /// Where the runtime's own thread finds what it is to run.
    queue: Arc<dyn Schedule>,
    hooks: HookSet,
    running: AtomicBool,
}

impl Inline {
    pub(super) fn new(outside: Outside, queue: Arc<dyn Schedule>, hooks: HookSet) -> Self {
        Self { outside, queue, hooks, running: AtomicBool::new(false) }
    }

    /// Puts a closure among the tasks of the runtime; one that has ended drops it.
    pub(super) fn queue(&self, task: Runnable) {
        self.queue.schedule(task);
    }

    /// Runs a closure on the present thread as if that were one of a pool.
    pub(super) fn run(&self, task: Runnable, pool: &PoolHandle) {
        let _entered = self.outside.enter(Arc::new(pool.clone()));
        self.running.store(true, Ordering::Relaxed);
        run_told(&self.hooks, task);
        self.running.store(false, Ordering::Relaxed);
    }

    /// Whether a closure is running.
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }
}

/// A place in the queue.
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.put_back();
    }
}

impl PoolHandle {
    /// Makes `f` a task that runs on the runtime's own thread; a place was reserved for it.
    pub(super) fn spawn_inline<F, T>(&self, f: F, origin: impl Into<Origin>) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let place = Place(Arc::clone(self.places()));
        let placed = move || {
            drop(place);
            f()
        };
        task::spawn(&Queued(self.clone()), Run(Some(placed)), origin)
    }
}

/// Spawns tasks that hold their place themselves.
struct Queued(PoolHandle);

impl Spawn for Queued {
    fn place(&self) -> Placement {
        self.0.place()
    }

    fn submit(&self, task: Runnable) {
        self.0.submit_inline(task);
    }
}
