//! Tests that run the same way each time, under as many orders of events as one likes.
//!
//! What goes wrong only if two tasks take their steps in a certain order is not found by running a
//! test once, and not found again by running it twice. [`check`] runs a test under many seeds, each in
//! a fresh [deterministic](crate::LocalBuilder::deterministic) runtime: virtual time, and an order of
//! tasks, wakes and ties that is drawn from the seed. A seed that fails fails every time.
//!
//! # In a test
//!
//! ```
//! use mainspring::sim;
//! use mainspring::sync::oneshot;
//! use mainspring::time::{sleep, timeout};
//! use std::time::Duration;
//!
//! # /*
//! #[test]
//! # */
//! fn the_answer_comes_in_time() {
//!     sim::check(0..200, || async {
//!         let (tx, rx) = oneshot::channel();
//!         let server = mainspring::spawn(async move {
//!             sleep(Duration::from_secs(3)).await;
//!             tx.send(42).unwrap();
//!         });
//!         assert_eq!(timeout(Duration::from_secs(5), rx).await.unwrap(), Ok(42));
//!         server.await.unwrap();
//!     });
//! }
//! # the_answer_comes_in_time();
//! ```
//!
//! The test fails with the seed in its message, after printing the last events. To run just that seed
//! again, under a debugger say, give it in the environment:
//!
//! ```text
//! MAINSPRING_SEED=137 cargo test the_answer_comes_in_time
//! ```
//!
//! # The shortest schedule
//!
//! An order that was drawn at random does much that has nothing to do with the failure. So a check that
//! fails runs the test again and again, with ever more of its choices replaced by the ordinary one, that
//! who is ready first runs first, for as long as it still fails. What it prints in the end are the events
//! of the shortest schedule found: each choice that is left in it is needed. It tells that schedule too,
//! to be run by itself:
//!
//! ```text
//! MAINSPRING_SEED=137/3=1,8=2 cargo test the_answer_comes_in_time
//! ```
//!
//! The panics of those runs are printed as well, as each is one of the test's own. How many there are
//! [`Sim::shorten`] says. Any failure counts: if a short schedule fails in another way than the seed, it
//! is that which its events show. A run that takes ten times as long as the one of the seed, and 100 ms
//! more, is broken off, and counts as one that passes. If more than 1,000 choices are left, only the seed
//! is told.
//!
//! Only a panic of the test's own future counts: await the handles of its tasks, and unwrap what they
//! say. What lies beyond the seed is listed at [`deterministic`](crate::LocalBuilder::deterministic).
//!
//! What a test does at random it draws by [`random`] and [`random_below`], so that it too follows from
//! the seed. A schedule changes who draws first, but not the numbers: the n-th that is drawn is the same
//! in all runs of a seed.
//!
//! # Deadlocks
//!
//! Where nothing can run, and time cannot move because no timer is armed or because it is
//! [paused](crate::time::pause), only the outside can help: a socket, or another thread. The check
//! waits for that in real time, for one second (see [`Sim::patience`]), and then reports a deadlock.
//! It also reports one million polls during which time stood still (see [`Sim::polls`]). A test that
//! sleeps again and again, until something that never comes, is not noticed, and runs for ever: put a
//! [`timeout`](crate::time::timeout()) around it.
//!
//! # Traces
//!
//! [`run`] gives a [`Trace`] beside the output: what the runtime did, as text, the same for two runs of
//! one seed.

mod check;
mod random;
mod recorder;
mod schedule;
mod trace;

pub use check::{Sim, check, run};
pub use random::{random, random_below};
pub use trace::Trace;
