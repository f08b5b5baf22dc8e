//! The futures that end when a token is cancelled.

use super::CancelToken;
use crate::coop;
use crate::sync::event::{Event, Wait};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The future of [`CancelToken::cancelled`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Cancelled<'a> {
    // INVARIANT: pinned with the future.
    wait: Wait<'a>,
}

/// The future of [`CancelToken::cancelled_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct CancelledOwned {
    // INVARIANT: borrows the event of `token`, and is pinned with the future. It stands before the
    // token, hence is dropped before it.
    wait: Cancelled<'static>,
    // INVARIANT: always the same token; never given out.
    _token: CancelToken,
}

/// The future of [`CancelToken::run_until_cancelled`] and of
/// [`CancelToken::run_until_cancelled_owned`]: `F` until it is ready, or until `C` is.
#[must_use = "futures do nothing unless they are awaited"]
pub struct RunUntilCancelled<F, C> {
    // INVARIANT: both are pinned with this.
    future: F,
    cancelled: C,
}

impl<'a> Cancelled<'a> {
    pub(super) fn new(token: &'a CancelToken) -> Self {
        Self { wait: token.node.event().wait() }
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // To be told to stop is the end of something, not one more piece of work: a neighbour that
        // uses up the budget in each poll must not keep it away.
        let _restore = coop::unlimited();
        // SAFETY: the only field is pinned with the future.
        unsafe { self.map_unchecked_mut(|this| &mut this.wait) }.poll(cx)
    }
}

impl CancelledOwned {
    pub(super) fn new(token: CancelToken) -> Self {
        // SAFETY: the event lies behind an `Arc`, where it does not move; the token keeps it alive
        // until the wait, which nobody else gets, is dropped.
        let event: &'static Event = unsafe { &*std::ptr::from_ref(token.node.event()) };
        Self { wait: Cancelled { wait: event.wait() }, _token: token }
    }
}

impl Future for CancelledOwned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the wait is pinned with the future.
        unsafe { self.map_unchecked_mut(|this| &mut this.wait) }.poll(cx)
    }
}

impl<F, C> RunUntilCancelled<F, C> {
    pub(super) fn new(future: F, cancelled: C) -> Self {
        Self { future, cancelled }
    }
}

impl<F: Future, C: Future<Output = ()>> Future for RunUntilCancelled<F, C> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: both are pinned with this, which has no `Drop` and gives neither out.
        let (future, cancelled) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), Pin::new_unchecked(&mut this.cancelled))
        };
        if let Poll::Ready(output) = future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        ready!(cancelled.poll(cx));
        Poll::Ready(None)
    }
}

impl fmt::Debug for Cancelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").finish_non_exhaustive()
    }
}

impl fmt::Debug for CancelledOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelledOwned").finish_non_exhaustive()
    }
}

impl<F, C> fmt::Debug for RunUntilCancelled<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunUntilCancelled").finish_non_exhaustive()
    }
}
