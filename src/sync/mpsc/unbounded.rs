//! A channel that grows.

use super::ends::{Rx, Tx, WeakTx, ends};
use super::{SendError, TryRecvError};
use crate::primitives::Ordering;
use crate::sync::blocking::block_on;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Makes a channel that holds as many messages as are sent, until memory ends.
///
/// Nothing slows its senders down: if they are faster than the receiver for long, the program runs
/// out of memory. Use [`channel`](super::channel) with a generous capacity where that can happen,
/// and answer a full channel with an error, or by waiting. This one is for places where something
/// else bounds the messages, and sending must neither wait nor fail, as in a `Drop`.
///
/// # Examples
///
/// ```
/// # mainspring::block_on(async {
/// let (sender, mut receiver) = mainspring::sync::mpsc::unbounded_channel();
/// sender.send("no await")?;
/// assert_eq!(receiver.recv().await, Some("no await"));
/// # Ok::<(), mainspring::sync::mpsc::SendError<&str>>(())
/// # }).unwrap();
/// ```
#[must_use]
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (tx, rx) = ends(None);
    (UnboundedSender { tx }, UnboundedReceiver { rx })
}

/// The end of an [`unbounded_channel`] that messages go into; clones send into the same.
pub struct UnboundedSender<T> {
    tx: Tx<T>,
}

/// An [`UnboundedSender`] that does not keep the channel open.
pub struct WeakUnboundedSender<T> {
    tx: WeakTx<T>,
}

/// The end of an [`unbounded_channel`] that messages come out of; it is also a [`Stream`].
///
/// Dropping it drops the messages that are in the channel, in order.
pub struct UnboundedReceiver<T> {
    pub(super) rx: Rx<T>,
}

impl<T> UnboundedSender<T> {
    /// Sends the message. It does not wait, and may be called anywhere.
    ///
    /// # Errors
    ///
    /// The message comes back when the receiver is closed or gone.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut slot = Some(message);
        self.tx.chan.try_send(&mut slot);
        // There is always room, so what is left was refused.
        slot.map_or(Ok(()), |message| Err(SendError(message)))
    }

    /// Waits until the receiver is closed or gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn closed(&self) {
        self.tx.chan.closed().await;
    }

    /// Whether the receiver is closed or gone, so that sending would fail.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tx.chan.is_closed()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.tx.same(&other.tx)
    }

    /// A sender that does not keep the channel open.
    #[must_use = "it does nothing by itself"]
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        WeakUnboundedSender { tx: self.tx.downgrade() }
    }

    /// How many senders there are.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.tx.chan.senders.load(Ordering::Acquire)
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.tx.chan.weak.load(Ordering::Acquire)
    }
}

impl<T> WeakUnboundedSender<T> {
    /// A sender, if there still is one.
    #[must_use]
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        self.tx.upgrade().map(|tx| UnboundedSender { tx })
    }

    /// How many senders there are.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.tx.chan().senders.load(Ordering::Acquire)
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.tx.chan().weak.load(Ordering::Acquire)
    }
}

impl<T> UnboundedReceiver<T> {
    /// Waits for the next message; `None` when none will come.
    ///
    /// None will come when all senders are gone or the receiver was [closed](Self::close), and what
    /// was sent has been received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    #[inline]
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.rx.poll_recv(cx)).await
    }

    /// Waits for a message, and appends it and up to `limit` in all that are there to `into`.
    ///
    /// It gives how many; 0 when none will come, or at once where `limit` is 0. It counts as one
    /// operation of the [budget](crate::coop).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message: none was moved before it is ready.
    pub async fn recv_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        poll_fn(|cx| self.rx.poll_recv_many(cx, into, limit)).await
    }

    /// Takes the next message if it is there, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] as long as a message may come, and [`TryRecvError::Disconnected`]
    /// when none will.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.rx.try_recv()
    }

    /// As [`recv`](Self::recv), for use in a `poll` function: where it returns `Pending`, the task of
    /// `cx` is woken when that changes, or its budget is spent. Only the task of the last call is.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.rx.poll_recv(cx)
    }

    /// As [`recv_many`](Self::recv_many), for use in a `poll` function; see
    /// [`poll_recv`](Self::poll_recv).
    pub fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        self.rx.poll_recv_many(cx, into, limit)
    }

    /// Blocks the thread until the next message is there; `None` when none will come.
    ///
    /// For threads that run no tasks, and closures of [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    ///
    /// Inside a task of this crate, or the future of a `block_on`: await `recv` there.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Option<T> {
        let next = poll_fn(|cx| self.rx.poll_recv(cx));
        block_on(next, "mpsc::UnboundedReceiver::blocking_recv", "await `recv`")
    }

    /// As [`recv_many`](Self::recv_many), but it blocks the thread.
    ///
    /// # Panics
    ///
    /// Inside a task of this crate, or the future of a `block_on`: await `recv_many` there.
    #[track_caller]
    pub fn blocking_recv_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        let next = poll_fn(|cx| self.rx.poll_recv_many(cx, into, limit));
        block_on(next, "mpsc::UnboundedReceiver::blocking_recv_many", "await `recv_many`")
    }

    /// Lets no new message come: from now on sending fails. What was sent can still be received.
    pub fn close(&mut self) {
        self.rx.chan.close();
    }

    /// Whether the receiver was closed or all senders are gone; messages may still be there.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.rx.is_closed()
    }

    /// Whether no message is there now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages are there now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rx.len()
    }

    /// How many senders there are.
    #[must_use]
    pub fn sender_strong_count(&self) -> usize {
        self.rx.chan.senders.load(Ordering::Acquire)
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn sender_weak_count(&self) -> usize {
        self.rx.chan.weak.load(Ordering::Acquire)
    }
}

impl<T> Stream for UnboundedReceiver<T> {
    type Item = T;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.rx.poll_recv(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rx.at_hand(), None)
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone() }
    }
}

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone() }
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakUnboundedSender")
            .field("strong_count", &self.strong_count())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
