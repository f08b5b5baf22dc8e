//! How a future becomes a task, and the traits by which other rooms offer a place to run.

use super::cell;
use super::home::{Home, HomeRef, Schedule};
use super::join::JoinHandle;
use super::origin::Origin;
use super::own::Own;
use super::run::Runnable;
use super::state::State;
use crate::hooks::TaskId;
use std::fmt;
use std::future::Future;
use std::ptr::NonNull;
use std::sync::Arc;

/// A runtime, as those see it who spawn: object-safe, in two steps, so that the allocation between
/// them stays generic.
pub(crate) trait Spawn: Send + Sync + 'static {
    /// Chooses where the next task belongs.
    fn place(&self) -> Placement;

    /// Takes the new task into its queue; a runtime that has ended drops it, which cancels it.
    fn submit(&self, task: Runnable);
}

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
    let Placement { home, id } = spawner.place();
    let state = (State::new(false, home.is_owned()), Own::new());
    let raw = cell::allocate(future, state, home, id, origin.into());
    // SAFETY: the cell is new; see `handles`.
    let (task, handle) = unsafe { handles(raw) };
    spawner.submit(task);
    handle
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
    let state = (State::new(true, home.is_owned()), Own::new());
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
