//! The futures that wait for a token.

use super::{AcquireError, Borrower, CapacityLimiter, LimiterToken, OwnedLimiterToken};
use crate::coop;
use crate::sync::waiters::{Standing, Waiter};
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The future of [`CapacityLimiter::acquire`] and [`CapacityLimiter::acquire_on_behalf_of`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Acquire<'a>(Acquiring<&'a CapacityLimiter>);

/// The future of [`CapacityLimiter::acquire_owned`] and
/// [`CapacityLimiter::acquire_owned_on_behalf_of`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct AcquireOwned(Acquiring<Arc<CapacityLimiter>>);

impl<'a> Acquire<'a> {
    pub(super) fn new(limiter: &'a CapacityLimiter, borrower: Option<Borrower>) -> Self {
        Self(Acquiring::new(limiter, borrower))
    }
}

impl AcquireOwned {
    pub(super) fn new(limiter: Arc<CapacityLimiter>, borrower: Option<Borrower>) -> Self {
        Self(Acquiring::new(limiter, borrower))
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<LimiterToken<'a>, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        acquiring.poll(cx).map_ok(|(limiter, borrower)| LimiterToken::new(limiter, borrower))
    }
}

impl Future for AcquireOwned {
    type Output = Result<OwnedLimiterToken, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let acquiring = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        acquiring.poll(cx).map_ok(|(limiter, borrower)| OwnedLimiterToken::new(limiter, borrower))
    }
}

/// What both futures are: a waiter, and the one limiter that it may be used with.
struct Acquiring<L: Deref<Target = CapacityLimiter>> {
    // INVARIANT: a reference or an `Arc`, hence always the same limiter; `None` once the wait is
    // over.
    limiter: Option<L>,
    // INVARIANT: `Some` once the waiter is not new any more.
    borrower: Option<Borrower>,
    // INVARIANT: pinned with the future.
    waiter: Waiter<Option<Borrower>>,
}

impl<L: Deref<Target = CapacityLimiter>> Acquiring<L> {
    fn new(limiter: L, borrower: Option<Borrower>) -> Self {
        Self { limiter: Some(limiter), borrower, waiter: Waiter::new(None) }
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(L, Borrower), AcquireError>> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing pinned is moved out of the future: the waiter is handled pinned, and the
        // handle is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let limiter = this.limiter.as_ref().expect("acquire was polled after it was ready");
        // SAFETY: pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let borrower = this.borrower.or_else(Borrower::current);
        let outcome = match (waiter.standing(), borrower) {
            (_, None) => Err(AcquireError::NotInTask),
            (Standing::New, Some(borrower)) => {
                this.borrower = Some(borrower);
                // SAFETY: the waiter is new, has this limiter only, and is cancelled in `drop`.
                ready!(unsafe { limiter.begin(waiter, borrower, cx) }).map(|()| borrower)
            }
            (_, Some(borrower)) => {
                // SAFETY: it was queued in the queue in this lock.
                ready!(unsafe { waiter.poll_queued(&limiter.books, cx) });
                Ok(borrower)
            }
        };
        charge.made_progress();
        let Some(limiter) = this.limiter.take() else { unreachable!("it was there above") };
        Poll::Ready(outcome.map(|borrower| (limiter, borrower)))
    }
}

impl<L: Deref<Target = CapacityLimiter>> Drop for Acquiring<L> {
    fn drop(&mut self) {
        let (Some(limiter), Some(borrower)) = (&self.limiter, self.borrower) else { return };
        if self.waiter.standing() != Standing::New {
            // SAFETY: where the waiter was queued, it was pinned then, and is not moved any more. It
            // was queued for this borrower.
            unsafe { limiter.cancel(Pin::new_unchecked(&self.waiter), borrower) };
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("borrower", &self.0.borrower).finish_non_exhaustive()
    }
}

impl fmt::Debug for AcquireOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned").field("borrower", &self.0.borrower).finish_non_exhaustive()
    }
}
