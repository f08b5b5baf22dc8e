//! The workloads' futures, told to be `Send`.
//!
//! A workload is generic over its runtime, some of which live on one thread. So it cannot ask that its
//! futures be `Send`, and nothing it does can prove it: whether they are depends on the runtime. Those
//! that run tasks on several threads, or ask for `Send`, wrap them in [`AssertSend`]. It is sound as
//! long as both hold:
//!
//! - What a workload itself keeps over an `await`, or gives to a task, is `Send` (and `Sync`, where it
//!   shares it): numbers, vectors, `Arc`s and atomics; never `Rc`, `Cell` or a guard of `std`.
//! - The channels, locks and handles of an adapter that uses [`AssertSend`] are `Send` and `Sync`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is `Send` whatever the compiler can see; for adapters, see the module.
pub(crate) struct AssertSend<F> {
    /// INVARIANT: by the rules of the module it holds nothing that is bound to a thread.
    future: F,
}

// SAFETY: by the invariant of `future`, kept by the workloads and by the adapters that make the value.
unsafe impl<F> Send for AssertSend<F> {}

impl<F: Future> AssertSend<F> {
    /// # Safety
    ///
    /// The future keeps the rules of the module.
    pub(crate) unsafe fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for AssertSend<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the field is pinned with the whole: nothing moves out of it, and there is no `Drop`.
        unsafe { self.map_unchecked_mut(|this| &mut this.future) }.poll(cx)
    }
}
