//! What tasks coordinate with.
//!
//! Nothing here needs a runtime: every future works under any executor, and takes part in the
//! [budget](crate::coop) when a task of this crate polls it. Nothing here has a timeout: wrap the
//! future in one. Dropping a future that waits gives up its place, and loses nothing else.
//!
//! | to | take |
//! |---|---|
//! | use a value one at a time, across awaits | [`Mutex`]; without awaits `std::sync::Mutex` |
//! | read together, write alone | [`RwLock`] |
//! | wait until a value under a mutex is as it should be | [`Condvar`] |
//! | let so many work at a time | [`Semaphore`]; with a total that changes, by borrower, [`CapacityLimiter`] |
//! | tell that something has happened | [`Event`], which stays set; [`Notify`], which wakes one or all |
//! | meet, so many of a kind | [`Barrier`] |
//! | make a value once | [`OnceCell`]; to wait for one that others set, [`SetOnce`] |
//! | send one value | [`oneshot`] |
//! | send many, each to the one receiver | [`mpsc`] |
//! | send many, each to all | [`broadcast`] |
//! | show the latest of a value to all | [`watch`] |
//! | stop whole trees of tasks | [`CancelToken`] |
//!
//! Whoever waits, waits in order: first come, first served; only past those who wait for a [`Mutex`]
//! one may come, and once. No waker is woken or dropped, and no other code of the user runs, while a
//! lock of this module is held.

pub mod barrier;
mod blocking;
pub mod broadcast;
pub mod cancel;
pub mod condvar;
pub mod event;
pub mod limiter;
pub mod mpsc;
pub mod mutex;
pub mod notify;
pub mod once;
pub mod oneshot;
pub mod rwlock;
pub mod semaphore;
mod sequence;
mod waiters;
pub mod watch;

#[doc(inline)]
pub use barrier::{Barrier, BarrierWaitResult};
#[doc(inline)]
pub use cancel::CancelToken;
#[doc(inline)]
pub use condvar::Condvar;
#[doc(inline)]
pub use event::Event;
#[doc(inline)]
pub use limiter::CapacityLimiter;
#[doc(inline)]
pub use mutex::Mutex;
#[doc(inline)]
pub use notify::Notify;
#[doc(inline)]
pub use once::{OnceCell, SetOnce};
#[doc(inline)]
pub use rwlock::RwLock;
#[doc(inline)]
pub use semaphore::Semaphore;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod test_kit;
#[cfg(all(test, not(loom)))]
mod trait_tests;
#[cfg(all(test, not(loom)))]
mod waker_tests;

#[cfg(doctest)]
mod refused;
