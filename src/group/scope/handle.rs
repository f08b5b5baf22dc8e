//! What children are spawned with, and what is kept of each.

use super::child;
use super::error::ChildError;
use super::shared::{Cause, Child, Shared};
use crate::context;
use crate::group::{no_local_runtime, no_runtime, takes_local};
use crate::offload::PoolHandle;
use crate::sync::{CancelToken, oneshot};
use crate::task::{self, TaskId};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The way into a scope: it spawns children, and cancels them all.
///
/// It is cheap to clone; children may keep one, to spawn siblings. It keeps nothing alive: a scope
/// ends when its body and its children have. One that is ending, or has ended, takes in no more
/// children: what is spawned then is dropped at once, and its handle says that it was cancelled.
///
/// An error that a child gives fails the scope; as that may happen on any thread, errors are `Send`.
/// Children that do not fail say so by their type, with
/// [`Ok::<_, Infallible>`](std::convert::Infallible) for instance.
pub struct Scope<E> {
    pub(super) shared: Arc<Shared<E>>,
}

impl<E: Send + 'static> Scope<E> {
    /// Makes `future` a task of the runtime that runs the calling code, and a child of the scope.
    ///
    /// # Panics
    ///
    /// As [`spawn`](crate::spawn()), outside `block_on` and tasks; not if the scope is ending.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::group::TaskScope;
    /// use std::convert::Infallible;
    ///
    /// # mainspring::block_on(async {
    /// let answer = TaskScope::new().run(async |scope| {
    ///     let six = scope.spawn(async { Ok::<_, Infallible>(6) });
    ///     let seven = scope.spawn(async { Ok(7) });
    ///     Ok(six.await.unwrap() * seven.await.unwrap())
    /// });
    /// assert_eq!(answer.await?, 42);
    /// # Ok::<(), mainspring::group::ScopeError<Infallible>>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, future: F) -> ScopedHandle<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        let location = Location::caller();
        let Some(place) = self.shared.admit() else { return ScopedHandle::refused() };
        let Ok(current) = context::current() else { no_runtime("Scope::spawn") };
        let (answer, receiver) = oneshot::channel();
        let child = child::run(future, answer, Arc::clone(&self.shared));
        let task = task::spawn(&*current.spawn, child, location);
        ScopedHandle { receiver, child: Some(place.take(task)) }
    }

    /// Makes `future`, which need not be `Send`, a task of the
    /// [`LocalRuntime`](crate::LocalRuntime) of this thread, and a child of the scope.
    ///
    /// # Panics
    ///
    /// As [`spawn_local`](crate::spawn_local()), outside the `block_on` and the tasks of a
    /// `LocalRuntime`; not if the scope is ending.
    #[track_caller]
    pub fn spawn_local<F, T>(&self, future: F) -> ScopedHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        let location = Location::caller();
        let Some(place) = self.shared.admit() else { return ScopedHandle::refused() };
        let Some(current) = context::current().ok().filter(|current| takes_local(current)) else {
            no_local_runtime("Scope::spawn_local")
        };
        let (answer, receiver) = oneshot::channel();
        let child = child::run(future, answer, Arc::clone(&self.shared));
        let task = task::spawn_local(&*current.spawn, child, location);
        ScopedHandle { receiver, child: Some(place.take(task)) }
    }

    /// Runs `f`, which may block, on a thread of the pool of the runtime that runs the calling code,
    /// as a child of the scope.
    ///
    /// A closure that has started cannot be cancelled: the scope waits for it, however long that
    /// takes. One that runs long should look at [`is_cancelled`](Self::is_cancelled). A closure that
    /// has not started is dropped when the scope is cancelled; where the queue of the pool is full
    /// it waits for a place in the scope, also if its handle is dropped.
    ///
    /// # Panics
    ///
    /// As [`spawn_blocking`](crate::spawn_blocking), where no runtime runs; not if the scope is
    /// ending.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> ScopedHandle<T>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
    {
        let location = Location::caller();
        let Some(place) = self.shared.admit() else { return ScopedHandle::refused() };
        let Ok(current) = context::current() else { no_runtime("Scope::spawn_blocking") };
        let (answer, receiver) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let work = move || child::call(f, answer, shared);
        let task = PoolHandle::of(&current).spawn(work, location);
        ScopedHandle { receiver, child: Some(place.take(task)) }
    }

    /// Ends the scope: aborts its children, in the order in which they were spawned, and the body,
    /// and takes in no more.
    ///
    /// Who calls it goes on to its next await. If the body has given its value, or gives it before
    /// it awaits anything, that is the value of the scope, unless something has failed; so a body
    /// that needs its helpers no more calls this at its end. Otherwise the scope gives
    /// [`Failure::Cancelled`](super::Failure::Cancelled).
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::group::TaskScope;
    /// use mainspring::time::{interval, sleep};
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    ///
    /// # mainspring::block_on(async {
    /// let value = TaskScope::new().run(async |scope| {
    ///     scope.spawn(async {
    ///         let mut ticks = interval(Duration::from_millis(1));
    ///         loop {
    ///             ticks.tick().await;
    ///         }
    ///         #[allow(unreachable_code)]
    ///         Ok::<(), Infallible>(())
    ///     });
    ///     sleep(Duration::from_millis(2)).await;
    ///     scope.cancel();
    ///     Ok(5)
    /// });
    /// assert_eq!(value.await.unwrap(), 5);
    /// # });
    /// ```
    pub fn cancel(&self) {
        self.shared.end(Cause::Cancel);
    }

    /// Whether the scope is cancelled, whoever did it: a failure, a deadline, a token, and the drop
    /// of the scope's future cancel it too.
    pub fn is_cancelled(&self) -> bool {
        self.shared.token().is_cancelled()
    }

    /// Waits until the scope [is cancelled](Self::is_cancelled); for ever, if it ends otherwise.
    ///
    /// Children need not ask, as they are aborted. It is for those outside who have something to
    /// bring to an end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        self.shared.token().cancelled().await;
    }

    /// A token that is cancelled when the scope is, for closures that block and for tasks outside.
    ///
    /// Cancelling it does nothing to the scope.
    pub fn token(&self) -> CancelToken {
        self.shared.token().child_token()
    }
}

impl<E> Clone for Scope<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<E> fmt::Debug for Scope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// The way to the value of a child: a future that ends when the child does.
///
/// Dropping it changes nothing: the child goes on, within the scope. Its value is lost then, an error
/// is not.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` and dropping that wait loses nothing.
///
/// # Panics
///
/// When it is polled again after it was ready.
pub struct ScopedHandle<T> {
    receiver: oneshot::Receiver<Result<T, ChildError>>,
    /// `None` if the scope did not take it in.
    child: Option<Child>,
}

impl<T> ScopedHandle<T> {
    /// That of a child which the scope did not take in.
    fn refused() -> Self {
        Self { receiver: oneshot::channel().1, child: None }
    }

    /// Asks the child to end, as [`JoinHandle::abort`](crate::JoinHandle::abort) does; the scope goes
    /// on.
    pub fn abort(&self) {
        if let Some(child) = &self.child {
            child.abort();
        }
    }

    /// Whether the child has ended.
    pub fn is_finished(&self) -> bool {
        self.child.as_ref().is_none_or(|child| child.task().is_finished())
    }

    /// The number of the child's task; `None` if the scope did not take it in.
    pub fn id(&self) -> Option<TaskId> {
        self.child.as_ref().map(|child| child.task().id())
    }
}

impl<T> Future for ScopedHandle<T> {
    type Output = Result<T, ChildError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let received = Pin::new(&mut self.receiver).poll(cx);
        // A child that is dropped before its end says nothing.
        received.map(|answer| answer.unwrap_or(Err(ChildError::Cancelled)))
    }
}

impl<T> fmt::Debug for ScopedHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}
