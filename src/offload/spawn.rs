//! Closures as tasks of a pool.

use super::places::Places;
use super::pool::{PoolHandle, Reserved};
use crate::context;
use crate::coop;
use crate::task::{self, Busy, JoinHandle, Origin, Placement, Runnable, Spawn};
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Runs `f`, which may block, on a thread of the pool of the runtime that runs the calling code.
///
/// It returns at once. The closure is a task like others: it has a number, hooks are told of it, its
/// panic goes to its handle, [`abort`](JoinHandle::abort) keeps it from running if it has not started
/// (it is dropped when its turn comes), and dropping its handle lets it go on. Once it has started,
/// nothing stops it.
///
/// Inside it, [`task::try_id`] is its number, [`Handle::current`](crate::Handle::current) is the
/// runtime, so that it can spawn, and there is no poll budget. `block_on` panics there: a thread of
/// the pool is no place to run a runtime on.
///
/// In a [deterministic](crate::LocalBuilder::deterministic) runtime there is no pool: the closure
/// is queued among the tasks, and runs on the runtime's own thread when the seed picks it. All else
/// is the same, but what it waits for by blocking, say a task or another closure, cannot run
/// meanwhile.
///
/// Signals are blocked on these threads; to start a process there see
/// [`with_signals_unblocked`](super::with_signals_unblocked).
///
/// # Back-pressure
///
/// At most [`limit`](super::BlockingLimits::limit) closures run at a time, and
/// [`queue_limit`](super::BlockingLimits::queue_limit) more have a place in the queue. Where that is
/// full the closure waits inside its handle for a place, first come, first served: so await the
/// handle before spawning more. [`try_spawn_blocking`] says at once that there is no place.
///
/// If the runtime has ended, or no thread can be had at all, the handle answers that the task was
/// cancelled; in the latter case the text of the error says so.
///
/// A closure that waits for another closure holds its thread meanwhile. Where all threads do that,
/// none of them goes on: let the task that spawns both await the one before the other.
///
/// # Panics
///
/// Outside `block_on`, tasks, and closures such as this; use
/// [`Handle::spawn_blocking`](crate::Handle::spawn_blocking) there.
///
/// # Cancel safety
///
/// Dropping the handle of a closure that *has a place* detaches it: it will run. Dropping the handle
/// of one that still *waits for a place* drops the closure. A runtime that ends drops all closures
/// that have not started, and waits at most 5 s for those that have.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let sum = mainspring::spawn_blocking(|| (1..=1000u64).sum::<u64>()).await?;
/// assert_eq!(sum, 500_500);
/// # Ok::<(), mainspring::task::JoinError>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match context::current() {
        Ok(current) => PoolHandle::within(&current).spawn(f, Location::caller()),
        Err(_) => panic!(
            "mainspring::spawn_blocking was called where no runtime runs: call it inside block_on \
             or a task, or use Handle::spawn_blocking"
        ),
    }
}

/// Like [`spawn_blocking`], but gives the closure back where it would have to wait for a place.
///
/// # Errors
///
/// [`Busy`], with the closure in it: the queue is full, others wait for a place, the runtime has
/// ended, or no thread can be had at all.
///
/// # Panics
///
/// As [`spawn_blocking`].
///
/// # Examples
///
/// ```
/// use mainspring::task::Busy;
///
/// # mainspring::block_on(async {
/// match mainspring::try_spawn_blocking(|| 6 * 7) {
///     Ok(handle) => assert_eq!(handle.await?, 42),
///     Err(Busy(_closure)) => println!("503, try again later"),
/// }
/// # Ok::<(), mainspring::task::JoinError>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn try_spawn_blocking<F, T>(f: F) -> Result<JoinHandle<T>, Busy<F>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match context::current() {
        Ok(current) => PoolHandle::within(&current).try_spawn(f, Location::caller()),
        Err(_) => panic!(
            "mainspring::try_spawn_blocking was called where no runtime runs: call it inside \
             block_on or a task, or use Handle::try_spawn_blocking"
        ),
    }
}

impl PoolHandle {
    /// Makes `f` a task of the pool, which waits for a place if it has to.
    pub(crate) fn spawn<F, T>(&self, f: F, origin: impl Into<Origin>) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.reserve() {
            Reserved::Place if self.inline().is_some() => self.spawn_inline(f, origin),
            Reserved::Place => task::spawn(self, Run(Some(f)), origin),
            Reserved::Full => {
                let waiting = run_later(Arc::clone(self.places()), f);
                task::spawn(&Waiting(self.clone()), waiting, origin)
            }
            Reserved::Ended => task::spawn(&Ended(self.clone()), Run(Some(f)), origin),
            Reserved::NoThread => task::spawn(&NoThread(self.clone()), Run(Some(f)), origin),
        }
    }

    /// Makes `f` a task of the pool, if there is a place for it.
    pub(crate) fn try_spawn<F, T>(
        &self,
        f: F,
        location: &'static Location<'static>,
    ) -> Result<JoinHandle<T>, Busy<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.reserve() {
            Reserved::Place if self.inline().is_some() => Ok(self.spawn_inline(f, location)),
            Reserved::Place => Ok(task::spawn(self, Run(Some(f)), location)),
            Reserved::Full | Reserved::Ended | Reserved::NoThread => Err(Busy(f)),
        }
    }
}

/// Spawns tasks that wait for their place.
struct Waiting(PoolHandle);

impl Spawn for Waiting {
    fn place(&self) -> Placement {
        self.0.place()
    }

    fn submit(&self, task: Runnable) {
        self.0.submit_waiting(task);
    }
}

/// Spawns tasks that are cancelled at once.
struct Ended(PoolHandle);

impl Spawn for Ended {
    fn place(&self) -> Placement {
        self.0.place()
    }

    fn submit(&self, task: Runnable) {
        drop(task);
    }
}

/// Spawns tasks that are cancelled at once, and say why.
struct NoThread(PoolHandle);

impl Spawn for NoThread {
    fn place(&self) -> Placement {
        self.0.place()
    }

    fn submit(&self, task: Runnable) {
        task.refuse();
    }
}

/// A closure as a future that is ready in its first poll.
pub(super) struct Run<F>(pub(super) Option<F>);

// The closure is moved out before it is called, so nothing of it is ever pinned.
impl<F> Unpin for Run<F> {}

impl<F: FnOnce() -> T, T> Future for Run<F> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        let f = self.0.take().expect("a closure was polled after it had run");
        let _free = coop::unlimited();
        Poll::Ready(f())
    }
}

/// A closure as a future that waits for a place first.
///
/// Its first poll, on the thread that spawns, only takes its place among those who wait. Each later
/// one is on a thread of the pool.
async fn run_later<F: FnOnce() -> T, T>(places: Arc<Places>, f: F) -> T {
    let place = {
        let mut wait = pin!(places.wait());
        let mut at_home = false;
        let mut early = None;
        poll_fn(|cx| {
            if let Some(place) = early.take() {
                return Poll::Ready(place);
            }
            match wait.as_mut().poll(cx) {
                Poll::Ready(place) if at_home => Poll::Ready(place),
                Poll::Ready(place) => {
                    // A place came free just now; the closure must not run here all the same.
                    early = Some(place);
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => {
                    at_home = true;
                    Poll::Pending
                }
            }
        })
        .await
    };
    // The places are never closed: a pool that ends aborts those who wait.
    if let Ok(place) = place {
        places.end(place);
    }
    drop(places);
    let _free = coop::unlimited();
    f()
}
