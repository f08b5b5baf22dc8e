//! What everything concurrent in this crate is made of: std's types, or loom's.
//!
//! # Contract of the two arms
//!
//! `std_arm` and `loom_arm` offer the same names with the same meaning; which one is compiled is
//! decided by `--cfg loom` and by nothing else. No other file of the crate names
//! `std::sync::atomic`, `std::sync::Mutex` or `std::cell::UnsafeCell` (clippy's `disallowed-types`
//! holds that), because an atomic that loom does not see is an atomic that loom does not check.
//!
//! - [`Mutex`] has no poison: user code never runs under a lock of ours, so a panic cannot leave
//!   one half-done.
//! - [`TryMutex`] is one that can be tried.
//! - [`UnsafeCell`] is reached through `with` and `with_mut`, so that loom can tell overlapping
//!   uses apart.
//! - [`Parker`] is where a thread sleeps that waits for no descriptor.
//! - [`local!`] declares a thread-local of a `Cell`, one per thread of the model under loom.
//! - [`const_fn!`] declares a function that is `const` where the arm can be, so that what is built
//!   of these types can be a static.
//! - [`ThreadKey`] tells threads apart, also such as have not begun; [`Holder`] says whose something is.
//! - [`Worker`], [`Stealer`] and [`Injector`] are the queues of crossbeam-deque. The model has
//!   queues under a lock instead, whose `is_empty` promises no more than crossbeam's does.
//! - [`full_fence`] is the one place with a sequentially consistent fence.
//! - [`Biased`] is a lock with an owner, for what one thread uses all the time and others seldom.
//! - `Arc<dyn Trait>`, `Weak` and `Waker` stay std's in both arms: loom's `Arc` does not coerce.
//! - Statics with atomics live here only ([`unique_id`], [`others_can_run`], [`Generation`]): loom's
//!   atomics cannot be `const`.

mod biased;
mod clock;
#[cfg(all(feature = "http", target_os = "linux"))]
pub(crate) mod coarse;
mod forks;
mod key;
#[cfg(loom)]
mod loom_arm;
#[cfg(loom)]
mod loom_deque;
#[cfg(not(loom))]
mod std_arm;

pub(crate) use biased::{Biased, prepare_for_others};
pub(crate) use clock::monotonic_nanos;
pub(crate) use forks::Generation;
pub(crate) use key::{Holder, NewThread, ThreadKey};
#[cfg(loom)]
pub(crate) use loom_arm::*;
#[cfg(not(loom))]
pub(crate) use std_arm::*;

use std::num::NonZeroU64;

/// Whether the process has more than one processor, as it was at the first call.
///
/// Two threads may ask the system at the same time, and none waits for another: in a process that is forked
/// meanwhile there is no other. To ask takes long, as it reads files.
#[allow(clippy::disallowed_types)]
pub(crate) fn others_can_run() -> bool {
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
    const UNKNOWN: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    if cfg!(loom) {
        return true;
    }
    let known = ANSWER.load(Relaxed);
    if known != UNKNOWN {
        return known == 1;
    }
    let answer = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    ANSWER.store(u8::from(answer), Relaxed);
    answer
}

/// A number that no other call in this process has returned, never 0.
///
/// 64 bits do not run out: at one a nanosecond they last 584 years.
#[allow(clippy::disallowed_types)]
pub(crate) fn unique_id() -> NonZeroU64 {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Relaxed);
    NonZeroU64::new(id).unwrap_or(NonZeroU64::MAX)
}
