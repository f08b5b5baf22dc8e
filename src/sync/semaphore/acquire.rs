//! The futures that wait for permits.

use super::{Claim, Closed, OwnedPermit, Permit, Semaphore};
use crate::coop;
use crate::sync::waiters::Waiter;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The future of [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Acquire<'a>(Acquiring<&'a Semaphore>);

/// The future of [`Semaphore::acquire_owned`] and [`Semaphore::acquire_many_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct AcquireOwned(Acquiring<Arc<Semaphore>>);

impl<'a> Acquire<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a Semaphore, n: usize) -> Self {
        Self(Acquiring::new(semaphore, n))
    }
}

impl AcquireOwned {
    pub(super) fn new(semaphore: Arc<Semaphore>, n: usize) -> Self {
        Self(Acquiring::new(semaphore, n))
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Closed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        acquiring.poll(cx).map_ok(|(semaphore, n)| Permit::new(semaphore, n))
    }
}

impl Future for AcquireOwned {
    type Output = Result<OwnedPermit, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        acquiring.poll(cx).map_ok(|(semaphore, n)| OwnedPermit::new(semaphore, n))
    }
}

/// What all futures that wait for permits are: a waiter, and the one semaphore that it may be used
/// with.
pub(in crate::sync) struct Acquiring<S: Handle> {
    // INVARIANT: always the same semaphore; `None` once the wait is over.
    semaphore: Option<S>,
    n: usize,
    // INVARIANT: pinned with the future.
    waiter: Waiter<Claim>,
}

/// Something that leads to a semaphore: always the same one.
pub(in crate::sync) trait Handle {
    fn semaphore(&self) -> &Semaphore;
}

impl Handle for &Semaphore {
    #[inline]
    fn semaphore(&self) -> &Semaphore {
        self
    }
}

impl Handle for Arc<Semaphore> {
    fn semaphore(&self) -> &Semaphore {
        self
    }
}

impl<S: Handle> Acquiring<S> {
    #[inline]
    pub(in crate::sync) fn new(semaphore: S, n: usize) -> Self {
        Self { semaphore: Some(semaphore), n, waiter: Waiter::new(Claim::new(n)) }
    }

    /// Returns the handle and the number when the permits are the caller's. Takes part in the budget.
    #[inline]
    pub(in crate::sync) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(S, usize), Closed>> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing pinned is moved out of the future: the waiter is handled pinned, and the
        // handle is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let semaphore =
            this.semaphore.as_ref().expect("an acquire or a lock was polled after it was ready");
        // SAFETY: the waiter is pinned with the future. It was made for `n`, is used with the
        // semaphore of this handle only, and is cancelled in `drop`.
        let outcome = ready!(unsafe {
            let waiter = Pin::new_unchecked(&this.waiter);
            semaphore.semaphore().poll_acquire(waiter, this.n, cx)
        });
        charge.made_progress();
        let Some(semaphore) = this.semaphore.take() else { unreachable!("it was there above") };
        Poll::Ready(outcome.map(|()| (semaphore, this.n)))
    }
}

impl<S: Handle> Drop for Acquiring<S> {
    #[inline]
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            // SAFETY: where the waiter was queued, it was pinned then, and is not moved any more.
            // The wait is not over, as the handle is still there.
            unsafe {
                let waiter = Pin::new_unchecked(&self.waiter);
                semaphore.semaphore().cancel(waiter, self.n);
            }
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("n", &self.0.n).finish_non_exhaustive()
    }
}

impl fmt::Debug for AcquireOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned").field("n", &self.0.n).finish_non_exhaustive()
    }
}
