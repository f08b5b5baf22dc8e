//! Tasks that end before the code that started them goes on.

mod child;
mod error;
mod handle;
mod shared;

pub use error::{ChildError, Failure, ScopeError};
pub use handle::{Scope, ScopedHandle};

use crate::coop;
use crate::sync::CancelToken;
use crate::sync::cancel::Cancelled;
use crate::time::{Instant, Sleep, sleep_until};
use crate::util::discard;
use shared::{Cause, ENCLOSING, Nest, Shared};
use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Runs children that all end before it does: structured concurrency.
///
/// [`run`](Self::run) awaits an async closure, the *body*, which is given a [`Scope`] to spawn
/// children with, and then all children. What was started inside is over when it returns, whether
/// that is with a value, an error or a panic: the futures of the children were dropped, and with
/// them what they held.
///
/// # How it ends
///
/// - The body gives a value, and all children end well: that is the value of the scope.
/// - The body or a child gives an error, or a child panics: the others are cancelled, waited for,
///   and the failure is what the scope gives, with [the failures after it](ScopeError::others).
/// - It is cancelled by [`Scope::cancel`] or its deadline comes: the children and the body are
///   cancelled and waited for.
/// - The body panics: the children are cancelled and waited for, and then the panic goes on. What
///   failed besides is dropped.
///
/// The body is not a task: it runs in the task that awaits the scope, and may borrow from it. To
/// cancel a child or the body is to drop its future at the await where it is, as
/// [`abort`](crate::JoinHandle::abort) does; a child that is being polled on another thread goes on to
/// its next await. A child that has just ended when it is cancelled has ended well or failed. Closures
/// of [`Scope::spawn_blocking`] that have started are waited for.
///
/// # Cancel safety
///
/// Dropping the future of `run` aborts the children, whose values and errors are lost. A drop cannot
/// wait, so they may still be there when it returns: they end as soon as their threads get to it,
/// and closures that block when they are done. But if the scope is *inside* another one (it was
/// begun by the body of that, or by a child, also within a `timeout` or a `select!`), then the outer
/// scope waits for them. So in nested scopes nothing outlives the outermost `run` that is awaited to
/// its end.
///
/// Three things are beyond that. A future of `run` that is [forgotten](std::mem::forget) aborts nothing,
/// and its children go on. One that leaves all the scopes in which it was begun, as a value say, and is
/// dropped when those have ended, has nobody who waits. And a child is waited for until the thread that
/// runs it has dropped it: if that stands still, as a [`LocalRuntime`](crate::LocalRuntime) does that
/// nobody drives, so does the scope.
///
/// # Limits
///
/// There is no bound to the number of children; one that may be large is best bounded by a
/// [`Semaphore`](crate::sync::Semaphore). What children that ended well leave behind is freed when
/// the scope's own future is polled next, which each end of a child causes. Tasks that a child
/// starts with [`spawn`](crate::spawn()) do not belong to the scope.
///
/// # Examples
///
/// ```
/// use mainspring::group::{Failure, TaskScope};
/// use mainspring::time::sleep;
/// use std::time::Duration;
///
/// # mainspring::block_on(async {
/// let result = TaskScope::new().run(async |scope| {
///     scope.spawn(async {
///         sleep(Duration::from_secs(3600)).await; // cancelled
///         Ok(())
///     });
///     scope.spawn(async { Err::<(), _>("no such host") });
///     Ok(())
/// });
/// let error = result.await.unwrap_err();
/// assert!(matches!(error.cause(), Failure::Child("no such host")));
/// # });
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing before run() is awaited"]
pub struct TaskScope {
    deadline: Option<Instant>,
    timeout: Option<Duration>,
    token: Option<CancelToken>,
}

impl TaskScope {
    /// A scope without a deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels the scope at this moment. Of several deadlines, and [`timeout`](Self::timeout)s, the
    /// first counts.
    ///
    /// If everything has ended when the moment is noticed, the value counts, however late it is.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |present| present.min(deadline)));
        self
    }

    /// Cancels the scope after this time, counted from the first poll of [`run`](Self::run).
    pub fn timeout(mut self, duration: Duration) -> Self {
        self.timeout = Some(self.timeout.map_or(duration, |present| present.min(duration)));
        self
    }

    /// Cancels the scope when `token` is cancelled; a second call replaces the token of the first.
    ///
    /// It is noticed when the scope's own future is polled, and by each spawn. If everything has
    /// ended by then, the value counts. Cancelling the scope does nothing to the token.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::{group::TaskScope, sync::CancelToken};
    /// use std::convert::Infallible;
    ///
    /// # mainspring::block_on(async {
    /// let shutdown = CancelToken::new();
    /// let workers = TaskScope::new().cancelled_by(&shutdown).run(async |scope| {
    ///     scope.spawn(async { Ok(std::future::pending::<()>().await) });
    ///     shutdown.cancel();
    ///     Ok::<_, Infallible>(())
    /// });
    /// assert!(workers.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// Runs `body`, and waits for it and for all children that it and they spawn.
    ///
    /// # Errors
    ///
    /// [`ScopeError`], with what ended the scope early and all that failed besides.
    ///
    /// # Panics
    ///
    /// If `body` does, after all children have ended. With a deadline, outside `block_on` and tasks,
    /// like [`sleep`](crate::time::sleep).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the children; see [`TaskScope`] for who waits for them.
    pub async fn run<V, E, B, F>(self, body: B) -> Result<V, ScopeError<E>>
    where
        B: FnOnce(Scope<E>) -> F,
        F: Future<Output = Result<V, E>>,
        E: Send + 'static,
    {
        let token = self.token.as_ref().map(CancelToken::child_token).unwrap_or_default();
        let mut limits = Limits { sleep: self.sleep(), stop: pin!(token.cancelled()) };
        let mut running = Running::begin(token.clone());
        let shared = Arc::clone(&running.shared);
        let mut body = pin!(running.begin_body(body).map(|body| ENCLOSING.scope(shared, body)));
        poll_fn(|cx| running.poll(body.as_mut(), &mut limits, cx)).await;
        running.conclude()
    }

    fn sleep(&self) -> Option<Sleep> {
        let after = self.timeout.map(|timeout| Instant::now() + timeout);
        let deadline = self.deadline.into_iter().chain(after).min();
        deadline.map(sleep_until)
    }
}

/// What ends a scope from outside.
struct Limits<'a, 'b> {
    sleep: Option<Sleep>,
    stop: Pin<&'a mut Cancelled<'b>>,
}

impl Limits<'_, '_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Cause::Token);
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        // What spends the whole budget in each poll must not keep the deadline from being seen.
        let _unlimited = coop::unlimited();
        Pin::new(sleep).poll(cx).map(|()| Cause::Deadline)
    }
}

/// A scope that runs. If it is dropped before its end, the children are aborted.
struct Running<V, E: Send + 'static> {
    shared: Arc<Shared<E>>,
    value: Option<V>,
    failures: Vec<Failure<E>>,
    panic: Option<Box<dyn Any + Send>>,
    cause: Option<Cause>,
    over: bool,
}

impl<V, E: Send + 'static> Running<V, E> {
    fn begin(token: CancelToken) -> Self {
        Self {
            shared: Arc::new(Shared::new(token, ENCLOSING.try_with(Arc::clone).ok())),
            value: None,
            failures: Vec::new(),
            panic: None,
            cause: None,
            over: false,
        }
    }

    /// Calls the body, which may panic before it gives its future.
    fn begin_body<F>(&mut self, body: impl FnOnce(Scope<E>) -> F) -> Option<F> {
        let shared: Arc<dyn Nest> = self.shared.clone();
        let scope = Scope { shared: Arc::clone(&self.shared) };
        let begun = AssertUnwindSafe(|| ENCLOSING.sync_scope(shared, || body(scope)));
        catch_unwind(begun).map_err(|payload| self.note_panic(payload)).ok()
    }

    fn poll<F: Future<Output = Result<V, E>>>(
        &mut self,
        mut body: Pin<&mut Option<F>>,
        limits: &mut Limits<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.reap(cx);
        if !self.is_ending() {
            self.poll_body(body.as_mut(), cx);
        }
        if body.is_none() && self.close() {
            return Poll::Ready(());
        }
        if !self.is_ending()
            && let Poll::Ready(cause) = limits.poll(cx)
        {
            self.shared.end(cause);
        }
        if self.is_ending() && body.is_some() {
            self.drop_body(body);
            if self.close() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    fn reap(&mut self, cx: &mut Context<'_>) {
        let failures = &mut self.failures;
        self.shared.reap(cx, |failure| failures.push(failure));
    }

    fn is_ending(&self) -> bool {
        self.shared.cause().is_some()
    }

    /// Ends the scope for good, if no child is left.
    fn close(&mut self) -> bool {
        let cause = self.shared.cause();
        self.over = self.shared.try_close();
        if self.over {
            self.cause = cause;
        }
        self.over
    }

    fn poll_body<F: Future<Output = Result<V, E>>>(
        &mut self,
        mut body: Pin<&mut Option<F>>,
        cx: &mut Context<'_>,
    ) {
        let Some(future) = body.as_mut().as_pin_mut() else { return };
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(Ok(value))) => self.value = Some(value),
            Ok(Poll::Ready(Err(error))) => {
                self.shared.end(Cause::Failure);
                self.failures.push(Failure::Body(error));
            }
            Err(payload) => self.note_panic(payload),
        }
        self.drop_body(body);
    }

    fn drop_body<F>(&mut self, mut body: Pin<&mut Option<F>>) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| body.set(None))) {
            self.note_panic(payload);
        }
    }

    fn note_panic(&mut self, payload: Box<dyn Any + Send>) {
        self.shared.end(Cause::Failure);
        match &self.panic {
            None => self.panic = Some(payload),
            Some(_) => discard(payload),
        }
    }

    /// What the scope gives, now that all have ended.
    fn conclude(mut self) -> Result<V, ScopeError<E>> {
        if let Some(payload) = self.panic.take() {
            resume_unwind(payload);
        }
        let mut failures = std::mem::take(&mut self.failures).into_iter();
        let value = self.value.take();
        let cause = match (self.cause, value) {
            (Some(Cause::Deadline), _) => Some(Failure::DeadlineElapsed),
            (Some(Cause::Token | Cause::Dropped), _) | (Some(Cause::Cancel), None) => {
                Some(Failure::Cancelled)
            }
            (Some(Cause::Cancel) | None, Some(value)) => match failures.next() {
                None => return Ok(value),
                failure => failure,
            },
            (Some(Cause::Failure) | None, _) => failures.next(),
        };
        // A scope that ends early has a cause, or something that failed.
        let cause = cause.unwrap_or(Failure::Cancelled);
        Err(ScopeError::new(cause, failures.collect()))
    }
}

impl<V, E: Send + 'static> Drop for Running<V, E> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.shared.end(Cause::Dropped);
        if !self.shared.try_close() && !self.shared.is_adopted() {
            self.shared.give_up();
        }
    }
}
