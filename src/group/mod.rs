//! Several things at a time, and one thing again and again until it works.
//!
//! | | who runs it | when it ends | dropping it |
//! |---|---|---|---|
//! | [`TaskScope`] | tasks | when all have; the first failure cancels the others | aborts them; a scope around it waits for them |
//! | [`JoinSet`] | tasks | outcomes are taken one by one, as they come | aborts them |
//! | [`join_all`] | the calling task | when all have | drops them |
//! | [`try_join_all`] | the calling task | when all have, or at the first error, which drops the others | drops them |
//! | [`retry()`] | the calling task | at the first value, or when [`Backoff`] says so | drops the try |
//!
//! A `TaskScope` is what to begin with: nothing that it starts is left behind, and no error is lost.
//! A `JoinSet` suits tasks that come and go for as long as a program runs, a server's connections
//! say. Within one task, [`join_all`] is for futures of one type.
//!
//! # Futures of several types: `join!` and `select!`
//!
//! The macros of the [`futures`](https://docs.rs/futures) crate work with all futures of this one.
//! `join!` awaits several of different types together:
//!
//! ```
//! use futures::{join, try_join};
//! use mainspring::time::sleep;
//! use std::time::Duration;
//!
//! # mainspring::block_on(async {
//! let (_, six) = join!(sleep(Duration::from_millis(1)), async { 6 });
//! let both = try_join!(async { Ok(six) }, async { "seven".parse::<u8>() });
//! assert!(both.is_err());
//! # });
//! ```
//!
//! `select!` goes on with the one that is ready first:
//!
//! ```
//! use futures::{FutureExt, select};
//! use mainspring::group::JoinSet;
//! use mainspring::sync::CancelToken;
//! use mainspring::time::sleep;
//! use std::pin::pin;
//! use std::time::Duration;
//!
//! # mainspring::block_on(async {
//! let shutdown = CancelToken::new();
//! let mut set: JoinSet<u64> = (1..=3)
//!     .map(|n| async move {
//!         sleep(Duration::from_millis(n)).await;
//!         n
//!     })
//!     .collect();
//! // Made once, before the loop: it goes on from one turn to the next.
//! let mut stop = pin!(shutdown.cancelled().fuse());
//! let mut sum = 0;
//! loop {
//!     select! {
//!         // Made anew in each turn, and dropped when the other is ready: it must be cancel safe.
//!         outcome = set.join_next().fuse() => match outcome {
//!             Some(n) => sum += n.unwrap(),
//!             None => shutdown.cancel(),
//!         },
//!         () = stop => break,
//!     }
//! }
//! assert_eq!(sum, 6);
//! # });
//! ```
//!
//! *Cancel safety.* The branches of a `select!` that were not taken are dropped, if they were made
//! inside it. That loses nothing only of futures which say so under *Cancel safety*. What says that
//! its drop loses something is made before the loop, pinned, and given to `select!` by name, as
//! `stop` is above; or it becomes a task, whose [`JoinHandle`](crate::JoinHandle) can be awaited again
//! and again.
mod join_all;
mod join_set;
mod ready;
mod retry;
mod scope;

pub use join_all::{JoinAll, TryJoinAll, join_all, try_join_all};
pub use join_set::JoinSet;
pub use retry::{Backoff, Delays, Retry, retry};
pub use scope::{ChildError, Failure, Scope, ScopeError, ScopedHandle, TaskScope};

use crate::context::{Current, Runs};

/// Whether tasks that are `!Send` may be spawned here.
fn takes_local(current: &Current) -> bool {
    current.runs == Runs::All
}

#[cold]
#[track_caller]
fn no_runtime(method: &str) -> ! {
    panic!(
        "{method} was called where no runtime runs: call it inside block_on or a task, or after \
         Handle::enter"
    );
}

#[cold]
#[track_caller]
fn no_local_runtime(method: &str) -> ! {
    panic!("{method} was called where no LocalRuntime runs: call it inside its block_on or tasks");
}

#[cfg(all(test, loom))]
mod loom_tests;

/// What the compiler refuses, and must go on refusing.
///
/// Children of a scope, and tasks of a set, may outlive the drop of those, so they borrow nothing:
///
/// ```compile_fail,E0373
/// use mainspring::group::TaskScope;
/// # mainspring::block_on(async {
/// let text = String::from("short");
/// let run = TaskScope::new().run(async |scope| {
///     scope.spawn(async { Ok::<_, ()>(text.len()) });
///     Ok(())
/// });
/// run.await.unwrap();
/// # });
/// ```
///
/// What may not go to another thread is spawned with `spawn_local` only:
///
/// ```compile_fail,E0277
/// use mainspring::group::TaskScope;
/// # mainspring::block_on(async {
/// let run = TaskScope::new().run(async |scope| {
///     let rc = std::rc::Rc::new(1);
///     scope.spawn(async move { Ok::<_, ()>(*rc) });
///     Ok(())
/// });
/// run.await.unwrap();
/// # });
/// ```
///
/// ```compile_fail,E0277
/// # mainspring::block_on(async {
/// let mut set = mainspring::group::JoinSet::new();
/// set.spawn(async { std::rc::Rc::new(1) });
/// # });
/// ```
///
/// A set of outputs that stay on their thread stays there too:
///
/// ```compile_fail,E0277
/// let set = mainspring::group::JoinSet::<std::rc::Rc<u8>>::new();
/// std::thread::spawn(move || drop(set));
/// ```
#[cfg(doctest)]
pub struct Refused;
