//! A future that is made on the thread where it stays.

use super::current;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// First what makes the future, which may go to another thread, then the future, which may not.
///
/// The task is local from the moment at which the future is made: until then it may be cancelled by
/// any thread.
pub(super) enum Pinned<M, F> {
    /// Before the first poll.
    Make(Option<M>),
    /// Structurally pinned.
    Run(F),
}

impl<M, F> Pinned<M, F> {
    pub(super) fn new(make: M) -> Self {
        Self::Make(Some(make))
    }
}

impl<M: FnOnce() -> F, F: Future> Future for Pinned<M, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: what makes the future is moved out, and never pinned; the future is made in its
        // place, polled there only, and dropped there.
        let this = unsafe { self.as_mut().get_unchecked_mut() };
        if let Self::Make(make) = this {
            let make = make.take().expect("a pinned task was polled after its closure panicked");
            current::with(|header| header.state.set_local());
            *this = Self::Run(make());
        }
        match this {
            // SAFETY: as above.
            Self::Run(future) => unsafe { Pin::new_unchecked(future) }.poll(cx),
            Self::Make(_) => unreachable!("it was made just now"),
        }
    }
}
