//! The futures that wait for room.

use super::chan::{Chan, Tried};
use super::{OwnedPermit, Permit, PermitIterator, ReserveManyError, SendError, Sender};
use crate::coop;
use crate::sync::waiters::{Standing, Waiter};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The future of [`Sender::send`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sending<'a, T> {
    chan: &'a Chan<T>,
    // INVARIANT: `None` once the future was ready. It is not pinned.
    message: Option<T>,
    // INVARIANT: pinned with the future.
    waiter: Waiter<usize>,
}

/// The future of [`Sender::reserve`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Reserve<'a, T>(Placing<&'a Chan<T>>);

/// The future of [`Sender::reserve_many`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct ReserveMany<'a, T>(Placing<&'a Chan<T>>);

/// The future of [`Sender::reserve_owned`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct ReserveOwned<T>(Placing<Sender<T>>);

impl<'a, T> Sending<'a, T> {
    #[inline]
    pub(super) fn new(chan: &'a Chan<T>, message: T) -> Self {
        Self { chan, message: Some(message), waiter: Waiter::new(1) }
    }
}

impl<'a, T> Reserve<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>) -> Self {
        Self(Placing::new(chan, 1))
    }
}

impl<'a, T> ReserveMany<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, n: usize) -> Self {
        Self(Placing::new(chan, n))
    }
}

impl<T> ReserveOwned<T> {
    pub(super) fn new(sender: Sender<T>) -> Self {
        Self(Placing::new(sender, 1))
    }
}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing pinned is moved out of the future: the waiter is handled pinned, and the
        // message is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        assert!(this.message.is_some(), "send was polled after it was ready");
        // SAFETY: the waiter is pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let is_new = waiter.standing() == Standing::New;
        if !is_new || this.chan.try_send(&mut this.message) == Tried::Full {
            // SAFETY: the waiter was made for one place, is used with this channel only, and is
            // cancelled in `drop`.
            if ready!(unsafe { this.chan.poll_wait(waiter, 1, cx) }) {
                this.chan.send_reserved(&mut this.message);
            }
        }
        charge.made_progress();
        // What is left was not sent.
        Poll::Ready(this.message.take().map_or(Ok(()), |message| Err(SendError(message))))
    }
}

impl<T> Drop for Sending<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.message.is_some() {
            // SAFETY: where the waiter was queued, it was pinned then, and is not moved any more.
            // The wait is not over, as the message is still there.
            unsafe { self.chan.cancel(Pin::new_unchecked(&self.waiter), 1) };
        }
    }
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, SendError<()>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let placing = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        placing.poll(cx).map(|chan| chan.map(Permit::new).ok_or(SendError(())))
    }
}

impl<'a, T> Future for ReserveMany<'a, T> {
    type Output = Result<PermitIterator<'a, T>, ReserveManyError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let n = self.0.n;
        if self.0.lead.as_ref().is_some_and(|chan| n > chan.max_capacity()) {
            return Poll::Ready(Err(ReserveManyError::TooMany));
        }
        // SAFETY: the only field is pinned with the future.
        let placing = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let permits = |chan| PermitIterator::new(chan, n);
        placing.poll(cx).map(|chan| chan.map(permits).ok_or(ReserveManyError::Closed))
    }
}

impl<T> Future for ReserveOwned<T> {
    type Output = Result<OwnedPermit<T>, SendError<()>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the only field is pinned with the future.
        let placing = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        placing.poll(cx).map(|sender| sender.map(OwnedPermit::new).ok_or(SendError(())))
    }
}

/// What the futures of `reserve` are: a waiter, and the one channel that it may be used with.
struct Placing<L: Lead> {
    // INVARIANT: leads always to the same channel; `None` once the wait is over.
    lead: Option<L>,
    n: usize,
    // INVARIANT: pinned with the future.
    waiter: Waiter<usize>,
}

/// Something that leads to a channel: always the same one.
trait Lead {
    type Message;

    fn chan(&self) -> &Chan<Self::Message>;
}

impl<T> Lead for &Chan<T> {
    type Message = T;

    fn chan(&self) -> &Chan<T> {
        self
    }
}

impl<T> Lead for Sender<T> {
    type Message = T;

    fn chan(&self) -> &Chan<T> {
        Sender::chan(self)
    }
}

impl<L: Lead> Placing<L> {
    fn new(lead: L, n: usize) -> Self {
        Self { lead: Some(lead), n, waiter: Waiter::new(n) }
    }

    /// The lead, with the places taken; `None` if there will be none.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<L>> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing pinned is moved out of the future: the waiter is handled pinned, and the
        // lead is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let lead = this.lead.as_ref().expect("reserve was polled after it was ready");
        // SAFETY: the waiter is pinned with the future. It was made for `n`, is used with the
        // channel of this lead only, and is cancelled in `drop`.
        let placed =
            ready!(unsafe { lead.chan().poll_take(Pin::new_unchecked(&this.waiter), this.n, cx) });
        charge.made_progress();
        let lead = this.lead.take();
        Poll::Ready(if placed { lead } else { None })
    }
}

impl<L: Lead> Drop for Placing<L> {
    fn drop(&mut self) {
        if let Some(lead) = &self.lead {
            // SAFETY: where the waiter was queued, it was pinned then, and is not moved any more.
            // The wait is not over, as the lead is still there.
            unsafe { lead.chan().cancel(Pin::new_unchecked(&self.waiter), self.n) };
        }
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("is_done", &self.message.is_none()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Reserve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ReserveMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReserveMany").field("n", &self.0.n).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ReserveOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReserveOwned").finish_non_exhaustive()
    }
}
