//! The composition root: runtimes, their builders, and the handles by which they are reached.

mod builder;
mod calls;
mod free;
mod handle;
mod join;
mod local;
mod tasks;

pub use crate::scheduler::host::{Budget, TurnError, TurnReport};
pub use builder::{BuildError, LocalBuilder};
pub use calls::TimerHandle;
pub use free::{YieldNow, block_on, spawn, spawn_local, yield_now};
pub use handle::{EnterGuard, Handle, NoRuntime};
pub use local::{Leftover, LocalRuntime};
