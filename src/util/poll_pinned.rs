//! A future by hand around another one, which is held once.
//!
//! An `async fn` that pins what it is given holds it twice, where it came in and where it is pinned, so
//! each such layer doubles the size of what is inside. This is for the layers that everybody uses.
//!
//! # Safety essay
//!
//! `pinned` is pinned when the whole is: it is reached through `poll` only, as a pinned reference, and
//! dropped in its place, as there is no `Drop` of the whole that could move it. `poll` itself is never
//! pinned. The whole is `Unpin` only where both are, as the compiler says of its own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// As [`std::future::poll_fn`], with something beside it that the function finds pinned.
pub(crate) fn poll_pinned<P, F, R>(pinned: P, poll: F) -> PollPinned<P, F>
where
    F: FnMut(Pin<&mut P>, &mut Context<'_>) -> Poll<R>,
{
    PollPinned { pinned, poll }
}

/// The future of [`poll_pinned`].
#[must_use = "futures do nothing unless polled"]
pub(crate) struct PollPinned<P, F> {
    // INVARIANT: pinned when this is; never moved after.
    pinned: P,
    poll: F,
}

impl<P, F, R> Future for PollPinned<P, F>
where
    F: FnMut(Pin<&mut P>, &mut Context<'_>) -> Poll<R>,
{
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        // SAFETY: `pinned` stays in its place, as its invariant says; `poll` is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: by its invariant it is pinned as we are.
        let pinned = unsafe { Pin::new_unchecked(&mut this.pinned) };
        (this.poll)(pinned, cx)
    }
}
