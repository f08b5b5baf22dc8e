//! The end that every message comes out of.

use super::ring::Found;
use super::{RecvError, Shared, TryRecvError};
use crate::coop;
use crate::primitives::{Arc as SharedArc, Ordering};
use crate::sync::blocking::block_on;
use crate::sync::sequence::{Mark, Outcome, Wait};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// An end of a [`channel`](super::channel) that every message comes out of, as a clone.
///
/// It gets what is sent after it was made, by [`channel`](super::channel),
/// [`Sender::subscribe`](super::Sender::subscribe) or [`resubscribe`](Self::resubscribe).
pub struct Receiver<T> {
    // INVARIANT: counted in the ring, as one at `next`.
    shared: SharedArc<Shared<T>>,
    next: u64,
}

impl<T> Receiver<T> {
    /// `shared` counts the new receiver already, at `next`.
    pub(super) fn new(shared: SharedArc<Shared<T>>, next: u64) -> Self {
        Self { shared, next }
    }

    /// Makes a receiver that gets what is sent from now on, whatever this one has yet to receive.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        let next = self.shared.enter();
        Self { shared: SharedArc::clone(&self.shared), next }
    }

    /// How many messages were sent that this receiver has not come past.
    ///
    /// Where that is more than the channel keeps, the next `recv` tells how many were missed.
    #[must_use]
    pub fn len(&self) -> usize {
        let ahead = self.shared.ring.lock().ahead_of(self.next);
        usize::try_from(ahead).unwrap_or(usize::MAX)
    }

    /// Whether the receiver has come past all messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.sequence.mark() == Mark::at(self.next)
    }

    /// Whether all senders were dropped. There may be messages left to receive.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.sequence.is_closed()
    }

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        SharedArc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many senders there are, weak ones not counted.
    #[must_use]
    pub fn sender_strong_count(&self) -> usize {
        self.shared.senders.load(Ordering::Relaxed)
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn sender_weak_count(&self) -> usize {
        self.shared.weak.load(Ordering::Relaxed)
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next message.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainspring::sync::broadcast::{self, RecvError};
    ///
    /// # mainspring::block_on(async {
    /// let (sender, mut receiver) = broadcast::channel(4);
    /// let task = mainspring::spawn(async move {
    ///     let mut sum = 0;
    ///     loop {
    ///         match receiver.recv().await {
    ///             Ok(n) => sum += n,
    ///             Err(RecvError::Lagged(missed)) => eprintln!("missed {missed}"),
    ///             Err(RecvError::Closed) => return sum,
    ///         }
    ///     }
    /// });
    /// sender.send(1)?;
    /// sender.send(2)?;
    /// drop(sender);
    /// assert_eq!(task.await.unwrap(), 3);
    /// # Ok::<(), broadcast::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`], once, when messages went before they were received, and
    /// [`RecvError::Closed`] when all senders are gone and all messages were received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a message that it did not return is the next one still.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready. When `T::clone` panics: the receiver is past that
    /// message then.
    pub fn recv(&mut self) -> Recv<'_, T> {
        let wait = self.shared.sequence.wait(Mark::at(self.next));
        Recv { wait, shared: &self.shared, next: &mut self.next }
    }

    /// Receives the next message if it is there, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] as long as one may come, and else as [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// When `T::clone` does: the receiver is past that message then.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut ring = self.shared.ring.lock();
        let found = ring.take(&mut self.next);
        // Under the lock: all messages are in the ring before the end can be seen.
        let closed = self.shared.sequence.is_closed();
        drop(ring);
        match found {
            Found::Message(message) => Ok(T::clone(&message)),
            Found::Last(message) => Ok(Arc::unwrap_or_clone(message)),
            Found::Missed(missed) => Err(TryRecvError::Lagged(missed)),
            Found::Nothing if closed => Err(TryRecvError::Closed),
            Found::Nothing => Err(TryRecvError::Empty),
        }
    }

    /// Blocks the thread until the next message is there.
    ///
    /// For threads that run no tasks, and closures of [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, mut receiver) = mainspring::sync::broadcast::channel(4);
    /// let thread = std::thread::spawn(move || receiver.blocking_recv());
    /// sender.send(7)?;
    /// assert_eq!(thread.join().unwrap(), Ok(7));
    /// # Ok::<(), mainspring::sync::broadcast::SendError<i32>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// Inside a task of this crate, or the future of a `block_on`: await [`recv`](Self::recv) there.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        block_on(self.recv(), "broadcast::Receiver::blocking_recv", "await recv()")
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.leave(self.next);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The future of [`Receiver::recv`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Recv<'a, T> {
    // INVARIANT: pinned with the future; a wait at the sequence of `shared` for what `next` says.
    wait: Wait<'a>,
    shared: &'a Shared<T>,
    next: &'a mut u64,
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(coop::poll_proceed(cx));
        // SAFETY: the wait is handled pinned, and the rest is not.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: pinned with the future.
        let outcome = ready!(unsafe { Pin::new_unchecked(&mut this.wait) }.poll(cx));
        charge.made_progress();
        if outcome == Outcome::Closed {
            return Poll::Ready(Err(RecvError::Closed));
        }
        let found = this.shared.ring.lock().take(this.next);
        Poll::Ready(match found {
            Found::Message(message) => Ok(T::clone(&message)),
            Found::Last(message) => Ok(Arc::unwrap_or_clone(message)),
            Found::Missed(missed) => Err(RecvError::Lagged(missed)),
            Found::Nothing => unreachable!("the tail of the ring has moved past this receiver"),
        })
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}
