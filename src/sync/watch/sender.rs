//! The end that values go into.

use super::{Receiver, Ref, SendError, Shared, State};
use crate::primitives::{Arc as SharedArc, AtomicUsize, Mutex, Ordering};
use crate::sync::event::Event;
use crate::sync::sequence::{Mark, Sequence};
use crate::util::WakeList;
use std::fmt;
use std::sync::Arc;

/// The end of a [`channel`](super::channel) that values go into. Clones send into the same channel.
///
/// When the last is dropped, receivers see the last value, and then that no other will come.
pub struct Sender<T> {
    shared: SharedArc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Makes a channel that holds `init` and has no receivers yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let sender = mainspring::sync::watch::Sender::new(1);
    /// assert!(sender.send(2).is_err());
    /// let receiver = sender.subscribe();
    /// assert_eq!(*receiver.borrow(), 1);
    /// ```
    #[must_use]
    pub fn new(init: T) -> Self {
        Self::new_at(init, Mark::at(0))
    }

    pub(super) fn new_at(init: T, start: Mark) -> Self {
        let vacant = Event::new();
        vacant.set();
        let state = State { value: Arc::new(init), mark: start, receivers: 0 };
        Self {
            shared: SharedArc::new(Shared {
                state: Mutex::new(state),
                sequence: Sequence::new(start),
                vacant,
                senders: AtomicUsize::new(1),
            }),
        }
    }

    /// Sends a value in the place of the one before, and wakes all receivers that wait.
    ///
    /// It does not wait, and may be called anywhere.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value when there is no receiver; the channel keeps the one it had.
    ///
    /// # Panics
    ///
    /// When the drop of the value before panics, if nobody else holds that: the new one is sent.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        let value = Arc::new(value);
        let state = self.shared.state.lock();
        if state.receivers == 0 {
            drop(state);
            let Some(value) = Arc::into_inner(value) else { unreachable!("nobody else has it") };
            return Err(SendError(value));
        }
        drop(self.shared.publish(state, value));
        Ok(())
    }

    /// Sends a value, whether or not anybody receives, and returns the one before.
    ///
    /// # Examples
    ///
    /// ```
    /// let sender = mainspring::sync::watch::Sender::new(1);
    /// assert_eq!(*sender.send_replace(2), 1);
    /// assert_eq!(*sender.subscribe().borrow(), 2);
    /// ```
    pub fn send_replace(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        self.shared.publish(self.shared.state.lock(), value)
    }

    /// Changes the value, whether or not anybody receives, and wakes all receivers that wait.
    ///
    /// `modify` gets a copy of the latest value, while no lock is held. If another value was sent
    /// before it is done, its copy is thrown away and it gets a copy of that one: so it may be called
    /// more than once, and what it does besides to change the copy may happen more than once. One
    /// that takes long may be called for as long as others send more often; one that itself sends
    /// into the channel in each call has no end.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = mainspring::sync::watch::channel(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    ///
    /// # Panics
    ///
    /// When `modify` or `T::clone` does: nothing is sent then. When the drop of the value before
    /// does, if nobody else holds that: the new one is sent.
    pub fn send_modify(&self, mut modify: impl FnMut(&mut T))
    where
        T: Clone,
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value, as [`send_modify`](Self::send_modify), where `modify` says that it did.
    ///
    /// Where it says `false` nothing is sent, whatever it did to its copy. Returns what it said.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = mainspring::sync::watch::channel(5);
    /// let raise = |to: i32| move |value: &mut i32| to > std::mem::replace(value, to.max(*value));
    /// assert!(!sender.send_if_modified(raise(4)));
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// assert!(sender.send_if_modified(raise(6)));
    /// assert_eq!(*receiver.borrow(), 6);
    /// ```
    ///
    /// # Panics
    ///
    /// When `modify` or `T::clone` does: nothing is sent then. When the drop of the value before
    /// does, if nobody else holds that: the new one is sent.
    pub fn send_if_modified(&self, mut modify: impl FnMut(&mut T) -> bool) -> bool
    where
        T: Clone,
    {
        loop {
            let (latest, mark) = self.shared.snapshot();
            let mut copy = T::clone(&latest);
            if !modify(&mut copy) {
                return false;
            }
            let copy = Arc::new(copy);
            let state = self.shared.state.lock();
            if state.mark == mark {
                drop(self.shared.publish(state, copy));
                return true;
            }
            // Before the values are dropped.
            drop(state);
        }
    }

    /// A snapshot of the latest value.
    pub fn borrow(&self) -> Ref<T> {
        Ref::new(self.shared.snapshot().0, false)
    }

    /// Makes a receiver, which counts the latest value as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.shared.enter();
        Receiver::new(SharedArc::clone(&self.shared), seen)
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
        self.shared.state.lock().receivers
    }

    /// How many senders there are, this one included.
    #[must_use]
    pub fn sender_count(&self) -> usize {
        self.shared.senders.load(Ordering::Relaxed)
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        SharedArc::ptr_eq(&self.shared, &other.shared)
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

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}
