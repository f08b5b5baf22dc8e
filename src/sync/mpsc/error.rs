//! Why a message was not sent, or none was received.

use std::error::Error;
use std::fmt;

/// The receiver is closed or gone; what could not be sent is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl<T> Error for SendError<T> {}

const CLOSED: &str = "the channel's receiver is closed or gone";

/// Why nothing was sent without waiting; what could not be sent is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room, or others wait for it: try later, wait with `send`, or drop the message.
    Full(T),
    /// The receiver is closed or gone: nothing will be sent any more.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// What could not be sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Closed(error.0)
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel has no room for a newcomer, try later or wait with send",
            Self::Closed(_) => CLOSED,
        })
    }
}

impl<T> Error for TrySendError<T> {}

/// Why several places were not reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveManyError {
    /// The receiver is closed or gone.
    Closed,
    /// The channel never has as many: ask for at most its `max_capacity`.
    TooMany,
}

impl fmt::Display for ReserveManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => CLOSED,
            Self::TooMany => "more places were asked for than the channel's max_capacity",
        })
    }
}

impl Error for ReserveManyError {}

/// Why no message was received without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// None is there now: try later, or await the next one.
    Empty,
    /// None will come: all senders are gone, or the receiver was closed and no place is reserved.
    Disconnected,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel is empty, try later or wait with recv",
            Self::Disconnected => "the channel is empty, and no message will come",
        })
    }
}

impl Error for TryRecvError {}
