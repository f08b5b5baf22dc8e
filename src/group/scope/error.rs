//! Why a scope, or a child of it, has no value.

use crate::task::JoinError;
use std::error::Error;
use std::fmt;

/// Why a [`TaskScope`](super::TaskScope) has no value: what ended it, and what failed after that.
///
/// Its text is that of the cause. As that includes the text of the user's own error,
/// [`source`](Error::source) goes on behind that; [`cause`](Self::cause) has the error itself.
#[derive(Debug)]
pub struct ScopeError<E> {
    cause: Failure<E>,
    others: Vec<Failure<E>>,
}

/// What can go wrong in a scope.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<E> {
    /// The body of the scope gave this error.
    Body(E),
    /// A child gave this error.
    Child(E),
    /// A child panicked; see [`JoinError::try_into_panic`].
    Panicked(JoinError),
    /// A child was cancelled by nobody who may: its runtime ended, or no thread could be had for a
    /// closure that blocks.
    Lost(JoinError),
    /// The scope was cancelled.
    Cancelled,
    /// The deadline of the scope came first.
    DeadlineElapsed,
}

impl<E> ScopeError<E> {
    pub(super) fn new(cause: Failure<E>, others: Vec<Failure<E>>) -> Self {
        Self { cause, others }
    }

    /// What ended the scope.
    pub fn cause(&self) -> &Failure<E> {
        &self.cause
    }

    /// What failed after that, until the last child had ended, in the order in which it happened.
    ///
    /// Children that were cancelled have not failed. There are at most as many as there were
    /// children when the scope began to end, and one for the body.
    pub fn others(&self) -> &[Failure<E>] {
        &self.others
    }

    /// The cause, without the rest.
    pub fn into_cause(self) -> Failure<E> {
        self.cause
    }

    /// The cause, and the further failures.
    pub fn into_parts(self) -> (Failure<E>, Vec<Failure<E>>) {
        (self.cause, self.others)
    }

    /// Whether the scope ended because it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Failure::Cancelled)
    }

    /// Whether the scope ended because its deadline came.
    pub fn is_deadline_elapsed(&self) -> bool {
        matches!(self.cause, Failure::DeadlineElapsed)
    }
}

impl<E: fmt::Display> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        match self.others.len() {
            0 => Ok(()),
            1 => f.write_str(" (and one failure after that)"),
            more => write!(f, " (and {more} failures after that)"),
        }
    }
}

impl<E: Error> Error for ScopeError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => write!(f, "the body of a scope failed: {error}"),
            Self::Child(error) => write!(f, "a child of a scope failed: {error}"),
            Self::Panicked(error) | Self::Lost(error) => write!(f, "a child of a scope: {error}"),
            Self::Cancelled => f.write_str("the scope was cancelled"),
            Self::DeadlineElapsed => f.write_str("the deadline of the scope came before its end"),
        }
    }
}

impl<E: Error> Error for Failure<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Body(error) | Self::Child(error) => error.source(),
            Self::Panicked(_) | Self::Lost(_) | Self::Cancelled | Self::DeadlineElapsed => None,
        }
    }
}

/// Why a child of a scope has no value, as its [`ScopedHandle`](super::ScopedHandle) tells.
///
/// The error that it failed with goes to the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// It gave an error.
    Failed,
    /// It panicked.
    Panicked,
    /// It was aborted, or cancelled with the scope, or the scope took it in no more.
    Cancelled,
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "a child of a scope failed; the scope's own error says how",
            Self::Panicked => "a child of a scope panicked; the scope's own error says how",
            Self::Cancelled => "a child of a scope was cancelled",
        })
    }
}

impl Error for ChildError {}
