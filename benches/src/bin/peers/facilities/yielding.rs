//! A turn given up, for runtimes that have no function for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Wakes itself and is pending once.
#[derive(Debug, Default)]
pub(crate) struct WakeAndPend {
    yielded: bool,
}

impl Future for WakeAndPend {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
