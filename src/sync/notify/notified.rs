//! The futures that wait for a notification.

use super::{Call, Calls, Notify};
use crate::coop;
use crate::sync::waiters::{Standing, Waiter};
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// The future of [`Notify::notified`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Notified<'a>(Notifying<&'a Notify>);

/// The future of [`Notify::notified_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct OwnedNotified(Notifying<Arc<Notify>>);

impl<'a> Notified<'a> {
    #[inline]
    pub(super) fn new(notify: &'a Notify) -> Self {
        Self(Notifying::new(notify))
    }

    /// Receives what is there, or begins to wait, before the future is polled.
    ///
    /// Says whether there was a notification; the next poll is ready then. From now on
    /// [`notify_one`](Notify::notify_one) reaches it, without waking anybody as long as it was not
    /// polled. So one can begin to wait, look, and wait on:
    ///
    /// ```
    /// use mainspring::sync::Notify;
    /// use std::pin::pin;
    ///
    /// # mainspring::block_on(async {
    /// let notify = Notify::new();
    /// let mut first = pin!(notify.notified());
    /// let mut second = pin!(notify.notified());
    /// assert!(!first.as_mut().enable());
    /// assert!(!second.as_mut().enable());
    /// // Both wait, so each gets one.
    /// notify.notify_one();
    /// notify.notify_one();
    /// first.await;
    /// second.await;
    /// # });
    /// ```
    ///
    /// After `true` the notification counts as received: dropping the future passes it on to
    /// nobody. After the future was ready it says `true`.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        self.project().enable()
    }

    fn project(self: Pin<&mut Self>) -> Pin<&mut Notifying<&'a Notify>> {
        // SAFETY: the only field is pinned with the future.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }
    }
}

impl OwnedNotified {
    pub(super) fn new(notify: Arc<Notify>) -> Self {
        Self(Notifying::new(notify))
    }

    /// As [`Notified::enable`].
    pub fn enable(self: Pin<&mut Self>) -> bool {
        self.project().enable()
    }

    fn project(self: Pin<&mut Self>) -> Pin<&mut Notifying<Arc<Notify>>> {
        // SAFETY: the only field is pinned with the future.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().poll(cx)
    }
}

impl Future for OwnedNotified {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().poll(cx)
    }
}

/// What both futures are: a waiter, and the one `Notify` that it may be used with.
struct Notifying<N: Deref<Target = Notify>> {
    // INVARIANT: a reference or an `Arc`, hence always the same `Notify`.
    notify: N,
    since: Calls,
    stage: Stage,
    // INVARIANT: pinned with the future.
    waiter: Waiter<Call>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody was told of a notification.
    Waits,
    /// `enable` has told.
    Told,
    /// The future was ready.
    Over,
}

impl<N: Deref<Target = Notify>> Notifying<N> {
    #[inline]
    fn new(notify: N) -> Self {
        let since = notify.word.load().calls();
        Self { notify, since, stage: Stage::Waits, waiter: Waiter::new(Call::All) }
    }

    fn enable(self: Pin<&mut Self>) -> bool {
        // SAFETY: nothing is moved out of the future, and the waiter is handled pinned.
        let this = unsafe { self.get_unchecked_mut() };
        if this.stage != Stage::Waits {
            return true;
        }
        // SAFETY: pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let received = match waiter.standing() {
            Standing::New => {
                // SAFETY: the waiter is new, has this `Notify` only, and is cancelled in `drop`.
                unsafe { this.notify.receive(waiter, this.since, Waker::noop()) }.is_ready()
            }
            standing => standing != Standing::Queued,
        };
        if received {
            this.stage = Stage::Told;
        }
        received
    }

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing is moved out of the future, and the waiter is handled pinned.
        let this = unsafe { self.get_unchecked_mut() };
        assert!(this.stage != Stage::Over, "a notified future was polled after it was ready");
        if this.stage == Stage::Waits {
            // SAFETY: pinned with the future.
            let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
            if waiter.standing() == Standing::New {
                // SAFETY: the waiter is new, has this `Notify` only, and is cancelled in `drop`.
                ready!(unsafe { this.notify.receive(waiter, this.since, cx.waker()) });
            } else {
                // SAFETY: it was queued in this queue, by the line above or by `enable`.
                ready!(unsafe { waiter.poll_queued(&this.notify.queue, cx) });
            }
        }
        charge.made_progress();
        this.stage = Stage::Over;
        Poll::Ready(())
    }
}

impl<N: Deref<Target = Notify>> Drop for Notifying<N> {
    #[inline]
    fn drop(&mut self) {
        if self.stage == Stage::Waits {
            // SAFETY: where the waiter was queued, it was pinned then, and is not moved any more.
            unsafe { self.notify.cancel(Pin::new_unchecked(&self.waiter)) };
        }
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified").field("notify", &self.0.notify).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedNotified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedNotified").field("notify", &self.0.notify).finish_non_exhaustive()
    }
}
