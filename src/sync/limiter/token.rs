//! What a limiter hands out.

use super::{Borrower, CapacityLimiter};
use std::fmt;
use std::sync::Arc;

/// A token of a [`CapacityLimiter`], given back when dropped.
///
/// It may go to another task or thread, and still counts as that of its borrower.
#[must_use = "a token that is not kept is given back at once"]
pub struct LimiterToken<'a> {
    limiter: &'a CapacityLimiter,
    borrower: Borrower,
}

impl<'a> LimiterToken<'a> {
    pub(super) fn new(limiter: &'a CapacityLimiter, borrower: Borrower) -> Self {
        Self { limiter, borrower }
    }

    /// Whose it is.
    #[must_use]
    pub fn borrower(&self) -> Borrower {
        self.borrower
    }
}

impl Drop for LimiterToken<'_> {
    fn drop(&mut self) {
        self.limiter.release(self.borrower);
    }
}

impl fmt::Debug for LimiterToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimiterToken").field("borrower", &self.borrower).finish_non_exhaustive()
    }
}

/// A token that keeps its [`CapacityLimiter`] alive, given back when dropped.
#[must_use = "a token that is not kept is given back at once"]
pub struct OwnedLimiterToken {
    limiter: Arc<CapacityLimiter>,
    borrower: Borrower,
}

impl OwnedLimiterToken {
    pub(super) fn new(limiter: Arc<CapacityLimiter>, borrower: Borrower) -> Self {
        Self { limiter, borrower }
    }

    /// Whose it is.
    #[must_use]
    pub fn borrower(&self) -> Borrower {
        self.borrower
    }

    /// The limiter that it comes from.
    #[must_use]
    pub fn limiter(&self) -> &Arc<CapacityLimiter> {
        &self.limiter
    }
}

impl Drop for OwnedLimiterToken {
    fn drop(&mut self) {
        self.limiter.release(self.borrower);
    }
}

impl fmt::Debug for OwnedLimiterToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedLimiterToken")
            .field("borrower", &self.borrower)
            .finish_non_exhaustive()
    }
}
