//! Who runs on this thread: how code inside a task finds its runtime without naming its type.
//!
//! A runtime enters a [`Current`] when it begins to run on a thread, and leaves it when it returns
//! to the host; a thread may also enter one without running it. The last entry that was not left
//! counts, in whatever order they are left. What a future needs of its runtime (to wait for a socket, to arm a
//! timer, to spawn) it finds here, so that no room above has to import the runtime.
//!
//! This room holds thread-locals: the entries, which worker the thread is, its block of task numbers,
//! and the buffers that it keeps at hand.

mod calls;
#[cfg(feature = "http")]
mod spare;

pub(crate) use calls::Calls;
#[cfg(feature = "http")]
pub(crate) use spare::Spare;

use crate::driver::Driver;
use crate::hooks::TaskId;
use crate::primitives::{local, unique_id};
use crate::task::{Executor, Runnable, Spawn};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
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
    /// The calls that were asked for and not made yet.
    pub(crate) calls: Arc<Calls>,
    /// Whether this thread runs tasks of the runtime.
    pub(crate) runs: Runs,
}

/// Which tasks a thread runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    Nothing,
    /// One of several workers does, to whom tasks that are `!Send` cannot be spawned.
    Send,
    /// The only one does, `!Send` tasks too.
    All,
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
    pub(crate) calls: Arc<Calls>,
}

impl Outside {
    /// Makes the runtime that of this thread, which belongs to its pool, until the guard drops; its
    /// tasks do not run here.
    pub(crate) fn enter(&self, executor: Arc<dyn DefaultExecutor>) -> EnterGuard {
        push(Rc::new(self.current(executor)), Occupied::ByPool)
    }

    /// Makes the runtime that of this thread, whatever that is, until the guard drops.
    ///
    /// Where it is that already, things stay as they are.
    pub(crate) fn visit(&self, executor: Arc<dyn DefaultExecutor>) -> EnterGuard {
        let runtime = self.driver.runtime();
        let present = current().ok().filter(|current| current.runtime() == runtime);
        let current = present.unwrap_or_else(|| Rc::new(self.current(executor)));
        push(current, Occupied::No)
    }

    fn current(&self, executor: Arc<dyn DefaultExecutor>) -> Current {
        let Self { driver, spawn, calls } = self.clone();
        Current { driver, spawn, executor, calls, runs: Runs::Nothing }
    }
}

impl Current {
    /// The number of the runtime.
    pub(crate) fn runtime(&self) -> NonZeroU64 {
        self.driver.runtime()
    }

    /// What others need who are to enter the same.
    pub(crate) fn outside(&self) -> Outside {
        Outside {
            driver: Arc::clone(&self.driver),
            spawn: Arc::clone(&self.spawn),
            calls: Arc::clone(&self.calls),
        }
    }
}

/// There is no runtime on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoContext;

/// Whom a thread works for, so that it may or may not be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupied {
    /// Nobody but its owner.
    No,
    /// A pool: it runs closures that may block.
    ByPool,
    /// A runtime: the tasks of others wait for it.
    ByRuntime,
}

/// The entries of a thread.
struct Entries {
    /// What the last of them has; by itself, as it is asked for all the time.
    current: Option<Rc<Current>>,
    stack: Vec<Entry>,
    next_key: u64,
}

impl Entries {
    /// Guards of the runtime that outlive its run keep it entered, as one that does not run here:
    /// nobody polls its tasks now.
    fn stop_running(&mut self, current: &Rc<Current>) {
        let mut left = self.stack.iter_mut().filter(|entry| Rc::ptr_eq(&entry.current, current));
        let Some(first) = left.next() else { return };
        let executor = Arc::clone(&current.executor);
        first.current = Rc::new(current.outside().current(executor));
        let stopped = Rc::clone(&first.current);
        // What this replaces is kept by the caller.
        left.for_each(|entry| entry.current = Rc::clone(&stopped));
    }
}

struct Entry {
    key: u64,
    current: Rc<Current>,
    occupied: Occupied,
}

local! {
    static ENTRIES: RefCell<Entries> =
        RefCell::new(Entries { current: None, stack: Vec::new(), next_key: 0 });
}

local! {
    /// The next number that this thread may give to a task; at the start of a block it has none.
    static NEXT_ID: Cell<u64> = Cell::new(0);
}

local! {
    /// The runtime of which the thread is a worker, and which one; 0 if of none.
    static WORKER: Cell<(u64, usize)> = Cell::new((0, 0));
}

/// The thread is worker number `shard` of this runtime, until it ends.
pub(crate) fn work_for(runtime: NonZeroU64, shard: usize) {
    let _ = WORKER.try_with(|worker| worker.set((runtime.get(), shard)));
}

/// Which worker of this runtime the present thread is.
#[inline]
pub(crate) fn worker_of(runtime: NonZeroU64) -> Option<usize> {
    let (works_for, shard) = WORKER.try_with(Cell::get).unwrap_or((0, 0));
    (works_for == runtime.get()).then_some(shard)
}

/// The runtime that runs on this thread.
#[inline]
pub(crate) fn current() -> Result<Rc<Current>, NoContext> {
    ENTRIES.try_with(|entries| entries.borrow().current.clone()).ok().flatten().ok_or(NoContext)
}

/// Whether a runtime runs on this thread.
#[inline]
pub(crate) fn is_entered() -> bool {
    ENTRIES.try_with(|entries| entries.borrow().current.is_some()).unwrap_or(false)
}

/// Whom this thread works for: by the last of its entries that says so.
pub(crate) fn occupied() -> Occupied {
    let last = ENTRIES.try_with(|entries| {
        let entries = entries.borrow();
        let mut occupied = entries.stack.iter().rev().map(|entry| entry.occupied);
        occupied.find(|occupied| *occupied != Occupied::No)
    });
    last.ok().flatten().unwrap_or(Occupied::No)
}

/// Whether this thread runs tasks of this runtime.
#[inline]
pub(crate) fn runs_here(runtime: NonZeroU64) -> bool {
    current().is_ok_and(|current| current.runs != Runs::Nothing && current.runtime() == runtime)
}

/// Makes `current`, which is about to run here, the runtime of this thread until the guard drops.
pub(crate) fn enter(current: Rc<Current>) -> EnterGuard {
    push(current, Occupied::ByRuntime)
}

fn push(current: Rc<Current>, occupied: Occupied) -> EnterGuard {
    let pushed = ENTRIES.try_with(|entries| {
        let mut entries = entries.borrow_mut();
        let key = entries.next_key;
        entries.next_key += 1;
        entries.stack.push(Entry { key, current: Rc::clone(&current), occupied });
        // The entry below keeps what this replaces.
        entries.current = Some(current);
        key
    });
    // While a thread ends there are no entries, and nothing to leave.
    EnterGuard { key: pushed.ok(), _thread: PhantomData }
}

/// Leaves the runtime; the last entry that is left over counts from then on.
#[must_use = "the runtime is left when the guard drops"]
pub(crate) struct EnterGuard {
    key: Option<u64>,
    /// It is about the thread that made it.
    _thread: PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let left = ENTRIES.try_with(|entries| {
            let mut entries = entries.borrow_mut();
            let index = entries.stack.iter().rposition(|entry| entry.key == key)?;
            let entry = entries.stack.remove(index);
            if entry.occupied == Occupied::ByRuntime {
                entries.stop_running(&entry.current);
            }
            let last = entries.stack.last().map(|entry| Rc::clone(&entry.current));
            Some((entry, std::mem::replace(&mut entries.current, last)))
        });
        // Dropped after the borrow, as what ends with it may come back here.
        drop(left);
    }
}

/// How many numbers a thread takes at a time: one shared counter, touched every so often.
const ID_BLOCK: u64 = 1 << 10;

/// A number for a new task.
#[inline]
pub(crate) fn next_task_id() -> TaskId {
    let number = NEXT_ID.try_with(|next| {
        let mut number = next.get();
        if number % ID_BLOCK == 0 {
            number = unique_id().get() * ID_BLOCK;
        }
        next.set(number + 1);
        number
    });
    // While a thread ends its block is gone; then one number of a block of its own is used.
    let number = number.unwrap_or_else(|_| unique_id().get() * ID_BLOCK);
    TaskId::from_raw(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
}

#[cfg(all(test, not(loom)))]
mod tests;
