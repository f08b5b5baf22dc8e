//! The two ends of either kind of channel, without the names that users see.

use super::TryRecvError;
use super::batch::Batch;
use super::chan::Chan;
use crate::coop;
use crate::primitives::Ordering;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The end that sends: counted, so that the receiver learns when the last one goes.
pub(super) struct Tx<T> {
    pub(super) chan: Arc<Chan<T>>,
}

/// What can become a [`Tx`] as long as there is one.
pub(super) struct WeakTx<T> {
    chan: Arc<Chan<T>>,
}

/// The end that receives.
pub(super) struct Rx<T> {
    pub(super) chan: Arc<Chan<T>>,
    // INVARIANT: nothing of a message is reached through `&self`.
    batch: Batch<T>,
}

// SAFETY: what `&Rx` reaches is the channel, which is `Sync` for such a `T`, and how many messages
// are in the batch, by the invariant.
unsafe impl<T: Send> Sync for Rx<T> {}

// Messages are moved, never pinned.
impl<T> Unpin for Rx<T> {}
// A panic leaves no end half-done, and no reference to a message is ever shared.
impl<T> UnwindSafe for Tx<T> {}
impl<T> RefUnwindSafe for Tx<T> {}
impl<T> UnwindSafe for WeakTx<T> {}
impl<T> RefUnwindSafe for WeakTx<T> {}
impl<T> UnwindSafe for Rx<T> {}
impl<T> RefUnwindSafe for Rx<T> {}

/// Both ends of a new channel.
pub(super) fn ends<T>(capacity: Option<usize>) -> (Tx<T>, Rx<T>) {
    let chan = Arc::new(Chan::new(capacity));
    (Tx { chan: Arc::clone(&chan) }, Rx { chan, batch: Batch::new() })
}

impl<T> Tx<T> {
    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chan, &other.chan)
    }

    pub(super) fn downgrade(&self) -> WeakTx<T> {
        WeakTx::count(&self.chan)
    }
}

impl<T> Clone for Tx<T> {
    fn clone(&self) -> Self {
        // There is a sender, so the count does not come from 0. It does not overflow before the
        // count of the `Arc` does, which aborts.
        self.chan.senders.fetch_add(1, Ordering::Relaxed);
        Self { chan: Arc::clone(&self.chan) }
    }
}

impl<T> Drop for Tx<T> {
    fn drop(&mut self) {
        if self.chan.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.chan.abandon();
        }
    }
}

impl<T> WeakTx<T> {
    fn count(chan: &Arc<Chan<T>>) -> Self {
        chan.weak.fetch_add(1, Ordering::Relaxed);
        Self { chan: Arc::clone(chan) }
    }

    pub(super) fn upgrade(&self) -> Option<Tx<T>> {
        let count = &self.chan.senders;
        let mut senders = count.load(Ordering::Relaxed);
        while senders > 0 {
            let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
            match count.compare_exchange_weak(senders, senders + 1, order, failed) {
                Ok(_) => return Some(Tx { chan: Arc::clone(&self.chan) }),
                Err(now) => senders = now,
            }
        }
        None
    }

    pub(super) fn chan(&self) -> &Chan<T> {
        &self.chan
    }
}

impl<T> Clone for WeakTx<T> {
    fn clone(&self) -> Self {
        Self::count(&self.chan)
    }
}

impl<T> Drop for WeakTx<T> {
    fn drop(&mut self) {
        self.chan.weak.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Rx<T> {
    #[inline]
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let charge = ready!(coop::poll_proceed(cx));
        let next = match self.pop() {
            None => {
                ready!(self.chan.poll_refill(&mut self.batch, 1, cx));
                self.batch.messages.pop_front()
            }
            next => next,
        };
        charge.made_progress();
        Poll::Ready(next)
    }

    pub(super) fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        let charge = ready!(coop::poll_proceed(cx));
        if limit == 0 {
            return Poll::Ready(0);
        }
        let at_hand = self.batch.messages.len().min(limit);
        into.extend(self.batch.messages.drain(..at_hand));
        let mut more = 0;
        if at_hand == 0 {
            more = ready!(self.chan.poll_refill(&mut self.batch, limit, cx));
        } else {
            self.chan.publish(&mut self.batch, at_hand);
            if at_hand < limit
                && let Poll::Ready(found) = self.chan.refill(&mut self.batch, limit - at_hand)
            {
                more = found;
            }
        }
        into.extend(self.batch.messages.drain(..more));
        charge.made_progress();
        Poll::Ready(at_hand + more)
    }

    pub(super) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if let Some(message) = self.pop() {
            return Ok(message);
        }
        if self.chan.refill(&mut self.batch, 1).is_pending() {
            return Err(TryRecvError::Empty);
        }
        self.batch.messages.pop_front().ok_or(TryRecvError::Disconnected)
    }

    /// A message that is at hand.
    #[inline]
    fn pop(&mut self) -> Option<T> {
        let message = self.batch.messages.pop_front()?;
        self.chan.publish(&mut self.batch, 1);
        Some(message)
    }

    /// Messages that can be received at once.
    pub(super) fn len(&self) -> usize {
        self.batch.messages.len() + self.chan.waiting_messages()
    }

    pub(super) fn at_hand(&self) -> usize {
        self.batch.messages.len()
    }

    /// How many messages there would be room for without more memory.
    #[cfg(all(test, not(loom)))]
    pub(super) fn room(&self) -> usize {
        self.batch.messages.capacity() + self.chan.waiting_room()
    }

    /// Begins as if `n` messages had come and gone.
    #[cfg(all(test, not(loom)))]
    pub(super) fn begin_at(&mut self, n: usize) {
        self.batch.popped = n;
        self.chan.begin_at(n);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.chan.is_closed() || self.chan.senders.load(Ordering::Acquire) == 0
    }
}

impl<T> Drop for Rx<T> {
    fn drop(&mut self) {
        let rest = self.chan.leave();
        // In the order in which they were sent. Should one panic, the others are dropped all the
        // same.
        drop((std::mem::take(&mut self.batch.messages), rest));
    }
}
