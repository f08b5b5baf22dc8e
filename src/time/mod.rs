//! Waiting for moments: [`sleep`], [`sleep_until`], [`timeout`], [`interval`].
//!
//! Timers count in steps of a millisecond. A deadline is rounded up to the next step and the kernel
//! is asked to sleep in whole milliseconds, so that a timer never fires early, and up to 2 ms late
//! on an idle thread.
//!
//! # Virtual time
//!
//! A runtime built with [`deterministic`](crate::LocalBuilder::deterministic) has a clock of its own,
//! on which all of the above works: [`Instant::now`] reads it inside. It stands still while anything
//! can run. When nothing can, and a look at the kernel finds nothing either, it jumps to the deadline
//! that comes first, so that an hour's sleep takes no time. Steps are of a millisecond here too.
//!
//! - Code that computes takes no time, and a task that yields until a moment has come waits for ever:
//!   await a sleep instead.
//! - A time-out around something outside (a socket of another process, a thread) is over before that
//!   could answer: [`pause`] time meanwhile.
//! - [`pause`], [`resume`] and [`advance`] move it by hand.

mod by_hand;
mod instant;
mod interval;
mod sleep;
mod timeout;

pub use crate::driver::Instant;
pub use by_hand::{advance, pause, resume};
pub use interval::{Interval, MissedTick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, timeout, timeout_at};
