//! Functions that find their runtime by themselves.

use super::multi::Runtime;
use crate::context::{self, Occupied, Runs};
use crate::driver::Driver;
use crate::task::{self, JoinHandle, NoSuchShard};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs `future` on a [`Runtime`] made for it, with the default settings, and ends that when the future
/// is ready.
///
/// Tasks that still live then are cancelled; see [`Runtime`] for how long that is waited for. What only
/// wants one thread makes a [`LocalRuntime`](crate::LocalRuntime).
///
/// # Panics
///
/// If `future` does, if no runtime can be built, or inside a runtime; see [`Runtime::block_on`].
///
/// # Examples
///
/// ```
/// assert_eq!(mainspring::block_on(async { 6 * 7 }), 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    match Runtime::builder().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("block_on could not build a runtime: {error}"),
    }
}

/// Makes `future` a task of the runtime that runs the calling code.
///
/// It goes on if the handle is dropped. In a [`LocalRuntime`](crate::LocalRuntime) it does not run before
/// the caller awaits or returns; in a [`Runtime`] another worker may begin with it at once.
///
/// # Panics
///
/// Outside `block_on` and tasks; use [`Handle::spawn`](crate::Handle::spawn) there.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let task = mainspring::spawn(async { 1 + 1 });
/// assert_eq!(task.await.unwrap(), 2);
/// # });
/// ```
#[inline]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match context::current() {
        Ok(current) => task::spawn(&*current.spawn, future, Location::caller()),
        Err(_) => panic!(
            "mainspring::spawn was called where no runtime runs: call it inside block_on or a \
             task, or use Handle::spawn"
        ),
    }
}

/// Makes `future`, which need not be `Send`, a task of the [`LocalRuntime`](crate::LocalRuntime) of this thread.
///
/// # Panics
///
/// Outside the `block_on` and the tasks of a `LocalRuntime`; use [`LocalRuntime::spawn_local`](crate::LocalRuntime::spawn_local)
/// there.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// rt.block_on(async {
///     let shared = Rc::new(3);
///     let task = mainspring::spawn_local(async move { *shared });
///     assert_eq!(task.await.unwrap(), 3);
/// });
/// # Ok::<(), mainspring::BuildError>(())
/// ```
#[inline]
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match context::current() {
        Ok(current) if current.runs == Runs::All => {
            task::spawn_local(&*current.spawn, future, Location::caller())
        }
        _ => panic!(
            "mainspring::spawn_local was called where no LocalRuntime runs: call it inside its \
             block_on or tasks, or use LocalRuntime::spawn_local"
        ),
    }
}

/// Makes a future on worker number `shard` of the runtime that runs the calling code, and a task of
/// it that stays on that worker's thread.
///
/// So the future need not be `Send`; what makes it must be. Workers are numbered from 0; a
/// [`LocalRuntime`](crate::LocalRuntime) has one, number 0. If the worker is busy with a poll that takes long, the task
/// waits, as nobody else can run it: what need not stay is better spawned by [`spawn`].
///
/// # Errors
///
/// [`NoSuchShard`], with `make` in it, if the runtime has no worker of that number.
///
/// # Panics
///
/// Outside `block_on` and tasks.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// let rt = mainspring::Runtime::builder().worker_threads(2).build()?;
/// let on_second = rt.block_on(async {
///     let task = mainspring::spawn_pinned(1, || async {
///         let counter = Rc::new(std::cell::Cell::new(0)); // not Send
///         mainspring::yield_now().await;
///         counter.set(counter.get() + 1);
///         counter.get()
///     })
///     .unwrap();
///     task.await
/// })?;
/// assert_eq!(on_second, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_pinned<M, F>(shard: usize, make: M) -> Result<JoinHandle<F::Output>, NoSuchShard<M>>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    match context::current() {
        Ok(current) => task::spawn_pinned(&*current.spawn, shard, make, Location::caller()),
        Err(_) => panic!(
            "mainspring::spawn_pinned was called where no runtime runs: call it inside block_on or \
             a task, or after Handle::enter"
        ),
    }
}

/// Lets others run before the caller goes on: a task goes behind all that are ready on its thread.
///
/// The root of a [`Runtime::block_on`](crate::Runtime::block_on) has its thread for itself, and goes on
/// at once.
///
/// # Panics
///
/// When polled outside `block_on` and tasks: there is nobody to yield to.
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
///
/// # Examples
///
/// ```
/// let rt = mainspring::LocalRuntime::builder().build()?;
/// rt.block_on(async {
///     let task = mainspring::spawn(async {});
///     mainspring::yield_now().await;
///     assert!(task.is_finished());
/// });
/// # Ok::<(), mainspring::BuildError>(())
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        assert!(
            context::is_entered(),
            "yield_now was polled where no runtime runs: await it inside block_on or a task"
        );
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whether the present thread may be blocked by a `block_on` of the runtime with this driver.
///
/// # Panics
///
/// If not; with a sentence that names the remedy.
#[track_caller]
pub(super) fn check_block_on(driver: &Driver) {
    match context::occupied() {
        Occupied::No => {}
        Occupied::ByRuntime => panic!(
            "block_on was called inside a runtime, whose thread it would block: await the \
                 future instead, or spawn it"
        ),
        Occupied::ByPool => panic!(
            "block_on was called inside a closure of spawn_blocking, whose thread belongs to a \
                 runtime: spawn the future there with mainspring::spawn, or start a thread for it"
        ),
    }
    if let Err(forked) = driver.check_process() {
        panic!("block_on was called in a child process: {forked}");
    }
}
