//! Functions that find their runtime by themselves.

use super::local::LocalRuntime;
use crate::context;
use crate::task::{self, JoinHandle};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs `future` on a runtime made for it, and ends that when the future is ready.
///
/// Tasks that still live then are cancelled.
///
/// # Panics
///
/// If `future` does, if no runtime can be built, or inside a runtime; see
/// [`LocalRuntime::block_on`].
///
/// # Examples
///
/// ```
/// assert_eq!(mainspring::block_on(async { 6 * 7 }), 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    match LocalRuntime::builder().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("block_on could not build a runtime: {error}"),
    }
}

/// Makes `future` a task of the runtime that runs the calling code.
///
/// It does not run before the caller awaits or returns, and goes on if the handle is dropped.
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

/// Makes `future`, which need not be `Send`, a task of the [`LocalRuntime`] of this thread.
///
/// # Panics
///
/// Outside the `block_on` and the tasks of a `LocalRuntime`; use [`LocalRuntime::spawn_local`]
/// there.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// # mainspring::block_on(async {
/// let shared = Rc::new(3);
/// let task = mainspring::spawn_local(async move { *shared });
/// assert_eq!(task.await.unwrap(), 3);
/// # });
/// ```
#[inline]
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match context::current() {
        Ok(current) if current.runs_tasks => {
            task::spawn_local(&*current.spawn, future, Location::caller())
        }
        _ => panic!(
            "mainspring::spawn_local was called where no LocalRuntime runs: call it inside its \
             block_on or tasks, or use LocalRuntime::spawn_local"
        ),
    }
}

/// Lets all that is ready run before the caller goes on.
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
/// # mainspring::block_on(async {
/// let task = mainspring::spawn(async {});
/// mainspring::yield_now().await;
/// assert!(task.is_finished());
/// # });
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
