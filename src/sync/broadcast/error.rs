//! What can go wrong.

use std::fmt;

/// Nobody receives, and the message comes back: there was no receiver when it was sent.
///
/// [`Sender::subscribe`](super::Sender::subscribe) makes a receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the broadcast channel has no receivers, the message was not sent")
    }
}

impl<T> std::error::Error for SendError<T> {}

/// Why no message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// None will come: all senders were dropped, and all messages were received.
    Closed,
    /// The receiver was too slow, and so many messages went unseen. The next `recv` goes on with
    /// the oldest that is kept. A larger capacity makes room for slower receivers.
    Lagged(u64),
}

/// Why no message was received without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// None is there yet: try later, or await [`recv`](super::Receiver::recv).
    Empty,
    /// None will come: all senders were dropped, and all messages were received.
    Closed,
    /// The receiver was too slow, as [`RecvError::Lagged`] says.
    Lagged(u64),
}

const CLOSED: &str =
    "all senders of the broadcast channel were dropped, no other message will come";

fn lagged(f: &mut fmt::Formatter<'_>, missed: u64) -> fmt::Result {
    write!(f, "the receiver was too slow for the broadcast channel and missed {missed} messages")
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Closed => f.write_str(CLOSED),
            Self::Lagged(missed) => lagged(f, missed),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("no message was sent yet, try later or await recv"),
            Self::Closed => f.write_str(CLOSED),
            Self::Lagged(missed) => lagged(f, missed),
        }
    }
}

impl std::error::Error for RecvError {}
impl std::error::Error for TryRecvError {}
