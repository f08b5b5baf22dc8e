//! How a future becomes a task, and the traits by which other rooms offer a place to run.

use super::cell;
use super::dump::TaskDump;
use super::find::Found;
use super::home::{Home, HomeRef, Schedule};
use super::join::JoinHandle;
use super::origin::Origin;
use super::own::Own;
use super::pinned::Pinned;
use super::run::Runnable;
use super::state::State;
use crate::hooks::{Metrics, TaskId, TaskKind};
use std::fmt;
use std::future::Future;
use std::ptr::NonNull;
use std::sync::Arc;

/// A runtime, as those see it who spawn: object-safe, in two steps, so that the allocation between
/// them stays generic.
pub(crate) trait Spawn: Send + Sync + 'static {
    /// Chooses where the next task belongs.
    fn place(&self) -> Placement;

    /// The same, on a worker of the caller's choice.
    fn place_on(&self, shard: usize) -> Result<Placement, NoSuchShard> {
        if shard < self.workers() { Ok(self.place()) } else { Err(NoSuchShard(())) }
    }

    /// The same, on a worker where the task stays.
    fn place_pinned(&self, shard: usize) -> Result<Placement, NoSuchShard> {
        self.place_on(shard)
    }

    /// Takes the new task into its queue; a runtime that has ended drops it, which cancels it.
    fn submit(&self, task: Runnable);

    /// Takes a task that was placed on a shard into the queue there.
    fn submit_on(&self, shard: usize, task: Runnable) {
        debug_assert!(shard < self.workers());
        self.submit(task);
    }

    /// The same for one that was placed to stay.
    fn submit_pinned(&self, shard: usize, task: Runnable) {
        self.submit_on(shard, task);
    }

    /// How many workers there are; shards are numbered from 0.
    fn workers(&self) -> usize {
        1
    }

    /// Whether that worker does not come to what is placed on it, as far as is known.
    #[cfg(feature = "http")]
    fn is_stuck(&self, shard: usize) -> bool {
        let _ = shard;
        false
    }

    /// How many tasks that worker alone can run, beside one of this kind that it runs.
    fn staying(&self, shard: usize, beside: Option<TaskKind>) -> usize {
        let _ = (shard, beside);
        0
    }

    /// Adds what there is to tell of each of its live tasks; from any thread, without stopping anything.
    fn dump(&self, into: &mut Vec<TaskDump>) {
        let _ = into;
    }

    /// A living task whose number is wanted, if there is one; from any thread, without stopping anything.
    ///
    /// One that is living all the while is found, as one is that is stuck in a poll. `wanted` runs under a
    /// lock.
    fn find(&self, wanted: &dyn Fn(TaskId) -> bool) -> Option<Found> {
        let _ = wanted;
        None
    }

    /// Fills in what it counts: a worker's figures for each worker, in order, and its share of the rest.
    fn measure(&self, metrics: &mut Metrics) {
        let _ = metrics;
    }
}

/// The runtime has no worker of that number; what was to run there is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NoSuchShard<F = ()>(pub F);

impl<F> fmt::Debug for NoSuchShard<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoSuchShard(..)")
    }
}

impl<F> fmt::Display for NoSuchShard<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the runtime has no worker of that number: they are numbered from 0, and \
             Handle::workers says how many there are",
        )
    }
}

impl<F> std::error::Error for NoSuchShard<F> {}

/// Where a task will belong, and its number.
pub(crate) struct Placement {
    home: HomeRef,
    id: TaskId,
}

impl Placement {
    #[inline]
    pub(crate) fn new<S: Schedule>(home: &Arc<Home<S>>, id: TaskId) -> Self {
        Self { home: home.reference(), id }
    }
}

/// Makes `future` a task of `spawner`; a mere line means that it is a child of the task that runs.
#[inline]
pub(crate) fn spawn<F>(
    spawner: &dyn Spawn,
    future: F,
    origin: impl Into<Origin>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (task, handle) = make(spawner.place(), future, origin.into());
    spawner.submit(task);
    handle
}

/// Makes `future` a task of `spawner` that begins on a worker of the caller's choice.
///
/// # Errors
///
/// [`NoSuchShard`], with the future in it, if there is none of that number.
#[cfg(feature = "http")]
pub(crate) fn spawn_on<F>(
    spawner: &dyn Spawn,
    shard: usize,
    future: F,
    origin: impl Into<Origin>,
) -> Result<JoinHandle<F::Output>, NoSuchShard<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Ok(placement) = spawner.place_on(shard) else { return Err(NoSuchShard(future)) };
    let (task, handle) = make(placement, future, origin.into());
    spawner.submit_on(shard, task);
    Ok(handle)
}

/// Makes a task of what `make` makes, on a worker of the caller's choice, where it stays.
///
/// # Errors
///
/// [`NoSuchShard`], with `make` in it, if there is none of that number.
pub(crate) fn spawn_pinned<M, F>(
    spawner: &dyn Spawn,
    shard: usize,
    make: M,
    origin: impl Into<Origin>,
) -> Result<JoinHandle<F::Output>, NoSuchShard<M>>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let Ok(Placement { home, id }) = spawner.place_pinned(shard) else {
        return Err(NoSuchShard(make));
    };
    let state = words(false, &home);
    let raw = cell::allocate(Pinned::new(make), state, home, id, origin.into());
    // SAFETY: the cell is new; see `handles`. What is in it is `Send` until it is first polled, and
    // then it says that it is not.
    let (task, handle) = unsafe { handles(raw) };
    spawner.submit_pinned(shard, task);
    Ok(handle)
}

#[inline]
fn make<F>(placement: Placement, future: F, origin: Origin) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Placement { home, id } = placement;
    let state = words(false, &home);
    let raw = cell::allocate(future, state, home, id, origin);
    // SAFETY: the cell is new; see `handles`.
    unsafe { handles(raw) }
}

/// The state of a task that is about to be queued.
#[inline]
fn words(local: bool, home: &HomeRef) -> (State, Own) {
    let owned = home.is_owned();
    (State::new(local, owned), if owned { Own::new() } else { Own::of_nobody() })
}

/// Makes `future`, which need not be `Send`, a task of `spawner` on the present thread.
///
/// # Panics
///
/// If this is not the thread of the spawner's local tasks.
#[inline]
pub(crate) fn spawn_local<F>(
    spawner: &dyn Spawn,
    future: F,
    origin: impl Into<Origin>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let Placement { home, id } = spawner.place();
    assert!(home.is_here(), "spawn_local was called on another thread than its runtime's");
    let state = words(true, &home);
    let raw = cell::allocate(future, state, home, id, origin.into());
    // SAFETY: the cell is new; see `handles`. The future is `!Send`, and we are on its thread.
    let (task, handle) = unsafe { handles(raw) };
    spawner.submit(task);
    handle
}

/// # Safety
///
/// `raw` is fresh from [`cell::allocate`] for an `F` with `F::Output = T`: its state says that one
/// `Runnable` and one handle exist.
unsafe fn handles<T>(raw: NonNull<cell::Header>) -> (Runnable, JoinHandle<T>) {
    // SAFETY: the caller's word.
    unsafe { (Runnable::from_raw(raw), JoinHandle::from_raw(raw)) }
}

/// A piece of blocking work.
///
/// # Examples
///
/// ```
/// let job: mainspring::task::Job = Box::new(|| println!("done"));
/// job();
/// ```
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// Somewhere to run closures that block: a pool of threads, rayon, a host's own pool.
///
/// # Examples
///
/// ```
/// use mainspring::task::{Busy, Executor, Job};
///
/// struct ThreadEach;
///
/// impl Executor for ThreadEach {
///     fn execute(&self, job: Job) -> Result<(), Busy<Job>> {
///         std::thread::spawn(job);
///         Ok(())
///     }
/// }
///
/// let pool: Box<dyn Executor> = Box::new(ThreadEach);
/// let (tx, rx) = std::sync::mpsc::channel();
/// assert!(pool.execute(Box::new(move || tx.send(7).unwrap())).is_ok());
/// assert_eq!(rx.recv(), Ok(7));
/// ```
pub trait Executor: Send + Sync + 'static {
    /// Takes a job to run it soon, without waiting.
    ///
    /// # Errors
    ///
    /// [`Busy`], with the job in it, if there is no place for it now.
    fn execute(&self, job: Job) -> Result<(), Busy<Job>>;
}

/// There was no place; what could not be placed is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Busy<T>(pub T);

impl<T> fmt::Debug for Busy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Busy(..)")
    }
}

impl<T> fmt::Display for Busy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no place is free: try again later, or raise the limit")
    }
}

impl<T> std::error::Error for Busy<T> {}
