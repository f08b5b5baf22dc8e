//! The end that messages go into, and its weak form.

use super::{Receiver, SendError, Shared};
use crate::primitives::{Arc as SharedArc, Ordering};
use crate::sync::sequence::Mark;
use crate::util::WakeList;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// The end of a [`channel`](super::channel) that messages go into. Clones send into the same channel.
///
/// When the last is dropped, receivers get the messages that are left, and then
/// [`RecvError::Closed`](super::RecvError::Closed).
pub struct Sender<T> {
    // INVARIANT: counted in `senders`.
    shared: SharedArc<Shared<T>>,
}

/// A [`Sender`] that does not keep the channel open. Made by [`Sender::downgrade`].
///
/// # Examples
///
/// ```
/// let (sender, _receiver) = mainspring::sync::broadcast::channel(4);
/// let weak = sender.downgrade();
/// assert_eq!(weak.upgrade().unwrap().send(7), Ok(1));
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakSender<T> {
    // INVARIANT: counted in `weak`.
    shared: SharedArc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Makes a channel that keeps `capacity` messages, and no receiver yet.
    ///
    /// # Panics
    ///
    /// When `capacity` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self::new_at(capacity, 0)
    }

    #[track_caller]
    pub(super) fn new_at(capacity: usize, start: u64) -> Self {
        let Some(capacity) = NonZeroUsize::new(capacity) else {
            panic!("a broadcast channel keeps at least one message")
        };
        Self { shared: SharedArc::new(Shared::new(capacity, start)) }
    }

    /// Sends a message to all receivers, and says to how many.
    ///
    /// It does not wait, and may be called anywhere. Where the channel is full, the oldest message
    /// goes (see the [module](super)). That it succeeds does not mean that anybody sees the message:
    /// receivers may be dropped, or be too slow.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message when there is no receiver.
    ///
    /// # Panics
    ///
    /// When the drop of the oldest message panics: the new one is sent.
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        if self.is_closed() {
            return Err(SendError(message));
        }
        let message = Arc::new(message);
        let mut ring = self.shared.ring.lock();
        let receivers = ring.receivers();
        if receivers == 0 {
            drop(ring);
            let Some(message) = Arc::into_inner(message) else {
                unreachable!("nobody else has it")
            };
            return Err(SendError(message));
        }
        let from = Mark::at(ring.tail());
        let oldest = ring.push(message);
        let mut wakers = WakeList::new();
        self.shared.sequence.advance(from, ring, &mut wakers);
        wakers.wake_all();
        drop(oldest);
        Ok(receivers)
    }

    /// Makes a receiver, which gets what is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        let next = self.shared.enter();
        Receiver::new(SharedArc::clone(&self.shared), next)
    }

    /// How many messages are kept, as some receiver has yet to see them.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = mainspring::sync::broadcast::channel(4);
    /// sender.send(7)?;
    /// assert_eq!(sender.len(), 1);
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(sender.len(), 0);
    /// # Ok::<(), mainspring::sync::broadcast::SendError<i32>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.ring.lock().len()
    }

    /// Whether no message is kept: all receivers have seen all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages the channel keeps at the most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.ring.lock().capacity()
    }

    /// Waits until there are no receivers.
    ///
    /// There may be new ones when it returns, if another sender [subscribes](Self::subscribe).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn closed(&self) {
        self.shared.vacant.wait().await;
    }

    /// Whether there are no receivers, so that [`send`](Self::send) would fail.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.vacant.is_set()
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.ring.lock().receivers()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        SharedArc::ptr_eq(&self.shared, &other.shared)
    }

    /// Makes a sender that does not keep the channel open.
    #[must_use = "it does nothing unless it is upgraded"]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(SharedArc::clone(&self.shared))
    }

    /// How many senders there are, this one included, weak ones not.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.shared.senders.load(Ordering::Relaxed)
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.shared.weak.load(Ordering::Relaxed)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let shared = SharedArc::clone(&self.shared);
        shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // What other senders did happens before the end that this one may tell of.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut wakers = WakeList::new();
            self.shared.sequence.close(&mut wakers);
            wakers.wake_all();
        }
    }
}

impl<T> WeakSender<T> {
    fn new(shared: SharedArc<Shared<T>>) -> Self {
        shared.weak.fetch_add(1, Ordering::Relaxed);
        Self { shared }
    }

    /// A sender again, unless all senders were dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let mut senders = self.shared.senders.load(Ordering::Relaxed);
        while senders != 0 {
            match self.shared.senders.compare_exchange_weak(
                senders,
                senders + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Sender { shared: SharedArc::clone(&self.shared) }),
                Err(now) => senders = now,
            }
        }
        None
    }

    /// How many senders there are that are not weak.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.shared.senders.load(Ordering::Relaxed)
    }

    /// How many weak senders there are, this one included.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.shared.weak.load(Ordering::Relaxed)
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self::new(SharedArc::clone(&self.shared))
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.shared.weak.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender")
            .field("strong_count", &self.strong_count())
            .finish_non_exhaustive()
    }
}
