//! The end of a bounded channel that messages come out of.

use super::TryRecvError;
use super::ends::Rx;
use crate::primitives::Ordering;
use crate::sync::blocking::block_on;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The end of a [`channel`](super::channel) that messages come out of; it is also a [`Stream`].
///
/// Dropping it drops the messages that are in the channel, in order, and refuses those who wait to
/// send.
pub struct Receiver<T> {
    pub(super) rx: Rx<T>,
}

impl<T> Receiver<T> {
    pub(super) fn new(rx: Rx<T>) -> Self {
        Self { rx }
    }

    /// Waits for the next message; `None` when none will come.
    ///
    /// None will come when all senders are gone, or the receiver was [closed](Self::close) and all
    /// permits were used or dropped, and what was sent has been received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(8);
    /// sender.send(1).await?;
    /// drop(sender);
    /// assert_eq!(receiver.recv().await, Some(1));
    /// assert_eq!(receiver.recv().await, None);
    /// # Ok::<(), mainspring::sync::mpsc::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.rx.poll_recv(cx)).await
    }

    /// Waits for a message, and appends it and up to `limit` in all that are there to `into`.
    ///
    /// It gives how many; 0 when none will come, as [`recv`](Self::recv) says, or at once where
    /// `limit` is 0. It counts as one operation of the [budget](crate::coop).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message: none was moved before it is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(8);
    /// for n in 0..5 {
    ///     sender.send(n).await?;
    /// }
    /// let mut batch = Vec::new();
    /// assert_eq!(receiver.recv_many(&mut batch, 3).await, 3);
    /// assert_eq!(receiver.recv_many(&mut batch, 3).await, 2);
    /// assert_eq!(batch, [0, 1, 2, 3, 4]);
    /// # Ok::<(), mainspring::sync::mpsc::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub async fn recv_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        poll_fn(|cx| self.rx.poll_recv_many(cx, into, limit)).await
    }

    /// Takes the next message if it is there, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] as long as a message may come, and [`TryRecvError::Disconnected`]
    /// when none will.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::mpsc::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = mpsc::channel::<u32>(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
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
        block_on(next, "mpsc::Receiver::blocking_recv", "await `recv`")
    }

    /// As [`recv_many`](Self::recv_many), but it blocks the thread.
    ///
    /// # Panics
    ///
    /// Inside a task of this crate, or the future of a `block_on`: await `recv_many` there.
    #[track_caller]
    pub fn blocking_recv_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        let next = poll_fn(|cx| self.rx.poll_recv_many(cx, into, limit));
        block_on(next, "mpsc::Receiver::blocking_recv_many", "await `recv_many`")
    }

    /// Lets no new message come: from now on sending fails, and those who wait to send are refused.
    ///
    /// What was sent, and what is sent by permits that were reserved, can still be received. So
    /// receive until there is `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(2);
    /// let permit = sender.reserve().await?;
    /// receiver.close();
    /// assert!(sender.try_send("too late").is_err());
    /// permit.send("reserved before");
    /// assert_eq!(receiver.recv().await, Some("reserved before"));
    /// assert_eq!(receiver.recv().await, None);
    /// # Ok::<(), mainspring::sync::mpsc::SendError<()>>(())
    /// # }).unwrap();
    /// ```
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

    /// How many places a sender who comes now would find; none while others wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.rx.chan.capacity()
    }

    /// How many messages the channel can hold, as it was made.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.rx.chan.max_capacity()
    }

    /// How many senders there are; owned permits have one each.
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

impl<T> Stream for Receiver<T> {
    type Item = T;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.rx.poll_recv(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rx.at_hand(), None)
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("max_capacity", &self.max_capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
