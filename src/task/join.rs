//! What a spawner keeps of its task.

use super::cell::Header;
use super::run::lose;
use super::state::{AlreadyComplete, Detach};
use super::waker::TaskRef;
use crate::coop;
use crate::hooks::TaskId;
use crate::primitives::Parker;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

/// The way to a task's outcome: a future that ends when the task does.
///
/// Dropping it *detaches* the task, which then runs on by itself; [`abort`](Self::abort) ends it.
/// The one exception is a closure of [`spawn_blocking`](crate::spawn_blocking) that still waits for
/// a place: dropping its handle drops the closure.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` and dropping that wait loses nothing: the outcome stays until the handle
/// itself takes it.
///
/// # Panics
///
/// If it is polled again after it gave the outcome.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let task = mainspring::spawn(async { 6 * 7 });
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
#[must_use = "dropping a JoinHandle detaches its task; say so with drop(), or keep it to join"]
pub struct JoinHandle<T> {
    /// Its count is given up by the transition in `drop`, not by `TaskRef`'s own.
    task: ManuallyDrop<TaskRef>,
    _output: PhantomData<fn() -> T>,
}

// SAFETY: polling or dropping the handle moves or drops a `T` on its thread, no more; the rest of
// what it does is a `TaskRef`'s. By reference it gives no access to a `T`.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The cell is new, its state counts this handle, and its future's output is `T`.
    pub(super) unsafe fn from_raw(raw: NonNull<Header>) -> Self {
        // SAFETY: the caller's word.
        Self { task: ManuallyDrop::new(unsafe { TaskRef::from_raw(raw) }), _output: PhantomData }
    }

    /// Asks the task to end.
    ///
    /// Its future is dropped by the thread that runs it, at once if it waits, or when the poll that
    /// is going on returns. The handle then gives [`JoinError`], cancelled; or the output, if the
    /// task had ended, or ends in that poll.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let task = mainspring::spawn(std::future::pending::<()>());
    /// task.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort(&self) {
        self.task.abort();
    }

    /// A handle that can abort the task but not join it.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { task: TaskRef::clone(&self.task) }
    }

    /// Whether the task has ended, so that awaiting the handle would not wait.
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// The task's number.
    pub fn id(&self) -> TaskId {
        self.task.header().id
    }

    /// Whether the task has not ended, and can be polled on the present thread only.
    pub(crate) fn waits_for_this_thread(&self) -> bool {
        !self.is_finished() && self.task.header().home.is_here()
    }

    /// Lets the thread sleep until the task has ended, for `timeout` at the most.
    pub(crate) fn wait(mut self, timeout: Duration) -> Result<Result<T, JoinError>, Self> {
        if !self.is_finished() {
            let sleeper = Arc::new(Sleeper(Parker::new()));
            if leave(&self.task, &Waker::from(Arc::clone(&sleeper))).is_ok() {
                // Only the completion calls, so there is nothing to sleep for again.
                sleeper.0.park_timeout(timeout);
                if self.task.header().state.unset_join_waker().is_ok() {
                    empty_slot(&self.task);
                    return Err(self);
                }
            }
        }
        // SAFETY: one of the looks at the state has said so.
        Ok(unsafe { self.take() })
    }

    /// The outcome.
    ///
    /// # Safety
    ///
    /// The task is complete.
    unsafe fn take(&mut self) -> Result<T, JoinError> {
        let mut outcome: Option<Result<T, JoinError>> = None;
        let header = self.task.header();
        // SAFETY: the caller's word; and the handle exists, so the stage is the handle's; `T` is the
        // output of its future by the promise to `from_raw`.
        unsafe { (header.vtable.take)(self.task.raw(), (&raw mut outcome).cast()) };
        outcome.expect("a JoinHandle was polled after it gave its outcome")
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(poll_complete(&self.task, cx));
        // SAFETY: it has said so.
        Poll::Ready(unsafe { self.take() })
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken once, as this is the drop; and we are the task's handle.
        unsafe { drop_handle(ManuallyDrop::take(&mut self.task)) };
    }
}

/// Waits for the end of the task, as its handle; what it does for all types alike.
fn poll_complete(task: &TaskRef, cx: &mut Context<'_>) -> Poll<()> {
    let charge = ready!(coop::poll_proceed(cx));
    if !task.header().state.is_complete() && leave(task, cx.waker()).is_ok() {
        return Poll::Pending;
    }
    charge.made_progress();
    Poll::Ready(())
}

/// Leaves `waker` to be woken on completion, as the task's handle.
fn leave(task: &TaskRef, waker: &Waker) -> Result<(), AlreadyComplete> {
    let header = task.header();
    if header.state.has_join_waker() {
        header.state.unset_join_waker()?;
    }
    // SAFETY: `JOIN_WAKER` is clear, so the slot is the handle's, which the caller has exclusively.
    let present = header.join_waker.with_mut(|slot| unsafe { (*slot).take() });
    let waker = match present {
        Some(present) if present.will_wake(waker) => present,
        other => {
            // Both are somebody else's code. If it unwinds the slot is empty, as the state says.
            drop(other);
            waker.clone()
        }
    };
    // SAFETY: as above.
    header.join_waker.with_mut(|slot| unsafe { *slot = Some(waker) });
    header.state.set_join_waker().inspect_err(|_| empty_slot(task))
}

/// Drops the waker in the slot, which must be the handle's.
fn empty_slot(task: &TaskRef) {
    // SAFETY: called only with `JOIN_WAKER` clear, or after `detach` gave the slot back.
    let old = task.header().join_waker.with_mut(|slot| unsafe { (*slot).take() });
    drop(old);
}

/// Gives up the handle of a task, whose reference `task` is.
///
/// # Safety
///
/// It is that.
unsafe fn drop_handle(task: TaskRef) {
    if task.header().state.is_tentative() {
        task.abort();
    }
    match task.header().state.detach() {
        // The reference is given up.
        Detach::Released => std::mem::forget(task),
        Detach::DropWaker => empty_slot(&task),
        // The reference is given up last, also if the outcome's drop unwinds.
        Detach::DropOutcome => {
            // SAFETY: the task is complete, and we are its handle: the stage is ours.
            let left = unsafe { (task.header().vtable.drop_outcome)(task.raw()) };
            if let Some(payload) = left {
                lose(task.header(), payload);
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The thread that waits in `wait`.
struct Sleeper(Parker);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The power to abort a task, without its outcome.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let task = mainspring::spawn(std::future::pending::<()>());
/// let stop = task.abort_handle();
/// mainspring::spawn(async move { stop.abort() });
/// assert!(task.await.unwrap_err().is_cancelled());
/// # });
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskRef,
}

impl AbortHandle {
    /// Asks the task to end; see [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// The task's number.
    pub fn id(&self) -> TaskId {
        self.task.header().id
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id()).finish()
    }
}

/// Why a task has no output: it was cancelled, or it panicked.
pub struct JoinError {
    id: TaskId,
    cause: Cause,
}

enum Cause {
    Cancelled,
    /// Cancelled, as nobody could run it.
    Refused,
    Panicked(Box<dyn Any + Send>),
}

// SAFETY: by reference the payload is only asked for its type, and read if it is a `&'static str` or
// a `String`, which are `Sync`; see `message`.
unsafe impl Sync for JoinError {}

impl JoinError {
    pub(super) fn cancelled(id: TaskId) -> Self {
        Self { id, cause: Cause::Cancelled }
    }

    pub(super) fn refused(id: TaskId) -> Self {
        Self { id, cause: Cause::Refused }
    }

    pub(super) fn panicked(id: TaskId, payload: Box<dyn Any + Send>) -> Self {
        Self { id, cause: Cause::Panicked(payload) }
    }

    /// The number of the task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Whether the task was aborted, its runtime ended before it, or no thread could be had for it.
    ///
    /// The last can only happen to closures of [`spawn_blocking`](crate::spawn_blocking); the text
    /// of the error says so.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panicked(_))
    }

    /// What the task panicked with, fit for [`std::panic::resume_unwind`].
    ///
    /// # Errors
    ///
    /// The error itself, if the task was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let task = mainspring::spawn(async { panic!("oh") });
    /// let payload = task.await.unwrap_err().try_into_panic().unwrap();
    /// assert_eq!(payload.downcast_ref::<&str>(), Some(&"oh"));
    /// # });
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.cause {
            Cause::Panicked(payload) => Ok(payload),
            Cause::Cancelled | Cause::Refused => Err(self),
        }
    }

    /// What the task panicked with, fit for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task was cancelled; see [`is_panic`](Self::is_panic).
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        self.try_into_panic().expect("into_panic on the error of a task that was cancelled")
    }

    /// The message of a panic, if it was a text.
    fn message(payload: &(dyn Any + Send)) -> Option<&str> {
        let text = payload.downcast_ref::<&'static str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match &self.cause {
            Cause::Cancelled => write!(f, "task {id} was cancelled"),
            Cause::Refused => write!(
                f,
                "task {id} was cancelled: the system gives no thread to run it on; lower the limit \
                 of blocking threads and try again later, or raise what the system allows (memory, \
                 ulimit -u, pids.max)"
            ),
            Cause::Panicked(payload) => match Self::message(&**payload) {
                Some(message) => write!(f, "task {id} panicked: {message}"),
                None => write!(f, "task {id} panicked"),
            },
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
