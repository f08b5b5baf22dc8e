//! The part of [`Instant`] that has to know which clock is meant.

use crate::context;
use crate::driver::{Clock, Instant};
use std::time::Duration;

impl Instant {
    /// The present moment on the clock of the runtime that runs here, or else in real time.
    #[inline]
    pub fn now() -> Self {
        match context::current() {
            Ok(current) => current.driver.clock().now(),
            Err(_) => Clock::real().now(),
        }
    }

    /// The time since this moment, or zero if it has not come.
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}
