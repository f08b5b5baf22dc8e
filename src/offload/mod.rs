//! Work that blocks: a pool of threads, and closures as tasks.
//!
//! [`spawn_blocking`] gives a closure to the pool of the runtime and a
//! [`JoinHandle`](crate::JoinHandle) back. A [`ThreadPool`] of one's own takes closures through
//! [`Executor`], the trait that any other place to run them may implement. How many threads there
//! may be, and how many jobs may wait, is bounded, visible and can be changed at any time: see
//! [`BlockingLimits`].
//!
//! # How it is made
//!
//! - `word`: one atomic word, the decisions. `crew`: the queue, the sleepers, the threads. It
//!   carries the argument why no job is left behind.
//! - `places`: the bound of the queue.
//! - `niceness`, `signals`: what a thread of the pool sets up for itself.
//! - `inline`: what stands for the threads in a deterministic runtime, which has none.
//! - `pool`: a crew whose jobs are closures and tasks. `spawn`: how a closure becomes a task.
//!
//! A closure is an ordinary task cell whose home is the pool, so joining, aborting, panics, numbers
//! and hooks are those of all tasks. One for which the queue has no place is a task that waits, on a
//! semaphore, and is tied to its handle until it has one; it was polled once, where it was spawned.

mod builder;
mod crew;
mod inline;
mod limits;
mod niceness;
mod places;
mod pool;
pub(crate) mod signals;
mod spawn;
mod word;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use crate::task::{Busy, Executor, Job};
pub(crate) use builder::check_name;
pub use builder::{BadSetting, Builder};
pub use limits::BlockingLimits;
pub use pool::ThreadPool;
pub use signals::with_signals_unblocked;
pub use spawn::{spawn_blocking, try_spawn_blocking};

pub(crate) use pool::PoolHandle;
