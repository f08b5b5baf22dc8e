//! What tasks coordinate with.
//!
//! Nothing here needs a runtime: every future works under any executor, and takes part in the
//! [budget](crate::coop) when a task of this crate polls it. Nothing here has a timeout: wrap the
//! future in one. Dropping a future that waits gives up its place, and loses nothing else.
//!
//! Whoever waits, waits in order: first come, first served. No waker is woken or dropped, and no
//! other code of the user runs, while a lock of this module is held.

pub mod event;
pub mod oneshot;
mod waiters;

#[doc(inline)]
pub use event::Event;

#[cfg(all(test, not(loom)))]
mod test_kit;
