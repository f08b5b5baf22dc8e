//! Why somebody gets no token.

use super::Borrower;
use std::fmt;

/// Why there will be no token, however long one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireError {
    /// This borrower holds a token already, or waits for one: it would wait for itself. Use that
    /// one, or name another borrower.
    AlreadyBorrows(Borrower),
    /// The future was not polled by a task of this crate, so that nobody is the borrower: name one
    /// with `acquire_on_behalf_of`, or spawn a task.
    NotInTask,
}

/// Why no token was taken without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// None is free: try later, or wait.
    NoTokens,
    /// This borrower holds a token already, or waits for one. Use that one, or name another
    /// borrower.
    AlreadyBorrows(Borrower),
    /// It was not a task of this crate that called, so that nobody is the borrower: name one with
    /// `try_acquire_on_behalf_of`, or spawn a task.
    NotInTask,
}

impl From<AcquireError> for TryAcquireError {
    fn from(error: AcquireError) -> Self {
        match error {
            AcquireError::AlreadyBorrows(borrower) => Self::AlreadyBorrows(borrower),
            AcquireError::NotInTask => Self::NotInTask,
        }
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyBorrows(borrower) => write!(
                f,
                "{borrower} holds a token of this limiter already, or waits for one: use that one, \
                 or name another borrower"
            ),
            Self::NotInTask => f.write_str(
                "nobody borrows, as this is not inside a task: name a borrower with \
                 acquire_on_behalf_of, or spawn a task",
            ),
        }
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTokens => f.write_str("no token is free, try later or wait with acquire"),
            Self::AlreadyBorrows(borrower) => AcquireError::AlreadyBorrows(*borrower).fmt(f),
            Self::NotInTask => f.write_str(
                "nobody borrows, as this is not inside a task: name a borrower with \
                 try_acquire_on_behalf_of, or spawn a task",
            ),
        }
    }
}

impl std::error::Error for AcquireError {}
impl std::error::Error for TryAcquireError {}
