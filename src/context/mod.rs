//! Who runs on this thread: how code inside a task finds its runtime without naming its type.
//!
//! A runtime enters a [`Current`] when it begins to run on a thread, and leaves it when it returns
//! to the host. Entries nest. What a future needs of its runtime (to wait for a socket, to arm a
//! timer, to spawn) it finds here, so that no room above has to import the runtime.
//!
//! This room holds two thread-locals: the entry, and the thread's block of task numbers.

use crate::driver::Driver;
use crate::hooks::TaskId;
use crate::primitives::{local, unique_id};
use crate::task::{Executor, Runnable, Schedule, Spawn};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;

/// What one runtime offers on this thread.
pub(crate) struct Current {
    /// Where sockets and timers of this thread wait.
    pub(crate) driver: Arc<Driver>,
    /// Where tasks are spawned.
    pub(crate) spawn: Arc<dyn Spawn>,
    /// Where work that blocks goes.
    pub(crate) executor: Arc<dyn DefaultExecutor>,
    /// This thread's own queue, while a worker runs here.
    pub(crate) own: Option<Rc<dyn OwnQueue>>,
}

/// A runtime's executor for work that blocks.
///
/// What it is beyond that is known to its own room, which lies above this one and asks by `Any`.
pub(crate) trait DefaultExecutor: Executor + Any {
    /// Runs a task of the executor's own, which it has put among those of the runtime.
    fn run_inline(&self, task: Runnable) {
        let _ = task.run();
    }
}

/// What a thread enters that works for a runtime and is none of its workers.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) driver: Arc<Driver>,
    pub(crate) spawn: Arc<dyn Spawn>,
    /// Where tasks of the executor are queued that the runtime's own thread is to run.
    pub(crate) queue: Arc<dyn Schedule>,
}

impl Outside {
    /// Makes the runtime that of this thread until the guard drops; its tasks do not run here.
    pub(crate) fn enter(&self, executor: Arc<dyn DefaultExecutor>) -> EnterGuard {
        let (driver, spawn) = (Arc::clone(&self.driver), Arc::clone(&self.spawn));
        enter(Rc::new(Current { driver, spawn, executor, own: None }))
    }
}

impl Current {
    /// The number of the runtime.
    pub(crate) fn runtime(&self) -> NonZeroU64 {
        self.driver.runtime()
    }
}

/// The queue of the thread that runs.
pub(crate) trait OwnQueue {
    /// Puts a task at the back.
    fn push(&self, task: Runnable);

    /// Whether tasks that are `!Send` may be spawned into it.
    fn takes_local(&self) -> bool;
}

/// There is no runtime on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoContext;

local! {
    static CURRENT: RefCell<Option<Rc<Current>>> = RefCell::new(None);
}

local! {
    static IDS: Cell<IdBlock> = Cell::new(IdBlock { next: 0, left: 0 });
}

/// The runtime that runs on this thread.
#[inline]
pub(crate) fn current() -> Result<Rc<Current>, NoContext> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten().ok_or(NoContext)
}

/// Whether a runtime runs on this thread.
pub(crate) fn is_entered() -> bool {
    current().is_ok()
}

/// Puts `task` at the back of this thread's own queue, if that belongs to this runtime.
#[inline]
pub(crate) fn push_own(runtime: NonZeroU64, task: Runnable) -> Result<(), Runnable> {
    let Ok(current) = current() else { return Err(task) };
    match &current.own {
        Some(own) if current.runtime() == runtime => {
            own.push(task);
            Ok(())
        }
        _ => Err(task),
    }
}

/// Whether this thread runs tasks of this runtime.
#[inline]
pub(crate) fn runs_here(runtime: NonZeroU64) -> bool {
    current().is_ok_and(|current| current.own.is_some() && current.runtime() == runtime)
}

/// Makes `current` the runtime of this thread until the guard drops.
pub(crate) fn enter(current: Rc<Current>) -> EnterGuard {
    let before = CURRENT.try_with(|slot| slot.replace(Some(current))).ok().flatten();
    EnterGuard { before }
}

/// Leaves the runtime, and comes back to the one before.
#[must_use = "the runtime is left when the guard drops"]
pub(crate) struct EnterGuard {
    before: Option<Rc<Current>>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        // What is replaced is dropped after the borrow: its drop may come back here.
        let left = CURRENT.try_with(|slot| slot.replace(before));
        drop(left);
    }
}

/// Numbers that this thread may give to tasks.
#[derive(Clone, Copy)]
struct IdBlock {
    next: u64,
    left: u64,
}

/// How many numbers a thread takes at a time: one shared counter, touched every so often.
const ID_BLOCK: u64 = 1 << 10;

/// A number for a new task.
#[inline]
pub(crate) fn next_task_id() -> TaskId {
    let number = IDS.try_with(|ids| {
        let mut block = ids.get();
        if block.left == 0 {
            block = IdBlock { next: unique_id().get() * ID_BLOCK, left: ID_BLOCK };
        }
        let number = block.next;
        ids.set(IdBlock { next: number + 1, left: block.left - 1 });
        number
    });
    // While a thread ends its block is gone; then one number of a block of its own is used.
    let number = number.unwrap_or_else(|_| unique_id().get() * ID_BLOCK);
    TaskId::from_raw(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
}
