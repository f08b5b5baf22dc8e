//! Messages from many tasks to one, in order.
//!
//! [`channel`] has room for a number of messages, and who sends more waits until some are received.
//! That is the one to take: a receiver that cannot keep up slows its senders down, and memory stays
//! bounded. [`unbounded_channel`] never makes a sender wait, and grows for as long as the receiver
//! is slower.
//!
//! Either has one receiver, and senders that can be cloned. Senders that wait are served in the
//! order in which they came, and nobody takes a place past them. The channel ends when all senders
//! are gone or the receiver is closed: what was sent before is still received, then `recv` gives
//! `None`. Messages that are in the channel when the receiver is dropped are dropped by it, in order,
//! before its drop returns.
//!
//! It needs no runtime. Threads that run no tasks have blocking ways in and out.

// How it is made. `chan` holds what is shared, with one short lock around the messages and those
// who wait for room; it has the argument why places are counted right and no wake is lost, and
// `popped` the word that this rests on. `ends` has the counted senders and the receiver, which takes
// all messages there are with one lock (`batch`) and hands them out without. The rest are the types
// that users see.
//
// Why unsafe is sound here. All of it is the use of `waiters`: each future that waits for room owns
// one waiter, which is pinned with it, is used with the one channel that the future refers to, and
// leaves the queue when the future is dropped before it was ready. What else is unsafe says that a
// receiver may be shared between threads, because nothing of a message is reached through `&`.

mod batch;
mod chan;
mod ends;
mod error;
mod permit;
mod popped;
mod receiver;
mod sender;
mod sending;
mod unbounded;

pub use error::{ReserveManyError, SendError, TryRecvError, TrySendError};
pub use permit::{OwnedPermit, Permit, PermitIterator};
pub use receiver::Receiver;
pub use sender::{Sender, WeakSender};
pub use sending::{Reserve, ReserveMany, ReserveOwned, Sending};
pub use unbounded::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};

/// Makes a channel that holds up to `capacity` messages, from 1 to an eighth of `usize::MAX`.
///
/// The capacity is exact. Memory is taken as messages come, not in advance, and a peak's is given
/// back later.
///
/// # Panics
///
/// With a capacity of 0, or one that is too large.
///
/// # Examples
///
/// ```
/// use mainspring::sync::mpsc;
///
/// # mainspring::block_on(async {
/// let (sender, mut receiver) = mpsc::channel(16);
/// for worker in 0..3 {
///     let sender = sender.clone();
///     mainspring::spawn(async move {
///         // An error says that nobody receives any more.
///         let _ = sender.send(worker * 10).await;
///     });
/// }
/// drop(sender);
/// let mut sum = 0;
/// while let Some(n) = receiver.recv().await {
///     sum += n;
/// }
/// assert_eq!(sum, 30);
/// # });
/// ```
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "an mpsc channel needs room for at least one message");
    assert!(capacity <= chan::MAX_CAPACITY, "the capacity of an mpsc channel is too large");
    let (tx, rx) = ends::ends(Some(capacity));
    (Sender::new(tx), Receiver::new(rx))
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod stress_tests;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod user_code_tests;
