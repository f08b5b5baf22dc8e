//! The latest of many values, from any number of tasks to any number of tasks.
//!
//! [`channel`] makes a [`Sender`] and a [`Receiver`] around one value. Sending replaces it; who
//! receives sees the latest and none before. For a stream in which every value counts, take
//! [`broadcast`](super::broadcast).
//!
//! # Snapshots
//!
//! To look at the value is to take a snapshot: [`Ref`] holds the value as it was, and no lock. It may
//! be kept for as long as one likes, across an `.await` too; it never keeps a sender waiting, and it
//! does not change when a new value is sent. In other crates the like holds a lock.
//!
//! So a value lives until the next one was sent *and* the last snapshot of it is gone, and to change
//! the value in place ([`send_modify`](Sender::send_modify)) is to change a copy.

// Locks: `state` orders those who send, come and go. Under it the lock of a queue is taken, of the
// sequence or of the event, one at a time, and under that one none. No value is dropped, cloned or
// shown to anybody under either, and no waker woken or dropped.

mod receiver;
mod reference;
mod sender;

pub use receiver::{Changed, Receiver};
pub use reference::Ref;
pub use sender::Sender;

use super::event::Event;
use super::sequence::{Mark, Sequence};
use crate::primitives::{AtomicUsize, Mutex, MutexGuard};
use crate::util::WakeList;
use std::fmt;
use std::sync::Arc;

/// Makes a channel that holds `init`, which the receiver counts as seen.
///
/// # Examples
///
/// ```
/// use mainspring::sync::watch;
///
/// # mainspring::block_on(async {
/// let (limit, mut seen) = watch::channel(10);
/// let task = mainspring::spawn(async move {
///     seen.changed().await?;
///     Ok::<_, watch::RecvError>(*seen.borrow_and_update())
/// });
/// limit.send(20)?;
/// assert_eq!(task.await.unwrap(), Ok(20));
/// # Ok::<(), watch::SendError<i32>>(())
/// # }).unwrap();
/// ```
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    channel_at(init, Mark::at(0))
}

fn channel_at<T>(init: T, start: Mark) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new_at(init, start);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// What both ends share.
struct Shared<T> {
    state: Mutex<State<T>>,
    // INVARIANT: moved under the lock of `state`, together with the value; closed when there are
    // no senders, and not before.
    sequence: Sequence,
    // INVARIANT: set exactly while there are no receivers, whenever the lock of `state` is free.
    vacant: Event,
    senders: AtomicUsize,
}

struct State<T> {
    value: Arc<T>,
    // INVARIANT: where the sequence stands, whenever the lock is free.
    mark: Mark,
    receivers: usize,
}

impl<T> Shared<T> {
    fn snapshot(&self) -> (Arc<T>, Mark) {
        let state = self.state.lock();
        (Arc::clone(&state.value), state.mark)
    }

    /// Replaces the value, and gives the old one, to be dropped now that no lock is held.
    fn publish(&self, mut state: MutexGuard<'_, State<T>>, value: Arc<T>) -> Arc<T> {
        let old = std::mem::replace(&mut state.value, value);
        let from = state.mark;
        state.mark = from.next();
        let mut wakers = WakeList::new();
        self.sequence.advance(from, state, &mut wakers);
        wakers.wake_all();
        old
    }

    /// Counts one receiver more, and says where the sequence stands.
    fn enter(&self) -> Mark {
        let mut state = self.state.lock();
        state.receivers += 1;
        self.vacant.clear();
        state.mark
    }

    /// Counts one receiver less.
    fn leave(&self) {
        let mut wakers = WakeList::new();
        let mut state = self.state.lock();
        state.receivers -= 1;
        if state.receivers == 0 {
            self.vacant.set_quietly(&mut wakers);
        }
        drop(state);
        wakers.wake_all();
    }
}

/// Nobody receives, and the value comes back: there was no receiver when it was sent.
///
/// [`Sender::subscribe`] makes a receiver, and [`Sender::send_replace`] sends without one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the watch channel has no receivers, the value was not sent")
    }
}

impl<T> std::error::Error for SendError<T> {}

/// No other value will come: all senders were dropped, and the last value was seen.
///
/// The value is still there to be [borrowed](Receiver::borrow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all senders of the watch channel were dropped, no other value will come")
    }
}

impl std::error::Error for RecvError {}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
