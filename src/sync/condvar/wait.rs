//! The futures that wait for a notification, and then for the mutex.

use super::{Condvar, Told};
use crate::coop;
use crate::sync::Mutex;
use crate::sync::mutex::{Handle, Locking, MutexGuard, OwnedMutexGuard};
use crate::sync::waiters::Waiter;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The future of [`Condvar::wait`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait<'c, 'a, T: ?Sized> {
    waiting: Waiting<'c, &'a Mutex<T>>,
}

/// The future of [`Condvar::wait_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct WaitOwned<'c, T: ?Sized> {
    waiting: Waiting<'c, Arc<Mutex<T>>>,
}

/// What both are.
pub(super) struct Waiting<'c, H: Handle> {
    condvar: &'c Condvar,
    stage: Stage,
    // INVARIANT: pinned with the future, as is `locking`. Used with the queue of `condvar` only.
    waiter: Waiter<Told>,
    locking: Locking<H>,
}

/// How far a wait has come; each stage follows on the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The mutex is locked, by this future. It was not polled yet.
    Holding,
    /// In the queue, or notified, and not polled since. The mutex is not locked.
    Queued,
    /// Notified, and waits for the mutex.
    Locking,
    /// Over.
    Done,
}

impl<'c, H: Handle> Waiting<'c, H> {
    /// The caller leaves the mutex locked.
    pub(super) fn new(condvar: &'c Condvar, mutex: H) -> Self {
        let (waiter, locking) = (Waiter::new(Told::One), Locking::new(mutex));
        Self { condvar, stage: Stage::Holding, waiter, locking }
    }

    /// Returns the handle of the mutex when it is locked again.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<H> {
        // SAFETY: nothing pinned is moved out of the future; what is pinned is handled pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: they are pinned with the future.
        let (waiter, locking) =
            unsafe { (Pin::new_unchecked(&this.waiter), Pin::new_unchecked(&mut this.locking)) };
        if this.stage == Stage::Holding {
            // SAFETY: the waiter is new, and has only this queue. It is cancelled in `drop`.
            unsafe { this.condvar.enqueue(waiter, cx) };
            this.stage = Stage::Queued;
            // Only now: who locks the mutex next finds this one waiting.
            if let Some(mutex) = locking.handle() {
                mutex.raw().unlock();
            }
            // Whoever notified it in the meantime has woken it.
            return Poll::Pending;
        }
        let charge = ready!(coop::poll_proceed(cx));
        if this.stage == Stage::Queued {
            // SAFETY: the waiter was queued in this queue.
            ready!(unsafe { this.condvar.poll_notified(waiter, cx) });
            this.stage = Stage::Locking;
        }
        let mutex = ready!(locking.poll_lock(cx));
        this.stage = Stage::Done;
        charge.made_progress();
        Poll::Ready(mutex)
    }
}

impl<H: Handle> Drop for Waiting<'_, H> {
    fn drop(&mut self) {
        match self.stage {
            Stage::Holding => {
                if let Some(mutex) = self.locking.handle() {
                    mutex.raw().unlock();
                }
            }
            // A mutex that was handed to it already goes on when `locking` is dropped.
            // SAFETY: the waiter was queued in this queue, pinned, and is not moved any more.
            Stage::Queued | Stage::Locking => unsafe {
                self.condvar.cancel(Pin::new_unchecked(&self.waiter));
            },
            Stage::Done => {}
        }
    }
}

impl<'c, 'a, T: ?Sized> Wait<'c, 'a, T> {
    pub(super) fn new(waiting: Waiting<'c, &'a Mutex<T>>) -> Self {
        Self { waiting }
    }
}

impl<'c, T: ?Sized> WaitOwned<'c, T> {
    pub(super) fn new(waiting: Waiting<'c, Arc<Mutex<T>>>) -> Self {
        Self { waiting }
    }
}

impl<'a, T: ?Sized> Future for Wait<'_, 'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let waiting = unsafe { self.map_unchecked_mut(|this| &mut this.waiting) };
        waiting.poll(cx).map(MutexGuard::new)
    }
}

impl<T: ?Sized> Future for WaitOwned<'_, T> {
    type Output = OwnedMutexGuard<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let waiting = unsafe { self.map_unchecked_mut(|this| &mut this.waiting) };
        waiting.poll(cx).map(OwnedMutexGuard::new)
    }
}

impl<T: ?Sized> fmt::Debug for Wait<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("stage", &self.waiting.stage).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for WaitOwned<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitOwned").field("stage", &self.waiting.stage).finish_non_exhaustive()
    }
}
