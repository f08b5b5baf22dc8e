//! The ends of a bounded channel that messages go into.

use super::chan::{Chan, Tried};
use super::ends::{Tx, WeakTx};
use super::permit::{OwnedPermit, Permit, PermitIterator};
use super::sending::{Reserve, ReserveMany, ReserveOwned, Sending};
use super::{SendError, TrySendError};
use crate::primitives::Ordering;
use crate::sync::blocking::block_on;
use std::fmt;

/// The end of a [`channel`](super::channel) that messages go into; clones send into the same.
pub struct Sender<T> {
    tx: Tx<T>,
}

/// A [`Sender`] that does not keep the channel open.
///
/// The channel ends when all senders are gone, however many of these there are.
///
/// # Examples
///
/// ```
/// let (sender, _receiver) = mainspring::sync::mpsc::channel::<u32>(1);
/// let weak = sender.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakSender<T> {
    tx: WeakTx<T>,
}

impl<T> Sender<T> {
    pub(super) fn new(tx: Tx<T>) -> Self {
        Self { tx }
    }

    /// Waits for room, and sends the message.
    ///
    /// That it succeeds does not mean that the message is received: the receiver may be dropped
    /// with it.
    ///
    /// # Errors
    ///
    /// The message comes back when the receiver was closed before there was room, or was dropped
    /// before the message was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the message, which was not sent, and gives up the place in the
    /// queue. To keep the message, [`reserve`](Self::reserve) a place first.
    ///
    /// # Panics
    ///
    /// When the future is polled again after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(1);
    /// sender.send("first").await?;
    /// let late = mainspring::spawn(async move { sender.send("second").await });
    /// assert_eq!(receiver.recv().await, Some("first"));
    /// assert_eq!(receiver.recv().await, Some("second"));
    /// assert!(late.await.unwrap().is_ok());
    /// # Ok::<(), mainspring::sync::mpsc::SendError<&str>>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Sending<'_, T> {
        Sending::new(self.chan(), message)
    }

    /// Sends the message if there is room and nobody waits for it.
    ///
    /// # Errors
    ///
    /// The message comes back, with the reason why.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::mpsc::{self, TrySendError};
    ///
    /// let (sender, _receiver) = mpsc::channel(1);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut slot = Some(message);
        let tried = self.chan().try_send(&mut slot);
        match slot {
            None => Ok(()),
            Some(message) => Err(refusal(tried, message)),
        }
    }

    /// Blocks the thread until there is room, and sends the message.
    ///
    /// For threads that run no tasks, and closures of [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Panics
    ///
    /// Inside a task of this crate, or the future of a `block_on`: await `send` there.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(1);
    /// let thread = std::thread::spawn(move || (0..3).try_for_each(|n| sender.blocking_send(n)));
    /// assert_eq!(receiver.blocking_recv(), Some(0));
    /// assert_eq!(receiver.blocking_recv(), Some(1));
    /// assert_eq!(receiver.blocking_recv(), Some(2));
    /// assert!(thread.join().unwrap().is_ok());
    /// ```
    #[track_caller]
    pub fn blocking_send(&self, message: T) -> Result<(), SendError<T>> {
        block_on(self.send(message), "mpsc::Sender::blocking_send", "await `send`")
    }

    /// Waits for a place for one message, which is sent later by [`Permit::send`].
    ///
    /// # Errors
    ///
    /// [`SendError`] when the receiver is closed or gone before there was a place.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and loses nothing else.
    ///
    /// # Panics
    ///
    /// When the future is polled again after it was ready.
    pub fn reserve(&self) -> Reserve<'_, T> {
        Reserve::new(self.chan())
    }

    /// Waits for `n` places at once; those who come later wait meanwhile, also for fewer.
    ///
    /// # Errors
    ///
    /// [`ReserveManyError::Closed`](super::ReserveManyError::Closed) when the receiver is closed or
    /// gone before the places were there, and [`TooMany`](super::ReserveManyError::TooMany) at once
    /// for more than [`max_capacity`](Self::max_capacity).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and loses nothing else.
    ///
    /// # Panics
    ///
    /// When the future is polled again after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = mainspring::sync::mpsc::channel(8);
    /// for (n, permit) in sender.reserve_many(3).await?.enumerate() {
    ///     permit.send(n);
    /// }
    /// let mut all = Vec::new();
    /// assert_eq!(receiver.recv_many(&mut all, 100).await, 3);
    /// assert_eq!(all, [0, 1, 2]);
    /// # Ok::<(), mainspring::sync::mpsc::ReserveManyError>(())
    /// # }).unwrap();
    /// ```
    pub fn reserve_many(&self, n: usize) -> ReserveMany<'_, T> {
        ReserveMany::new(self.chan(), n)
    }

    /// Waits for a place for one message; the permit owns this sender.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the receiver is closed or gone before there was a place. The sender is
    /// dropped then, as it is of no more use.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and drops this sender.
    ///
    /// # Panics
    ///
    /// When the future is polled again after it was ready.
    pub fn reserve_owned(self) -> ReserveOwned<T> {
        ReserveOwned::new(self)
    }

    /// Takes a place for one message, if there is one and nobody waits for it.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], which says why.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        match self.chan().try_take(1) {
            Tried::Done => Ok(Permit::new(self.chan())),
            tried => Err(refusal(tried, ())),
        }
    }

    /// Takes `n` places at once, if they are there and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], which says why; always for more than [`max_capacity`](Self::max_capacity).
    pub fn try_reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        match self.chan().try_take(n) {
            Tried::Done => Ok(PermitIterator::new(self.chan(), n)),
            tried => Err(refusal(tried, ())),
        }
    }

    /// Takes a place for one message, if there is one; the permit owns this sender.
    ///
    /// # Errors
    ///
    /// The sender comes back, with the reason why.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        match self.chan().try_take(1) {
            Tried::Done => Ok(OwnedPermit::new(self)),
            tried => Err(refusal(tried, self)),
        }
    }

    /// Waits until the receiver is closed or gone.
    ///
    /// For work that is worth doing only as long as somebody receives its results.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # mainspring::block_on(async {
    /// let (sender, receiver) = mainspring::sync::mpsc::channel::<u32>(1);
    /// drop(receiver);
    /// sender.closed().await;
    /// assert!(sender.is_closed());
    /// # });
    /// ```
    pub async fn closed(&self) {
        self.chan().closed().await;
    }

    /// Whether the receiver is closed or gone, so that sending would fail.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.chan().is_closed()
    }

    /// How many places somebody who comes now would find; none while others wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.chan().capacity()
    }

    /// How many messages the channel can hold, as it was made.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.chan().max_capacity()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.tx.same(&other.tx)
    }

    /// A sender that does not keep the channel open.
    #[must_use = "it does nothing by itself"]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { tx: self.tx.downgrade() }
    }

    /// How many senders there are; owned permits have one each.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.chan().senders.load(Ordering::Acquire)
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.chan().weak.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn chan(&self) -> &Chan<T> {
        &self.tx.chan
    }
}

/// Why something was not done without waiting.
fn refusal<T>(tried: Tried, with: T) -> TrySendError<T> {
    if tried == Tried::Closed { TrySendError::Closed(with) } else { TrySendError::Full(with) }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("max_capacity", &self.max_capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T> WeakSender<T> {
    /// A sender, if there still is one.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.tx.upgrade().map(Sender::new)
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

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone() }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender")
            .field("strong_count", &self.strong_count())
            .finish_non_exhaustive()
    }
}
