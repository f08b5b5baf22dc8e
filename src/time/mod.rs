//! Waiting for moments: [`sleep`], [`sleep_until`], [`timeout`], [`interval`].
//!
//! Timers count in steps of a millisecond. A deadline is rounded up to the next step and the kernel
//! is asked to sleep in whole milliseconds, so that a timer never fires early, and up to 2 ms late
//! on an idle thread.

mod instant;
mod interval;
mod sleep;
mod timeout;

pub use crate::driver::Instant;
pub use interval::{Interval, MissedTick, interval};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, timeout};
