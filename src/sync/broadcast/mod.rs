//! Every message to every receiver.
//!
//! [`channel`] makes a [`Sender`] and a [`Receiver`]; clones of the sender send into the same
//! channel, and [`subscribe`](Sender::subscribe) makes more receivers. Each of them gets each message
//! that is sent from then on, in the order in which they were sent, as a clone.
//!
//! # Slow receivers
//!
//! Sending never waits. The channel keeps the last `capacity` messages. If a message is sent while
//! there are as many that some receiver has yet to see, the oldest one goes, and who had not seen it
//! has missed it: its next `recv` says so once, by [`RecvError::Lagged`] with the number of messages
//! missed, and then it goes on with the oldest that is kept.
//!
//! # What is kept
//!
//! A message is dropped as soon as nobody has yet to see it, and the last one who takes it gets it
//! without a clone, unless another is still making its own. With no receivers nothing is kept.
//!
//! As receivers clone one message at the same time, `T` must be `Sync`, or neither end is `Send`.

// Locks: `ring` orders those who send, receive, come and go. Under it the lock of a queue is taken,
// of the sequence or of the event, one at a time, and under that one none. No message is dropped or
// cloned under either, and no waker woken or dropped.

mod error;
mod receiver;
mod ring;
mod sender;

pub use error::{RecvError, SendError, TryRecvError};
pub use receiver::{Receiver, Recv};
pub use sender::{Sender, WeakSender};

use super::event::Event;
use super::sequence::{Mark, Sequence};
use crate::primitives::{AtomicUsize, Mutex};
use crate::util::WakeList;
use ring::Ring;
use std::num::NonZeroUsize;

/// Makes a channel that keeps `capacity` messages, and one receiver.
///
/// The room for messages grows as it is needed, and stays: two words for each of the most that were
/// kept at a time.
///
/// # Examples
///
/// ```
/// use mainspring::sync::broadcast;
///
/// # mainspring::block_on(async {
/// let (news, mut one) = broadcast::channel(16);
/// let mut two = news.subscribe();
/// news.send("started")?;
/// news.send("stopped")?;
/// for receiver in [&mut one, &mut two] {
///     assert_eq!(receiver.recv().await, Ok("started"));
///     assert_eq!(receiver.recv().await, Ok("stopped"));
/// }
/// # Ok::<(), broadcast::SendError<&str>>(())
/// # }).unwrap();
/// ```
///
/// A receiver that is too slow:
///
/// ```
/// use mainspring::sync::broadcast::{self, RecvError};
///
/// # mainspring::block_on(async {
/// let (sender, mut receiver) = broadcast::channel(2);
/// for n in 1..=5 {
///     sender.send(n)?;
/// }
/// assert_eq!(receiver.recv().await, Err(RecvError::Lagged(3)));
/// assert_eq!(receiver.recv().await, Ok(4));
/// # Ok::<(), broadcast::SendError<i32>>(())
/// # }).unwrap();
/// ```
///
/// # Panics
///
/// When `capacity` is 0.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel_at(capacity, 0)
}

#[track_caller]
fn channel_at<T>(capacity: usize, start: u64) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new_at(capacity, start);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// What both ends share.
struct Shared<T> {
    ring: Mutex<Ring<T>>,
    // INVARIANT: stands at the tail of the ring, whenever its lock is free; closed when there are
    // no senders, and not before.
    sequence: Sequence,
    // INVARIANT: set exactly while there are no receivers, whenever the lock of the ring is free.
    vacant: Event,
    // Weak ones can become strong only while this is not 0.
    senders: AtomicUsize,
    weak: AtomicUsize,
}

impl<T> Shared<T> {
    fn new(capacity: NonZeroUsize, start: u64) -> Self {
        let vacant = Event::new();
        vacant.set();
        Self {
            ring: Mutex::new(Ring::new(capacity, start)),
            sequence: Sequence::new(Mark::at(start)),
            vacant,
            senders: AtomicUsize::new(1),
            weak: AtomicUsize::new(0),
        }
    }

    /// Counts one receiver more, and says which position it comes to next.
    fn enter(&self) -> u64 {
        let mut ring = self.ring.lock();
        self.vacant.clear();
        ring.enter()
    }

    /// Counts the receiver at `next` out.
    fn leave(&self, next: u64) {
        let mut wakers = WakeList::new();
        let mut ring = self.ring.lock();
        let unseen = ring.leave(next);
        if ring.receivers() == 0 {
            self.vacant.set_quietly(&mut wakers);
        }
        drop(ring);
        wakers.wake_all();
        drop(unseen);
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
